"""Embeddings: what each is said to be, shapes, gradients, and that a stack of them is the single ones."""

from __future__ import annotations

import inspect

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tenfold import Stack
from tenfold.errors import RequestError
from tenfold.models import Conv4Embedding, KochEmbedding, ModelFactory, ResidualEmbedding

EMBEDDINGS = {"koch-embedding": 20, "conv4-embedding": 64, "residual-embedding": 64}  # dimension at 28 x 28
VARIANTS: list[tuple[str, dict[str, object]]] = [
    *((name, {}) for name in EMBEDDINGS),
    ("koch-embedding", {"sigmoid": True}),
    ("conv4-embedding", {"channels": 8, "dimension": 5, "normalised": True}),
    ("residual-embedding", {"channels": [4, 6], "blocks": 2, "normalised": True}),
]


def images(batch: int, size: int = 28, seed: int = 0) -> Tensor:
    return torch.rand(batch, 1, size, size, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def build(name: str, seed: int = 0, **options: object) -> nn.Module:
    return ModelFactory(name, options).build(seed).double()


def n_parameters(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def kinds(module: nn.Module) -> list[str]:
    return [type(layer).__name__ for layer in module.modules() if not list(layer.children())]


# -- what all of them keep --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [7, 14, 28])
@pytest.mark.parametrize("name", EMBEDDINGS)
def test_one_embedding_an_image_of_the_dimension_asked_for(name: str, size: int) -> None:
    for dimension in (3, 20):
        module = build(name, size=size, dimension=dimension)
        assert module.train()(images(4, size)).shape == (4, dimension)
        assert module.eval()(images(1, size)).shape == (1, dimension)
    assert build(name)(images(2)).shape == (2, EMBEDDINGS[name])


@pytest.mark.parametrize("name", EMBEDDINGS)
def test_three_channels_all_count(name: str) -> None:
    module = build(name, n_channels=3).eval()
    colour = torch.rand(2, 3, 28, 28, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    embeddings = module(colour)
    for channel in range(3):
        other = colour.clone()
        other[:, channel] = 0
        assert not torch.equal(module(other), embeddings)


@pytest.mark.parametrize(("name", "options"), VARIANTS)
def test_gradients_reach_every_parameter(name: str, options: dict) -> None:
    module = build(name, **options).train()
    embeddings = module(images(6))
    weights = torch.randn(embeddings.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    (embeddings * weights).sum().backward()
    assert n_parameters(module) > 0
    for label, parameter in module.named_parameters():
        assert parameter.grad is not None, label
        assert bool(parameter.grad.isfinite().all()), label
        assert bool(parameter.grad.any()), label


def loss(embeddings: Tensor) -> tuple[Tensor, Tensor]:
    return (torch.cdist(embeddings[:3], embeddings[3:]) * torch.arange(3.0).double()).sum(), embeddings


@pytest.mark.parametrize("size", [14, 28])
@pytest.mark.parametrize(("name", "options"), VARIANTS)
def test_a_stack_is_the_single_ones(name: str, options: dict, size: int) -> None:
    """Embeddings, gradients and buffers in float64; by vmap, recorded, and by the loop that tenfold runs on CPUs."""
    singles = [build(name, seed=run, size=size, **options).train() for run in range(3)]
    inputs = torch.stack([images(6, size, seed=run) for run in range(3)])
    vmapped, recorded = Stack(singles), Stack(singles, recorded=True)
    looped = Stack(singles, how="loop")
    assert recorded.recorded
    results = {stack: stack.gradients(loss, (inputs,), ()) for stack in (vmapped, recorded)}
    losses, embeddings = looped.map(loss, (inputs,), ())
    losses.sum().backward()
    looped_gradients = tuple(parameter.grad for parameter in looped.trainable())
    results[looped] = (losses.detach(), embeddings.detach(), looped_gradients)  # type: ignore[assignment]
    for run, module in enumerate(singles):
        alone, embedding = loss(module(inputs[run]))
        expected = torch.autograd.grad(alone, list(module.parameters()))
        for stack, (its_losses, its_embeddings, gradients) in results.items():
            torch.testing.assert_close(its_losses[run], alone.detach(), rtol=1e-10, atol=1e-10)
            torch.testing.assert_close(its_embeddings[run], embedding.detach(), rtol=0, atol=1e-11)
            for its, one in zip(gradients, expected, strict=True):
                torch.testing.assert_close(its[run], one, rtol=1e-8, atol=1e-10)
            for its, one in zip(stack.module(run).buffers(), module.buffers(), strict=True):
                torch.testing.assert_close(its, one, rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", EMBEDDINGS)
def test_in_evaluation_an_embedding_is_its_image_s_own(name: str) -> None:
    module = build(name).eval()
    inputs = images(5)
    with torch.no_grad():
        together = module(inputs)
        for row in range(5):
            torch.testing.assert_close(module(inputs[row : row + 1])[0], together[row], rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", EMBEDDINGS)
def test_dropout_is_there_where_asked_for_and_nowhere_else(name: str) -> None:
    assert "Dropout" not in kinds(build(name))
    dropping = build(name, dropout=0.5)
    assert kinds(dropping).count("Dropout") == 1
    assert not torch.equal(dropping.train()(images(4)), dropping(images(4)))
    assert n_parameters(dropping) == n_parameters(build(name))


@pytest.mark.parametrize("name", ["conv4-embedding", "residual-embedding"])
def test_normalised_embeddings_have_length_1_and_the_same_direction(name: str) -> None:
    plain, normalised = build(name).eval(), build(name, normalised=True).eval()
    normalised.load_state_dict(plain.state_dict())
    before, after = plain(images(4)).detach(), normalised(images(4)).detach()
    torch.testing.assert_close(after.norm(dim=1), torch.ones(4, dtype=torch.float64))
    torch.testing.assert_close(after, before / before.norm(dim=1, keepdim=True))
    assert float((before.norm(dim=1) - 1).abs().min()) > 1e-3


@pytest.mark.parametrize("make", [KochEmbedding, Conv4Embedding, ResidualEmbedding])
def test_lists_of_a_study_file_do_as_tuples(make: type[nn.Module]) -> None:
    for name, option in inspect.signature(make).parameters.items():
        if isinstance(option.default, tuple):
            torch.manual_seed(0)
            first = make(**{name: list(option.default)})
            torch.manual_seed(0)
            assert torch.equal(first.eval()(images(2).float()), make().eval()(images(2).float()))


# -- Koch -------------------------------------------------------------------------------------------------------------


def test_koch_has_four_convolutions_three_poolings_and_one_dense_layer() -> None:
    module = KochEmbedding(size=28, dimension=20, channels=(2, 3, 5, 7), kernels=(5, 3, 3, 1))
    assert kinds(module) == ["Conv2d", "MaxPool2d", "ReLU"] * 3 + ["Conv2d", "ReLU", "Flatten", "Linear"]
    convolutions = (25 * 1 + 1) * 2 + (9 * 2 + 1) * 3 + (9 * 3 + 1) * 5 + (5 + 1) * 7
    assert n_parameters(module) == convolutions + (7 * 3 * 3 + 1) * 20  # 28 -> 14 -> 7 -> 3


def test_koch_pools_after_the_relu_as_far_as_numbers_go() -> None:
    """Against the order of the paper, written out."""
    module = KochEmbedding().double().eval()
    convolutions = [layer for layer in module.modules() if isinstance(layer, nn.Conv2d)]
    dense = next(layer for layer in module.modules() if isinstance(layer, nn.Linear))
    maps = images(3)
    for depth, convolution in enumerate(convolutions):
        maps = F.relu(convolution(maps))
        maps = F.max_pool2d(maps, 2) if depth < 3 else maps
    torch.testing.assert_close(module(images(3)), dense(maps.flatten(1)), rtol=0, atol=1e-14)


def test_koch_ends_in_a_sigmoid_where_asked_for() -> None:
    plain, squashed = KochEmbedding().double(), KochEmbedding(sigmoid=True).double()
    squashed.load_state_dict(plain.state_dict())
    torch.testing.assert_close(squashed(images(3)), plain(images(3)).sigmoid())
    assert bool((plain(images(3)) < 0).any())  # not normalised, not squashed


@pytest.mark.parametrize("kernels", [(5, 3, 3), (5, 3, 3, 2)])
def test_koch_says_which_kernels_it_takes(kernels: tuple[int, ...]) -> None:
    with pytest.raises(RequestError) as caught:
        KochEmbedding(channels=(8, 8, 8, 8), kernels=kernels)
    assert str(caught.value) == (
        "channels and kernels: expected as many odd kernels as channels, got channels [8, 8, 8, 8] and "
        f"kernels {list(kernels)}"
    )


# -- Conv-4 -----------------------------------------------------------------------------------------------------------


def test_conv4_is_that_of_the_papers() -> None:
    """64 numbers for an image of 28 x 28; against the order of the papers, written out."""
    module = Conv4Embedding().double().train()
    assert n_parameters(module) == 9 * 64 + 3 * 9 * 64 * 64 + 4 * 2 * 64
    maps = images(5)
    layers = [layer for layer in module.modules() if isinstance(layer, nn.Conv2d | nn.BatchNorm2d)]
    for convolution, norm in zip(layers[::2], layers[1::2], strict=True):
        assert isinstance(norm, nn.BatchNorm2d)
        assert convolution.bias is None
        maps = F.batch_norm(convolution(maps), None, None, norm.weight, norm.bias, training=True)
        maps = F.max_pool2d(F.relu(maps), 2)
    assert maps.shape == (5, 64, 1, 1)
    torch.testing.assert_close(module(images(5)), maps.flatten(1), rtol=0, atol=1e-12)


def test_conv4_without_a_dense_layer_is_as_long_as_its_maps() -> None:
    assert Conv4Embedding(size=105, channels=4).eval()(images(1, 105).float()).shape == (1, 4 * 6 * 6)
    assert Conv4Embedding(size=8, channels=4).eval()(images(1, 8).float()).shape == (1, 4)


# -- residual ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("blocks", [1, 2])
def test_residual_blocks_add_what_came_in(blocks: int) -> None:
    """Against He et al., written out: a block that changes nothing is ReLU of its input, or of its projection."""
    module = ResidualEmbedding(channels=(4, 6), blocks=blocks, dimension=3).double().eval()
    found = [layer for layer in module.modules() if type(layer).__name__ == "_Residual"]
    assert len(found) == 2 * blocks
    for position, block in enumerate(found):
        first, second = (layer for layer in block.change if isinstance(layer, nn.Conv2d))  # type: ignore[union-attr]
        maps = torch.randn(2, first.in_channels, 8, 8, dtype=torch.float64)
        strided = position == blocks
        assert first.stride == ((2, 2) if strided else (1, 1))
        projected = block.keep(maps)  # type: ignore[operator]
        if not strided:
            assert projected is maps
        assert block(maps).shape == (2, second.out_channels, *((4, 4) if strided else (8, 8)))
        with torch.no_grad():
            second.weight.zero_()
        torch.testing.assert_close(block(maps), projected.relu())


def test_residual_parameters() -> None:
    def block(before: int, after: int, *, projected: bool) -> int:
        return 9 * before * after + 9 * after * after + 4 * after + (before * after + 2 * after) * projected

    expected = 25 * 32 + 64 + block(32, 32, projected=False) + block(32, 64, projected=True)
    expected += block(64, 128, projected=True) + 129 * 64
    assert n_parameters(ResidualEmbedding()) == expected


def test_residual_ends_in_the_mean_over_all_places() -> None:
    module = ResidualEmbedding().double().eval()
    maps = module.maps(images(2))
    assert maps.shape == (2, 128, 4, 4)
    mean = torch.stack([maps[:, :, i, j] for i in range(4) for j in range(4)]).mean(0)
    torch.testing.assert_close(module(images(2)), module.head(mean))
