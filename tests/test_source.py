"""Arguments read from the source are those of the running class, or are left to be asked there."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import get_type_hints

import pytest

from tenfold.models import ESTIMATORS, MODELS
from tenfold.models._find import _is_scalar
from tenfold.source import Arguments, definitions, first_line, may_have, read_arguments


def written(folder: Path, text: str) -> Path:
    path = folder / "nets.py"
    path.write_text(text)
    return path


@pytest.mark.parametrize("name", [*MODELS, *ESTIMATORS])
def test_a_built_in_class_is_read_as_it_is(name: str) -> None:
    listed = MODELS if name in MODELS else ESTIMATORS
    kind, found = listed[name], read_arguments(*listed.source(name))
    assert found is not None
    assert found.names == set(inspect.signature(kind).parameters)
    hints = get_type_hints(kind.__init__)
    assert found.scalars == {key for key, hint in hints.items() if key != "return" and _is_scalar(hint)}
    assert first_line(*listed.source(name)) == (inspect.getdoc(kind) or "").partition("\n")[0] != ""


@pytest.mark.parametrize(
    ("text", "names", "scalars"),
    [
        ("class Net(Base):\n def __init__(self, a, *, b: int = 3): ...", {"a", "b"}, {"b"}),
        ("def Net(a, /, b: 'float | None', c: list[int] = ()): ...", {"b", "c"}, {"b"}),
        ("class A:\n def __init__(self, a): ...\nclass Net(A): ...", {"a"}, set()),
        ("class Net:\n def __init__(self, a: typing.Optional[int], **more): ...", None, {"a"}),
        ("def Net(a: Literal['x', 3], b: Union[int, list]): ...", {"a", "b"}, {"a"}),
    ],
)
def test_arguments_of_ones_own(tmp_path: Path, text: str, names: set[str] | None, scalars: set[str]) -> None:
    expected = Arguments(None if names is None else frozenset(names), frozenset(scalars))
    assert read_arguments(written(tmp_path, text), "Net") == expected


@pytest.mark.parametrize(
    "text",
    [
        "class Net(Base): ...",
        "@wrap\nclass Net:\n def __init__(self, a): ...",
        "class Net:\n @wrap\n def __init__(self, a): ...",
        "class Net(metaclass=M):\n def __init__(self, a): ...",
        "class Net:\n def __new__(cls, a): ...\n def __init__(self, a): ...",
        "class Net:\n def __init__(self, a): ...\nNet = wrap(Net)",
        "class Net:\n def __init__(self, a): ...\nNet.__init__ = other",
        "class Net:\n def __init__(self, a): ...\nif True:\n class Net: ...",
        "class Net:\n def __init__(self, a): ...\nfrom other import *",
        "class Net:\n def __init__(self, a): ...\n __init__ = wrap(__init__)",
        "class Net(Net): ...",
        "from other import Net",
        "Net = partial(Other, a=1)",
        "def Net(: no Python",
    ],
)
def test_what_only_running_the_file_tells_is_left_to_it(tmp_path: Path, text: str) -> None:
    assert read_arguments(written(tmp_path, text), "Net") is None


def test_a_file_that_changes_is_read_again(tmp_path: Path) -> None:
    path = written(tmp_path, "def Net(a): ...")
    assert read_arguments(path, "Net").names == {"a"}  # type: ignore[union-attr]
    path.write_text("def Net(bb): ...")
    assert read_arguments(path, "Net").names == {"bb"}  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("text", "may"),
    [
        ("class Other: ...", False),
        ("def Other(): ...\n# Net", False),
        ("if True:\n from a import Net", True),
        ("for Net in (1, 2): ...", True),
        ("from a import *", True),
        ("globals()['Ne' + 't'] = 3", True),
        ("def Net(: no Python", True),
    ],
)
def test_names_that_a_file_cannot_have(tmp_path: Path, text: str, may: bool) -> None:
    path = written(tmp_path, text)
    assert may_have(path, "Net") == may
    assert "Net" not in definitions(path)
