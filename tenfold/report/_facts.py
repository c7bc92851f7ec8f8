"""Facts of a record in words: what was run, placement and time, environment."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from tenfold.record import Reader
from tenfold.wording import certificate_sentence, significant

__all__ = ["certificate_sentences", "certificate_table", "duration", "flat", "memory", "placement_rows", "what_was_run"]

# Of the certificate; in words below its table.
_COUNTS = (
    "runs", "diverged", "parameters", "buffers", "gradient_steps", "retrained", "tolerance", "failures",
)  # fmt: skip


def what_was_run(results: Reader) -> str:
    """One line under the title."""
    study, task = results.study, results.study.get("task") or {}
    n_models, n_variants, n_repeats = len(results.models), len(results.variants), len(results.repeats)
    settings = f", {n_variants} with their settings" if n_variants != n_models else ""
    parts = [f"{n_models} model{'s' * (n_models != 1)}{settings}, {n_repeats} repeat{'s' * (n_repeats != 1)} each"]
    if task.get("kind") or task.get("data"):
        on = f" on {task['data']}" if task.get("data") else ""
        size = f" at {task['size']} × {task['size']}" if task.get("size") else ""
        parts.append(f"{task.get('kind', 'task')}{on}{size}")
    amounts = [
        f"{task[part]} {words}" for part, words in (("train", "to train"), ("test", "to test")) if task.get(part)
    ]
    if amounts:
        parts.append(f"{' and '.join(amounts)} in every repeat")
    if "seed" in study:
        parts.append(f"seed {study['seed']}")
    if results.ended:
        parts.append(f"finished {_day(results.ended)}")
    return "; ".join(parts) + "."


def _day(time: str) -> str:
    try:
        return f"{datetime.fromisoformat(time):%Y-%m-%d %H:%M} UTC"
    except ValueError:
        return time


def placement_rows(results: Reader) -> list[dict[str, str]]:
    """One row per model: where it was trained and why there, the time and the memory it took."""
    rows = []
    for model in results.models:
        runs = [run for run in results.runs if run.variant.model == model]
        plan = results.plans.get(model) or {}
        seconds = [run.train_seconds for run in runs if run.train_seconds is not None]
        peaks = [run.peak_bytes for run in runs if run.peak_bytes]
        epochs = [run.epochs for run in runs]
        rows.append(
            {
                "model": model,
                "placement": str(plan.get("placement", "–")),
                "how": _how(plan),
                "runs": str(len(runs)),
                "epochs": _range(min(epochs), max(epochs)) if any(epochs) else "–",
                "seconds": duration(sum(seconds)) if seconds else "–",
                "per_run": duration(sum(seconds) / len(seconds)) if seconds else "–",
                "memory": memory(max(peaks)) if peaks else "–",
                "probe": _probe(plan.get("milliseconds")),
                "reason": str(plan.get("reason") or ""),
            }
        )
    return rows


def _range(low: int, high: int) -> str:
    return str(low) if low == high else f"{low} to {high}"


def certificate_sentences(certificate: Any) -> list[tuple[str, str]]:
    """Each model with what ``--verify`` compared of it, in words; empty without ``--verify``."""
    if not isinstance(certificate, Mapping):
        return []
    return [
        (str(model), certificate_sentence(found)) for model, found in certificate.items() if isinstance(found, Mapping)
    ]


def certificate_table(certificate: Any) -> tuple[list[str], list[list[str]]]:
    """Head and rows of what ``--verify`` found, one row per model; empty without ``--verify``."""
    if not isinstance(certificate, Mapping):
        return [], []
    entries = {
        str(model): found if isinstance(found, Mapping) else {"value": found} for model, found in certificate.items()
    }
    keys = list(dict.fromkeys(key for found in entries.values() for key in found if key not in _COUNTS))
    rows = [[model, *(_plain(found.get(key)) for key in keys)] for model, found in entries.items()]
    return ["Model", *(str(key).replace("_", " ") for key in keys)], rows


def _plain(value: Any) -> str:
    if isinstance(value, float):
        return significant(value, 2)
    return "–" if value is None else ", ".join(f"{name} {text}" for name, text in flat(value, digits=2)).strip()


def _how(plan: Mapping[str, Any]) -> str:
    """The rest of a plan in a few words."""
    groups = plan.get("groups")
    count = len(groups) if isinstance(groups, list) else groups
    words = []
    if isinstance(count, int) and count > 1:
        words.append(f"{count} groups")
    if threads := plan.get("threads"):
        words.append(f"{threads} thread{'s' * (threads != 1)}")
    if plan.get("compiled"):
        words.append("compiled")
    return ", ".join(words)


def _probe(probe: Any) -> str:
    """Milliseconds of each candidate, the fastest first."""
    if not isinstance(probe, Mapping):
        return ""
    timed = {str(name): float(ms) for name, ms in probe.items() if isinstance(ms, int | float) and math.isfinite(ms)}
    return ", ".join(f"{name} {significant(timed[name])} ms" for name in sorted(timed, key=timed.__getitem__))


def duration(seconds: float) -> str:
    """Seconds in words.

    Example:
        >>> duration(0.0124), duration(3.21), duration(75), duration(7322)
        ('12 ms', '3.2 s', '1 min 15 s', '2 h 2 min')
    """
    if seconds < 1:
        return f"{1000 * seconds:.0f} ms"
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"


def memory(size: float) -> str:
    """Bytes in words.

    Example:
        >>> memory(900), memory(3_400_000), memory(2.5e9)
        ('900 B', '3.4 MB', '2.5 GB')
    """
    for unit, step in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if size >= step:
            return f"{size / step:.1f} {unit}"
    return f"{size:.0f} B"


def flat(value: Any, name: str = "", *, digits: int = 6) -> Iterator[tuple[str, str]]:
    """A nested dict as (name, text) rows; lists of plain values on one line; numbers to so many significant digits.

    Example:
        >>> list(flat({"python": "3.11", "cpu": {"cores": 2}, "apart": [0.0040000000000000036, 0.5]}))
        [('python', '3.11'), ('cpu, cores', '2'), ('apart', '0.004, 0.5')]
    """
    if isinstance(value, Mapping) and value:
        for key, inner in value.items():
            yield from flat(inner, f"{name}, {key}" if name else str(key), digits=digits)
    elif isinstance(value, list) and not any(isinstance(inner, list | Mapping) for inner in value):
        yield name, ", ".join(_text(inner, digits) for inner in value)
    elif isinstance(value, list):
        for number, inner in enumerate(value, start=1):
            yield from flat(inner, f"{name} {number}".strip(), digits=digits)
    else:
        yield name, _text(value, digits)


def _text(value: Any, digits: int) -> str:
    return significant(value, digits) if isinstance(value, float) else "" if value is None else str(value)
