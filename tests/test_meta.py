"""The house rules that a machine can check, each with a twin that proves that its check can fail."""

from __future__ import annotations

import ast
import importlib
import inspect
import pkgutil
import subprocess
import sys
import traceback
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from torch import nn

import tenfold
from tenfold.cli import main
from tenfold.config import built_in_studies, load_study
from tenfold.datasets import DATASETS, Dataset
from tenfold.errors import StudyError
from tenfold.models import MODELS
from tenfold.tasks import TASKS, ComparePairs

PACKAGE = Path(tenfold.__file__).parent

# Who may import whom: arrows go one way. "tenfold" is the version and nothing else.
ARROWS = {
    "errors": "",
    "published": "errors",
    "wording": "",
    "files": "errors",
    "seeds": "",
    "on_demand": "",
    "source": "",
    "own_files": "errors source",
    "datasets": "errors seeds files",
    "metrics": "errors",
    "retrieval": "datasets errors files",
    "models": "errors on_demand own_files seeds source",
    "losses": "errors seeds",
    "recipe": "wording",
    "sampling": "errors recipe seeds",
    "tasks": "datasets errors losses metrics on_demand own_files recipe retrieval sampling seeds wording",
    "stack": "seeds errors",
    "train": "models files stack metrics tasks recipe sampling seeds errors wording",
    "execute": "models files own_files stack tasks train recipe sampling seeds errors wording",
    "stats": "errors wording",
    "record": "errors files metrics published stats wording",
    "report": "errors files metrics record stats tenfold wording",
    "environment": "execute tenfold",
    "config": "tasks metrics models recipe errors published",
    "events": "execute",
    "progress": "events metrics",
    "train_model": "errors events record tasks train execute",
    "certify": "errors events record tasks train execute wording",
    "export": "datasets errors models own_files recipe record retrieval sampling seeds",
    "study": "tasks metrics models own_files train execute record recipe sampling errors config environment events "
    "progress train_model certify export wording",
    "cli": "study events progress config report record recipe published metrics stats tasks models datasets errors "
    "execute source tenfold wording",
    "__init__": "errors on_demand record report retrieval config stack study export",
    "__main__": "cli",
}
NO_TORCH = ("errors", "files", "published", "wording", "datasets", "metrics", "stats", "record", "report", "cli")


# -- arrows -----------------------------------------------------------------------------------------------------------


