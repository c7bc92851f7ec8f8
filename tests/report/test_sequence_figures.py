"""Figures of classifying sequences, and the score by group that matching has too."""

from __future__ import annotations

import os
import re

import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from scipy.stats import gmean
from sklearn.metrics import accuracy_score, confusion_matrix, precision_recall_fscore_support

from tenfold.errors import RecordError
from tenfold.metrics import confusion_counts, precision_and_recall
from tenfold.record import Reader, Record, Variant
from tenfold.report import write_report
from tenfold.report._facts import what_was_run
from tenfold.report._render import draw, inline_svg
from tenfold.report.figures import (
    FIGURES,
    classes,
    confusion,
    gradient_norms,
    groups,
    steps_seen,
    volatility,
    windows,
)
from tenfold.report.figures._canvas import COLOURS
from tenfold.report.figures._classes import confused_pairs, row_shares

WIDTHS = pytest.mark.parametrize("width", [760, 360])
NEW = (volatility, groups, confusion, classes, windows, steps_seen, gradient_norms)
ALONE = {"sweep": ({},), "diverged": ()}
TWO = {"models": {"RNN": (0.6, True), "Random forest": (0.85, False)}}  # few: what is drawn costs time


def drawn(entry, record, width: int = 760) -> Figure:
    found = entry.collect(record if isinstance(record, Reader) else Reader(record))
    figure = entry.draw(found, width=width)
    assert isinstance(figure, Figure)
    FigureCanvasAgg(figure).draw()
    return figure


def texts(figure: Figure) -> list[str]:
    return [text.get_text() for axes in figure.axes for text in axes.texts]


def tidy(results: Reader, model: str, variant: int = 0) -> pd.DataFrame:
    """One row per test window of the runs that did not diverge, without rows that only fill up."""
    arrays = results.predictions(model, variant=variant)
    gone = {run.repeat for run in results.runs if run.variant == Variant(model, variant) and run.status == "diverged"}
    frames = []
    for run, repeat in enumerate(arrays["repeat"].tolist()):
        if repeat not in gone:
            columns = {name: arrays[name][run] for name in ("target", "prediction", "group") if name in arrays}
            frames.append(pd.DataFrame(columns | {"repeat": repeat}))
    frame = pd.concat(frames)
    return frame[frame["target"] >= 0]


# -- the page ---------------------------------------------------------------------------------------------------------


def test_the_page_has_the_figures_of_its_kind_whole_and_in_the_pages_colours(sequence_page):
    sections = [attributes["id"] for attributes in sequence_page.named("section")]
    drawn_here = ["strips", "curves", "loss_curves", "volatility", "groups", "confusion", "classes", "windows"]
    drawn_here += ["steps_seen", "gradient_norms"]
    assert sections == [
        "verdict",
        "table",
        *drawn_here,
        "models",
        "placement",
        "runs",
        "limits",
        "environment",
        "command",
    ]
    assert sequence_page.broken == sequence_page.open == []
    ids = [attributes["id"] for _, attributes in sequence_page.tags if attributes.get("id")]
    assert len(ids) == len(set(ids))
    assert "could not be drawn" not in sequence_page.html
    figures = re.sub(r'"data:[^"]*"', "", "".join(re.findall(r"<svg.*?</svg>", sequence_page.html, flags=re.DOTALL)))
    assert re.findall(r"#[0-9a-f]{6}\b", figures) == []
    assert re.findall(r"(?:fill|stroke): (?!none|var|\d)[a-z]+", figures) == []
    assert re.search(r"\w+ taken for \w+: \d+\.\d % ± \d+\.\d of \w+", sequence_page.text("confusion"))


@pytest.mark.parametrize("entry", NEW, ids=lambda entry: entry.__name__.split(".")[-1])
def test_the_same_record_gives_the_same_picture(sequence_report, entry):
    found = []
    for _ in range(2):
        figure = draw(entry.draw, entry.collect(Reader(sequence_report)), 360)
        found.append(inline_svg(figure, prefix="p", label="l"))
    assert found[0] == found[1]


OF_PREDICTIONS = {"groups", "confusion", "classes", "windows", "steps_seen", "gradient_norms"}


