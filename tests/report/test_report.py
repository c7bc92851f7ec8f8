"""The report, parsed and not compared as text."""

from __future__ import annotations

import csv
import math
import os
import re

import pytest

from tenfold.errors import RecordError
from tenfold.record import Reader, Record
from tenfold.report import write_report
from tenfold.report._facts import _probe, certificate_table, flat
from tenfold.report._tables import shown

ORDER = [
    "verdict", "table", "strips", "curves", "loss_curves", "confusion", "roc", "hardest",
    "models", "placement", "runs", "limits", "environment", "command",
]  # fmt: skip
ONE = {"Only": (0.8, 0.02, False, 3, None)}
FEW = {"Small": (0.75, 0.02, False, 3, None), "Large": (0.85, 0.02, False, 3, None)}


def test_sections_come_in_order_and_every_tag_is_closed(page):
    assert [attributes["id"] for attributes in page.named("section")] == ORDER
    assert page.broken == []
    assert page.open == []
    assert [tag for tag, _ in page.tags if tag == "script"] == []


def test_the_verdict_comes_first_in_words(page, report):
    results = Reader(report)
    text = page.text("verdict")
    words = results.verdict_words()
    for sentence in (words.headline, words.best, words.tally, words.published):
        assert sentence
        assert " ".join(sentence.split()) in text
    assert text.index(words.headline) < text.index("All 45 pairs")
    for verdict in results.compare():
        assert verdict.first in text
    assert text.count("first is better") == sum(verdict.winner is not None for verdict in results.compare())


def test_the_table_stands_beside_the_published_figures(page, report):
    results = Reader(report)
    text = page.text("table")
    row = results.table("accuracy").set_index("model").loc["Siamese CNN 3"]
    expected = f"Siamese CNN 3 {100 * row['mean']:.1f} {100 * row['std']:.1f} "
    expected += f"{100 * row['low']:.1f} to {100 * row['high']:.1f} 10 81.0 ± 3.0 (n = 10)"
    assert expected in text
    assert f"{100 * (row['mean'] - row['published_mean']):+.1f} higher" in text
    for metric in results.metrics[1:]:
        assert metric["label"] in text
    assert "9 of 10" in text
    assert "of 10 of our runs are below it" in text  # F1 was published as one number


def test_every_head_of_a_column_says_so_and_cards_name_their_values(page):
    heads = page.named("th")
    assert len(heads) > 20
    assert all(head["scope"] == "col" for head in heads)
    cards = [table for table in page.named("table") if "cards" in (table.get("class") or "")]
    assert len(cards) > 5
    assert all(table["role"] == "table" for table in cards)
    labels = {cell["data-label"] for cell in page.named("td") if cell.get("data-label")}
    assert {"95 % interval", "Verdict", "Published", "Peak memory"} <= labels


def test_nothing_is_loaded_from_outside(page):
    for tag, attributes in page.tags:
        for name in ("src", "href", "xlink:href", "action", "data", "poster", "srcset"):
            value = attributes.get(name)
            if tag == "a" and re.fullmatch(r"figures/\w+\.csv", value or ""):
                continue  # a link to a file beside the page, loaded by nobody but who follows it
            assert value is None or value.startswith(("#", "data:image/png;base64,")), (tag, name, value)
    assert "@import" not in page.html
    assert re.findall(r"url\((?!#)", page.html) == []
    assert "//" not in re.sub(r'"data:[^"]*"', "", page.html)
    assert page.named("link") == page.named("iframe") == []


def test_every_link_and_reference_has_its_target_and_ids_are_unique(page):
    ids = [attributes["id"] for _, attributes in page.tags if attributes.get("id")]
    assert len(ids) == len(set(ids))
    links = [a.get("href") or a.get("xlink:href") for _, a in page.tags]
    links += re.findall(r"url\(([^)]*)\)", page.html)
    targets = {link[1:] for link in links if link and link.startswith("#")}
    assert targets
    assert targets <= set(ids)


