"""Results as text: a table that fits the terminal, or Markdown without one; then the verdicts."""

from __future__ import annotations

import math
import shutil
import sys
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from tenfold.wording import certificate_sentence, significant

if TYPE_CHECKING:
    from tenfold.record import Published, Reader, SideBySide, Variant
    from tenfold.stats import AgainstPublished, AgainstSingle, Summary

__all__ = [
    "Column",
    "certificate_text",
    "pairs_text",
    "results_table",
    "side_by_side_text",
    "table",
    "terminal_width",
    "verdict_text",
]

_GAP = "  "


@dataclass(frozen=True)
class Column:
    """One column of a table.

    Args:
        heading: its title.
        cells: one text per row.
        right: aligned to the right.
        optional: left out where the terminal is too narrow, the last such column first.
    """

    heading: str
    cells: Sequence[str]
    right: bool = True
    optional: bool = False


def terminal_width() -> int | None:
    """Columns of the terminal; None where stdout is not a terminal."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def table(columns: Sequence[Column], width: int | None) -> str:
    """Aligned text for a terminal of ``width`` columns; a Markdown table in ASCII for None."""
    if width is None:
        return _markdown(columns)
    kept = list(columns)
    while _natural_width(kept) > width and any(column.optional for column in kept):
        kept.remove([column for column in kept if column.optional][-1])
    sizes = [_column_width(column) for column in kept]
    lines = [_line([column.heading for column in kept], kept, sizes), _GAP.join("─" * size for size in sizes)]
    lines += [_line(cells, kept, sizes) for cells in zip(*(column.cells for column in kept), strict=True)]
    return "\n".join(line.rstrip() for line in lines)


def results_table(results: Reader, width: int | None) -> str:
    """One row per variant: the primary metric, measured beside published; then the other metrics that fit."""
    metric, summaries = results.metric(), results.summaries()
    variants = [variant for variant in results.variants if variant.label in summaries]
    style = _Style(metric["unit"], "+-" if width is None else "±", 1 if width is not None and width < 100 else 2)
    mine = [summaries[variant.label] for variant in variants]
    columns = [Column("Model", [variant.model for variant in variants], right=False)]
    if any(variant.swept for variant in variants):
        columns.append(Column("Setting", [variant.swept_label for variant in variants], right=False))
    columns.append(Column(f"{metric['label']} {metric['unit']}", [style.mean(s) for s in mine]))
    columns.append(Column("95 % interval", [style.interval(s) for s in mine]))
    columns.append(Column("n", [_count(results, variant, s.n) for variant, s in zip(variants, mine, strict=True)]))
    if any(results.published(variant.model) for variant in variants):
        against = results.against()
        columns.append(Column("Published", [style.mean(results.published(variant.model)) for variant in variants]))
        columns.append(
            Column("Ours is", [_short(against.get(variant.label)) for variant in variants], right=False, optional=True)
        )
    for other in results.metrics:
        if other["name"] != metric["name"] and (found := results.summaries(other["name"])):
            written = replace(style, unit=other["unit"])
            cells = [written.mean(found.get(variant.label)) for variant in variants]
            columns.append(Column(f"{other['label']} {other['unit']}", cells, optional=True))
    repeats = f"{len(results.repeats)} repeats" if len(results.repeats) != 1 else "1 repeat"
    quick = " (quick)" if results.quick else ""
    caption = f"{results.study['name']}{quick}: mean {style.sign} standard deviation over {repeats}"
    return f"{caption}\n\n{table(columns, width)}"


def verdict_text(results: Reader, width: int | None) -> str:
    """The verdict in plain words, then its limits."""
    return "\n\n".join(
        part
        for part in (
            _listing("Verdict", results.verdict_sentences(), width),
            _listing("Limits", results.limits(), width),
        )
        if part
    )


def pairs_text(results: Reader, metric: str | None, width: int | None) -> str:
    """The verdict on every pair."""
    answers = [answer.sentence for answer in results.against(metric).values()]
    parts = (
        _listing("Verdict", results.verdict_sentences(metric), width),
        _listing("Pairs", [verdict.sentence for verdict in results.compare(metric)], width),
        _listing("Against published figures", answers, width),
        _listing("Limits", results.limits(metric), width),
    )
    return "\n\n".join(part for part in parts if part)


def side_by_side_text(both: SideBySide, width: int | None) -> str:
    """The models of two records: a table, and the verdict on every pair of one of each."""
    unit, mine = both.metric["unit"], list(both.summaries.values())
    style = _Style(unit, "+-" if width is None else "±", 2)
    columns = [
        Column("Model", list(both.summaries), right=False),
        Column(f"{both.metric['label']} {unit}".rstrip(), [style.mean(summary) for summary in mine]),
        Column("95 % interval", [style.interval(summary) for summary in mine]),
        Column("n", [str(summary.n) for summary in mine]),
    ]
    parts = (
        table(columns, width),
        _listing("Pairs", [verdict.sentence for verdict in both.verdicts], width),
        _listing("Limits", both.limits, width),
    )
    return "\n\n".join(part for part in parts if part)


def certificate_text(certificates: Mapping[str, Mapping[str, Any]], width: int | None) -> str:
    """What ``--verify`` compared of every model: the largest differences from the runs alone, and what is too far."""
    lines = []
    for model, found in certificates.items():
        lines.append(f"{model}: {certificate_sentence(found)}.")
        lines += [f"NOT VERIFIED: {model}, {text}" for text in found.get("failures", [])]
    return _listing("Certificate", lines, width)


def _listing(title: str, lines: Sequence[str], width: int | None) -> str:
    if not lines:
        return ""
    if width is not None:
        lines = [
            textwrap.fill(line, width, initial_indent="- ", subsequent_indent="  ", break_on_hyphens=False)
            for line in lines
        ]
        return "\n".join([title, *lines])
    return "\n".join([f"## {title}", "", *(f"- {line}" for line in lines)])


# -- cells ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Style:
    """How scores are written: fractions as percent with so many decimals, others with four decimals."""

    unit: str
    sign: str
    decimals: int

    def number(self, value: float) -> str:
        if not math.isfinite(value):
            return "-"
        if self.unit == "%":
            return f"{100 * value:.{self.decimals}f}"
        return significant(value) if 0 < abs(value) < 0.0005 or abs(value) >= 1e7 else f"{value:.4f}"

    def mean(self, figure: Summary | Published | None) -> str:
        if figure is None or not math.isfinite(figure.mean):
            return "-"
        std = f" {self.sign} {self.number(figure.std)}" if math.isfinite(figure.std) else ""
        return f"{self.number(figure.mean)}{std}"

    def interval(self, summary: Summary) -> str:
        if not math.isfinite(summary.low):
            return "-"
        return f"{self.number(summary.low)} to {self.number(summary.high)}"


def _count(results: Reader, variant: Variant, n: int) -> str:
    planned = results.counts(variant)["planned"]
    return str(n) if n == planned else f"{n} of {planned}"


def _short(answer: AgainstPublished | AgainstSingle | None) -> str:
    """The verdict against a published figure in a word or two; without a deviation, its place among our runs."""
    from tenfold.stats import AgainstPublished

    if answer is None:
        return "-"
    if isinstance(answer, AgainstPublished):
        return {"no difference found": "not apart", "cannot tell yet": "unknown"}.get(answer.outcome, answer.outcome)
    return f"{answer.above}/{answer.n} above"


# -- text -------------------------------------------------------------------------------------------------------------


def _markdown(columns: Sequence[Column]) -> str:
    def row(cells: Sequence[str]) -> str:
        return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"

    lines = [row([column.heading for column in columns])]
    lines.append(f"|{'|'.join(' ---: ' if column.right else ' --- ' for column in columns)}|")
    return "\n".join([*lines, *(row(cells) for cells in zip(*(column.cells for column in columns), strict=True))])


def _line(cells: Sequence[str], columns: Sequence[Column], sizes: Sequence[int]) -> str:
    return _GAP.join(
        " " * (size - _cell_width(cell)) + cell if column.right else cell + " " * (size - _cell_width(cell))
        for cell, column, size in zip(cells, columns, sizes, strict=True)
    )


def _natural_width(columns: Sequence[Column]) -> int:
    return sum(map(_column_width, columns)) + len(_GAP) * (len(columns) - 1)


def _column_width(column: Column) -> int:
    return max(map(_cell_width, [column.heading, *column.cells]))


def _cell_width(text: str) -> int:
    """Columns on a terminal: a Chinese character takes two."""
    from rich.cells import cell_len

    return cell_len(text)