@pytest.mark.parametrize(
    ("variant", "left_out"),
    [
        ({"models": {"Only": (0.8, True)}, **ALONE}, set()),
        ({"models": {"Forest": (0.8, False)}, **ALONE}, {"curves", "loss_curves", "volatility", "gradient_norms"}),
        ({**TWO, "repeats": 1, "diverged": ()}, set()),
        ({**TWO, "names": False, "validation": False}, set()),
        ({**TWO, "groups": False, "sweep": ({},)}, {"groups"}),
        ({**TWO, "epochs": 2, "sweep": ({},)}, {"volatility"}),
        ({"predictions": False}, OF_PREDICTIONS),
        ({"diverged": "all"}, {"strips", "volatility"} | OF_PREDICTIONS - {"windows"}),
        ({"classes": ("still", "moving"), **ALONE}, set()),
    ],
    ids=lambda value: ", ".join(value) if isinstance(value, dict) else "",
)
def test_sparse_records_draw_what_they_have(example, tmp_path, variant, left_out):
    results = Reader(example.build_sequences(tmp_path / "study", **variant))
    expected = {"strips", "curves", "loss_curves", "volatility"} | OF_PREDICTIONS
    collected = {entry: found for entry in FIGURES if (found := entry.collect(results)) is not None}
    assert {entry.name for entry in collected} == expected - left_out
    for width in (760, 360):
        found = {entry.name: entry.draw(what, width=width) for entry, what in collected.items()}
        for name in expected - left_out:
            if width == 360:
                FigureCanvasAgg(found[name]).draw()
            assert not any("nan" in text.lower() for text in texts(found[name])), name


@WIDTHS
def test_many_variants_long_names_and_many_classes_stay_inside(example, tmp_path, width):
    models = {f"A rather long name of a network, hidden {64 * number}": (0.5, True) for number in range(26)}
    names = tuple(f"a long name of an activity number {number}" for number in range(20))
    results = Reader(
        example.build_sequences(tmp_path / "s", models=models, sweep=({},), repeats=2, diverged=(), classes=names)
    )
    for entry in NEW:
        figure = drawn(entry, results, width)
        box = figure.bbox
        for axes in figure.axes:
            for text in axes.texts:
                extent = text.get_window_extent()
                assert -2 < extent.x0 < extent.x1 < box.x1 + 2, (entry, text)
                assert -2 < extent.y0 < extent.y1 < box.y1 + 2, (entry, text)
        if entry in (steps_seen, gradient_norms):
            assert len(figure.axes) == 24 + 1  # panels, and the legend


# -- groups -----------------------------------------------------------------------------------------------------------


def dots(figure: Figure, colour: str) -> list[tuple[float, float]]:
    """x and y of all dots of a colour on the axes, not those of the legend."""
    found = []
    for axes in figure.axes:
        for line in axes.lines if axes.axison else ():
            if line.get_marker() == "o" and to_hex(line.get_markeredgecolor()) == colour:
                found += [(float(x), float(y)) for x, y in line.get_xydata()]
    return found


@WIDTHS
def test_accuracy_by_person_is_that_of_pandas_and_people_stand_in_the_best_models_order(sequence_report, width):
    results = Reader(sequence_report)
    figure = drawn(groups, results, width)
    expected = {}
    for model in results.models:
        frame = tidy(results, model)
        right = (frame["target"] == frame["prediction"]).groupby([frame["repeat"], frame["group"]]).mean()
        expected[model] = 100 * right.groupby("group").agg(["mean", "std"])
    best = expected["BiLSTM 64"].sort_values("mean", ascending=False)
    np.testing.assert_allclose([x for x, _ in dots(figure, COLOURS["first"])], best["mean"])
    assert [text for text in texts(figure) if text.startswith("person")] == [f"person {at + 1}" for at in best.index]
    for at in best.index:
        assert f"{best.loc[at, 'mean']:.1f} %" in texts(figure)
        assert f"± {best.loc[at, 'std']:.1f}" in texts(figure)
    # Hollow ones: the other models under the same split, not those of windows at random.
    others = sorted(x for x, _ in dots(figure, COLOURS["third"]))
    three = [value for model in results.models if model != "BiLSTM 64" for value in expected[model]["mean"]]
    np.testing.assert_allclose(others, sorted(three))


