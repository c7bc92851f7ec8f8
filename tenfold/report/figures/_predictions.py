"""What the record says about the predictions, and the predictions of each variant, as figures need them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from tenfold.record import Reader, Variant
from tenfold.report.figures._canvas import places

__all__ = ["counted_windows", "in_order", "labels_of", "models_of", "predictions_of", "sound_runs"]


def _task_meta(results: Reader) -> dict[str, Any]:
    """What the study saved about its task; empty where it saved nothing."""
    meta = results.meta("task")
    return meta if isinstance(meta, dict) else {}


def predictions_of(results: Reader) -> str:
    """What the test predictions are: "classes", "binary", "ranking", "reconstruction" or "tokens".

    Returns:
        "" for predictions of any other kind, such as those of a user's own task.
    """
    return str(_task_meta(results).get("predictions") or "")


def labels_of(results: Reader, what: str, count: int) -> list[str]:
    """Words for the numbers 0 ... count - 1; the numbers themselves where the record has no words.

    Args:
        what: "class", "group", "channel", or "answer" of a question with two answers.
    """
    labels = _task_meta(results).get("labels")
    given = labels.get(what) if isinstance(labels, dict) else None
    words = [str(word) for word in given[:count]] if isinstance(given, list) else []
    start = "" if what in ("class", "answer") else f"{what} "
    return words + [f"{start}{number}" for number in range(len(words), count)]


def models_of(results: Reader, numbers: np.ndarray | None) -> list[str]:
    """Names of the models with these numbers, each once; numbers of no model are left out."""
    known = range(len(results.models))
    return [] if numbers is None else [results.models[number] for number in np.unique(numbers) if number in known]


def sound_runs(results: Reader, *names: str) -> Iterator[tuple[Variant, dict[str, np.ndarray]]]:
    """Variants in the order of ``in_order``, each with arrays of its predictions; runs first.

    Runs that diverged are left out, and variants that did not save all these arrays.

    Args:
        names: of the arrays.
    Yields:
        A variant, and its arrays by name, with "repeat": the number of each run's repeat.
    Raises:
        RecordError: if a file is damaged.
    """

    for variant in in_order(results, results.variants):
        arrays = results.predictions(variant.model, variant=variant.index)
        if arrays is None or not set(names) <= arrays.keys():
            continue
        found = {name: arrays[name] for name in names}
        runs = len(found[names[0]])
        found["repeat"] = arrays.get("repeat", np.arange(runs))
        if any(len(values) != runs for values in found.values()):
            continue
        diverged = [run.repeat for run in results.runs if run.variant == variant and run.status == "diverged"]
        sound = ~np.isin(found["repeat"], diverged)
        if sound.any():
            yield variant, {name: values[sound] for name, values in found.items()}


def counted_windows(results: Reader, variant: Variant) -> tuple[int, int] | None:
    """The least and the largest number of windows in which the runs of a variant were examined; None where the record
    does not say.
    """
    counts = (results.predictions(variant.model, variant=variant.index) or {}).get("seen_windows")
    return None if counts is None or not counts.size else (int(counts.min()), int(counts.max()))


def in_order(results: Reader, variants: Iterable[Variant]) -> list[Variant]:
    """Variants from best to worst on the primary metric, those without a score last.

    Where variants have several protocols, all of the study's first protocol come before all of its second.
    """
    place = places(results)
    protocols = list(dict.fromkeys(results.protocols.values()))
    return sorted(
        variants, key=lambda variant: (protocols.index(variant.protocol), place.get(variant.label, len(place) + 1))
    )
