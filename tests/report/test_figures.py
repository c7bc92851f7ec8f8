"""The list of figures, and the numbers in them."""

from __future__ import annotations

import doctest
import importlib
import pkgutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from sklearn.metrics import confusion_matrix, roc_auc_score, roc_curve

import tenfold.report
import tenfold.report.figures
from tenfold.metrics import roc_auc
from tenfold.record import Reader
from tenfold.report.figures import FIGURES
from tenfold.report.figures._canvas import mean_and_std
from tenfold.report.figures.confusion import shares
from tenfold.report.figures.roc import roc


def test_the_list_equals_the_files_on_disk():
    folder = Path(tenfold.report.figures.__path__[0])
    files = {path.stem for path in folder.rglob("*.py") if not path.name.startswith("_")}
    assert len(files) > 0
    assert files == {entry.name for entry in FIGURES}
    for entry in FIGURES:
        assert entry.module.__name__ == f"tenfold.report.figures.{entry.name}"
        assert entry.arrays == getattr(entry.module, "ARRAYS", ())
        assert entry.title
        assert entry.caption.endswith(".")


# What each kind of record is drawn as; the fixture of its folder, and the figures in the report's order.
DRAWN = {
    "report": ["strips", "curves", "loss_curves", "confusion", "roc", "hardest"],
    "match_report": ["strips", "curves", "loss_curves", "groups", "episodes", "gallery", "embedding"],
    "sequence_report": [
        "strips", "curves", "loss_curves", "volatility", "groups", "confusion", "classes", "windows", "steps_seen",
        "gradient_norms",
    ],
    "image_report": ["strips", "reconstruction"],
    "vector_report": ["strips", "reconstruction"],
}  # fmt: skip


def test_every_figure_is_drawn_for_some_kind_of_record():
    assert {name for names in DRAWN.values() for name in names} == {entry.name for entry in FIGURES}


@pytest.mark.parametrize("entry", FIGURES, ids=[entry.name for entry in FIGURES])
@pytest.mark.parametrize("width", [760, 360])
@pytest.mark.parametrize("kind", DRAWN)
def test_every_figure_has_the_width_asked_for_and_keeps_its_text_inside(request, kind, entry, width):
    found = entry.collect(Reader(request.getfixturevalue(kind)))
    if entry.name not in DRAWN[kind]:
        assert found is None
        return
    figure = entry.draw(found, width=width)
    assert isinstance(figure, Figure)
    assert figure.get_size_inches()[0] * 72 == pytest.approx(width)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    renderer = canvas.get_renderer()
    whole_width, whole_height = figure.get_size_inches() * figure.dpi
    texts = [text for axes in figure.axes for text in shown_texts(axes)]
    assert len(texts) > 10
    for text in texts:
        box = text.get_window_extent(renderer)
        assert -2 < box.x0 < box.x1 < whole_width + 2, text
        assert -2 < box.y0 < box.y1 < whole_height + 2, text


def shown_texts(axes):
    """Texts placed by hand, and labels of those ticks that lie within the limits."""
    found = [text for text in axes.texts if text.get_text()]
    for axis, limits in ((axes.xaxis, axes.get_xlim()), (axes.yaxis, axes.get_ylim())) if axes.axison else ():
        ticks = zip(axis.get_majorticklocs(), axis.get_majorticklabels(), strict=False)
        found += [label for at, label in ticks if min(limits) <= at <= max(limits) and label.get_text()]
    return found


def test_pyplot_is_never_imported():
    code = (
        "import sys, tenfold.report; assert 'matplotlib.pyplot' not in sys.modules; assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    twin = subprocess.run([sys.executable, "-c", f"import matplotlib.pyplot; {code}"], capture_output=True, check=False)
    assert twin.returncode != 0


def test_roc_and_area_equal_scikit_learn():
    for seed in range(20):
        rng = np.random.default_rng(seed)
        target = rng.integers(0, 2, 60)
        probability = np.round(0.3 * target + 0.7 * rng.random(60), 1)  # with ties
        assert roc_auc(probability[None], target[None])[0] == pytest.approx(roc_auc_score(target, probability)), seed
        false_rate, true_rate, _ = roc_curve(target, probability, drop_intermediate=False)
        expected = np.interp(np.linspace(0, 1, 101), false_rate, true_rate)
        np.testing.assert_allclose(roc(probability, target), expected, err_msg=str(seed))


def test_roc_of_one_class_is_no_curve():
    assert np.isnan(roc(np.array([0.1, 0.2]), np.array([1, 1]))).all()
    assert np.isnan(roc_auc(np.array([[0.1, 0.2]]), np.array([[0, 0]]))).all()


def test_runs_of_one_class_alone_have_no_figure_of_roc_curves(example, tmp_path):
    from tenfold.report.figures import confusion, roc

    class OneClass(Reader):
        def predictions(self, model, *, variant=0):
            arrays = super().predictions(model, variant=variant)
            return arrays | {"target": np.ones_like(arrays["target"])}

    results = OneClass(example.build(tmp_path / "s", models={"Net": (0.9, 0.02, True, 3, None)}, repeats=2))
    assert roc.collect(results) is None
    figure = confusion.draw(confusion.collect(results))
    assert not any("nan" in text.get_text() for axes in figure.axes for text in axes.texts)


def test_confusion_equals_scikit_learn():
    rng = np.random.default_rng(0)
    target = rng.integers(0, 2, (4, 50))
    probability = rng.random((4, 50))
    found = shares(probability, target)
    for run in range(4):
        expected = confusion_matrix(target[run], probability[run] > 0.5, normalize="true")
        np.testing.assert_allclose(found[run], expected)
    with np.errstate(all="raise"):
        alone = shares(np.array([[0.2, 0.9]]), np.array([[1, 1]]))
    np.testing.assert_array_equal(alone, [[[np.nan, np.nan], [0.5, 0.5]]])


def test_mean_and_std_leave_out_what_is_missing():
    values = np.array([[1.0, np.nan, np.nan], [3.0, 2.0, np.nan], [5.0, np.nan, np.nan]])
    mean, std = mean_and_std(values)
    np.testing.assert_array_equal(mean, [3.0, 2.0, np.nan])
    np.testing.assert_array_equal(std, [2.0, np.nan, np.nan])


def test_docstring_examples():
    tried = 0
    for module in pkgutil.walk_packages(tenfold.report.__path__, "tenfold.report."):
        outcome = doctest.testmod(importlib.import_module(module.name))
        assert outcome.failed == 0, module.name
        tried += outcome.attempted
    assert tried > 5
