"""The models of two records in one verdict, where their repeats had the same data."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain, product
from pathlib import Path
from typing import Any

import numpy as np

from tenfold.errors import RequestError, nearest
from tenfold.record import _sentences as sentences
from tenfold.record._looks import looks_together
from tenfold.record._reader import Reader
from tenfold.record._same import differences
from tenfold.stats import Clusters, Design, Summary, Verdict, summarise, verdicts
from tenfold.wording import listed

__all__ = ["SideBySide", "compare"]

# Of the task: where the data lie, which their fingerprint stands for, and which metric was chosen before training.
_NO_DIFFERENCE = ("data", "metric")


@dataclass(frozen=True)
class SideBySide:
    """The models of two records on one metric.

    Attributes:
        metric: description of the metric, as ``Reader.metric`` gives it.
        scores: label -> final test scores of shape (repeats,), aligned by repeat; NaN where a run has no score. Labels
            that both records have are followed by the name of the record.
        summaries: label -> mean, deviation and interval.
        verdicts: on every pair of a model of the first record and one of the second.
        limits: what a reader has to know about the verdicts.
    """

    metric: dict[str, Any]
    scores: dict[str, np.ndarray]
    summaries: dict[str, Summary]
    verdicts: list[Verdict]
    limits: list[str]


def compare(
    first: Reader | str | Path, second: Reader | str | Path, *, metric: str | None = None, level: float = 0.95
) -> SideBySide:
    """Compare the models of one record with those of another, paired by repeat.

    Repeat r of both must have had the same data: equal data, settings of the task, division and seed. The correction is
    for all pairs of a model of the first record and one of the second; pairs within a record are judged by its own
    ``compare``.

    Args:
        first, second: results, or folders of records.
        metric: a metric's name; by default the primary one, which must be that of both.
        level: 1 minus the rate of false positives.
    Raises:
        RequestError: if the records cannot be compared, with all that differs.
        RecordError: if a folder holds no record, or a damaged one.
    """
    one, two = (given if isinstance(given, Reader) else Reader(given) for given in (first, second))
    described = _metric(one, two, metric)
    if problems := _problems(one, two):
        lines = "".join(f"\n  - {problem}" for problem in problems)
        raise RequestError(f"the records {one.folder} and {two.folder} cannot be compared, run by run:{lines}")
    repeats = [repeat for repeat in one.repeats if repeat in two.repeats]
    repeats = repeats[: min(record.looks.taken[-1] for record in (one, two))]  # beyond a plan of looks none counts
    found = [_scores(record, described["name"], repeats) for record in (one, two)]
    names = [_labels(record, own, other) for record, own, other in ((one, *found), (two, found[1], found[0]))]
    scores = {name[label]: values for name, of in zip(names, found, strict=True) for label, values in of.items()}
    design = one.design(next(iter(found[0]))) if found[0] else Design()
    answers = verdicts(
        scores,
        pairs=product(names[0].values(), names[1].values()),
        design=design,
        clusters=_clusters((one, two), names, described["name"], repeats) if design.overlap else None,
        failed={
            name[label]: record.failed()[label][_rows(record, repeats)]
            for record, name in zip((one, two), names, strict=True)
            for label in name
        },
        metric=sentences.in_words(described),
        higher_is_better=described["higher_is_better"],
        unit=described["unit"],
        level=level,
        looks=looks_together(one.looks, two.looks, len(repeats)),
    )
    ratio = design.ratio if 0 < design.overlap < 1 else None
    bounds = (0.0, 1.0) if described["unit"] == "%" else None
    summaries = {
        label: summarise(values, level=level, test_over_train=ratio, bounds=bounds) for label, values in scores.items()
    }
    return SideBySide(described, scores, summaries, answers, _limits(one, two, metric, answers))


def _metric(one: Reader, two: Reader, name: str | None) -> dict[str, Any]:
    """The metric's description, of which both records must have the same but for which one is primary."""
    if name is None and one.primary != two.primary:
        raise RequestError(
            f"the primary metric is '{one.primary}' in {one.folder} and '{two.primary}' in {two.folder}; "
            "choose one (--metric NAME, metric= in Python)"
        )
    described, other = one.metric(name), {metric["name"]: metric for metric in two.metrics}
    if described["name"] not in other:
        raise RequestError(f"no metric '{described['name']}' in {two.folder}: {nearest(described['name'], other)}")
    if any(other[described["name"]].get(key) != described[key] for key in ("unit", "higher_is_better")):
        raise RequestError(f"'{described['name']}' of {one.folder} is another metric than that of {two.folder}")
    return described