def test_repeats_without_a_group_are_no_part_of_its_mean_and_said(example, tmp_path):
    def change(model, arrays):
        arrays["group"][1:, :] = np.where(arrays["group"][1:] == 2, 1, arrays["group"][1:])  # repeat 0 alone has 2
        arrays["group"][2, arrays["group"][2] == 0] = 1
        arrays["group"][arrays["target"] < 0] = 1  # what fills up counts nowhere

    folder = example.build_sequences(tmp_path / "s", models={"Net": (0.8, True)}, change=change, **ALONE)
    figure, frame = drawn(groups, folder), tidy(Reader(folder), "Net")
    right = (frame["target"] == frame["prediction"]).groupby([frame["repeat"], frame["group"]]).mean()
    means = (100 * right.groupby("group").mean()).sort_values(ascending=False)
    np.testing.assert_allclose([x for x, _ in dots(figure, COLOURS["first"])], means)
    words = texts(figure)
    assert right.groupby("group").size().to_dict() == {0: 3, 1: 4, 2: 1}
    assert "1 of 4" in words
    assert f"± {100 * right.xs(0, level='group').std():.1f}, 3 of 4" in words
    assert sum(" of 4" in word for word in words) == 2
    assert "other models" not in words


def test_group_shares_leave_out_what_has_no_group():
    true = np.array([[True, False, True, True], [False, False, True, True]])
    group = np.array([[2, 2, -1, 0], [0, 0, 0, -1]])
    with np.errstate(all="raise"):
        found = groups.group_shares(true, group)
    np.testing.assert_allclose(found, [[1.0, np.nan, 0.5], [1 / 3, np.nan, np.nan]])


def test_of_many_groups_the_best_and_the_worst_are_shown(example, tmp_path):
    def change(model, arrays):
        arrays["group"] = np.where(arrays["target"] < 0, -1, np.arange(arrays["target"].shape[1]) % 100)

    folder = example.build_sequences(tmp_path / "s", models={"Net": (0.6, True)}, change=change, **ALONE)
    frame = tidy(Reader(folder), "Net")
    right = (frame["target"] == frame["prediction"]).groupby([frame["repeat"], frame["group"]]).mean()
    means = 100 * np.sort(right.groupby("group").mean())[::-1]
    figure = drawn(groups, folder)
    np.testing.assert_allclose([x for x, _ in dots(figure, COLOURS["first"])], [*means[:20], *means[-20:]])
    assert "Accuracy in each group: of 100 groups the 20 best and the 20 worst" in texts(figure)


@pytest.mark.parametrize("episodes", [True, False])
def test_errors_by_alphabet_are_those_of_the_episodes_or_else_of_the_query_sets(example, tmp_path, episodes):
    results = Reader(example.build_match(tmp_path / "s", episodes=episodes))
    figure = drawn(groups, results)
    place, group = ("episode_place", "episode_group") if episodes else ("place", "group")
    arrays = results.predictions("Residual net")
    rows = [
        (repeat, at, wrong)
        for repeat, places, alphabets in zip(arrays["repeat"], arrays[place], arrays[group], strict=True)
        for at, wrong in zip(alphabets.ravel(), places.ravel() > 0, strict=True)
    ]
    frame = pd.DataFrame(rows, columns=["repeat", "group", "wrong"])
    each = frame.groupby(["repeat", "group"])["wrong"].mean().groupby("group").mean().sort_values()
    found = dots(figure, COLOURS["first"])
    np.testing.assert_allclose([x for x, _ in found], 100 * each)
    names = [text for text in texts(figure) if text in example.ALPHABETS]
    by_place = {example.ALPHABETS[at]: 100 * error for at, error in each.items()}
    np.testing.assert_allclose([by_place[name] for name in names], 100 * each)
    assert ("Error in the published episodes" if episodes else "Error in the query sets") in texts(figure)
    assert len(dots(figure, COLOURS["third"])) == 2 * len(names)


# -- confusion --------------------------------------------------------------------------------------------------------


def test_counts_shares_precision_and_recall_equal_scikit_learn():
    for seed in range(10):
        rng = np.random.default_rng(seed)
        target, said = rng.integers(0, 5, (2, 3, 40))
        said[:, :5] = target[:, :5] = -1
        said[0][said[0] == 2] = 1  # never said
        target[1][target[1] == 4] = 0  # never there
        target[0, 5] = said[0, 6] = 4
        with np.errstate(all="raise"):
            counts = confusion_counts(
                target.astype(np.int16), said.astype(np.int16), int(max(target.max(), said.max())) + 1
            )
            shares, (precision, recall) = row_shares(counts), precision_and_recall(counts)
        for run in range(3):
            pair = (target[run, 5:], said[run, 5:])
            np.testing.assert_array_equal(counts[run], confusion_matrix(*pair, labels=range(5)), err_msg=str(seed))
            expected = confusion_matrix(*pair, labels=range(5), normalize="true")
            np.testing.assert_allclose(np.nan_to_num(shares[run]), expected, err_msg=str(seed))
            one, other, _, _ = precision_recall_fscore_support(*pair, labels=range(5), zero_division=np.nan)
            np.testing.assert_allclose(precision[run], one, err_msg=str(seed))
            np.testing.assert_allclose(recall[run], other, err_msg=str(seed))
        assert np.isnan(precision[0, 2])
        assert np.isnan(recall[1, 4])


