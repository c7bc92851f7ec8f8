"""Files of the user's own in several folders: each imports those beside it, as they are on disk."""

from __future__ import annotations

import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tenfold.errors import RequestError
from tenfold.own_files import held, import_own, import_own_file, install, own_file_of, snapshot


def write(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


def own(path: Path, name: str = "WIDTH") -> Any:
    return getattr(import_own_file(path), name)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("from layers import WIDTH", "layers.py"),
        ("import layers\nWIDTH = layers.WIDTH", "layers.py"),
        ("import layers as l\nWIDTH = l.WIDTH", "layers.py"),
        ("from .layers import WIDTH", "layers.py"),
        ("from parts.layers import WIDTH", "parts/layers.py"),
        ("import parts.layers\nWIDTH = parts.layers.WIDTH", "parts/layers.py"),
        ("from parts import layers\nWIDTH = layers.WIDTH", "parts/layers.py"),
        ("import importlib\nWIDTH = importlib.import_module('layers').WIDTH", "layers.py"),
        ("from importlib import import_module\nWIDTH = import_module('layers').WIDTH", "layers.py"),
        ("WIDTH = __import__('layers').WIDTH", "layers.py"),
        (
            "import os, sys\nsys.path.append(os.path.dirname(__file__) + '/lib')\nfrom layers import WIDTH",
            "lib/layers.py",
        ),
    ],
)
def test_files_of_one_name_in_two_folders_stay_apart(tmp_path: Path, text: str, name: str) -> None:
    for folder, width in (("a", 4), ("b", 64)):
        write(tmp_path / folder, {"net.py": text, name: f"WIDTH = {width}"})
    path, loaded = list(sys.path), set(sys.modules)
    assert own(tmp_path / "a" / "net.py") == 4
    sys.path[:] = path  # what a script puts there, it keeps
    assert own(tmp_path / "b" / "net.py") == 64
    sys.path[:] = path
    assert not {"layers", "parts", "net"} & (set(sys.modules) - loaded)


def test_an_import_inside_a_function_finds_its_own_folder_later(tmp_path: Path) -> None:
    for folder, width in (("a", 4), ("b", 64)):
        text = "def width():\n    from layers import WIDTH\n    return WIDTH"
        write(tmp_path / folder, {"net.py": text, "layers.py": f"WIDTH = {width}"})
    both = [own(tmp_path / folder / "net.py", "width") for folder in ("a", "b")]
    assert [width() for width in both] == [4, 64]


@pytest.mark.parametrize("edited", ["net.py", "layers.py", "deep/more.py"])
def test_an_edited_file_is_run_anew(tmp_path: Path, edited: str) -> None:
    files = {"net.py": "ONE = 1\nfrom layers import TWO, THREE", "layers.py": "TWO = 1\nfrom deep.more import THREE"}
    files["deep/more.py"] = "THREE = 1"
    write(tmp_path, files)
    module = import_own_file(tmp_path / "net.py")
    assert (module.ONE, module.TWO, module.THREE) == (1, 1, 1)
    assert import_own_file(tmp_path / "net.py") is module
    write(tmp_path, {edited: files[edited].replace("= 1", "= 2")})  # of the same length, within a second
    module = import_own_file(tmp_path / "net.py")
    assert sorted((module.ONE, module.TWO, module.THREE)) == [1, 1, 2]


def test_while_held_files_stay_as_they_were_read(tmp_path: Path) -> None:
    write(
        tmp_path, {"net.py": "def width():\n    from layers import WIDTH\n    return WIDTH", "layers.py": "WIDTH = 1"}
    )
    with held():
        width = own(tmp_path / "net.py", "width")
        write(tmp_path, {"layers.py": "WIDTH = 2"})
        assert width() == 1
        assert own(tmp_path / "net.py", "width")() == 1
    assert own(tmp_path / "net.py", "width")() == 2


def test_another_process_runs_what_this_one_has_read(tmp_path: Path) -> None:
    write(tmp_path, {"net.py": "from layers import WIDTH\nclass Net:\n    width = WIDTH", "layers.py": "WIDTH = 1"})
    made = own(tmp_path / "net.py", "Net")
    assert own_file_of(made) == tmp_path / "net.py"
    (tmp_path / "sent").write_bytes(pickle.dumps((snapshot(), pickle.dumps(made()))))
    write(tmp_path, {"layers.py": "WIDTH = 2"})
    program = (
        "import pickle, sys; from tenfold.own_files import install\n"
        "files, net = pickle.loads(open(sys.argv[1], 'rb').read()); install(files); print(pickle.loads(net).width)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "sent")], capture_output=True, text=True, check=False
    )
    assert done.stdout == "1\n", done.stderr
    assert callable(install)


def test_a_file_that_fails_leaves_nothing_behind(tmp_path: Path) -> None:
    write(tmp_path, {"net.py": "from layers import WIDTH", "layers.py": "WIDTH = 1\n1 / 0"})
    with pytest.raises(RequestError, match="cannot be imported: ZeroDivisionError"):
        import_own("net.py:WIDTH", tmp_path, "module", like=callable)
    write(tmp_path, {"layers.py": "WIDTH = int"})
    assert import_own("net.py:WIDTH", tmp_path, "module", like=callable) is int


def test_the_standard_library_and_installed_packages_are_not_hidden(tmp_path: Path) -> None:
    write(
        tmp_path,
        {"net.py": "import json, numpy\nWIDTH = json.loads('1') + numpy.int64(1)", "json.py": "", "numpy.py": ""},
    )
    assert own(tmp_path / "net.py") == 2