def _problems(one: Reader, two: Reader) -> list[str]:
    """Why repeat r of one record had other data than repeat r of the other."""
    if one.folder.resolve() == two.folder.resolve():
        return ["they are one record; 'tenfold compare' of it alone judges all of its pairs"]
    first, second = ({k: v for k, v in r.study["task"].items() if k not in _NO_DIFFERENCE} for r in (one, two))
    found = [_of_two(line) for line in differences(first, second, "task")]
    if one.study.get("data_fingerprint") != two.study.get("data_fingerprint"):
        found.append("the data are others")
    elif not found and one.study.get("resampling") != two.study.get("resampling"):
        found.append("the data are divided otherwise")
    if one.study["seed"] != two.study["seed"]:
        found.append(
            f"seed: {one.study['seed']} and {two.study['seed']}; repeats are divided by it: run one again with --seed"
        )
    if ".py:" in str(one.study["task"]["kind"]):
        found.append("the task is in a file of your own: that both divide the data alike cannot be known")
    divisions = {_division(entry) for record in (one, two) for entry in record.study["models"]}
    if len(divisions) > 1 or any(variant.protocol for variant in chain(one.variants, two.variants)):
        found.append(f"the models have several divisions of the data (split: {listed(sorted(divisions))})")
    if not set(one.repeats) & set(two.repeats):
        found.append("they have no repeat in common")
    return found


def _division(model: dict[str, Any]) -> str:
    """The one setting of a model's training by which data are divided."""
    return str(model.get("split", "that of the task"))


def _of_two(line: str) -> str:
    return line.replace(": recorded ", ": ").replace(", asked for ", " and ")


def _scores(record: Reader, metric: str, repeats: list[int]) -> dict[str, np.ndarray]:
    return {label: values[_rows(record, repeats)] for label, values in record.scores(metric).items()}


def _rows(record: Reader, repeats: list[int]) -> list[int]:
    return [record.repeats.index(repeat) for repeat in repeats]


def _clusters(
    records: tuple[Reader, Reader], names: list[dict[str, str]], metric: str, repeats: list[int]
) -> Clusters | None:
    """What clusters of test examples add to the scores of the models of both; None where a record has none."""
    parts, share = {}, np.empty(0)
    for record, name in zip(records, names, strict=True):
        found = record.clusters(name, metric)
        if found is None or (share.size and not np.allclose(found.share, share)):
            return None
        share = found.share
        parts |= {name[label]: part[_rows(record, repeats)] for label, part in found.parts.items()}
    return Clusters(parts, share)


def _labels(record: Reader, own: dict[str, Any], other: dict[str, Any]) -> dict[str, str]:
    """Label in the record -> label beside those of the other record."""
    return {label: f"{label} [{record.folder}]" if label in other else label for label in own}


def _limits(one: Reader, two: Reader, metric: str | None, answers: list[Verdict]) -> list[str]:
    found = [f"{record.folder}: {text}" for record in (one, two) for text in record.missing_sentences()]
    shared = [
        text for text in one.limits(metric) if text in two.limits(metric) and text.startswith(("Repeats", "Data"))
    ]
    if one.repeats != two.repeats:
        n = [len(record.repeats) for record in (one, two)]
        found.append(f"Of {n[0]} and {n[1]} repeats, those that both records have are compared.")
    for record in (one, two):
        if record.quick:
            found.append(f"{record.folder} is a quick study, cut down to fit a few minutes.")
        if metric is not None and record.metric(metric)["name"] != record.primary:
            found.append(
                f"'{metric}' was chosen after training: {record.folder} has the primary metric '{record.primary}'."
            )
    if versions := [_of_two(line) for line in differences(_versions(one), _versions(two))]:
        found.append(f"The records were made with other versions ({'; '.join(versions)}): scores may move by it.")
    notes: dict[str, list[str]] = {}
    for verdict in answers:
        for note in verdict.notes:
            notes.setdefault(note, []).append(f"{verdict.first} and {verdict.second}")
    return [*found, *shared, *(sentences.note_of(note, names, len(answers)) for note, names in notes.items())]


def _versions(record: Reader) -> dict[str, Any]:
    environment = record.environment
    return {name: environment.get(name) for name in ("tenfold", "commit")} | {
        "torch": (environment.get("packages") or {}).get("torch")
    }