def sound_shares(results: Reader, model: str, n_classes: int) -> np.ndarray:
    """Normalised matrices of scikit-learn in percent, (runs, true, predicted)."""
    return 100 * np.stack(
        [
            confusion_matrix(frame["target"], frame["prediction"], labels=range(n_classes), normalize="true")
            for _, frame in tidy(results, model).groupby("repeat")
        ]
    )


@WIDTHS
def test_matrices_of_the_best_variants_have_mean_and_deviation_over_sound_repeats(example, sequence_report, width):
    results = Reader(sequence_report)
    (page,) = drawn(confusion, results, width).axes
    order = ["BiLSTM 64", "Random forest", "GRU", "RNN"]  # all by person; those by window come after them
    assert [t.get_text() for t in page.texts if "(split=" in t.get_text()][:4] == [f"{m} (split=group)" for m in order]
    fields = [text.get_text() for text in page.texts if re.fullmatch(r"(± )?\d+\.\d", text.get_text())]
    expected = []
    for model in order:
        shares = sound_shares(results, model, 6)
        assert len(shares) == (3 if model == "RNN" else 4)
        for mean, std in zip(shares.mean(0).ravel(), shares.std(0, ddof=1).ravel(), strict=True):
            if mean >= 0.05:
                expected += [f"{mean:.1f}", f"± {std:.1f}"]
    assert fields == expected
    accuracy = (
        tidy(results, "BiLSTM 64").groupby("repeat").apply(lambda f: accuracy_score(f["target"], f["prediction"]))
    )
    assert f"{100 * accuracy.mean():.1f} %" in [text.get_text() for text in page.texts]


@WIDTHS
def test_the_most_confused_pairs_are_said_in_words(example, sequence_report, width):
    results = Reader(sequence_report)
    shares = sound_shares(results, "BiLSTM 64", 6)
    mean, std = shares.mean(0), shares.std(0, ddof=1)
    pairs = sorted(
        ((mean[i, j], std[i, j], i, j) for i in range(6) for j in range(6) if i != j), key=lambda pair: -pair[0]
    )[:6]
    expected = []
    for share, deviation, actual, predicted in pairs:
        names = example.ACTIVITIES[actual], example.ACTIVITIES[predicted]
        said = f"{share:.1f} % ± {deviation:.1f} of {names[0]}"
        both = f"{names[0]} taken for {names[1]}"
        expected += [f"{both}: {said}"] if width == 760 else [both, said]
    words = texts(drawn(confusion, results, width))
    start = words.index("Most confused by BiLSTM 64 (split=group)")
    assert words[start + 1 :] == expected


def test_models_that_know_different_numbers_of_classes_have_matrices_of_one_size(example, tmp_path):
    def change(model, arrays):
        if model == "Fewer":  # neither predicts the last class nor was tested on it
            for name in ("target", "prediction"):
                arrays[name] = np.minimum(arrays[name], 4)

    models = {"All": (0.9, True), "Fewer": (0.6, True)}
    found = confusion.collect(Reader(example.build_sequences(tmp_path / "s", models=models, change=change, **ALONE)))
    assert [matrix.mean.shape for matrix in found.matrices] == [(6, 6), (6, 6)]
    assert found.shown == list(range(6))
    assert np.isnan(found.matrices[1].mean[5]).all()
    confusion.draw(found)


def test_pairs_that_are_never_confused_are_not_named():
    counts = np.array([[[5, 0], [0, 5]], [[4, 1], [0, 5]]])
    ((actual, predicted, mean, std),) = confused_pairs(counts, 6)
    assert (actual, predicted) == (0, 1)
    assert mean == pytest.approx(0.1)
    assert std == pytest.approx(np.std([0, 0.2], ddof=1))
    assert confused_pairs(counts[:1], 6) == []


def test_a_model_without_an_error_confuses_nothing(example, tmp_path):
    folder = example.build_sequences(tmp_path / "s", models={"Net": (1.0, True)}, **ALONE)
    words = texts(drawn(confusion, folder))
    assert "No class was taken for another by Net" in words
    assert words.count("100.0") == 6


