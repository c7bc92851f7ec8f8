"""The contract of built-in models: plain modules for one run. A new model joins by its line in ``MODELS``."""

from __future__ import annotations

import inspect
import pickle

import pytest
import torch
from torch import Tensor, nn

from tenfold import Stack
from tenfold.models import MODELS, ModelFactory
from tenfold.tasks import ComparePairs, Hyper
from tenfold.train import of_run

SIZES = [8, 14, 28]
# Models of the task `match` take one image and give its embedding, those of `classify-sequences` take windows of
# sequences; the others take pairs.
EMBEDDINGS = [name for name in MODELS if name.endswith("-embedding")]
SEQUENCES = ["recurrent-classifier", "deep-conv-lstm", "conv-classifier"]
PAIRS = [name for name in MODELS if name not in EMBEDDINGS + SEQUENCES]


def inputs_for(name: str, batch: int, size: int) -> Tensor:
    numbers = torch.Generator().manual_seed(0)
    if name in SEQUENCES:
        return torch.rand(batch, 3 * size, 9, generator=numbers)
    return torch.rand(batch, 1 if name in EMBEDDINGS else 2, size, size, generator=numbers)


def build(name: str, seed: int = 0, *, size: int, **options: object) -> nn.Module:
    fact = {"n_steps": 3 * size} if name in SEQUENCES else {"size": size}
    source = ModelFactory(name, options)
    its = {key: value for key, value in fact.items() if key in (source.accepts() or fact)}
    return source.build(seed, **its)


def parts_of(output: Tensor | tuple[Tensor, Tensor]) -> tuple[Tensor, ...]:
    return (output,) if isinstance(output, Tensor) else tuple(output)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", EMBEDDINGS)
def test_embeddings_have_one_row_an_image(name: str, size: int) -> None:
    for dimension in (3, 20):
        module = build(name, size=size, dimension=dimension).eval()
        for batch in (1, 5):
            assert module(inputs_for(name, batch, size)).shape == (batch, dimension)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", PAIRS)
def test_shapes(name: str, size: int) -> None:
    module = build(name, size=size).eval()
    for batch in (1, 5):
        logits, *classes = parts_of(module(inputs_for(name, batch, size)))
        assert logits.shape == (batch, 2)
        assert all(part.shape == (batch, 2, 10) for part in classes)
    if "n_classes" in inspect.signature(MODELS[name]).parameters:
        module = build(name, size=size, n_classes=3).eval()
        assert all(part.shape == (4, 2, 3) for part in parts_of(module(inputs_for(name, 4, size)))[1:])


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", SEQUENCES)
def test_sequences_have_one_row_of_logits_a_window(name: str, size: int) -> None:
    for facts in ({"n_channels": 9, "n_classes": 6}, {"n_channels": 3, "n_classes": 2}):
        module = build(name, size=size, **facts).eval()
        for batch in (1, 5):
            windows = inputs_for(name, batch, size)[..., : facts["n_channels"]]
            assert module(windows).shape == (batch, facts["n_classes"])
            assert module(windows, torch.arange(batch) + 1).shape == (batch, facts["n_classes"])


@pytest.mark.parametrize("name", MODELS)
def test_a_seed_decides_the_initial_weights_and_nothing_else_does(name: str) -> None:
    torch.manual_seed(1)
    first = build(name, size=8)
    before = torch.get_rng_state()
    second, other = build(name, size=8), build(name, seed=1, size=8)
    assert torch.equal(torch.get_rng_state(), before)
    for (label, value), again, differs in zip(
        first.named_parameters(), second.parameters(), other.parameters(), strict=True
    ):
        assert torch.equal(value, again), label
        assert torch.equal(value, differs) == ("norm" in label.lower() or bool((value == value.flatten()[0]).all())), (
            label
        )


@pytest.mark.parametrize("name", MODELS)
def test_every_parameter_is_used(name: str) -> None:
    """Under all losses each one gets a gradient that is not zero throughout."""
    module = build(name, size=8)
    module.train()
    outputs = parts_of(module(inputs_for(name, 16, 8)))
    generator = torch.Generator().manual_seed(1)
    sum((part * torch.randn(part.shape, generator=generator)).sum() for part in outputs).backward()  # type: ignore[union-attr]
    for label, parameter in module.named_parameters():
        assert parameter.grad is not None, label
        assert bool(parameter.grad.any()), label


@pytest.mark.parametrize("name", MODELS)
def test_evaluation_is_a_pure_function_of_each_pair(name: str) -> None:
    """No run, batch or order in it: an example's outputs are its own."""
    module = build(name, size=8).double().eval()
    inputs = inputs_for(name, 6, 8).double()
    with torch.no_grad():
        together = parts_of(module(inputs))
        for row in range(6):
            for one, all_of_them in zip(parts_of(module(inputs[row : row + 1])), together, strict=True):
                torch.testing.assert_close(one[0], all_of_them[row], rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", MODELS)
def test_state_dicts_and_pickles_come_back(name: str) -> None:
    module, other = build(name, size=8).eval(), build(name, seed=1, size=8).eval()
    other.load_state_dict(module.state_dict())
    copied = pickle.loads(pickle.dumps(module))
    inputs = inputs_for(name, 3, 8)
    for again in (other, copied):
        assert all(
            torch.equal(mine, its) for mine, its in zip(parts_of(module(inputs)), parts_of(again(inputs)), strict=True)
        )


@pytest.mark.parametrize("how", ["vmap", "loop"])
@pytest.mark.parametrize("name", MODELS)
def test_it_stacks(name: str, how: str) -> None:
    modules = [build(name, seed=run, size=8).double().eval() for run in range(3)]
    inputs = torch.stack([inputs_for(name, 4, 8).double() + run / 10 for run in range(3)])
    outputs = parts_of(Stack(modules, how=how)(inputs))  # type: ignore[arg-type]
    for run, module in enumerate(modules):
        for together, alone in zip(outputs, parts_of(module(inputs[run])), strict=True):
            torch.testing.assert_close(together[run], alone, rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", MODELS)
def test_options_are_keywords_with_defaults_and_are_described(name: str) -> None:
    text = inspect.getdoc(MODELS[name]) or ""
    for option in inspect.signature(MODELS[name]).parameters.values():
        assert option.kind is option.KEYWORD_ONLY
        assert option.default is not option.empty
        described = text.partition("Args:")[2]
        assert f"{option.name}:" in described or f"{option.name}, " in described or f", {option.name}" in described


@pytest.mark.parametrize("name", PAIRS)
def test_the_task_takes_its_outputs(name: str) -> None:
    from tenfold import datasets

    images = datasets.load("digits")
    assert isinstance(images, datasets.Images)
    settings = ComparePairs.spec.settings(kind="compare-pairs", data="memory", size=8, train=10, test=5)  # type: ignore[call-arg]
    task = ComparePairs(settings, images)  # type: ignore[arg-type]
    batch = of_run(task.splits([0], seed=0)["train"].span(0, 6), 0)
    output = build(name, size=8).eval()(*batch.inputs)
    task.check(output, batch)
    zero = torch.zeros((), dtype=torch.int64)
    loss = task.loss(output, batch, Hyper(ComparePairs.spec.recipe(), {"auxiliary": torch.ones(3)}, zero, zero))
    assert loss.shape == ()
    assert bool(loss.isfinite())
