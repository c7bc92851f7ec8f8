"""How many cores this process may use."""

from __future__ import annotations

import math
import os
from pathlib import Path, PurePosixPath

__all__ = ["cores"]


def cores() -> int:
    """Cores that the system gives this process: by its CPU affinity, and by the limit of its container."""
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, math.ceil(min(count, _quota())))


def cores_asked() -> int:
    """Cores to use where a study does not say: all, but no more than ``OMP_NUM_THREADS``."""
    return min(cores(), _threads_asked() or cores())


def _threads_asked() -> int | None:
    """``OMP_NUM_THREADS``; of a list (one number per level), the first. None where it is no number."""
    text = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0].strip()
    return int(text) if text.isascii() and text.isdigit() and int(text) > 0 else None


def _quota(proc: Path = Path("/proc/self/cgroup"), root: Path = Path("/sys/fs/cgroup")) -> float:
    """CPU time per second of time that control groups allow, as Docker and SLURM set it; the least of all levels."""
    try:
        lines = proc.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):  # not Linux
        return math.inf
    found = [math.inf]
    for _, kinds, group in (line.split(":", 2) for line in lines if line.count(":") >= 2):
        if kinds == "" or "cpu" in kinds.split(","):
            # Inside a container the path may be that of the host: then the limit is the one at the root.
            levels = [PurePosixPath(group), *PurePosixPath(group).parents, PurePosixPath("/")]
            places = (root, root / "unified") if kinds == "" else (root / "cpu", root / kinds)
            found += [_limit(place / str(level).lstrip("/")) for place in places for level in levels]
    return min(found)


def _limit(folder: Path) -> float:
    """The limit of one group: version 2 has both numbers in one file, version 1 has two files."""
    try:
        if (folder / "cpu.max").is_file():
            quota, period = (folder / "cpu.max").read_text().split()
        else:
            quota, period = ((folder / f"cpu.cfs_{name}_us").read_text().strip() for name in ("quota", "period"))
        return float(quota) / float(period) if quota not in ("max", "-1") else math.inf
    except (OSError, ValueError, ZeroDivisionError):  # no such group or no limit
        return math.inf
