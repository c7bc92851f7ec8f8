"""Test examples beside their reconstructions."""

from __future__ import annotations

import re
from itertools import pairwise

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from tenfold.record import Reader
from tenfold.report import write_report
from tenfold.report.figures import FIGURES, reconstruction
from tenfold.report.figures._canvas import COLOURS

WIDTHS = pytest.mark.parametrize("width", [760, 360])
ORDER = ["Convolutional autoencoder", "Linear autoencoder", "Small autoencoder"]  # from best to worst
ZEROS = {name: np.zeros((3, 4, 5)) for name in ("target", "reconstruction")}
SOUND = 1  # repeat 0 of the best diverged


def drawn(folder, width: int = 760) -> Figure:
    figure = reconstruction.draw(reconstruction.collect(Reader(folder)), width=width)
    FigureCanvasAgg(figure).draw()
    return figure


def texts(figure: Figure) -> list[str]:
    return [text.get_text() for axes in figure.axes for text in axes.texts]


def first_examples(results: Reader, model: str, repeat: int = SOUND) -> tuple[np.ndarray, np.ndarray]:
    arrays = results.predictions(model)
    return arrays["target"][repeat][:8].astype(float), arrays["reconstruction"][repeat][:8].astype(float)


@WIDTHS
def test_images_stand_in_rows_inputs_first_then_every_model(image_report, width):
    results, figure = Reader(image_report), drawn(image_report, width)
    pictures = [(image.get_extent(), np.asarray(image.get_array())) for image in figure.axes[0].images]
    assert len(pictures) == 8 * 4
    target, _ = first_examples(results, ORDER[0])
    rows = [target, *(first_examples(results, model)[1] for model in ORDER)]
    for (_, pixels), expected in zip(pictures, np.concatenate(rows), strict=True):
        assert pixels.shape == (10, 14, 3)
        np.testing.assert_allclose(np.moveaxis(pixels, -1, 0), np.clip(expected / target.max(), 0, 1))
    for row in range(4):
        boxes = [box for box, _ in pictures[8 * row : 8 * row + 8]]
        assert len({box[3] for box in boxes}) == 1
        assert all(left[1] < right[0] for left, right in pairwise(boxes))
        assert boxes[-1][1] <= width
    words = " ".join(texts(figure))  # a long name is on two lines
    places = [words.index(name) for name in ("input", *ORDER)]
    assert places == sorted(places)
    assert f"repeat {SOUND}; numbers: mean squared error" in texts(figure)


@WIDTHS
def test_grey_images_may_have_a_channel_or_none(example_reconstructions, tmp_path, width):
    pixels = []
    for number, shape in enumerate([(1, 6, 5), (6, 5)]):
        folder = example_reconstructions.build(tmp_path / str(number), shape=shape)
        pixels.append([np.asarray(image.get_array()) for image in drawn(folder, width).axes[0].images])
    assert len(pixels[0]) == 8 * 4
    np.testing.assert_array_equal(*pixels)


@WIDTHS
def test_vectors_are_two_lines_a_panel(vector_report, width):
    results, figure = Reader(vector_report), drawn(vector_report, width)
    panels = [axes for axes in figure.axes if axes.axison]
    assert len(panels) == 8 * 3
    assert len({axes.get_ylim() for axes in panels}) == 1
    for row, model in enumerate(ORDER):
        for place, (target, output) in enumerate(zip(*first_examples(results, model), strict=True)):
            lines = {to_hex(line.get_color()): line for line in panels[8 * row + place].lines}
            np.testing.assert_allclose(lines[COLOURS["third"]].get_ydata(), target)
            np.testing.assert_allclose(lines[COLOURS["first"]].get_ydata(), output)


@pytest.mark.parametrize("kind", ["image_report", "vector_report"])
def test_the_number_below_an_example_is_its_mean_squared_error(request, kind):
    folder = request.getfixturevalue(kind)
    errors = [text for text in texts(drawn(folder)) if re.fullmatch(r"[\d.e+-]+", text)]
    expected = []
    for model in ORDER:
        target, output = first_examples(Reader(folder), model)
        expected += [f"{np.mean((a - b) ** 2):.2g}" for a, b in zip(target, output, strict=True)]
    assert errors == expected