@WIDTHS
@pytest.mark.parametrize(("n_classes", "shown"), [(8, 8), (20, 20), (21, 12)])
def test_of_more_than_twenty_classes_the_twelve_most_confused_are_shown(example, tmp_path, n_classes, shown, width):
    names = tuple(f"class number {number}" for number in range(n_classes))
    folder = example.build_sequences(tmp_path / "s", models={"Net": (0.7, True)}, classes=names, **ALONE)
    page = drawn(confusion, folder, width).axes[0]
    patches = [patch for patch in page.patches if patch.get_height() > 10]
    assert len(patches) == shown**2
    cut = f"12 of {n_classes} classes, those most confused"
    assert (cut in [text.get_text() for text in page.texts]) == (shown < n_classes)
    # No number is wider than its field.
    for text in page.texts:
        if re.fullmatch(r"\d+(\.\d)?|± \d+\.\d", text.get_text()) and text.get_weight() == "bold":
            assert text.get_window_extent().width < patches[0].get_width() + 1, text


def test_two_classes_of_another_task_are_drawn_as_ever(example, tmp_path):
    folder = example.build(tmp_path / "s", models={"Digits": (0.9, 0.02, True, 3, None)}, repeats=2)
    words = texts(drawn(confusion, folder))
    assert "Digits" in words
    assert not any("taken for" in word for word in words)


# -- classes ----------------------------------------------------------------------------------------------------------


@WIDTHS
def test_precision_and_recall_are_those_of_scikit_learn(sequence_report, width):
    results = Reader(sequence_report)
    figure = drawn(classes, results, width)
    panels = [axes for axes in figure.axes if axes.axison]
    assert len(panels) == 4
    for model, axes in zip(["BiLSTM 64", "Random forest", "GRU", "RNN"], panels, strict=True):
        each = [
            precision_recall_fscore_support(frame["target"], frame["prediction"], labels=range(6))[:2]
            for _, frame in tidy(results, model).groupby("repeat")
        ]
        expected = np.mean(each, axis=0)
        for shape, values in (("D", expected[0]), ("o", expected[1])):
            (line,) = (line for line in axes.lines if line.get_marker() == shape)
            np.testing.assert_allclose(line.get_xdata(), 100 * values)
        bars = [line for line in axes.lines if line.get_marker() not in ("o", "D")]
        widths = sorted(float(np.ptp(bar.get_xdata())) for bar in bars)
        std = 100 * np.std(each, axis=0, ddof=1)
        ends = np.clip([100 * expected - std, 100 * expected + std], 0, 100)
        np.testing.assert_allclose(widths, np.sort((ends[1] - ends[0]).ravel()))


def test_of_many_classes_those_of_least_recall_are_shown(example, tmp_path):
    names = tuple(f"class {number}" for number in range(40))
    folder = example.build_sequences(tmp_path / "s", models={"Net": (0.7, True)}, classes=names, **ALONE)
    figure, frame = drawn(classes, folder), tidy(Reader(folder), "Net")
    right = (frame["target"] == frame["prediction"]).groupby([frame["repeat"], frame["target"]]).mean()
    least = set(right.groupby("target").mean().sort_values(kind="stable").index[:30])
    assert {int(text.split()[1]) for text in texts(figure) if re.fullmatch(r"class \d+", text)} == least
    assert "30 of 40 classes, those of least recall" in texts(figure)


# -- windows ----------------------------------------------------------------------------------------------------------


@WIDTHS
def test_windows_are_drawn_up_to_their_length_under_what_they_were_taken_for(example, sequence_report, width):
    results = Reader(sequence_report)
    figure, arrays = drawn(windows, results, width), results.gallery()
    strips_there = [axes for axes in figure.axes if axes.axison]
    assert len(strips_there) == 6 * 3
    for number, window in enumerate(arrays["windows"]):
        for place in range(3):
            axes = strips_there[number * 3 + place]
            assert len(axes.lines) == 3 + 1  # x, y, z, and the line below
            tones = [to_hex(line.get_color()) for line in axes.lines[:3]]
            assert tones == [COLOURS[name] for name in ("first", "second", "ink")]
            for axis, line in enumerate(axes.lines[:3]):
                signal = window[: arrays["length"][number], 3 * place + axis]
                np.testing.assert_allclose(line.get_ydata(), signal)
    assert len({axes.get_ylim() for axes in strips_there[::3]}) == 1
    words = texts(figure)
    for number in range(6):
        actual, said = (example.ACTIVITIES[arrays[name][number]] for name in ("target", "prediction"))
        title = f"{actual} taken for {said}, {100 * arrays['probability'][number]:.0f} %"
        assert title in words
    assert "As classified by BiLSTM 64" in words
    assert [word for word in words if word in ("body acc", "gyro", "total acc")] == [
        "body acc",
        "gyro",
        "total acc",
    ] * 6


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["x", "y", "z"], [("x", {"": 0}), ("y", {"": 1}), ("z", {"": 2})]),
        (["acc x", "acc y"], [("acc", {"x": 0, "y": 1})]),
        (["accX", "gyroX", "accY"], [("acc", {"x": 0, "y": 2}), ("gyroX", {"": 1})]),
        (["a_x", "a_x"], [("a_x", {"": 0}), ("a_x", {"": 1})]),
        (["a_x", "a_x", "a_y"], [("a", {"x": 0, "y": 2}), ("a_x", {"": 1})]),
        (["", "heart rate"], [("", {"": 0}), ("heart rate", {"": 1})]),
    ],
)
def test_channels_of_one_sensor_share_a_strip(names, expected):
    found = windows.strips_of(names)
    assert sorted(found, key=str) == sorted(expected, key=str)
    assert sorted(place for _, strip in found for place in strip.values()) == list(range(len(names)))


