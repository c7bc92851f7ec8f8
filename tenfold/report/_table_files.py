"""The tables of a report as files: CSV with one number in a cell, LaTeX (booktabs) with the text of the page."""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tenfold.files import atomic_write
from tenfold.record import Reader
from tenfold.report._tables import Row, metric_rows, pair_rows, shown

__all__ = ["save_tables"]

_SCORE_HEAD = ("Metric", "Unit", "Model", "n", "Mean", "Deviation", "95 % interval", "Published", "Difference",
               "Against published")  # fmt: skip
_PAIR_HEAD = ("Metric", "Unit", "First", "Second", "First - second", "95 % interval", "p (corrected)", "Effect size",
              "First is better in", "Verdict")  # fmt: skip
_SCORE_COLUMNS = ("Metric", "Unit", "Model", "n", "Planned", "Mean", "Deviation", "95 % low", "95 % high", "Published",
                  "Published deviation", "Published n", "Difference", "Against published")  # fmt: skip
_PAIR_COLUMNS = ("Metric", "Unit", "First", "Second", "First - second", "95 % low", "95 % high", "p (corrected)",
                 "Effect size", "First is better in %", "Verdict", "Notes")  # fmt: skip
# Of all; all other columns hold numbers.
_WORDS = {"Metric", "Unit", "Model", "First", "Second", "Against published", "Verdict", "Notes"}


def save_tables(results: Reader, folder: Path) -> None:
    """Write scores and pairs, as CSV and LaTeX (booktabs)."""
    score_numbers, score_texts, pair_numbers, pair_texts = [], [], [], []
    keys = ("first", "second", "difference", "interval", "p", "effect_size", "superiority", "outcome")
    for metric in results.metrics:
        about = (metric["label"], metric["unit"])
        rows, pairs = metric_rows(results, metric["name"]), pair_rows(results.compare(metric["name"]), metric)
        score_numbers += _score_numbers(results, metric, rows)
        pair_numbers += [_pair_numbers(metric, row) for row in pairs]
        for row in rows:
            cells = (row.label, row.n, row.mean, row.std, row.interval, row.published, row.difference, row.against)
            score_texts.append((*about, *cells))
        pair_texts += [(*about, *(row[key] for key in keys)) for row in pairs]
    _save_csv(folder / "scores.csv", _SCORE_COLUMNS, score_numbers)
    _save_csv(folder / "pairs.csv", _PAIR_COLUMNS, pair_numbers)
    _save_tex(folder / "scores.tex", _SCORE_HEAD, score_texts)
    _save_tex(folder / "pairs.tex", _PAIR_HEAD, pair_texts)


# -- CSV --------------------------------------------------------------------------------------------------------------


def _score_numbers(results: Reader, metric: Mapping[str, Any], rows: Sequence[Row]) -> list[dict[str, Any]]:
    """One row per variant, in the unit and with the digits of the page."""
    name, unit = metric["name"], metric["unit"]
    summaries, variants = results.summaries(name), {variant.label: variant for variant in results.variants}
    found = []
    for row in rows:
        summary, variant = summaries[row.label], variants[row.label]
        figure = results.published(variant.model, name)
        found.append(
            {
                "Metric": metric["label"], "Unit": unit, "Model": row.label,
                "n": summary.n, "Planned": results.counts(variant)["planned"],
                "Mean": _cell(summary.mean, unit), "Deviation": _cell(summary.std, unit),
                "95 % low": _cell(summary.low, unit), "95 % high": _cell(summary.high, unit),
                "Published": _cell(figure.mean, unit) if figure else "",
                "Published deviation": _cell(figure.std, unit) if figure else "",
                "Published n": (figure.n or "") if figure else "",
                "Difference": _cell(summary.mean - figure.mean, unit) if figure else "",
                "Against published": row.against,
            }
        )  # fmt: skip
    return found


def _pair_numbers(metric: Mapping[str, Any], row: Mapping[str, Any]) -> dict[str, Any]:
    """A pair, in the unit and with the digits of the page."""
    return {
        "Metric": metric["label"], "Unit": metric["unit"], "First": row["first"], "Second": row["second"],
        "First - second": _plain(row["difference"]),
        "95 % low": _plain(row["low"]), "95 % high": _plain(row["high"]),
        "p (corrected)": f"{row['p_corrected']:.4g}" if math.isfinite(row["p_corrected"]) else "",
        "Effect size": _plain(row["effect_size"]),
        "First is better in %": _plain(row["superiority"]).removesuffix(" %"),
        "Verdict": row["outcome"], "Notes": row["notes"],
    }  # fmt: skip


def _cell(value: float, unit: str) -> str:
    return _plain(shown(value, unit))


def _plain(text: str) -> str:
    """A number as programs read it: ASCII, without a plus sign; an empty cell where there is none."""
    return "" if text == "–" else text.replace("−", "-").lstrip("+")


def _save_csv(path: Path, columns: Sequence[str], rows: Sequence[dict[str, Any]]) -> None:
    with atomic_write(path, "w") as file:
        writer = csv.DictWriter(file, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


# -- LaTeX ------------------------------------------------------------------------------------------------------------

_TEX = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}", ">": r"\textgreater{}",
    "−": "$-$", "–": "--", "±": r"$\pm$", "≤": r"$\leq$",
}  # fmt: skip


def tex(text: str) -> str:
    """Text with all characters escaped that LaTeX would read as commands.

    Example:
        >>> print(tex("50 % of $x_1$"))
        50 \\% of \\$x\\_1\\$
    """
    return "".join(_TEX.get(letter, letter) for letter in text)


def _save_tex(path: Path, head: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    # A column without any content is no column: what was not published, or a unit that no metric has.
    kept = [place for place in range(len(head)) if any(str(row[place]) not in ("", "–") for row in rows) or not rows]
    alignment = "".join("l" if head[place] in _WORDS else "r" for place in kept)
    lines = ["% Needs \\usepackage{booktabs}", f"\\begin{{tabular}}{{{alignment}}}", "\\toprule"]
    lines += [" & ".join(tex(head[place]) for place in kept) + r" \\", "\\midrule"]
    for number, row in enumerate(rows):
        if number and row[0] != rows[number - 1][0]:
            lines.append("\\midrule")
        lines.append(" & ".join(tex(str(row[place])) for place in kept) + r" \\")
    lines += ["\\bottomrule", "\\end{tabular}", ""]
    with atomic_write(path, "w") as file:
        file.write("\n".join(lines))
