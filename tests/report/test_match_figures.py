"""Figures of matching by example, and the figures of other tasks on its records."""

from __future__ import annotations

import os
import re

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from sklearn.decomposition import PCA
from sklearn.manifold import trustworthiness
from sklearn.metrics import pairwise_distances

from tenfold.errors import RecordError
from tenfold.record import Reader, Record, RunRow
from tenfold.report import write_report
from tenfold.report._render import draw, inline_svg
from tenfold.report.figures import FIGURES, embedding, episodes, gallery
from tenfold.report.figures._canvas import COLOURS

WIDTHS = pytest.mark.parametrize("width", [760, 360])


def drawn(entry, record, width: int = 760) -> Figure:
    figure = entry.draw(entry.collect(Reader(record)), width=width)
    assert isinstance(figure, Figure)
    FigureCanvasAgg(figure).draw()
    return figure


def texts(figure: Figure) -> list[str]:
    return [text.get_text() for axes in figure.axes for text in axes.texts]


def box_of(text):
    """Of the letters alone, without the ground that may lie under them."""
    text.set_bbox(None)
    return text.get_window_extent()


# -- the page ---------------------------------------------------------------------------------------------------------


def test_the_page_has_the_figures_of_its_kind_whole_and_in_the_pages_colours(match_page):
    sections = [attributes["id"] for attributes in match_page.named("section")]
    drawn_here = ["strips", "curves", "loss_curves", "groups", "episodes", "gallery", "embedding"]
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
    assert match_page.broken == match_page.open == []
    ids = [attributes["id"] for _, attributes in match_page.tags if attributes.get("id")]
    assert len(ids) == len(set(ids))
    assert len(match_page.html.encode()) < 1_500_000
    figures = re.sub(r'"data:[^"]*"', "", "".join(re.findall(r"<svg.*?</svg>", match_page.html, flags=re.DOTALL)))
    assert re.findall(r"#[0-9a-f]{6}\b", figures) == []
    assert re.findall(r"(?:fill|stroke): (?!none|var|\d)[a-z]+", figures) == []
    for colour in ("ink", "first", "second"):
        assert f"var(--{colour})" in figures
    assert "Deep Siamese CNN" in match_page.text("episodes")
    assert "people 4.5 %" in match_page.text("episodes")


@pytest.mark.parametrize("entry", [episodes, gallery, embedding], ids=lambda entry: entry.__name__.split(".")[-1])
def test_the_same_record_gives_the_same_picture(match_report, entry):
    found = []
    for _ in range(2):
        embedding._laid_out.cache_clear()
        figure = draw(entry.draw, entry.collect(Reader(match_report)), 760)
        found.append(inline_svg(figure, prefix="p", label="l"))
    assert found[0] == found[1]


@pytest.mark.parametrize(
    ("variant", "left_out"),
    [
        ({"models": {"Only": 0.8}, "diverged": ()}, set()),
        ({"repeats": 1, "diverged": ()}, set()),
        ({"repeats": 1}, set()),
        ({"episodes": False}, {"episodes"}),
        ({"references": None}, set()),
        ({"sweep": ({"lr": 0.1}, {"lr": 0.01})}, set()),
        ({"candidates": 2}, set()),
        ({"groups": False}, {"groups"}),
        ({"predictions": False}, {"groups", "episodes", "gallery", "embedding"}),
        ({"diverged": "all"}, {"strips", "groups", "episodes", "embedding"}),
    ],
    ids=lambda value: ", ".join(value) if isinstance(value, dict) else "",
)
def test_sparse_records_draw_what_they_have(example, tmp_path, variant, left_out):
    results = Reader(example.build_match(tmp_path / "study", **variant))
    expected = {"strips", "curves", "loss_curves", "groups", "episodes", "gallery", "embedding"} - left_out
    collected = {entry: found for entry in FIGURES if (found := entry.collect(results)) is not None}
    assert {entry.name for entry in collected} == expected
    for width in (760, 360):
        found = {entry.name: entry.draw(what, width=width) for entry, what in collected.items()}
        for name in expected:
            found[name].canvas.draw()
            assert not any("nan" in text.lower() for text in texts(found[name])), name