@pytest.mark.parametrize(
    ("change", "there"),
    [
        ({}, True),
        ({"model": None}, True),
        ({"model": np.full(6, 99)}, True),
        ({"windows": None}, False),
        ({"length": None}, False),
        ({"probability": np.full(6, np.nan)}, True),
        ({"target": np.full(6, -1)}, False),
        ({"length": np.zeros(6, int)}, True),
        ({"windows": np.zeros((6, 5))}, False),
        ({"windows": np.zeros((5, 32, 9))}, False),
        ({"windows": np.zeros((6, 32, 0))}, False),
        ({"windows": np.full((6, 32, 2), np.nan)}, True),
        ({"windows": np.ones((6, 32, 25))}, True),
    ],
)  # fmt: skip
def test_windows_need_their_arrays(sequence_report, change, there):
    class Changed(Reader):
        def gallery(self):
            arrays = {**(super().gallery() or {}), **change}
            return {name: values for name, values in arrays.items() if values is not None}

    for width in (760, 360):
        found = windows.collect(Changed(sequence_report))
        assert (found is not None) == there
        if found is not None:
            figure = windows.draw(found, width=width)
            FigureCanvasAgg(figure).draw()
            assert ("9 of 25 channels" in texts(figure)) == (change.get("windows", np.ones((6, 1, 9))).shape[2] == 25)


def test_long_names_of_classes_leave_what_is_between_them_readable(example, tmp_path):
    names = tuple(f"an activity whose name is far too long for a title {number}" for number in range(6))
    folder = example.build_sequences(tmp_path / "s", repeats=1, classes=names, **ALONE)
    for width in (760, 360):
        titles = [word for word in texts(drawn(windows, folder, width)) if " taken for " in word]
        assert len(titles) == 6
        assert all(re.fullmatch(r"an .*….* \d taken for an .*….* \d, \d\d %", title) for title in titles), titles


# -- lines over steps -------------------------------------------------------------------------------------------------


def bold_lines(figure: Figure) -> list:
    """The line of each panel's own variant."""
    return [line for axes in figure.axes if axes.axison for line in axes.lines if line.get_linewidth() == 1.8]


def test_accuracy_by_steps_is_the_mean_over_sound_repeats_and_missing_parts_are_left_out(sequence_report):
    results = Reader(sequence_report)
    figure = drawn(steps_seen, results)
    lines = bold_lines(figure)
    order = [(m, variant) for variant in (0, 1) for m in ("BiLSTM 64", "Random forest", "GRU", "RNN")]
    assert len(lines) == len(order)
    for (model, variant), line in zip(order, lines, strict=True):
        arrays = results.predictions(model, variant=variant)
        mine = (arrays["repeat"] > 0) | (model != "RNN")
        expected = 100 * arrays["seen_accuracy"][mine].mean(0)
        there = np.isfinite(expected)
        assert there.sum() == (1 if model == "Random forest" else 8)
        np.testing.assert_allclose(line.get_ydata(), expected[there])
        np.testing.assert_array_equal(line.get_xdata(), arrays["seen_steps"][0][there])
        assert f"{expected[-1]:.1f}" in texts(figure)


@pytest.mark.parametrize("entry", [steps_seen, gradient_norms])
def test_it_is_said_of_how_many_windows_the_lines_are(example, tmp_path, entry):
    def change(model, arrays):
        arrays["seen_windows"] = np.arange(400, 400 + len(arrays["target"]))

    before = Reader(example.build_sequences(tmp_path / "a", **TWO, **ALONE))
    assert "Only the first test windows of each repeat, at most 300" in entry.words(entry.collect(before))
    now = Reader(example.build_sequences(tmp_path / "b", **TWO, **ALONE, change=change))
    assert entry.words(entry.collect(now)) == "On all test windows of each repeat: 400 to 403."


