"""Tables that fit: columns fall away before lines break, and Markdown stays Markdown."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import Result

from tenfold import Results
from tenfold.cli._tables import Column, results_table, table, verdict_text

COLUMNS = [
    Column("Model", ["CNN", "a|b", "网络"], right=False),
    Column("Score", ["81.0", "7.5", "-"]),
    Column("More", ["long text", "", ""], optional=True),
]


def test_a_terminal_gets_aligned_columns() -> None:
    assert table(COLUMNS, 80).splitlines() == [
        "Model  Score       More",
        "─────  ─────  ─────────",
        "CNN     81.0  long text",
        "a|b      7.5",
        "网络       -",
    ]


def test_optional_columns_fall_away_where_it_is_narrow() -> None:
    assert table(COLUMNS, 22).splitlines()[0] == "Model  Score"
    assert table(COLUMNS, 3).splitlines()[0] == "Model  Score"


def test_markdown_where_there_is_no_terminal() -> None:
    assert table(COLUMNS, None).splitlines() == [
        "| Model | Score | More |",
        "| --- | ---: | ---: |",
        "| CNN | 81.0 | long text |",
        "| a\\|b | 7.5 |  |",
        "| 网络 | - |  |",
    ]


@pytest.mark.parametrize("width", [80, 100, 160])
def test_results_fit_the_terminal(first: tuple[Path, Result], width: int) -> None:
    results = Results(first[0])
    text = f"{results_table(results, width)}\n{verdict_text(results, width)}"
    assert max(map(len, text.splitlines())) <= width
    assert "Published" in text
    assert ("Class accuracy %" in text) == (width == 160)


def test_single_published_figures_are_placed_and_not_tested(first: tuple[Path, Result]) -> None:
    results = Results(first[0])
    line = next(line for line in results_table(results, None).splitlines() if line.startswith("| Siamese CNN |"))
    assert "| 80.10 | 0/2 above |" in line
