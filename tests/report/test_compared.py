"""Data and models in numbers, what a figure leaves out, and alternative texts: on a small study, and by themselves."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

import tenfold
from tenfold import datasets
from tenfold.models import MODELS
from tenfold.record import Reader
from tenfold.report import write_report
from tenfold.report._compared import compared
from tenfold.report.figures import FIGURES
from tenfold.report.figures._left_out import left_out

ENTRIES = {entry.name: entry for entry in FIGURES}
PIECES, LENGTH = 24, 20


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The record of a study with a sweep that changes sizes, and a model that is fitted, with its report."""
    where = tmp_path_factory.mktemp("compared")
    numbers = np.random.default_rng(0)
    data = datasets.Recordings(
        signals=numbers.normal(size=(PIECES * LENGTH, 2)).astype(np.float32),
        starts=np.arange(PIECES, dtype=np.int64) * LENGTH,
        lengths=np.full(PIECES, LENGTH, dtype=np.int64),
        labels=np.array([0, 1, 1] * (PIECES // 3), dtype=np.int64),
        part=np.full(PIECES, datasets.UNASSIGNED, dtype=np.uint8),
        class_names=("sit", "walk"),
        channels=("x", "y"),
        groups=np.arange(PIECES, dtype=np.int64) // 3,
        group_names=tuple(f"p{number}" for number in range(PIECES // 3)),
    )
    datasets.save(data, where / "data.npz")
    (where / "study.toml").write_text(
        "repeats = 2\n"
        'task = { kind = "classify-sequences", data = "data.npz", window = 10, validation = 0.2 }\n'
        "train = { epochs = 1, batch_size = 10 }\n"
        '[[models]]\nmodule = "recurrent-classifier"\nunits = 4\nlr = 0.01\nsweep = { cell = ["rnn", "gru"] }\n'
        '[[models]]\nmodule = "random-forest"\nn_estimators = 3\n'
    )
    out = where / "record"
    tenfold.run(tenfold.load_study(where / "study.toml"), out=out, placement="stack")
    write_report(out)
    return out


def section(folder: Path, name: str) -> str:
    html = (folder / "report.html").read_text(encoding="utf-8")
    part = html[html.index(f'<section id="{name}">') :].partition("</section>")[0]
    return " ".join(re.sub(r"<svg.*?</svg>|<[^>]+>", " ", part, flags=re.DOTALL).split())


def test_the_record_counts_data_and_parameters(folder: Path) -> None:
    results = Reader(folder)
    task = results.meta("task")
    assert task["counts"] == {"windows": 72, "recordings": 24, "classes": 2, "groups": 8}
    assert task["class_counts"] == [24, 48]
    parts = task["each_repeat"]
    assert list(parts) == ["windows to train on", "windows for validation", "windows to test"]
    modules = [MODELS["recurrent-classifier"](cell=cell, units=4, n_channels=2, n_classes=2) for cell in ("rnn", "gru")]
    expected = [sum(parameter.numel() for parameter in module.parameters()) for module in modules]
    assert expected[0] != expected[1]
    assert results.meta("parameters") == {"recurrent-classifier": expected}


def test_the_page_says_how_much_data_there_is_and_how_large_models_are(folder: Path) -> None:
    text, (small, large) = section(folder, "models"), Reader(folder).meta("parameters")["recurrent-classifier"]
    assert "72 windows, 24 recordings, 2 classes and 8 groups." in text
    assert "In every repeat " in text
    assert "sit 24 walk 48" in text
    (options,) = re.findall(rf"recurrent-classifier ([a-z_=0-9, ]+) {small:,} to {large:,} ", text)
    assert {"units=4", "n_channels=2", "n_classes=2"} <= set(options.removeprefix("recurrent-classifier ").split(", "))
    assert "epochs=1, batch_size=10, optimizer=adam, lr=0.01" in text
    assert "cell: rnn and gru" in text
    assert re.search(r"random-forest .*n_estimators=3.* – fitted, not trained", text)


def test_models_that_a_figure_does_not_show_are_named(folder: Path) -> None:
    assert "Not shown: random-forest, which is fitted and not trained." in section(folder, "curves")
    assert "Not shown" not in section(folder, "strips")


def test_reasons_for_what_is_not_shown(report: Path) -> None:
    results = Reader(report)
    labels = [variant.label for variant in results.variants]
    rows = [{"label": label} for label in labels]
    assert left_out(results, rows, 24) == ""
    assert left_out(results, [], 24) == left_out(results, [{"value": 1}], 24) == ""
    assert left_out(results, rows[:9], 24) == f"Not shown: {labels[9]}, of which the record has no such numbers."
    said = left_out(results, rows[:2], 2)
    assert said.startswith(f"The best 2 are shown, without {labels[2]}, {labels[3]}, ")
    assert said.endswith(f"{labels[7]} and 2 more.")


def test_a_matrix_of_four_says_who_is_not_in_it(example, tmp_path: Path) -> None:
    names = [f"model {number}" for number in range(6)]
    models = {name: (0.9 - 0.05 * number, True) for number, name in enumerate(names)}
    results = Reader(example.build_sequences(tmp_path / "six", models=models, sweep=({},), repeats=2, diverged=()))
    found = ENTRIES["confusion"].collect(results)
    said = ENTRIES["confusion"].left_out(found, results)
    assert len({row["label"] for row in ENTRIES["confusion"].numbers(found)}) in (2, 4)
    assert re.match(r"The best [24] are shown, without model \d", said)


def test_every_figure_has_an_alternative_text(folder: Path) -> None:
    html = (folder / "report.html").read_text(encoding="utf-8")
    texts = re.findall(r'<svg [^>]*role="img" aria-label="([^"]*)"', html)
    assert len(texts) == html.count("<svg ") > 10
    for text in texts:
        assert re.search(r"\. [A-Z].*All numbers are in figures/\w+\.csv\.$", text), text
    assert any(text.startswith("Learning curves of recurrent-classifier (cell=") for text in texts)


def test_a_record_without_these_facts_has_its_models(report: Path) -> None:
    found = compared(Reader(report))
    assert (found.data, found.classes) == ([], [])
    assert [row.parameters for row in found.models] == ["–"] * 10
    assert found.shared == "lr=0.001"


def test_the_contents_are_a_list_of_all_sections(page) -> None:
    contents = page.html[page.html.index("<nav") : page.html.index("</nav>")]
    assert re.findall(r'<li><a href="#(\w+)">', contents) == [part["id"] for part in page.named("section")]
