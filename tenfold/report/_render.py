"""A matplotlib figure as SVG to inline in a page, and as PDF, PNG and CSV files."""

from __future__ import annotations

import contextlib
import csv
import io
import re
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

from tenfold.files import atomic_write
from tenfold.report.figures._canvas import COLOURS
from tenfold.report.figures._numbers import Row

__all__ = ["draw", "inline_svg", "save_files", "save_numbers"]

# Text stays text (small, selectable, in the page's font); ids depend only on the content.
_SETTINGS = {"svg.fonttype": "none", "svg.hashsalt": "tenfold", "pdf.fonttype": 42}
_NO_DATES = {"pdf": {"CreationDate": None, "Producer": None, "Creator": None}, "png": {"Software": None}}


@contextlib.contextmanager
def _fixed_style() -> Iterator[None]:
    """Matplotlib with its default settings and ours, whatever the user's matplotlibrc says; restored afterwards."""
    with mpl.rc_context(), warnings.catch_warnings():
        mpl.rcdefaults()
        for key, value in _SETTINGS.items():
            mpl.rcParams[key] = value  # pyright: ignore[reportArgumentType]
        # The font of the page has the glyphs that ours lacks.
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        yield


def draw(function: Callable[..., Figure], found: Any, width: float) -> Figure:
    """Call a figure's ``draw`` with what its ``collect`` found, under the fixed style."""
    with _fixed_style():
        return function(found, width=width)


def inline_svg(figure: Figure, *, prefix: str, label: str) -> str:
    """The figure as an ``<svg>`` element: colours as CSS variables, unique ids, no outside reference.

    Args:
        figure: drawn in the colours of ``COLOURS``.
        prefix: letters, digits and dashes; must differ between the figures of one page.
        label: what the figure shows, for people who cannot see it; plain text.
    """
    buffer = io.StringIO()
    with _fixed_style():
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    return _for_a_page(buffer.getvalue(), prefix, label)


def _for_a_page(svg: str, prefix: str, label: str) -> str:
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    # Matplotlib's <style> would apply to the whole page; the report's style sheet has the same rules for figures alone.
    svg = re.sub(r"<style.*?</style>", "", svg, flags=re.DOTALL)
    view = re.search(r'viewBox="([^"]+)"', svg)
    safe = label.replace("&", "&amp;").replace('"', "&quot;").replace("<", "&lt;").replace(">", "&gt;")
    box = view[1] if view else "0 0 100 100"
    svg = re.sub(r"<svg[^>]*>", lambda _: f'<svg viewBox="{box}" role="img" aria-label="{safe}">', svg, count=1)
    svg = re.sub(r' id="(?:figure|axes|patch|line2d|text|xtick|ytick|matplotlib\.axis|Fill|Poly)[\w.]*"', "", svg)
    svg = re.sub(r' id="', f' id="{prefix}-', svg)
    svg = re.sub(r'href="#', f'href="#{prefix}-', svg).replace("url(#", f"url(#{prefix}-")
    svg = re.sub(r'; font-family: [^;"]*|font-family: [^;"]*; ?', "", svg)
    svg = re.sub(r'font: ((?:[\w.]+ )*[\d.]+px)[^;"]*', r"font: \1 var(--font)", svg)
    svg = re.sub(r' transform="rotate\(-?0 [^)]*\)"', "", svg)
    for name, colour in COLOURS.items():
        svg = svg.replace(colour, f"var(--{name})")
    svg = _outside_data(svg, lambda part: re.sub(r"(\d+\.\d{2})\d+", r"\1", part))
    return re.sub(r">\s+<", "><", svg).strip()


def _outside_data(svg: str, change: Callable[[str], str]) -> str:
    """Change all but the embedded images and the texts."""
    parts = re.split(r'("data:[^"]*"|<text.*?</text>)', svg, flags=re.DOTALL)
    return "".join(part if number % 2 else change(part) for number, part in enumerate(parts))


def save_files(figure: Figure, folder: Path, name: str) -> None:
    """Write ``name.pdf`` and ``name.png`` on white, for papers and slides."""
    with _fixed_style():
        for kind in ("pdf", "png"):
            with atomic_write(folder / f"{name}.{kind}") as file:
                figure.savefig(file, format=kind, dpi=160, facecolor="white", metadata=_NO_DATES[kind])


def save_numbers(rows: Sequence[Row], path: Path) -> None:
    """Write the numbers of a figure as CSV, with the names of the columns on the first line.

    Args:
        rows: all with the same columns; None becomes an empty cell. Nothing is written without any.
        path: of the file.
    """
    if not rows:
        return
    with atomic_write(path, "w") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