def test_accuracy_by_steps_has_percent_at_its_axis_and_no_band_above_100(example, tmp_path):
    def change(model, arrays):
        arrays["seen_accuracy"] = np.where(arrays["seen_accuracy"] > 0.9, 1.0, arrays["seen_accuracy"] - 0.2)

    figure = drawn(steps_seen, example.build_sequences(tmp_path / "s", **TWO, **ALONE, change=change))
    for axes in figure.axes[:2]:
        labels = [label.get_text() for label in axes.get_yticklabels()]
        assert labels[-1] == "100 %"
        assert all(label.endswith(" %") for label in labels)
        low, high = axes.get_ylim()
        for collection in axes.collections:
            ends = collection.get_paths()[0].vertices[:, 1]
            assert low < ends.min() <= ends.max() <= 100 < high


def test_gradients_are_averaged_as_logarithms(sequence_report):
    results = Reader(sequence_report)
    figure = drawn(gradient_norms, results)
    lines = bold_lines(figure)
    order = [(m, variant) for variant in (0, 1) for m in ("BiLSTM 64", "GRU", "RNN")]
    assert len(lines) == len(order)  # a forest has none
    for (model, variant), line in zip(order, lines, strict=True):
        arrays = results.predictions(model, variant=variant)
        mine = (arrays["repeat"] > 0) | (model != "RNN")
        expected = gmean(arrays["gradient_norm"][mine], axis=0)
        np.testing.assert_allclose(10 ** np.asarray(line.get_ydata()), expected)
        assert f"{expected[0] / expected[-1]:.1g}" in texts(figure)


def test_gradients_that_are_zero_or_missing_are_left_out_and_zeros_said(example, tmp_path):
    def change(model, arrays):
        if model == "Zero":
            arrays["gradient_norm"][:] = 0
        if model == "Net":
            arrays["gradient_norm"][:, :5] = 0
            arrays["gradient_norm"][1, :7] = 0
            arrays["gradient_norm"][2, 20] = np.nan
            arrays["gradient_norm"][3, 21] = np.inf

    models = {"Net": (0.8, True), "Zero": (0.5, True)}
    results = Reader(example.build_sequences(tmp_path / "s", models=models, change=change, **ALONE))
    with np.errstate(all="raise"):
        figure = drawn(gradient_norms, results)
    (line,) = bold_lines(figure)
    norms = results.predictions("Net")["gradient_norm"]
    norms = np.where(np.isfinite(norms) & (norms > 0), norms, np.nan)
    np.testing.assert_allclose(10 ** np.asarray(line.get_ydata())[5:], gmean(norms[:, 5:], axis=0, nan_policy="omit"))
    assert np.isnan(line.get_ydata()[:5]).all()
    assert "exactly 0 at 7 steps" in texts(figure)


def test_decades_are_named(example, tmp_path):
    def change(model, arrays):
        arrays["gradient_norm"][:] = np.logspace(-30, 2, arrays["gradient_norm"].shape[1])

    folder = example.build_sequences(tmp_path / "s", models={"Net": (0.8, True)}, change=change, **ALONE)
    labels = [label.get_text() for label in drawn(gradient_norms, folder).axes[0].get_yticklabels()]
    assert labels == ["10⁻³⁰", "10⁻²²", "10⁻¹⁴", "10⁻⁶", "10²"]


@pytest.mark.parametrize("entry", [steps_seen, gradient_norms])
def test_arrays_of_other_shapes_are_no_lines(example, tmp_path, entry):
    def change(model, arrays):
        arrays["seen_steps"] = arrays["seen_steps"] + np.arange(len(arrays["seen_steps"]))[:, None]
        arrays["gradient_norm"] = arrays["gradient_norm"][..., None]

    folder = example.build_sequences(tmp_path / "s", models={"Net": (0.8, True)}, change=change, **ALONE)
    assert entry.collect(Reader(folder)) is None