def test_a_curve_without_a_training_part_has_no_such_entry(match_report):
    words = texts(drawn(next(entry for entry in FIGURES if entry.name == "loss_curves"), match_report))
    assert "train" not in words
    assert {"validation", "test"} <= set(words)


# -- episodes ---------------------------------------------------------------------------------------------------------


def rows_of_dots(figure: Figure) -> list[np.ndarray]:
    """What the dots of each row stand for, in the order of the rows."""
    lines = [line for axes in figure.axes if axes.axison for line in axes.lines if line.get_marker() == "o"]
    return [np.asarray(line.get_xdata()) for line in lines]


@WIDTHS
def test_a_dot_is_the_error_of_an_episode_over_the_repeats_that_did_not_diverge(match_report, width):
    figure, results = drawn(episodes, match_report, width), Reader(match_report)
    rows = rows_of_dots(figure)
    order = ["Residual net", "Deep Siamese CNN", "Small net"]  # from best to worst
    assert [text for text in texts(figure) if text in results.models] == order
    for name, row in zip(order, rows, strict=True):
        arrays = results.predictions(name)
        runs = [run for run in range(4) if not (name == "Small net" and run == 0)]
        for episode, error in enumerate(row):
            wrong = [arrays["episode_place"][run, episode, query] > 0 for run in runs for query in range(20)]
            assert error == pytest.approx(100 * sum(wrong) / len(wrong))


def test_mean_and_deviation_are_those_of_the_recorded_scores(match_report):
    figure, results = drawn(episodes, match_report), Reader(match_report)
    assert np.isnan(results.scores("oneshot_accuracy")["Small net"][0])
    for label, scores in results.scores("oneshot_accuracy").items():
        errors = 100 - 100 * scores[np.isfinite(scores)]
        assert f"{errors.mean():.1f} %" in texts(figure), label
        assert f"± {errors.std(ddof=1):.1f}" in texts(figure), label


def test_one_repeat_has_no_deviation(example, tmp_path):
    figure = drawn(episodes, example.build_match(tmp_path / "s", repeats=1, diverged=()))
    assert len(rows_of_dots(figure)) == 3
    assert not any(text.startswith("±") for text in texts(figure))


def test_settings_of_a_sweep_are_rows_of_their_own(example, tmp_path):
    folder = example.build_match(tmp_path / "s", models={"Net": 0.8}, sweep=({"lr": 1}, {"lr": 2}), diverged=())
    figure, results = drawn(episodes, folder), Reader(folder)
    labels = [text for text in texts(figure) if text.startswith("Net (")]
    assert sorted(labels) == ["Net (lr=1)", "Net (lr=2)"]
    for label, row in zip(labels, rows_of_dots(figure), strict=True):
        places = results.predictions("Net", variant=["Net (lr=1)", "Net (lr=2)"].index(label))["episode_place"]
        assert len(places) == 4
        np.testing.assert_allclose(row, 100 * (places > 0).mean((0, 2)))


@WIDTHS
def test_figures_of_others_are_lines_at_their_error_and_no_name_covers_another(example, tmp_path, width):
    others = {f"method {number}": 3.0 + 0.7 * number for number in range(5)}
    others |= {"a method with a rather long name, 2015": 20.0, "far to the right": 97.5}
    figure = drawn(episodes, example.build_match(tmp_path / "s", references=others), width)
    page, axes = figure.axes
    places = [line.get_xdata()[0] for line in axes.lines if to_hex(line.get_color()) == COLOURS["second"]]
    assert sorted(places) == sorted(others.values())
    names = [text for text in page.texts if text.get_text().endswith(" %") and text.get_weight() != "bold"]
    assert len(names) == len(others)
    boxes = [box_of(text).padded(-1) for text in names]
    for number, box in enumerate(boxes):
        assert 0 <= box.x0 < box.x1 <= figure.bbox.x1
        assert not any(box.overlaps(other) for other in boxes[:number]), names[number]