def test_numbers_of_vectors_are_those_of_the_record(vector_report):
    results = Reader(vector_report)
    found = reconstruction.collect(results)
    rows = reconstruction.numbers(found)
    for model in ORDER:
        mine = [row for row in rows if row["model"] == model]
        target, output = first_examples(results, model)
        assert [row["target"] for row in mine] == target.ravel().tolist()
        assert [row["reconstruction"] for row in mine] == output.ravel().tolist()
        assert [row["example"] for row in mine] == np.repeat(np.arange(1, 9), target.shape[1]).tolist()


def test_numbers_of_images_are_their_errors(image_report):
    rows = reconstruction.numbers(reconstruction.collect(Reader(image_report)))
    assert [(row["model"], row["example"]) for row in rows] == [(m, n) for m in ORDER for n in range(1, 9)]
    target, output = first_examples(Reader(image_report), ORDER[0])
    assert rows[0]["mean_squared_error"] == pytest.approx(np.mean((target[0] - output[0]) ** 2))


def test_models_with_other_examples_are_left_out(example_reconstructions, tmp_path):
    def other(model, arrays):
        if model == "Linear autoencoder":
            arrays["target"] = arrays["target"][:, ::-1]

    found = reconstruction.collect(Reader(example_reconstructions.build(tmp_path / "s", change=other)))
    assert [examples.variant.model for examples in found.variants] == [ORDER[0], ORDER[2]]


def test_runs_that_are_not_finite_are_skipped(example_reconstructions, tmp_path):
    def spoil(model, arrays):
        if model == ORDER[0]:
            arrays["reconstruction"][1, 3] = np.nan

    assert reconstruction.collect(Reader(example_reconstructions.build(tmp_path / "s", change=spoil))).repeat == 2


def test_variants_of_a_sweep_are_rows_of_their_own(example_reconstructions, tmp_path):
    sweep = tuple({"lr": rate} for rate in (0.1, 0.01))
    folder = example_reconstructions.build(tmp_path / "s", models={"Net": 0.1}, sweep=sweep)
    found = reconstruction.collect(Reader(folder))
    assert sorted(examples.variant.label for examples in found.variants) == ["Net (lr=0.01)", "Net (lr=0.1)"]
    for examples in found.variants:
        expected = Reader(folder).predictions("Net", variant=examples.variant.index)["reconstruction"][0][:8]
        np.testing.assert_array_equal(examples.reconstruction, expected)


@WIDTHS
@pytest.mark.parametrize(
    ("variant", "there"),
    [
        ({"examples": 3}, True),
        ({"examples": 0}, False),
        ({"shape": (1,)}, True),
        ({"shape": ()}, False),
        ({"shape": (2, 6, 6)}, False),
        ({"shape": (6, 6, 3, 1)}, False),
        ({"models": {f"A network with a rather long name, width {n}": 0.1 * n for n in range(1, 11)}}, True),
        ({"change": lambda model, arrays: arrays["reconstruction"].fill(np.nan)}, False),
        ({"change": lambda model, arrays: arrays.update(reconstruction=arrays["target"][:, :2])}, False),
        ({"change": lambda model, arrays: arrays.pop("reconstruction")}, False),
        ({"change": lambda model, arrays: arrays.update(ZEROS)}, True),
        ({"predictions": ""}, True),
        ({"predictions": "classes"}, False),
    ],
)  # fmt: skip
def test_sparse_and_odd_records_draw_what_they_have(example_reconstructions, tmp_path, variant, there, width):
    (entry,) = (entry for entry in FIGURES if entry.module is reconstruction)
    found = entry.collect(Reader(example_reconstructions.build(tmp_path / "s", **variant)))
    assert (found is not None) == there
    if found is not None:
        assert 1 <= len(found.variants) <= 6
        figure = entry.draw(found, width=width)
        FigureCanvasAgg(figure).draw()
        for text in (text for axes in figure.axes for text in axes.texts):
            box = text.get_window_extent()
            assert -2 < box.x0 < box.x1 < figure.bbox.x1 + 2, text
            assert -2 < box.y0 < box.y1 < figure.bbox.y1 + 2, text


def test_the_page_has_the_figure(image_report):
    html = write_report(image_report).read_text(encoding="utf-8")
    assert re.findall(r'<section id="(\w+)"', html)[2:4] == ["strips", "reconstruction"]
    assert "could not be drawn" not in html
