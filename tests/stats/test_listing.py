"""The package's list is what is on disk, every name resolves, and nothing heavy comes in."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

import tenfold.stats as stats

FOLDER = Path(stats.__file__).parent
HELPERS = {"_family", "_paired", "_prospect", "_sign_flips", "_verdict_words", "_wording"}  # no statistic of their own
ALLOWED = {"numpy", "scipy", "tenfold.errors", "tenfold.stats", "tenfold.wording"}


def files() -> list[Path]:
    found = sorted(FOLDER.rglob("_*.py"))
    assert len(found) > 10
    return [path for path in found if path.name != "__init__.py"]


def imported(source: str, *, top_only: bool = False) -> set[str]:
    """Modules a source text imports, apart from the standard library."""
    tree = ast.parse(source)
    nodes = tree.body if top_only else list(ast.walk(tree))
    names: set[str] = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return {name for name in names if name.split(".")[0] not in sys.stdlib_module_names}


def forbidden(names: set[str]) -> set[str]:
    return {name for name in names if not any(name == root or name.startswith(f"{root}.") for root in ALLOWED)}


def test_every_public_name_resolves_and_has_a_docstring() -> None:
    for name in stats.__all__:
        assert getattr(stats, name, None) is not None, name
        if callable(getattr(stats, name)):
            assert getattr(stats, name).__doc__, name
    assert len(set(stats.__all__)) == len(stats.__all__) > 20


def test_every_file_is_in_the_list() -> None:
    listed = {node.module for node in ast.parse((FOLDER / "__init__.py").read_text()).body if hasattr(node, "module")}
    on_disk = {f"tenfold.stats.{path.stem}" for path in files() if path.stem not in HELPERS}
    assert on_disk <= listed


def test_every_statistic_file_gives_a_name_with_an_example() -> None:
    for path in files():
        if path.stem not in HELPERS:
            assert ">>>" in path.read_text() or path.stem == "_verdict", path.name


@pytest.mark.parametrize("path", files(), ids=lambda path: path.stem)
def test_imports_only_numpy_scipy_and_what_has_no_imports(path: Path) -> None:
    assert forbidden(imported(path.read_text())) == set()


@pytest.mark.parametrize("path", files(), ids=lambda path: path.stem)
def test_scipy_stats_is_imported_only_where_it_is_needed(path: Path) -> None:
    assert not any(name.startswith("scipy.stats") for name in imported(path.read_text(), top_only=True))


def test_the_import_checks_can_fail() -> None:
    assert forbidden(imported("import torch")) == {"torch"}
    assert forbidden(imported("def f():\n    from tenfold.record import Results")) == {"tenfold.record.Results"}
    assert imported("from scipy import stats", top_only=True) == {"scipy.stats"}
    assert imported("def f():\n    from scipy import stats", top_only=True) == set()