def test_figures_of_others_that_are_none_are_left_out(example, tmp_path):
    given = {"good": 5, "text": "5", "none": float("nan"), "below": -1.0, "above": 101, "yes": True}
    for number, references in enumerate((given, {}, ["good"], "good")):
        folder = example.build_match(tmp_path / str(number), repeats=1, references=references)
        assert episodes.references_of(Reader(folder)) == ({"good": 5.0} if references is given else {})
        assert ("published" in texts(drawn(episodes, folder))) == (references is given)


def test_swarm_puts_no_two_dots_on_each_other_while_there_is_room():
    for seed in range(20):
        places = np.random.default_rng(seed).uniform(0, 60, 20)
        shifts = episodes.swarm(places, 4.0, most=10)
        for one in range(20):
            for other in range(one):
                apart = abs(places[one] - places[other]), abs(shifts[one] - shifts[other])
                assert max(apart) >= 4.0, seed
    assert episodes.swarm(np.zeros(4), 1.0, most=1).tolist() == [0, 1, -1, 0]


# -- gallery ----------------------------------------------------------------------------------------------------------


def shown_images(figure: Figure) -> list[tuple[tuple[float, float, float, float], np.ndarray]]:
    """Place (left, top, right, bottom) and pixels of every image."""
    found = []
    for image in figure.axes[0].images:
        left, right, bottom, top = image.get_extent()
        found.append(((left, top, right, bottom), np.asarray(image.get_array()) * 255))
    return found


def frames(figure: Figure, colour: str) -> list[tuple[float, float, str]]:
    """Left, top and kind of line of the frames around images."""
    return [
        (patch.get_x(), patch.get_y(), str(patch.get_linestyle()))
        for patch in figure.axes[0].patches
        if isinstance(patch, Rectangle) and patch.get_linewidth() > 2 and to_hex(patch.get_edgecolor()) == colour
    ]


@WIDTHS
def test_the_gallery_shows_query_best_candidates_and_the_right_one_marked(example, tmp_path, width):
    folder = example.build_match(tmp_path / "s", repeats=1)
    figure, arrays = drawn(gallery, folder, width), Reader(folder).gallery()
    peak = max(arrays["query"].max(), arrays["ranked"].max()) / 255
    rows: list[list[np.ndarray]] = []
    expected_right, expected_wrong = [], []
    images = shown_images(figure)
    for row, place in enumerate(arrays["right_place"].tolist()):
        at = sum(len(each) for each in rows)
        shown = [*range(6), *([place] if place > 5 else [])]
        mine = images[at : at + 1 + len(shown)]
        rows.append([pixels for _, pixels in mine])
        np.testing.assert_allclose(mine[0][1] * peak, arrays["query"][row], atol=1e-3)
        for (_, pixels), candidate in zip(mine[1:], shown, strict=True):
            np.testing.assert_allclose(pixels * peak, arrays["ranked"][row, candidate], atol=1e-3)
        lefts = [box[0] for box, _ in mine]
        assert lefts == sorted(lefts)
        assert len({box[1] for box, _ in mine}) == 1
        expected_right.append(mine[1 + shown.index(place)][0][:2])
        if place:
            expected_wrong.append(mine[1][0][:2])
    assert sum(map(len, rows)) == len(images)
    for box, _ in images:
        assert box[0] >= 0
        assert box[2] <= width
    right, wrong = frames(figure, COLOURS["first"]), frames(figure, COLOURS["second"])
    assert [frame[:2] for frame in right] == expected_right
    assert [frame[:2] for frame in wrong] == expected_wrong
    # Not by colour alone: the kind of line and the mark differ too.
    assert {frame[2] for frame in right}.isdisjoint({frame[2] for frame in wrong})
    words = texts(figure)
    assert [int(word[2:]) - 1 for word in words if re.fullmatch(r"✓ \d+", word)] == arrays["right_place"].tolist()
    assert words.count("✗ 1") == len(expected_wrong) == 8
    assert words.count("…") == (arrays["right_place"] > 6).sum() > 0
    assert "As ranked by Residual net" in words


