"""The numbers that every figure writes beside itself, and what chooses the figures of a record."""

from __future__ import annotations

import csv
import math
from pathlib import Path

import numpy as np
import pytest

import tenfold.report.figures
from tenfold.record import Reader
from tenfold.report._render import save_numbers
from tenfold.report.figures import FIGURES, confusion, hardest
from tenfold.report.figures._predictions import labels_of, predictions_of

KINDS = {
    "report": "binary",
    "match_report": "ranking",
    "sequence_report": "classes",
    "image_report": "reconstruction",
    "vector_report": "reconstruction",
}
# Columns of text; every other column holds numbers.
WORDS = {
    "model", "label", "metric", "unit", "what", "part", "group", "true_label", "predicted_label", "class_label",
    "measure", "answer", "channel_label", "method",
}  # fmt: skip


def table(path: Path) -> tuple[list[str], list[dict[str, str]]]:
    with path.open(newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        return list(reader.fieldnames or ()), list(reader)


def problems_of(columns: list[str], rows: list[dict[str, str]]) -> list[str]:
    """What is wrong with a table of numbers."""
    found = [] if rows else ["no rows"]
    found += [f"column '{name}'" for name in columns if not name or not name.isidentifier()]
    found += ["columns twice"] if len(set(columns)) < len(columns) else []
    numbers = [name for name in columns if name not in WORDS]
    for row in rows:
        given = [row[name] for name in numbers if row[name]]
        if not given or not all(math.isfinite(float(value)) for value in given):
            found.append(f"row {row}")
        if None in row or None in row.values():
            found.append(f"row {row} has other columns")
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_every_figure_has_its_numbers_beside_it_and_the_page_links_to_them(request, kind):
    folder = request.getfixturevalue(kind)
    figures = folder / "figures"
    names = {path.stem for path in figures.glob("*.pdf")}
    assert names
    assert {path.stem for path in figures.glob("*.csv")} == names
    html = (folder / "report.html").read_text(encoding="utf-8")
    for name in names:
        assert problems_of(*table(figures / f"{name}.csv")) == [], name
        assert html.count(f'href="figures/{name}.csv"') == 1
    assert html.count('href="figures/') == len(names)


@pytest.mark.parametrize(
    ("rows", "problem"),
    [
        ([], "no rows"),
        ([{"a": 1.0, "": 2.0}], "column ''"),
        ([{"a": 1.0}, {"a": float("nan")}], "row {'a': 'nan'}"),
        ([{"a": None, "model": "CNN"}], "row {'a': '', 'model': 'CNN'}"),
    ],
)
def test_a_table_without_named_columns_rows_or_finite_numbers_is_found(tmp_path, rows, problem):
    path = tmp_path / "figure.csv"
    if rows:
        save_numbers(rows, path)
    else:
        path.write_text("a,b\n", encoding="utf-8")
    assert problem in problems_of(*table(path))


def test_numbers_are_written_with_all_their_digits(tmp_path):
    value = 0.1 + 0.2
    save_numbers([{"model": 'a, "b"\nc', "value": value, "std": None}], tmp_path / "figure.csv")
    assert table(tmp_path / "figure.csv")[1] == [{"model": 'a, "b"\nc', "value": repr(value), "std": ""}]


# Along which axis a figure's dots and lines show its numbers.
ALONG = {
    "strips": 0, "curves": 1, "loss_curves": 1, "volatility": 0, "groups": 0, "classes": 0, "roc": 1, "steps_seen": 1,
    "gradient_norms": 1, "episodes": 0,
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_drawn_is_what_is_written(request, kind):
    folder = request.getfixturevalue(kind)
    compared = 0
    for entry in FIGURES:
        if entry.name not in ALONG or (found := entry.collect(Reader(folder))) is None:
            continue
        _, rows = table(folder / "figures" / f"{entry.name}.csv")
        written = np.array([float(v) for row in rows for name, v in row.items() if name not in WORDS and v])
        for axes in entry.draw(found, width=760).axes:
            for line in axes.lines if axes.axison else ():
                if line.get_marker() in ("o", "D") or line.get_linewidth() == 1.8:
                    values = np.asarray(line.get_xydata())[:, ALONG[entry.name]]
                    values = values[np.isfinite(values)]
                    assert np.isin(values, written).all(), (entry.name, values)
                    compared += len(values)
    assert compared > 3


@pytest.mark.parametrize("kind", ["report", "sequence_report"])
def test_shares_in_matrices_are_those_written(request, kind):
    folder = request.getfixturevalue(kind)
    figure = confusion.draw(confusion.collect(Reader(folder)))
    words = {text.get_text() for axes in figure.axes for text in axes.texts}
    _, rows = table(folder / "figures" / "confusion.csv")
    shown = [row for row in rows if float(row["mean_percent"]) >= 0.05]
    assert len(shown) > 20
    for row in shown:
        assert f"{float(row['mean_percent']):.1f}" in words
        assert f"± {float(row['deviation_percent']):.1f}" in words


# -- which figures a record has ---------------------------------------------------------------------------------------


def test_figures_name_only_kinds_of_predictions_that_records_have():
    known = {"classes", "binary", "ranking", "reconstruction", "tokens"}
    assert {kind for entry in FIGURES for kind in entry.predictions} <= known
    for entry in FIGURES:
        assert entry.suits("tokens") == (not entry.predictions)
        assert entry.suits("") == (not entry.predictions or bool(entry.arrays))
        for kind in entry.predictions:
            assert entry.suits(kind)
            assert not entry.suits(f"{kind}s")


def test_no_figure_names_a_task():
    from tenfold.tasks import TASKS

    names = [*TASKS, "compare-pairs", "classify-sequences"]
    files = list(Path(tenfold.report.figures.__path__[0]).rglob("*.py"))
    assert len(files) > 20
    for path in files:
        source = path.read_text(encoding="utf-8")
        assert [name for name in names if f'"{name}"' in source] == [], path
        assert '"kind"' not in source, path


@pytest.mark.parametrize("kind", KINDS)
def test_a_record_says_what_its_predictions_are(request, kind):
    assert predictions_of(Reader(request.getfixturevalue(kind))) == KINDS[kind]


class Only(Reader):
    """A record of which some arrays are kept, and whose task names no kind of predictions."""

    def __init__(self, folder: Path, keep) -> None:
        super().__init__(folder)
        self._keep = keep

    def meta(self, name: str):
        return None if name == "task" else super().meta(name)

    def predictions(self, model: str, *, variant: int = 0):
        return self._only(super().predictions(model, variant=variant))

    def gallery(self):
        return self._only(super().gallery())

    def _only(self, arrays):
        return None if arrays is None else {name: values for name, values in arrays.items() if self._keep(name)}


@pytest.mark.parametrize("kind", ["report", "match_report", "sequence_report", "image_report"])
def test_a_figure_needs_the_arrays_that_it_names_and_no_others(request, kind):
    folder = request.getfixturevalue(kind)
    tried = 0
    for entry in FIGURES:
        if not entry.arrays or entry.collect(Reader(folder)) is None:
            continue
        sufficient = []
        for names in entry.arrays:
            needed = {*names, "repeat"}
            if entry.collect(Only(folder, needed.__contains__)) is not None:
                sufficient.append(names)
                for missing in names:
                    assert entry.collect(Only(folder, (needed - {missing}).__contains__)) is None, (entry.name, missing)
                    tried += 1
        assert sufficient, entry.name
        for end in (0, -1):
            lost = {names[end] for names in entry.arrays}
            assert entry.collect(Only(folder, lambda name, lost=lost: name not in lost)) is None, entry.name
    assert tried > 1


# -- words from the record --------------------------------------------------------------------------------------------


def test_labels_come_from_the_record_and_what_has_none_is_a_number(sequence_report, report, match_report):
    results = Reader(sequence_report)
    assert labels_of(results, "class", 2) == ["walking", "walking upstairs"]
    assert labels_of(results, "class", 7)[6] == "6"
    assert labels_of(results, "group", 9)[8] == "group 8"
    assert labels_of(results, "channel", 1) == ["body acc_x"]
    assert labels_of(Reader(report), "answer", 2) == ["first > second", "first ≤ second"]
    assert labels_of(Reader(match_report), "answer", 2) == ["0", "1"]
    assert labels_of(Reader(match_report), "channel", 1) == ["channel 0"]


def ticks(folder: Path, results: Reader) -> list[str]:
    panel = confusion.draw(confusion.collect(results)).axes[0]
    return [label.get_text() for label in panel.get_yticklabels()]


def test_answers_are_those_of_the_record(report):
    class Asked(Reader):
        answers: list[str] | None = None

        def meta(self, name: str):
            return {"labels": {"answer": self.answers}} if name == "task" else super().meta(name)

    assert ticks(report, Reader(report)) == ["1st > 2nd", "1st ≤ 2nd"]
    first = hardest.collect(Reader(report))[0]
    assert first.answer == f"{first.shown[0]} {'≤' if first.target else '>'} {first.shown[1]}"
    results = Asked(report)
    assert ticks(report, results) == ["0", "1"]
    assert {pair.answer for pair in hardest.collect(results)} == {"0", "1"}
    results.answers = ["healthy", "ill"]
    assert ticks(report, results) == ["healthy", "ill"]
    assert {pair.answer for pair in hardest.collect(results)} == {"healthy", "ill"}


def test_pairs_of_named_classes_show_their_names(report):
    names = ["bag", "coat", "dress", "hat", "pullover", "sandal", "second hand", "shirt", "sneaker", "trousers"]

    class Named(Reader):
        def meta(self, name: str):
            answers = ["first after second", "first not after second"]
            return {"labels": {"class": names, "answer": answers}} if name == "task" else super().meta(name)

    results = Named(report)
    pairs, labels = hardest.collect(results), results.gallery()["labels"]
    assert ticks(report, results) == ["1st after\n2nd", "1st not\nafter 2nd"]
    assert any("second hand" in pair.shown for pair in pairs)
    for pair, row, line in zip(pairs, labels.tolist(), hardest.numbers(pairs), strict=True):
        assert pair.shown == (line["first"], line["second"]) == tuple(names[label] for label in row)
        assert pair.answer == f"{pair.shown[0]} {'not ' if pair.target else ''}after {pair.shown[1]}"