# -- volatility -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("validation", [True, False])
def test_volatility_is_the_deviation_of_changes_in_the_second_half(example, tmp_path, validation):
    results = Reader(example.build_sequences(tmp_path / "s", validation=validation))
    figure = drawn(volatility, results)
    part = "validation" if validation else "test"
    assert f"Accuracy in {part}, percentage points" in texts(figure)
    curves = {curve.variant: curve for curve in results.curves("accuracy") if curve.part == part}
    rows = [line for line in figure.axes[1].lines if line.get_marker() == "o"]
    order = [(m, variant) for variant in (0, 1) for m in ("BiLSTM 64", "GRU", "RNN")]
    assert len(rows) == len(order)
    for (model, variant), row in zip(order, rows, strict=True):
        frame = pd.DataFrame(curves[Variant(model, variant)].values.T, index=range(1, 13), columns=range(4))
        frame = frame.drop(columns=[0] if model == "RNN" else [])
        expected = 100 * frame.diff().loc[7:].std()
        np.testing.assert_allclose(row.get_xdata(), expected)
        assert f"{expected.mean():.2f}" in texts(figure)
        assert f"± {expected.std():.2f}" in texts(figure)


def test_volatility_of_runs_that_stop_early_or_have_gaps():
    epochs = np.arange(1, 11)
    values = np.array([0.1, 0.5, 0.2, 0.9, 0.3, 0.8, np.nan, np.nan, np.nan, np.nan])
    assert volatility.volatility(epochs, values) == pytest.approx(np.std([0.7, -0.6, 0.5], ddof=1))
    values[2] = np.nan
    assert volatility.volatility(epochs, values) == pytest.approx(np.std([0.4, -0.6, 0.5], ddof=1))
    assert np.isnan(volatility.volatility(epochs, np.full(10, np.nan)))
    assert np.isnan(volatility.volatility(epochs[:3], values[:3]))


def test_volatility_is_for_predictions_of_classes_alone(example, tmp_path):
    (entry,) = (entry for entry in FIGURES if entry.module is volatility)
    pairs = example.build(tmp_path / "pairs", models={"Net": (0.9, 0.02, True, 20, None)}, repeats=2)
    assert entry.collect(Reader(pairs)) is None
    assert entry.collect(Reader(example.build_match(tmp_path / "match"))) is None


# -- damage -----------------------------------------------------------------------------------------------------------


def test_a_damaged_file_is_said_once_for_the_figures_that_it_concerns(example, tmp_path):
    folder = example.build_sequences(tmp_path / "s", repeats=1, **TWO, **ALONE)
    for name in ("rnn", "gallery"):
        os.truncate(folder / "predictions" / f"{name}.npz", 100)
    concerned = OF_PREDICTIONS
    for entry in FIGURES:
        if entry.name in concerned:
            with pytest.raises(RecordError, match=r"\.npz is damaged or cut off"):
                entry.collect(Reader(folder))
        else:
            entry.collect(Reader(folder))
    html = write_report(folder).read_text(encoding="utf-8")
    titles = [f"&#39;{entry.title}&#39;" for entry in FIGURES if entry.name in concerned - {"windows"}]
    said = re.findall(r"<li>The figures? (.*?) could not be drawn: .*?(\w+)\.npz is damaged", html)
    assert said == [(", ".join(titles), "rnn"), ("&#39;Windows taken for another class&#39;", "gallery")]
    assert 'id="strips"' in html


def test_a_task_of_ones_own_has_the_figures_whose_arrays_it_saves(example, tmp_path):
    study = {"name": "own", "repeats": 2, "models": [{"name": "Net"}], "task": {"kind": "count-steps"}}
    with Record.create(
        tmp_path / "s", study_toml="", study=study, environment={}, metrics=example.SEQUENCE_METRICS, command="c",
        quick=False,
    ) as record:  # fmt: skip
        rng = np.random.default_rng(0)
        arrays = example._sequence_arrays(rng, 0.8, ({},), 2, 3, True)
        example._sequence_runs(record, "Net", arrays, np.zeros(2, bool), (8, True), rng)
        example.save_variants(record, "Net", arrays)
    results = Reader(tmp_path / "s")
    drawn_here = {"strips", "curves", "loss_curves", "confusion", "groups", "classes", "steps_seen", "gradient_norms"}
    for entry in FIGURES:
        if entry.name in drawn_here:
            drawn(entry, results)
        else:
            assert entry.collect(results) is None


def test_models_are_counted_apart_from_their_settings(example, tmp_path):
    two = Reader(example.build_sequences(tmp_path / "two", predictions=False))
    assert what_was_run(two).startswith("4 models, 8 with their settings, 4 repeats each; classify-sequences on ")
    one = Reader(example.build_sequences(tmp_path / "one", sweep=({},), predictions=False))
    assert what_was_run(one).startswith("4 models, 4 repeats each; ")