def test_wide_galleries_have_two_columns_and_narrow_ones_one(match_report):
    columns = {}
    for width in (760, 360):
        queries = shown_images(drawn(gallery, match_report, width))
        tops = [box[1] for box, _ in queries]
        columns[width] = (len(set(tops)), len({box[0] for box, _ in queries}))
    assert columns[760][0] == 8
    assert columns[360][0] == 16


@pytest.mark.parametrize(
    ("change", "there"),
    [
        ({}, True),
        ({"model": None}, True),
        ({"model": np.full(16, 99)}, True),
        ({"query": None}, False),
        ({"ranked": None}, False),
        ({"right_place": None}, False),
        ({"query": np.zeros((16, 7, 7, 3))}, False),
        ({"query": np.zeros((15, 7, 7))}, False),
        ({"query": np.zeros((0, 7, 7)), "ranked": np.zeros((0, 5, 7, 7)), "right_place": np.zeros(0)}, False),
        ({"query": np.zeros((16, 7, 7)), "ranked": np.zeros((16, 5, 7, 7))}, True),
        ({"query": np.zeros((40, 7, 7)), "ranked": np.zeros((40, 5, 7, 7)), "right_place": np.ones(40)}, True),
        ({"query": np.zeros((1, 7, 9)), "ranked": np.zeros((1, 5, 7, 9)), "right_place": np.ones(1)}, True),
        ({"query": np.zeros((16, 3, 7, 7)), "ranked": np.zeros((16, 5, 3, 7, 7))}, True),
        ({"query": np.zeros((16, 3, 7, 7)), "ranked": np.zeros((16, 5, 7, 7))}, False),
    ],
)  # fmt: skip
def test_a_gallery_needs_its_arrays_and_has_sixteen_rows_at_most(match_report, change, there):
    class Changed(Reader):
        def gallery(self):
            arrays = {**(super().gallery() or {}), **change}
            return {name: values for name, values in arrays.items() if values is not None}

    for width in (760, 360):
        found = gallery.collect(Changed(match_report))
        assert (found is not None) == there
        if found is not None:
            figure = gallery.draw(found, width=width)
            figure.canvas.draw()
            marks = [text for text in texts(figure) if re.fullmatch(r"✓ \d+", text)]
            assert len(marks) <= 16
            assert any(text.startswith("As ranked") for text in texts(figure)) == ("model" not in change)


# -- embedding --------------------------------------------------------------------------------------------------------


def points_of(axes) -> int:
    return sum(len(line.get_xdata()) for line in axes.lines)


def clusters(n_classes: int, each: int, noise: float, dimension: int = 16) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(n_classes), each)
    return rng.normal(0, 1, (n_classes, dimension))[labels] + noise * rng.normal(0, 1, (len(labels), dimension)), labels


@WIDTHS
def test_best_and_worst_model_are_shown_by_the_images_of_one_repeat_without_fillers(example, match_report, width):
    figure = drawn(embedding, match_report, width)
    words = texts(figure)
    assert len(figure.axes) == 2
    assert [word for word in words if word.startswith(("Best", "Worst"))] == [
        "Best: Residual net",
        "Worst: Small net",
    ]
    for axes in figure.axes:
        assert points_of(axes) == example.POOL_CLASSES * example.POOL_EACH
        shapes = {(line.get_marker(), to_hex(line.get_color())) for line in axes.lines}
        assert len(shapes) == len(axes.lines) == example.POOL_CLASSES
        numbers = sorted(text.get_text() for text in axes.texts if text.get_text().isdigit())
        assert numbers == [str(number + 1) for number in range(example.POOL_CLASSES)]
    results = Reader(match_report)
    for label in ("Residual net", "Small net"):  # repeat 0 of the worst diverged
        score = results.scores("precision_at_1")[label][1]
        assert f"t-SNE, 6 classes, repeat 1, precision at 1: {100 * score:.1f} %" in words


