"""Realistic records and their reports, made once for all tests here."""

from __future__ import annotations

import importlib.util
from html.parser import HTMLParser
from pathlib import Path

import pytest

from tenfold.report import write_report

VOID = {"meta", "br", "img", "link", "hr", "input"}


def _load(name: str):
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Page(HTMLParser):
    """A parsed page: tags with attributes, text by section, whether every tag is closed."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.html = html
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.sections: dict[str, list[str]] = {}
        self.open: list[str] = []
        self.broken: list[str] = []
        self._section = "head"
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.tags.append((tag, found))
        if tag == "section":
            self._section = found.get("id") or ""
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.broken.append(tag)

    def handle_data(self, data: str) -> None:
        if not (self.open and self.open[-1] == "style"):
            self.sections.setdefault(self._section, []).append(data)

    def text(self, section: str) -> str:
        return " ".join(" ".join(self.sections.get(section, [])).split())

    def named(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


@pytest.fixture(scope="session")
def example():
    """The module that builds records."""
    return _load("example_record")


@pytest.fixture(scope="session")
def report(example, tmp_path_factory) -> Path:
    """The folder of the full example, with its report."""
    folder = example.build(tmp_path_factory.mktemp("report") / "mnist-pairs")
    write_report(folder)
    return folder


@pytest.fixture(scope="session")
def match_report(example, tmp_path_factory) -> Path:
    """The folder of the example of matching, with its report."""
    folder = example.build_match(tmp_path_factory.mktemp("report") / "match")
    write_report(folder)
    return folder


@pytest.fixture(scope="session")
def sequence_report(example, tmp_path_factory) -> Path:
    """The folder of the example of sequences, with its report."""
    folder = example.build_sequences(tmp_path_factory.mktemp("report") / "sensors")
    write_report(folder)
    return folder


@pytest.fixture(scope="session")
def example_reconstructions():
    """The module that builds records of reconstructions."""
    return _load("example_reconstructions")


@pytest.fixture(scope="session")
def image_report(example_reconstructions, tmp_path_factory) -> Path:
    """The folder of the example of reconstructed images, with its report."""
    folder = example_reconstructions.build(tmp_path_factory.mktemp("report") / "images")
    write_report(folder)
    return folder


@pytest.fixture(scope="session")
def vector_report(example_reconstructions, tmp_path_factory) -> Path:
    """The folder of the example of reconstructed vectors, with its report."""
    folder = example_reconstructions.build(tmp_path_factory.mktemp("report") / "vectors", shape=(24,))
    write_report(folder)
    return folder


@pytest.fixture(scope="session")
def page(report) -> Page:
    return Page((report / "report.html").read_text(encoding="utf-8"))


@pytest.fixture(scope="session")
def match_page(match_report) -> Page:
    return Page((match_report / "report.html").read_text(encoding="utf-8"))


@pytest.fixture(scope="session")
def sequence_page(sequence_report) -> Page:
    return Page((sequence_report / "report.html").read_text(encoding="utf-8"))


@pytest.fixture
def page_of(example, tmp_path):
    """Build a variant of the example record, report it, parse it."""

    def make(**variant) -> Page:
        path = write_report(example.build(tmp_path / "study", **variant))
        assert path == tmp_path / "study" / "report.html"
        return Page(path.read_text(encoding="utf-8"))

    return make
