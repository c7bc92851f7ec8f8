"""Learning curves: the epoch that was tested, axes that hold their bands, units at the axes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from tenfold.record import Reader, Record, RunRow, Variant
from tenfold.report._tables import metric_rows
from tenfold.report.figures import FIGURES, curves, loss_curves
from tenfold.report.figures._curve_panels import _limits

METRICS = [
    {"name": "accuracy", "label": "Accuracy", "unit": "%", "higher_is_better": True, "primary": True},
    {"name": "loss", "label": "Loss", "unit": "nats", "higher_is_better": False, "primary": False},
]
ENTRIES = {entry.name: entry for entry in FIGURES}
# The test accuracy after each epoch of three runs, and the epoch whose weights each run kept.
RISING = np.array([[0.2, 0.9, 0.70, 0.95], [0.1, 0.6, 0.80, 0.90], [0.3, 0.5, 0.99, 1.00]])
BEST = (2, 3, 3)


def record(folder: Path, *, early: bool = True, loss: np.ndarray | None = None) -> Reader:
    study = {"name": "s", "repeats": 3, "models": [{"name": "Net"}]}
    loss = 1 - RISING if loss is None else loss
    with Record.create(
        folder, study_toml="", study=study, environment={}, metrics=METRICS, command="", quick=False
    ) as writer:
        writer.save_epochs(
            "Net",
            [
                (0, repeat, epoch + 1, "test", name, float(values[repeat, epoch]))
                for name, values in (("accuracy", RISING), ("loss", loss))
                for repeat in range(3)
                for epoch in range(4)
            ],
        )
        rows = [
            RunRow(
                variant=0, repeat=repeat, status="stopped" if early else "finished", epochs=4,
                best_epoch=best if early else None,
                scores={"accuracy": RISING[repeat, best - 1 if early else 3], "loss": loss[repeat, best - 1]},
            )
            for repeat, best in enumerate(BEST)
        ]  # fmt: skip
        writer.finish_runs("Net", rows)
    return Reader(folder)


def drawn(module, results: Reader, width: int = 760) -> Figure:
    figure = module.draw(module.collect(results), width=width)
    FigureCanvasAgg(figure).draw()
    return figure


def panel(figure: Figure):
    return next(axes for axes in figure.axes if axes.axison)


def test_with_early_stopping_the_figure_has_the_number_of_the_table_and_marks_its_epochs(tmp_path):
    results = record(tmp_path)
    (row,) = metric_rows(results, "accuracy")
    assert row.mean == f"{100 * np.mean([0.9, 0.8, 0.99]):.1f}"
    axes = panel(drawn(curves, results))
    texts = [text.get_text() for text in axes.texts]
    assert row.mean in texts
    assert f"{100 * RISING[:, -1].mean():.1f}" not in texts
    marks = [line.get_xdata()[0] for line in axes.lines if len(set(line.get_xdata())) == 1]
    assert marks == list(BEST)
    (loss,) = metric_rows(results, "loss")
    assert loss.mean in [text.get_text() for text in panel(drawn(loss_curves, results)).texts]
    assert "keep the weights of their best epoch" in ENTRIES["curves"].words(curves.collect(results))
    counts = [row["tested_runs"] for row in curves.numbers(curves.collect(results))]
    assert counts == [0, 1, 2, 0]


def test_without_early_stopping_nothing_is_said_of_it(tmp_path):
    results = record(tmp_path, early=False)
    assert curves.collect(results).tested == {Variant("Net"): []}
    entry = ENTRIES["curves"]
    assert entry.words(entry.collect(results)) == entry.caption


@pytest.mark.parametrize("width", [760, 360])
@pytest.mark.parametrize("module", [curves, loss_curves])
def test_no_band_is_cut_by_the_axis_or_passes_what_is_possible(tmp_path, module, width):
    axes = panel(drawn(module, record(tmp_path), width))
    low, high = axes.get_ylim()
    (collection,) = axes.collections
    ends = collection.get_paths()[0].vertices[:, 1]
    assert low < ends.min() < ends.max() < high
    if module is curves:
        assert ends.max() <= 100
        assert ends.min() >= 0


def test_axes_have_their_unit(tmp_path):
    results = record(tmp_path)
    labels = [label.get_text() for label in panel(drawn(curves, results)).get_yticklabels()]
    assert labels
    assert all(label.endswith(" %") for label in labels)
    assert "The vertical axis is in nats." in loss_curves.words(loss_curves.collect(results))


def test_one_exploding_epoch_does_not_flatten_the_others_and_it_is_said(tmp_path):
    found = loss_curves.collect(record(tmp_path))
    (curve,) = found.curves
    calm = curve._replace(epochs=np.arange(1, 401), mean=np.linspace(1, 0.5, 400), std=np.full(400, 0.1))
    exploding = calm._replace(mean=np.where(calm.epochs == 200, 1e6, calm.mean))
    for shown, cut in ((calm, False), (exploding, True)):
        low, high, said = _limits(found._replace(curves=[shown]))
        assert 0 < low < 0.4
        assert 1.1 < high < 3
        assert said == cut
        assert ("cut at the axis" in loss_curves.words(found._replace(curves=[shown]))) == cut