def test_runs_that_are_not_finite_are_skipped(example, tmp_path):
    def spoil(name, arrays):
        if name == "Residual net":
            arrays["pool"][:2, 3, 2] = np.nan, np.inf
            arrays["pool"][2, -1] = np.nan  # only a row that fills up

    folder = example.build_match(tmp_path / "s", change=spoil)
    words = texts(drawn(embedding, folder))
    assert "Worst: Small net" in words
    assert sum("repeat 2" in word for word in words) == 2


@pytest.mark.parametrize("way", ["other order", "other classes"])
def test_other_images_are_not_set_side_by_side(example, tmp_path, way):
    def other(name, arrays):
        if name == "Small net":
            labels = arrays["pool_class"]
            arrays["pool_class"] = labels[:, ::-1] if way == "other order" else np.where(labels < 0, labels, labels + 1)

    words = texts(drawn(embedding, example.build_match(tmp_path / "s", diverged=(), change=other)))
    assert "Worst: Deep Siamese CNN" in words


def test_one_model_alone_is_neither_best_nor_worst(example, tmp_path):
    figure = drawn(embedding, example.build_match(tmp_path / "s", models={"Only": 0.8}, diverged=()))
    assert len(figure.axes) == 1
    assert "Only" in texts(figure)


@pytest.mark.parametrize("similarity", ["cosine", "euclidean"])
def test_near_images_stay_near_and_the_picture_is_the_same_each_time(similarity):
    values, labels = clusters(8, 10, 0.15)
    points, method = embedding.laid_out(values, similarity)
    assert method == "t-SNE"
    assert points.shape == (80, 2)
    apart = pairwise_distances(points) + 1e9 * np.eye(80)
    np.testing.assert_array_equal(labels[apart.argmin(1)], labels)
    assert trustworthiness(values, points, n_neighbors=5, metric=similarity) > 0.85
    embedding._laid_out.cache_clear()
    np.testing.assert_array_equal(embedding.laid_out(values, similarity)[0], points)


def test_cosine_does_not_see_lengths_and_euclidean_does():
    values, _ = clusters(5, 8, 0.3)
    longer = values * np.linspace(1, 9, len(values))[:, None]
    for similarity, same in (("cosine", True), ("euclidean", False)):
        one, other = (embedding.laid_out(each[:20], similarity)[0] for each in (values, longer))
        assert np.allclose(one, other, atol=1e-5) == same


def test_few_images_are_laid_out_by_principal_components():
    values, _ = clusters(4, 7, 0.5)
    points, method = embedding.laid_out(values, "euclidean")
    assert method == "principal components"
    expected = PCA(2).fit_transform(values)
    np.testing.assert_allclose(np.abs(points), np.abs(expected), atol=1e-4)


@pytest.mark.parametrize("similarity", ["cosine", "euclidean"])
@pytest.mark.parametrize(
    "values",
    [np.ones((60, 8)), np.zeros((60, 8)), np.zeros((1, 8)), np.random.default_rng(0).normal(size=(60, 1)),
     np.repeat(np.eye(2), 30, axis=0), 1e-12 * np.random.default_rng(0).normal(size=(60, 4))],
    ids=["all alike", "all zero", "one image", "one dimension", "two points", "tiny"],
)  # fmt: skip
def test_collapsed_embeddings_still_have_a_picture(values, similarity):
    points, method = embedding.laid_out(values, similarity)
    assert points.shape == (len(values), 2)
    assert np.isfinite(points).all()
    alike = len(np.unique(values, axis=0)) == 1
    assert (method == "all images alike") == alike == (not points.any())


def test_a_collapsed_model_is_drawn(example, tmp_path):
    def collapse(name, arrays):
        arrays["pool"][:] = 0.25

    figure = drawn(embedding, example.build_match(tmp_path / "s", diverged=(), change=collapse))
    assert sum("all images alike" in word for word in texts(figure)) == 2
    assert points_of(figure.axes[0]) == 48


