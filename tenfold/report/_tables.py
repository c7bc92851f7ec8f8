"""The tables of a report, as rows of text. Percent where the metric's unit is "%"."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from tenfold.record import Reader, remedies
from tenfold.stats import AgainstPublished, AgainstSingle, Verdict
from tenfold.wording import significant

__all__ = ["Row", "metric_rows", "pair_rows", "shown"]


@dataclass(frozen=True)
class Row:
    """One variant and one metric as text, ready to print."""

    label: str
    n: str
    complete: bool
    mean: str
    std: str
    interval: str
    published: str
    published_note: str
    difference: str
    against: str
    against_sentence: str


def shown(value: float, unit: str, *, signed: bool = False) -> str:
    """A number without its unit, percent for "%"; a true minus sign; a dash where there is none.

    Example:
        >>> shown(0.81234, "%"), shown(-0.5, "nats", signed=True), shown(3.14e-6, "", signed=True), shown(math.nan, "%")
        ('81.2', '−0.500', '+3.14e−06', '–')
    """
    if not math.isfinite(value):
        return "–"
    sign = "+" if signed else ""
    if unit == "%":
        text = f"{100 * value:{sign}.1f}"
    elif 0 < abs(value) < 0.0005 or abs(value) >= 1e7:
        text = f"{sign if value > 0 else ''}{significant(value)}"
    else:
        digits = 3 if abs(value) < 10 else 2 if abs(value) < 100 else 1
        text = f"{value:{sign}.{digits}f}"
    return text.replace("-", "−")


def metric_rows(results: Reader, metric: str) -> list[Row]:
    """One row per variant that has scores of a metric, the best first."""
    unit = results.metric(metric)["unit"]
    summaries, against = results.summaries(metric), results.against(metric)
    place = {entry.label: entry.place for entry in results.ranking(metric)}
    rows = []
    for variant in sorted(results.variants, key=lambda variant: place.get(variant.label, len(place) + 1)):
        if variant.label not in summaries:
            continue
        summary, figure = summaries[variant.label], results.published(variant.model, metric)
        counts = results.counts(variant)
        answer = against.get(variant.label)
        published = ""
        if figure is not None:
            std = f" ± {shown(figure.std, unit)}" if math.isfinite(figure.std) else ""
            published = f"{shown(figure.mean, unit)}{std}{f' (n = {figure.n})' if figure.n else ''}"
        rows.append(
            Row(
                label=variant.label,
                n=str(summary.n) if summary.n == counts["planned"] else f"{summary.n} of {counts['planned']}",
                complete=summary.n == counts["planned"],
                mean=shown(summary.mean, unit),
                std=shown(summary.std, unit),
                interval=_interval(summary.low, summary.high, unit),
                published=published,
                published_note=figure.note if figure else "",
                difference=shown(summary.mean - figure.mean, unit, signed=True) if figure else "",
                against=_outcome(answer),
                against_sentence=answer.sentence if answer else "",
            )
        )
    return rows


def _interval(low: float, high: float, unit: str) -> str:
    return f"{shown(low, unit)} to {shown(high, unit)}" if math.isfinite(low) else "–"


def _outcome(answer: AgainstPublished | AgainstSingle | None) -> str:
    if answer is None:
        return ""
    if isinstance(answer, AgainstPublished):
        return answer.outcome
    if not answer.n:
        return "nothing measured"
    return f"one number: {answer.below + answer.equal / 2:g} of {answer.n} of our runs are below it"


def pair_rows(pairs: Iterable[Verdict], metric: Mapping[str, Any]) -> list[dict[str, Any]]:
    """One row per pair of variants, the better variant first; clear differences come first."""
    order = {"better": 0, "cannot tell": 1, "practically equal": 2}
    unit, higher = metric["unit"], metric["higher_is_better"]
    rows = []
    for pair in sorted(pairs, key=lambda v: (order[v.outcome], v.p_corrected, -abs(v.difference))):
        turned = pair.winner == pair.second or (pair.winner is None and (pair.difference > 0) != higher)
        first, second = (pair.second, pair.first) if turned else (pair.first, pair.second)
        low, high = (-pair.high, -pair.low) if turned else (pair.low, pair.high)
        share = 1 - pair.superiority if turned else pair.superiority
        sign = -1 if turned else 1
        rows.append(
            {
                "first": first,
                "second": second,
                "difference": shown(sign * pair.difference, unit, signed=True),
                "interval": _interval(low, high, unit),
                "low": shown(low, unit, signed=True),
                "high": shown(high, unit, signed=True),
                "p_corrected": pair.p_corrected,
                "p": _p(pair.p_corrected),
                "superiority": f"{100 * share:.0f} %" if math.isfinite(share) else "–",
                "effect_size": shown(sign * pair.effect_size, "", signed=True),
                "n": pair.n,
                "outcome": "first is better" if pair.winner else f"{pair.outcome}{remedies([pair])}",
                "better": pair.winner is not None,
                "notes": " ".join(pair.notes),
            }
        )
    return rows


def _p(p: float) -> str:
    return "–" if not math.isfinite(p) else "< 0.001" if p < 0.001 else f"{p:.3f}"
