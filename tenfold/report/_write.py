"""A record becomes one HTML file, with figures and tables beside it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from tenfold import __version__
from tenfold.errors import RecordError, attempt, what_failed
from tenfold.files import atomic_write
from tenfold.record import Reader, remedies
from tenfold.report._compared import compared
from tenfold.report._facts import certificate_sentences, certificate_table, flat, placement_rows, what_was_run
from tenfold.report._render import draw, inline_svg, save_files, save_numbers
from tenfold.report._table_files import save_tables
from tenfold.report._tables import metric_rows, pair_rows
from tenfold.report.figures import FIGURES, FigureEntry
from tenfold.report.figures._canvas import NARROW, WIDE

__all__ = ["write_report"]

_MOST_PAIRS = 500  # in the page; tables/pairs.csv has them all


def write_report(folder: str | Path) -> Path:
    """Write ``report.html`` into a record's folder, and figures (PDF, PNG, CSV) and tables (CSV, LaTeX) beside it.

    The page is one file without outside references: it opens anywhere, without a network, light or dark. The same
    record gives the same page. The report of a record that is still being written shows the runs that have ended, and
    says so.

    Args:
        folder: a record's folder.
    Returns:
        The path of ``report.html``.
    Raises:
        RecordError: no record, damaged, or the folder cannot be written.
    """
    results = Reader(folder)
    figures, problems = _figures(results)
    attempt(
        "the tables beside this page", lambda: save_tables(results, results.folder / "tables"), None, failures=problems
    )
    page = _template().render(_content(results, figures, problems))
    path = results.folder / "report.html"
    with atomic_write(path, "w") as file:
        file.write(page)
    return path


def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["bound"] = _bound
    return environment.get_template("report.html.j2")


def _figures(results: Reader) -> tuple[list[dict[str, Any]], list[str]]:
    """Every figure that applies, for wide and for narrow pages; and why others could not be drawn."""
    figures: list[dict[str, Any]] = []
    failed: dict[str, list[str]] = {}  # titles by error, so that a damaged file is named once
    for entry in FIGURES:
        try:
            figure = _figure(results, entry)
        except RecordError as error:
            failed.setdefault(str(error), []).append(f"'{entry.title}'")
            figure = None
        except MemoryError:
            raise
        except Exception as error:  # without a figure, or the file that it needs, the report is still one
            why = what_failed(error)
            failed.setdefault(why, []).append(f"'{entry.title}'")
            figure = {"entry": entry, "problem": f"Not drawn: {why}"}
        if figure is not None:
            figures.append(figure)
    problems = [
        f"The figure{'s' * (len(titles) > 1)} {', '.join(titles)} could not be drawn: {error}"
        for error, titles in failed.items()
    ]
    return figures, problems


def _figure(results: Reader, entry: FigureEntry) -> dict[str, Any] | None:
    """What the page says of one figure; None where it is not for this record. Its files are written."""
    found = entry.collect(results)
    if found is None:
        return None
    wide, narrow = (draw(entry.draw, found, width) for width in (WIDE, NARROW))
    save_files(wide, results.folder / "figures", entry.name)
    save_numbers(entry.numbers(found), results.folder / "figures" / f"{entry.name}.csv")
    words = " ".join(text for text in (entry.words(found), entry.left_out(found, results)) if text)
    shown = {"wide": _svg(wide, entry, found, "w"), "narrow": _svg(narrow, entry, found, "n"), "words": words}
    return {"entry": entry, "problem": "", **shown}


def _svg(figure: Any, entry: FigureEntry, found: Any, kind: str) -> Markup:
    # Safe to mark: matplotlib escapes every text it writes, and the label is escaped in inline_svg.
    return Markup(inline_svg(figure, prefix=f"{entry.name}-{kind}", label=entry.alternative(found)))


def _content(results: Reader, figures: list[dict[str, Any]], problems: list[str]) -> dict[str, Any]:
    primary = results.primary
    others = [metric for metric in results.metrics if metric["name"] != primary and results.scores(metric["name"])]
    study_file = results.folder / "study.toml"
    problems = list(problems)

    def made(what: str, make: Callable[[], Any], default: Any) -> Any:
        return attempt(what, make, default, failures=problems)

    certificate_head, certificate = made(
        "the certificate", lambda: certificate_table(results.meta("certificate")), ([], [])
    )
    certified = made("the certificate", lambda: certificate_sentences(results.meta("certificate")), [])
    contents = [made(f"the part on {m['name']}", partial(_metric_content, results, m["name"]), None) for m in others]
    placement = made("the table of placements", partial(placement_rows, results), [])
    try:
        environment = list(flat(results.environment))
    except RecordError as error:
        environment = []
        problems.append(f"The environment is not known: {error}")
    return {
        "version": __version__,
        "remedies": remedies,
        "results": results,
        "title": results.study.get("title") or results.study.get("name") or "Study",
        "description": [" ".join(part.split()) for part in (results.study.get("description") or "").split("\n\n")],
        "what": what_was_run(results),
        "compared": made("the part on data and models", partial(compared, results), None),
        "main": _metric_content(results, primary),
        "others": [content for content in contents if content is not None],
        "figures": figures,
        "placement": placement,
        "diverged": [run for run in results.runs if run.status == "diverged"],
        "missing": results.missing_sentences(),
        "limits": [*problems, *results.limits()],
        "environment": environment,
        "certificate_head": certificate_head,
        "certificate": certificate,
        "certified": certified,
        "study_toml": study_file.read_text(encoding="utf-8") if study_file.is_file() else "",
    }


def _metric_content(results: Reader, name: str) -> dict[str, Any]:
    """What the page says about one metric."""
    metric = results.metric(name)
    ranks = results.ranking(name)
    pairs = results.compare(name)
    rows = metric_rows(results, name)
    bars = _bars([entry.groups for entry in ranks])
    return {
        "metric": metric,
        "unit": metric["unit"],
        "words": results.verdict_words(name),
        "ranks": ranks,
        "bars": bars,
        "has_gap": any("via" in pieces for pieces in bars),
        "rows": rows,
        "by_label": {row.label: row for row in rows},
        "has_published": any(row.published for row in rows),
        "pairs": pair_rows(pairs, metric)[:_MOST_PAIRS],
        "n_pairs": len(pairs),
        "test": pairs[0].test if pairs else "",
        "correction": pairs[0].correction if pairs else "",
    }


def _bars(groups: list[tuple[int, ...]]) -> list[list[str]]:
    """The pieces of the bars that join models not told apart: a list of CSS classes for each rank.

    "on" with "top" and "end" for the ends of a bar; "via" where a bar continues further down; "" where there is no bar.
    A group of one needs no bar. The lists are empty where there is no bar at all.
    """
    members: dict[int, list[int]] = {}
    for row, mine in enumerate(groups):
        for group in mine:
            members.setdefault(group, []).append(row)
    drawn = [rows for _, rows in sorted(members.items()) if len(rows) > 1]
    return [[_piece(row, rows) for rows in drawn] for row in range(len(groups))]


def _piece(row: int, rows: list[int]) -> str:
    if row not in rows:
        return "via" if rows[0] < row < rows[-1] else ""
    return f"on{'' if row - 1 in rows else ' top'}{'' if row + 1 in rows else ' end'}"


def _bound(text: str) -> str:
    """Text in which no line breaks between a number and its percent sign."""
    return text.replace(" %", "\u00a0%")