def test_light_and_dark_name_the_same_colours_and_the_figures_use_no_other(page):
    light, dark = re.findall(r":root \{(.*?)\}", page.html, flags=re.DOTALL)
    assert page.html.count("@media (prefers-color-scheme: dark)") == 1
    colours = dict(re.findall(r"--([a-z]+): (#[0-9a-f]{6})", light))
    assert colours.keys() == dict(re.findall(r"--([a-z]+): (#[0-9a-f]{6})", dark)).keys()
    figures = "".join(re.findall(r"<svg.*?</svg>", page.html, flags=re.DOTALL))
    figures = re.sub(r'"data:[^"]*"', "", figures)
    assert set(re.findall(r"var\(--([a-z]+)\)", figures)) <= colours.keys() | {"font"}
    assert "var(--first)" in figures
    assert re.findall(r"#[0-9a-f]{6}\b", figures) == []
    assert re.findall(r"(?:fill|stroke): (?!none|var|\d)[a-z]+", figures) == []


def luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_text_colours_have_enough_contrast_in_light_and_dark(page):
    for scheme in re.findall(r":root \{(.*?)\}", page.html, flags=re.DOTALL):
        colours = dict(re.findall(r"--([a-z]+): (#[0-9a-f]{6})", scheme))
        for text in ("ink", "muted", "first", "second"):
            for ground in ("paper", "raised"):
                bright, dim = sorted((luminance(colours[text]), luminance(colours[ground])), reverse=True)
                assert (bright + 0.05) / (dim + 0.05) >= 4.5, (text, ground, scheme)


def test_size_stays_small_and_all_figures_have_a_name(page):
    assert len(page.html.encode()) < 3_000_000
    pictures = page.named("svg")
    assert len(pictures) == 12  # six figures, wide and narrow
    for attributes in pictures:
        assert attributes["role"] == "img"
        assert attributes["aria-label"]


def test_placement_runs_limits_environment_and_command_are_there(page):
    assert "stack" in page.text("placement")
    assert "loop 9.7 ms" in page.text("placement")
    assert "Model weights float64 steps float64 Baseline 1.2e-13 20" in page.text("placement")
    assert "Siamese RNN 2 , repeat 6: diverged after 12 epochs (loss is NaN)." in page.text("runs")
    assert "9 of 10 runs finished, 1 diverged (repeat 6)" in page.text("runs")
    assert "after a stop in epoch 31" in page.text("runs")
    assert "Repeats: every repeat draws its own pairs" in page.text("limits")
    assert "2.13.0+cpu" in page.text("environment")
    assert "repeats = 10" in page.text("environment")
    assert "tenfold run mnist-pairs --repeats 10" in page.text("command")


def test_measured_numbers_are_short_wherever_they_stand():
    milliseconds = {"stack": 1999.6, "loop": 12345.6, "processes": math.nan}
    assert _probe(milliseconds) == "stack 2000 ms, loop 12346 ms"
    certificate = {"Net": {"weights": 1.2345e-13, "scores": {"accuracy": 1 - 0.996, "loss": 2000.4}}}
    assert certificate_table(certificate)[1] == [["Net", "1.2e-13", "accuracy 0.004, loss 2000"]]
    assert dict(flat({"a": {"b": [1 - 0.996, 3]}, "c": 0.1 + 0.2})) == {"a, b": "0.004, 3", "c": "0.3"}
    shown_as = {0.1 + 0.2: "0.300", 2345678.9: "2345678.9", 3e-6: "3e−06", 4e9: "4e+09", 0.0: "0.000"}
    assert {value: shown(value, "nats") for value in shown_as} == shown_as