def test_of_a_large_pool_twenty_classes_and_four_hundred_images_are_shown(example, tmp_path):
    values, labels = clusters(30, 25, 0.2)
    shuffled = np.random.default_rng(5).permutation(len(labels))

    def large(name, arrays):
        arrays["pool"] = values[shuffled][None].astype(np.float16)
        arrays["pool_class"] = labels[shuffled][None].astype(np.int32)

    folder = example.build_match(tmp_path / "s", models={"Only": 0.8}, repeats=1, diverged=(), change=large)
    for width in (760, 360):
        figure = drawn(embedding, folder, width)
        (axes,) = figure.axes
        assert [len(line.get_xdata()) for line in axes.lines] == [20] * 20
        assert len({(line.get_marker(), to_hex(line.get_color())) for line in axes.lines}) == 20
        assert any("20 of 30 classes" in text for text in texts(figure))
        numbers = [box_of(text).padded(-1) for text in axes.texts if text.get_text().isdigit()]
        assert len(numbers) == 20
        frame = axes.get_window_extent()
        for number, box in enumerate(numbers):
            assert frame.x0 <= box.x0 < box.x1 <= frame.x1
            assert frame.y0 <= box.y0 < box.y1 <= frame.y1
            assert not any(box.overlaps(other) for other in numbers[:number])
        for line in axes.lines:
            assert all(frame.contains(*point) for point in axes.transData.transform(line.get_xydata()))


def test_a_damaged_file_is_an_error_where_its_arrays_would_be_drawn(example, tmp_path):
    folder = example.build_match(tmp_path / "match", repeats=1)
    for name in ("residual-net", "gallery"):
        os.truncate(folder / "predictions" / f"{name}.npz", 100)
    concerned = {"groups", "episodes", "gallery", "embedding"}
    for entry in FIGURES:
        if entry.name in concerned:
            with pytest.raises(RecordError, match=r"\.npz is damaged or cut off"):
                entry.collect(Reader(folder))
        else:
            entry.collect(Reader(folder))
    html = write_report(folder).read_text(encoding="utf-8")
    titles = {entry.name: f"&#39;{entry.title}&#39;" for entry in FIGURES}
    said = re.findall(r"<li>The figures? (.*?) could not be drawn: .*?(\w[\w-]*)\.npz is damaged", html)
    three = f"{titles['groups']}, {titles['episodes']}, {titles['embedding']}"
    assert said == [(three, "residual-net"), (titles["gallery"], "gallery")]


def test_numbers_of_classes_that_lie_on_each_other_do_not():
    values = np.random.default_rng(0).normal(100, 8, (60, 2))
    taken: list[np.ndarray] = []
    for number in range(6):
        x, y = embedding._beside(values[number * 10 :][:10], values, taken, 200, 200)
        assert all(abs(x - other[0]) >= 20 or abs(y - other[1]) >= 15 for other in taken)
        assert 0 < x < 200
        assert 0 < y < 200
        taken.append(np.array((x, y)))


def test_arrays_of_another_task_are_no_figure(example, tmp_path):
    study = {"name": "other", "repeats": 1, "models": [{"name": "a"}]}
    with Record.create(
        tmp_path / "s", study_toml="", study=study, environment={}, metrics=example.MATCH_METRICS, command="c",
        quick=False,
    ) as record:  # fmt: skip
        record.finish_runs("a", [RunRow(variant=0, repeat=0, status="finished", epochs=1, scores={"top1": 0.5})])
        arrays = {"pool": np.zeros((1, 40)), "pool_class": np.zeros((1, 40)), "episode_place": np.zeros((1, 5))}
        record.save_predictions("a", arrays | {"repeat": np.array([0])})
    results = Reader(tmp_path / "s")
    assert embedding.collect(results) is None
    assert episodes.collect(results) is None
    assert gallery.collect(results) is None