def imports(path: Path, root: Path) -> Iterator[str]:
    """Dotted names of all that a file imports, also inside functions and for type checkers only."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relative to itself: the arrows could not be read"
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                yield inner if node.module == "tenfold" and is_unit(root, alias.name) else str(node.module)


def is_unit(root: Path, name: str) -> bool:
    return (root / name).is_dir() or (root / f"{name}.py").is_file()


def unit(path: Path, root: Path) -> str:
    return path.relative_to(root).parts[0].removesuffix(".py")


def wrong_arrows(root: Path) -> list[str]:
    """Imports against the table, and units that the table does not know."""
    found = []
    for path in sorted(root.rglob("*.py")):
        mine = unit(path, root)
        if mine not in ARROWS:
            found.append(f"{mine} has no line in the table")
            continue
        for name in imports(path, root):
            top, _, rest = name.partition(".")
            other = rest.partition(".")[0] or "tenfold"
            if top == "torch" and mine in NO_TORCH:
                found.append(f"{mine} imports torch ({path.name})")
            elif top == "tenfold" and other != mine and other not in ARROWS[mine].split():
                found.append(f"{mine} imports {other} ({path.name})")
    return found


def test_imports_follow_the_arrows() -> None:
    assert wrong_arrows(PACKAGE) == []


def test_arrows_have_no_circle() -> None:
    left = {name: set(allowed.split()) - {"tenfold"} for name, allowed in ARROWS.items()}
    while free := [name for name, allowed in left.items() if not allowed & left.keys()]:
        for name in free:
            del left[name]
    assert left == {}


def circles(root: Path) -> list[list[str]]:
    """Files that import each other, directly or through others, also inside functions; not for type checkers only."""
    files = {".".join((root.name, *path.relative_to(root).with_suffix("").parts)): path for path in root.rglob("*.py")}
    left: dict[str, set[str]] = {}
    for name, path in files.items():
        found = {module for node in ast.walk(ast.parse(path.read_text())) for module in imported_files(node, files)}
        left[name] = found - {name, f"{root.name}.__init__"}  # which imports nothing before it is asked to
    while free := [name for name, needed in left.items() if not needed & left.keys()]:
        for name in free:
            del left[name]
    return [sorted(left)] if left.keys() - {f"{root.name}.__init__"} else []


def imported_files(node: ast.AST, files: dict[str, Path]) -> Iterator[str]:
    if isinstance(node, ast.ImportFrom):
        for alias in node.names:
            candidates = (f"{node.module}.{alias.name}", f"{node.module}.{alias.name}.__init__", str(node.module))
            yield from [name for name in (*candidates, f"{node.module}.__init__") if name in files][:1]


def test_no_files_import_each_other() -> None:
    assert circles(PACKAGE) == []


def test_circles_of_files_are_found(tmp_path: Path) -> None:
    package = tmp_path / "tenfold"
    (package / "a").mkdir(parents=True)
    (package / "a" / "__init__.py").write_text("from tenfold.a._b import f\n")
    (package / "a" / "_b.py").write_text("def f():\n    from tenfold.a import g\n")
    (package / "c.py").write_text("from tenfold.a import f\n")
    assert circles(package) == [["tenfold.a.__init__", "tenfold.a._b", "tenfold.c"]]


def test_wrong_arrows_are_found(tmp_path: Path) -> None:
    (tmp_path / "stats").mkdir()
    (tmp_path / "study.py").write_text("from tenfold import train, record\nfrom tenfold.report import write_report\n")
    (tmp_path / "report.py").touch()
    (tmp_path / "train.py").touch()
    (tmp_path / "record.py").touch()
    (tmp_path / "stats" / "_a.py").write_text("def f():\n    import torch.nn\n    from tenfold import study\n")
    (tmp_path / "stats" / "_b.py").write_text("if 0:\n    import tenfold.datasets\nfrom tenfold import __version__\n")
    (tmp_path / "helpers.py").touch()
    assert sorted(wrong_arrows(tmp_path)) == [
        "helpers has no line in the table",
        "stats imports datasets (_b.py)",
        "stats imports study (_a.py)",
        "stats imports tenfold (_b.py)",
        "stats imports torch (_a.py)",
        "study imports report (study.py)",
    ]


# -- cheap import -----------------------------------------------------------------------------------------------------


def loads_torch(program: str) -> bool:
    """Whether torch is loaded in a fresh process after a program."""
    done = subprocess.run(
        [sys.executable, "-c", f"import sys\n{program}\nprint('torch' in sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.split()[-1] == "True"


@pytest.mark.parametrize("name", ["tenfold", "tenfold.cli", "tenfold.datasets", "tenfold.stats", "tenfold.report"])
def test_import_loads_no_torch(name: str) -> None:
    assert not loads_torch(f"import {name}")


def test_a_public_name_that_needs_torch_loads_it() -> None:
    assert loads_torch("from tenfold import Stack")


# -- public names -----------------------------------------------------------------------------------------------------


def all_modules() -> list[ModuleType]:
    names = [found.name for found in pkgutil.walk_packages(tenfold.__path__, "tenfold.")]
    return [tenfold, *(importlib.import_module(name) for name in names if not name.endswith("__main__"))]


def unresolved(modules: Iterable[ModuleType]) -> list[str]:
    """Names in ``__all__`` that are not there."""
    found = []
    for module in modules:
        for name in getattr(module, "__all__", ()):
            try:
                getattr(module, name)
            except AttributeError:
                found.append(f"{module.__name__}.{name}")
    return found


def undocumented(modules: Iterable[ModuleType]) -> list[str]:
    """Modules, public classes and functions without a docstring of their own."""
    found = []
    for module in modules:
        found += [] if module.__doc__ else [module.__name__]
        for name in getattr(module, "__all__", ()):
            value = getattr(module, name, None)
            # A class without a docstring would show that of its parent.
            text = vars(value).get("__doc__") if inspect.isclass(value) else getattr(value, "__doc__", None)
            generated = inspect.isclass(value) and (text or "").startswith(f"{value.__name__}(")  # by dataclass
            if (inspect.isclass(value) or inspect.isfunction(value)) and (not text or generated):
                found.append(f"{module.__name__}.{name}")
    return found


def test_every_public_name_resolves() -> None:
    modules = all_modules()
    assert sum(len(getattr(module, "__all__", ())) for module in modules) > 100
    assert unresolved(modules) == []


def test_every_public_name_is_documented() -> None:
    assert undocumented(all_modules()) == []


def test_missing_names_and_docstrings_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "bare_names.py").write_text(
        "from dataclasses import dataclass\n__all__ = ['A', 'B', 'f', 'g', 'gone', 'C']\n"
        "class A(ValueError): pass\n@dataclass\nclass B:\n    x: int\ndef f(): pass\ndef g(): 'Says.'\nC = (1, 2)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    module = importlib.import_module("bare_names")
    assert unresolved([module]) == ["bare_names.gone"]
    assert undocumented([module]) == ["bare_names", "bare_names.A", "bare_names.B", "bare_names.f"]


# -- lists equal what is on disk --------------------------------------------------------------------------------------


def public_modules(package: str) -> list[ModuleType]:
    """The modules of a package that are no helpers."""
    paths = sorted((PACKAGE / package).rglob("*.py"))
    stems = [path.relative_to(PACKAGE).with_suffix("").parts for path in paths if not path.stem.startswith("_")]
    return [importlib.import_module(".".join(("tenfold", *parts))) for parts in stems]


def classes_in(modules: Iterable[ModuleType], kind: type) -> set[type]:
    """Public classes of a kind that are defined in the modules."""
    return {
        value
        for module in modules
        for name, value in vars(module).items()
        if inspect.isclass(value) and issubclass(value, kind) and value.__module__ == module.__name__ and name[0] != "_"
    }


def test_the_list_of_models_is_what_the_files_hold() -> None:
    found = classes_in(public_modules("models"), nn.Module)
    assert found
    assert set(MODELS.values()) == found
    assert len(MODELS) == len(found)


def test_the_list_of_tasks_is_what_the_files_hold() -> None:
    modules = public_modules("tasks")
    assert modules
    assert {kind.replace("-", "_") for kind in TASKS} == {module.__name__.rpartition(".")[2] for module in modules}
    for kind, task in TASKS.items():
        assert task.spec.kind == kind
        assert task.__module__ == f"tenfold.tasks.{kind.replace('-', '_')}"


def test_the_list_of_data_sets_is_what_the_files_hold() -> None:
    found = {
        value.name: value
        for module in public_modules("datasets")
        for value in vars(module).values()
        if isinstance(value, Dataset)
    }
    assert found
    assert {dataset.name: dataset for dataset in DATASETS} == found


def test_a_class_that_is_in_no_list_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "more_models.py").write_text(
        "from torch import nn\nclass Listed(nn.Module): pass\nclass Forgotten(nn.Module): pass\n"
        "class _Part(nn.Module): pass\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    module = importlib.import_module("more_models")
    assert classes_in([module], nn.Module) == {module.Listed, module.Forgotten}


# -- studies ----------------------------------------------------------------------------------------------------------


def test_every_built_in_study_loads() -> None:
    files = {path.stem for path in (PACKAGE / "studies").rglob("*.toml")}
    assert files
    assert set(built_in_studies()) == files
    for name in files:
        study = load_study(name)
        assert (study.name, bool(study.title), bool(study.description), bool(study.quick)) == (name, True, True, True)


def test_a_study_with_a_fault_does_not_load(tmp_path: Path) -> None:
    text = (PACKAGE / "studies" / "quickstart.toml").read_text().replace("epochs", "epoch", 1)
    (tmp_path / "quickstart.toml").write_text(text)
    with pytest.raises(StudyError, match="unknown key 'train.epoch'; did you mean 'epochs'"):
        load_study(tmp_path / "quickstart.toml")


def test_the_reference_of_a_study_file_is_up_to_date() -> None:
    root = PACKAGE.parent
    program = (
        "import runpy; found = runpy.run_path('scripts/write_reference.py')['generated'](); print(found.keys());"
        "from pathlib import Path;"
        "old = [name for name, text in found.items() if (Path('docs') / name).read_text() != text]; print(old)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=root)
    assert "study-file.md" in done.stdout
    assert done.stdout.endswith("[]\n"), "run python scripts/write_reference.py"


# -- the way to a loss ------------------------------------------------------------------------------------------------


def test_the_way_from_the_command_to_a_loss_is_short(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """At most 8 calls of ours stand between the command line and a task's loss, where runs are not in a stack."""
    ways: set[tuple[str, ...]] = set()
    loss = ComparePairs.loss

    def noting(self: ComparePairs, *arguments: Any) -> Any:
        frames = [frame for frame in traceback.extract_stack() if Path(frame.filename).is_relative_to(PACKAGE)]
        ways.add(tuple(f"{Path(frame.filename).stem}.{frame.name}" for frame in frames))
        return loss(self, *arguments)

    monkeypatch.setattr(ComparePairs, "loss", noting)
    command = ["run", "quickstart", "--model", "Baseline", "--repeats", "1", "--epochs", "1", "--placement", "loop"]
    with pytest.raises(SystemExit, match="0"):
        main([*command, "--out", str(tmp_path / "record")])
    in_training = [way for way in ways if "_loop.train_epochs" in way]
    assert in_training
    assert max(map(len, in_training)) <= 8, in_training