def test_figures_and_tables_lie_beside_the_page(report):
    names = {"strips", "curves", "loss_curves", "confusion", "roc", "hardest"}
    for kind, start in (("pdf", b"%PDF"), ("png", b"\x89PNG"), ("csv", b"")):
        files = {path.stem: path for path in (report / "figures").glob(f"*.{kind}")}
        assert set(files) == names
        assert all(path.read_bytes().startswith(start) for path in files.values())
    with (report / "tables" / "scores.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 4 * 10 + 5  # five models have digits
    assert rows[0]["Model"] == "Digit Posterior"
    with (report / "tables" / "pairs.csv").open(newline="", encoding="utf-8") as file:
        assert len(list(csv.DictReader(file))) == 4 * 45 + 10
    for name in ("scores", "pairs"):
        tex = (report / "tables" / f"{name}.tex").read_text(encoding="utf-8")
        for rule in (r"\toprule", r"\midrule", r"\bottomrule", r"\begin{tabular}", r"\end{tabular}"):
            assert rule in tex
        rows = [line for line in tex.splitlines() if line.endswith(r"\\")]
        columns = len(re.search(r"tabular}\{([lr]+)\}", tex)[1])
        assert {len(re.findall(r"(?<!\\)&", row)) for row in rows} == {columns - 1}
        assert re.findall(r"(?<!\\)[%_#]", "\n".join(rows)) == []


TEXT = {"Metric", "Unit", "Model", "First", "Second", "Against published", "Verdict", "Notes"}


def test_a_table_without_rows_has_its_head(page_of, tmp_path):
    page_of(models=ONE, repeats=1)
    assert (tmp_path / "study" / "tables" / "pairs.csv").read_text().startswith("Metric,Unit,First,Second,")


@pytest.mark.parametrize("name", ["scores", "pairs"])
def test_every_cell_of_a_csv_table_is_a_number_or_a_word(report, name):
    with (report / "tables" / f"{name}.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        numbers = {key: float(cell) for key, cell in row.items() if key not in TEXT and cell}
        assert numbers["95 % low"] <= numbers["Mean" if name == "scores" else "First - second"] <= numbers["95 % high"]
    if name == "scores":
        row = next(row for row in rows if row["Model"] == "Siamese CNN 3" and row["Metric"] == "Accuracy")
        assert (row["Published"], row["Published deviation"], row["Published n"]) == ("81.0", "3.0", "10")
        assert {(row["n"], row["Planned"]) for row in rows} == {("10", "10"), ("9", "10")}


def test_numbers_of_a_latex_table_are_at_the_right_and_no_column_is_empty(report, page_of, tmp_path):
    def columns(folder):
        lines = (folder / "tables" / "scores.tex").read_text(encoding="utf-8").splitlines()
        rows = [re.split(r" (?<!\\)& ", line.removesuffix(r" \\")) for line in lines if line.endswith(r"\\")]
        return re.search(r"\{([lr]+)\}$", lines[1])[1], rows[0], rows[1:]

    assert columns(report)[0] == "lllrrrrrrl"
    page_of(models=FEW, repeats=3, published=False)
    alignment, head, rows = columns(tmp_path / "study")
    assert (alignment, head[-1]) == ("lllrrrr", r"95 \% interval")
    assert all(any(row[place] not in ("", "--") for row in rows) for place in range(len(head)))


def test_bars_join_exactly_the_models_of_a_group():
    from tenfold.report._write import _bars

    assert _bars([(0, 1), (1,), (2,), (1,)]) == [["on top"], ["on end"], ["via"], ["on top end"]]
    assert _bars([(0,), (0,)]) == [["on top"], ["on end"]]
    assert _bars([(0,), (1,)]) == [[], []]
    assert _bars([]) == []


def test_the_same_record_gives_the_same_files(page_of, tmp_path):
    page_of(models=FEW, repeats=3)
    report = tmp_path / "study"
    files = sorted([*report.glob("figures/*"), *report.glob("tables/*"), report / "report.html"])
    assert len(files) == 6 * 3 + 2 * 2 + 1
    before = [path.read_bytes() for path in files]
    write_report(report)
    assert [path.name for path, old in zip(files, before, strict=True) if path.read_bytes() != old] == []


def test_a_quick_study_is_marked_in_title_and_table(page_of, page):
    quick = page_of(models=FEW, repeats=3, quick=True)
    assert "(quick)" in quick.text("head").split("tenfold report")[0]
    assert "QUICK" in quick.text("head")
    assert "QUICK" in quick.text("table").split("Model")[0]
    assert "This is a quick study" in quick.text("limits")
    assert "QUICK" not in page.html


NASTY = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "$x_1$ & 50 % \\frac{",
    "$",
    "名前 模型",
    "a\nb\x07c",
    "]]>",
    "a very long name " * 10,
]


def test_odd_names_are_harmless(page_of):
    odd = page_of(
        models=dict.fromkeys(NASTY, (0.8, 0.02, True, 3, (80.0, 1.0))),
        repeats=3,
        command=" ".join(NASTY),
        diverged=[(name, 0) for name in NASTY],
    )
    assert odd.named("script") == odd.named("img") == []
    assert not any(attribute.startswith("on") for _, attributes in odd.tags for attribute in attributes)
    assert odd.broken == []
    assert [attributes["id"] for attributes in odd.named("section")] == ORDER
    for name in NASTY:
        for section in ("verdict", "table", "placement", "runs", "command"):
            assert " ".join(name.split()) in odd.text(section)


@pytest.mark.parametrize(
    ("variant", "left_out"),
    [
        ({"models": ONE}, set()),
        ({"models": FEW, "repeats": 1}, set()),
        ({"models": FEW, "published": False}, set()),
        ({"models": FEW, "predictions": False}, {"confusion", "roc", "hardest"}),
        ({"models": FEW, "repeats": 2, "diverged": "all"}, {"strips", "confusion", "roc"}),
        ({"models": ONE, "repeats": 1, "diverged": "all"}, {"strips", "confusion", "roc"}),
    ],
    ids=["one model", "one repeat", "nothing published", "no predictions", "all diverged", "one run, diverged"],
)  # fmt: skip
def test_it_works_for_sparse_records(page_of, variant, left_out):
    sparse = page_of(**variant)
    assert [attributes["id"] for attributes in sparse.named("section")] == [s for s in ORDER if s not in left_out]
    assert sparse.broken == []
    assert "nan" not in sparse.text("verdict") + sparse.text("table") + sparse.text("placement")
    assert "Digit accuracy" not in sparse.text("table")
    if variant.get("diverged") == "all":
        assert "No run has ended with a score" in sparse.text("verdict")


def test_an_unfinished_record_says_so(example, tmp_path):
    with Record.create(
        tmp_path / "s", study_toml="", study={"name": "s", "repeats": 2, "models": [{"name": "a"}, {"name": "b"}]},
        environment={}, metrics=example.METRICS, command="c", quick=False,
    ):  # fmt: skip
        html = write_report(tmp_path / "s").read_text(encoding="utf-8")
    assert "Not finished." in html
    assert "a: 2 of 2 runs have not ended yet." in html


def test_settings_of_a_sweep_are_rows_of_their_own(example, tmp_path, page_of):
    from tenfold.record import RunRow

    study = {"name": "sweep", "repeats": 3, "models": [{"name": "CNN"}]}
    with Record.create(
        tmp_path / "s", study_toml="", study=study, environment={}, metrics=example.METRICS, command="c", quick=False,
        variants={"CNN": [{"swept": {"lr": number}} for number in range(30)]},
    ) as record:  # fmt: skip
        for number in range(30):
            rows = [
                RunRow(
                    variant=number, repeat=r, status="finished", epochs=1,
                    scores={"accuracy": 0.5 + 0.01 * number + 0.001 * r * (-1) ** number},
                )
                for r in range(3)
            ]  # fmt: skip
            record.finish_runs("CNN", rows)
            record.save_epochs("CNN", [(number, r, 1, "test", "accuracy", 0.5) for r in range(3)])
    html = write_report(tmp_path / "s").read_text(encoding="utf-8")
    assert html.count("CNN (lr=29)") > 2
    assert len(html) < 3_000_000


def test_damaged_and_missing_files_cost_their_part_and_are_said(example, tmp_path):
    folder = example.build(tmp_path / "study", models=FEW, repeats=2)
    os.truncate(folder / "predictions" / "large.npz", 100)
    os.truncate(folder / "predictions" / "gallery.npz", 100)
    (folder / "environment.json").unlink()
    html = write_report(folder).read_text(encoding="utf-8")
    assert html.count("could not be drawn") == 2  # once a file
    assert "The figures &#39;Confusion matrices&#39;, &#39;ROC curves&#39; could not be drawn" in html
    assert "The figure &#39;Hardest examples&#39; could not be drawn" in html
    assert "large.npz is damaged or cut off" in html
    assert "gallery.npz is damaged or cut off" in html
    assert "The environment is not known: no file" in html
    assert 'id="strips"' in html
    assert 'id="roc"' not in html


def test_no_record_is_an_error(tmp_path):
    with pytest.raises(RecordError, match="no record in"):
        write_report(tmp_path)
