"""Every module of the corpus is the run that it would be alone, in every way that it can be trained, or is refused.

Alone is a plain PyTorch loop. Ways: a stack, one that is recorded, a loop; a study in a stack, in a loop, in processes,
resumed from a checkpoint in the middle, and taken out of its record.
"""

from __future__ import annotations

import copy
import functools
import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves, tree_map

import tenfold
from tenfold import Stack
from tenfold.errors import TenfoldError
from tenfold.execute import try_module
from tenfold.models import ModelFactory
from tenfold.own_files import import_own_file
from tenfold.stack import How, replayable
from tenfold.train import Job, RunId, epoch_batches, prepare, restore, save_checkpoint, step, train_alone

HERE = Path(__file__).parent
corpus: Any = import_own_file(HERE / "corpus.py")
CASES: dict[str, Any] = corpus.CASES
N_RUNS, N_STEPS = 3, 3

ALLOWED = [name for name, case in CASES.items() if not case.refused]
# What nothing seeds cannot be built again to be compared.
UNSEEDED = [name for name, case in CASES.items() if "differs between two modules" in case.in_studies]
STACKED = [name for name in ALLOWED if not CASES[name].not_stacked and name not in UNSEEDED]
IN_STUDIES = [name for name in ALLOWED if not CASES[name].in_studies]
# As many as have something of their own to carry to another process.
IN_PROCESSES = [
    "Embedding padding",
    "spectral_norm",
    "a mean in a buffer",
    "hooks that are methods",
    "weights from random",
]

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning", "ignore::FutureWarning")


def test_the_corpus_is_large_and_both_kinds_are_in_it() -> None:
    assert len(CASES) >= 100
    assert len(ALLOWED) >= 70
    assert sum(bool(case.refused) for case in CASES.values()) >= 25
    trained = {kind.__name__ for kind in vars(nn).values() if isinstance(kind, type) and issubclass(kind, nn.Module)}
    named = {name.split()[0] for name in CASES}
    skipped = ("Lazy", "Base", "Adaptive", "Sync", "Cross", "Transformer")
    layers = {
        name for name in trained if name.startswith(("Conv", "Batch", "Instance", "Group", "Layer", "RMS", "Embed"))
    }
    assert {name for name in layers if not name.startswith(skipped)} <= named


def built(name: str, run: int) -> nn.Module:
    torch.manual_seed(run)
    random.seed(run)
    np.random.seed(run)  # noqa: NPY002
    return CASES[name].make().double()


def inputs_of(name: str, step: int) -> tuple[tuple[Tensor, ...], list[tuple[Tensor, ...]]]:
    """Inputs of all runs, runs first, and of each."""
    own = [CASES[name].takes(*corpus.batch_of(100 * step + run)) for run in range(N_RUNS)]
    return tuple(torch.stack(parts) for parts in zip(*own, strict=True)), own


def optimiser_of(parameters: Any) -> torch.optim.Optimizer | None:
    parameters = [parameter for parameter in parameters if parameter.requires_grad]
    return torch.optim.SGD(parameters, lr=0.05, momentum=0.9, weight_decay=0.1) if parameters else None


@functools.cache
def trained_alone(name: str, run: int) -> tuple[nn.Module, list[Any]]:
    """The module after some steps of a plain loop, and its outputs in each and in evaluation."""
    module = replayable(built(name, run), key=run)
    # Sparse gradients have no momentum in torch.optim's SGD under "foreach"; they are made dense, as anyone would.
    optimiser, outputs = optimiser_of(module.parameters()), []
    for at in range(N_STEPS):
        module.train()
        outputs.append(module(*inputs_of(name, at)[1][run]))
        update(corpus.penalty(outputs[-1]), optimiser)
        module.eval()
        with torch.no_grad():
            outputs.append(module(*inputs_of(name, at)[1][run]))
    return module, outputs


def update(loss: Tensor, optimiser: torch.optim.Optimizer | None) -> None:
    if optimiser is None:
        return
    optimiser.zero_grad()
    loss.backward()
    for group in optimiser.param_groups:
        for parameter in group["params"]:
            if parameter.grad is not None and parameter.grad.layout != torch.strided:
                parameter.grad = parameter.grad.to_dense()
    optimiser.step()


def expect_same(found: Any, expected: Any, what: str) -> None:
    left, right = tree_leaves(found), tree_leaves(expected)
    assert len(left) == len(right)
    for one, other in zip(left, right, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-10, equal_nan=True, msg=lambda m: f"{what}: {m}")


def expect_same_module(found: nn.Module, alone: nn.Module, what: str = "") -> None:
    theirs = dict(alone.named_parameters()) | dict(alone.named_buffers())
    own = dict(found.named_parameters()) | dict(found.named_buffers())
    assert own.keys() <= theirs.keys()  # ours has the buffers of its dropout layers
    for name, value in own.items():
        expect_same(value.detach(), theirs[name].detach(), f"{what} {name}")


# -- a stack in a loop of one's own -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [name for name in CASES if name not in UNSEEDED])
@pytest.mark.parametrize("how", ["vmap", "loop"])
def test_a_stack_is_each_module_alone_or_refuses_it(name: str, how: How) -> None:
    case = CASES[name]
    message = case.refused or (case.not_stacked if how == "vmap" else case.in_own_loop)
    if message:
        with pytest.raises(TenfoldError, match=f"(?s){message}"):
            trained_together(name, how, gradients=False)
        return
    if how == "loop" and "random" in case.not_stacked:
        pytest.skip("its numbers are those of the caller's generator in a loop of one's own")
    stack, outputs = trained_together(name, how, gradients=False)
    expect_runs_alone(name, stack, outputs)


