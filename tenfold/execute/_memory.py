"""How much memory a run needs, and how many runs fit at once."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from tenfold.tasks import Task
from tenfold.train import Job, epoch_batches, gradients, prepare

__all__ = ["bytes_available", "bytes_per_run", "groups"]

# Parameters, gradient, two optimiser moments and the best weights so far.
_COPIES = 5
# Backward holds gradients of activations beside the activations themselves.
_BACKWARD = 2


def bytes_per_run(job: Job, task: Task) -> int:
    """Peak bytes that one run adds to a stack in training, from one counted forward pass.

    Counts what autograd saves for the backward pass (each storage once), twice, and the copies of the parameters.
    """
    single = replace(job, runs=job.runs[:1])
    state = prepare(single, task)
    state.stack.train()
    saved: dict[int, int] = {}
    kept: list[Tensor] = []  # so that no address is given out twice while counting

    def note(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        saved[storage.data_ptr()] = storage.nbytes()
        kept.append(tensor.detach())
        return tensor

    batch = state.parts["train"].batch(epoch_batches(state)[0])
    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        gradients(state, batch)
    for value in batch.inputs:  # data, of which every run has the same
        saved.pop(value.untyped_storage().data_ptr(), None)
    flat = state.stack.flatten_()
    saved.pop(flat.untyped_storage().data_ptr(), None)
    return _BACKWARD * sum(saved.values()) + _COPIES * flat.numel() * flat.element_size()


def bytes_available(device: str) -> int:
    """Free memory of the device: of the GPU, or of the machine within the limit of its container."""
    if device == "cuda":
        return torch.cuda.mem_get_info()[0]
    free = [_meminfo_available()]
    for limit, used in (
        ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"),
        ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "/sys/fs/cgroup/memory/memory.usage_in_bytes"),
    ):
        try:
            free.append(int(Path(limit).read_text()) - int(Path(used).read_text()))
        except (OSError, ValueError):  # no such file here, or "max"
            continue
    return max(min(free), 0)


def _meminfo_available() -> int:
    try:
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2
    except (ValueError, OSError, AttributeError):  # Windows
        return 4 * 2**30


def groups(n_runs: int, *, per_run: int, available: int) -> list[int]:
    """Sizes of the groups, as equal as can be, in which ``n_runs`` are trained one after the other.

    Example:
        >>> groups(10, per_run=100, available=1000)
        [10]
        >>> groups(10, per_run=100, available=450)
        [4, 3, 3]
        >>> groups(3, per_run=100, available=10)
        [1, 1, 1]
    """
    largest = max(1, min(n_runs, available // max(per_run, 1)))
    count = -(-n_runs // largest)
    return [n_runs // count + (at < n_runs % count) for at in range(count)]