@pytest.mark.parametrize("name", STACKED)
def test_a_recorded_stack_is_each_module_alone(name: str) -> None:
    stack, outputs = trained_together(name, "vmap", gradients=True)
    expect_runs_alone(name, stack, outputs)


def trained_together(name: str, how: How, *, gradients: bool) -> tuple[Stack, list[Any]]:
    singles = [built(name, run) for run in range(N_RUNS)]
    stack = Stack(singles, keys=list(range(N_RUNS)), how=how, recorded=gradients)
    optimiser, outputs = optimiser_of(stack.parameters()), []
    for at in range(N_STEPS):
        inputs, _ = inputs_of(name, at)
        stack.train()
        if gradients:
            _, output, grads = stack.gradients(both, inputs, ())
            for parameter, grad in zip(stack.trainable(), grads, strict=True):
                parameter.grad = grad
            outputs.append(output)
            if optimiser is not None:
                optimiser.step()
        else:
            outputs.append(stack(*inputs))
            of_runs = [tree_map(lambda leaf, run=run: leaf[run], outputs[-1]) for run in range(N_RUNS)]
            update(torch.stack([corpus.penalty(own) for own in of_runs]).sum(), optimiser)
        stack.eval()
        with torch.no_grad():
            outputs.append(stack(*inputs))
    return stack, outputs


def both(output: Any) -> tuple[Tensor, Any]:
    return corpus.penalty(output), output


def expect_runs_alone(name: str, stack: Stack, outputs: list[Any]) -> None:
    for run in range(N_RUNS):
        alone, alone_outputs = trained_alone(name, run)
        for at, (all_runs, own) in enumerate(zip(outputs, alone_outputs, strict=True)):
            expect_same(tree_map(lambda leaf, run=run: leaf[run], all_runs), own, f"output {at} of run {run}")
        expect_same_module(stack.module(run), alone)


# -- a study ----------------------------------------------------------------------------------------------------------


def raw(names: list[str]) -> dict[str, Any]:
    return {
        "name": "corpus",
        "repeats": N_RUNS,
        "task": {"kind": "corpus.py:Penalty"},
        "train": {
            "epochs": 2,
            "batch_size": 14,  # then one of 10
            "dtype": "float64",
            "optimizer": "sgd",
            "lr": 0.05,
            "momentum": 0.9,
            "weight_decay": 0.1,
            "compile": "never",
        },
        "models": [{"name": name, "module": "corpus.py:Takes", "case": name} for name in names],
    }


def job_of(name: str, how: How = "vmap") -> tuple[Job, Any]:
    study = tenfold.parse_study(raw([name]), base=HERE)
    (config,) = study.models[0].configs()
    factory = ModelFactory("corpus.py:Takes", {"case": name}, HERE)
    return Job(name, factory, tuple(RunId(config, run) for run in range(N_RUNS)), 0, how, 1), corpus.Penalty(None, None)


@functools.cache
def trained_as_in_a_study(name: str, run: int) -> nn.Module:
    return train_alone(*job_of(name), run).eval()


PLACEMENTS = {"stack": [name for name in IN_STUDIES if name in STACKED], "loop": IN_STUDIES, "processes": IN_PROCESSES}


@pytest.mark.parametrize("placement", PLACEMENTS)
def test_every_run_of_a_record_is_the_run_alone(tmp_path: Path, placement: Any) -> None:
    """The whole corpus as one study, one variant for each module; each of its runs as it comes out of the record."""
    study = tenfold.parse_study(raw(PLACEMENTS[placement]), base=HERE)
    results = tenfold.run(study, out=tmp_path / "record", placement=placement)
    inputs = corpus.batch_of(7)
    for name in PLACEMENTS[placement]:
        for run in range(N_RUNS):
            expected, module = trained_as_in_a_study(name, run), results.winner(name).module(run)
            expect_same_module(module, expected, name)
            before = copy.deepcopy(expected.state_dict())  # it may write into its buffers, and is used again
            with torch.no_grad():
                expect_same(module(*inputs), expected(*inputs), f"{name}, run {run}")
            expected.load_state_dict(before)


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.refused or case.in_studies])
def test_it_is_refused_before_a_study_begins(name: str) -> None:
    job, task = job_of(name)
    with pytest.raises(TenfoldError, match=f"(?s){CASES[name].refused or CASES[name].in_studies}"):
        try_module(job, task)


@pytest.mark.parametrize("name", IN_STUDIES)
def test_a_run_that_is_resumed_in_the_middle_is_the_unbroken_run(tmp_path: Path, name: str) -> None:
    for how in ("vmap", "loop") if name in STACKED else ("loop",):
        job, task = job_of(name, how)
        unbroken, broken = prepare(job, task), prepare(job, task)
        rows = epoch_batches(unbroken)
        for state in (unbroken, broken):
            state.stack.train()
            step(state, rows[0])
        save_checkpoint(broken, tmp_path / f"{how}.safetensors")
        resumed = prepare(replace(job), task)
        restore(resumed, tmp_path / f"{how}.safetensors")
        resumed.stack.train()
        for state in (unbroken, resumed):
            step(state, rows[1])
        for run in range(N_RUNS):
            expect_same_module(resumed.stack.module(run), unbroken.stack.module(run))
            trained = train_alone(job, task, run, max_steps=2)
            expect_same_module(resumed.stack.module(run), trained)
