"""Files of the user's own: which files a file needs. How classes are found in them: tests/models/test_find.py."""

from __future__ import annotations

from pathlib import Path

import pytest

from tenfold.own_files import own_path, own_sources


def write(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


def test_a_file_and_those_beside_it_that_it_imports(tmp_path: Path) -> None:
    write(
        tmp_path,
        {
            "nets.py": "import torch\nimport layers, gone\nfrom parts import blocks\ndef f():\n    import late\n",
            "layers.py": "import nets  # a circle\nfrom package.deep.inner import x\nimport package.other as y\n",
            "parts/blocks.py": "from parts.more import *\n",  # a folder without __init__.py is a package too
            "parts/more.py": "",
            "late.py": "from . import nothing_that_exists, broken\n",
            "broken.py": "def (",
            "package/__init__.py": "from .first import *\n",
            "package/first.py": "from ..layers import x\nfrom . import second\n",
            "package/second.py": "",
            "package/other.py": "",
            "package/unused.py": "",
            "package/deep/__init__.py": "",
            "package/deep/inner.py": "from .. import first\n",
            "unused.py": "",
            "torch.txt": "",
        },
    )
    found = own_sources(tmp_path / "nets.py")
    assert list(found) == [
        "broken.py",
        "late.py",
        "layers.py",
        "nets.py",
        "package/__init__.py",
        "package/deep/__init__.py",
        "package/deep/inner.py",
        "package/first.py",
        "package/other.py",
        "package/second.py",
        "parts/blocks.py",
        "parts/more.py",
    ]
    assert all((tmp_path / name).read_bytes() == content for name, content in found.items())


def test_nothing_outside_the_folder(tmp_path: Path) -> None:
    write(tmp_path, {"outside.py": "", "mine/net.py": "from .. import outside\nfrom ... import more\nimport os.path\n"})
    assert list(own_sources(tmp_path / "mine" / "net.py")) == ["net.py"]


@pytest.mark.parametrize("reference", ["sub/net.py:Net", "./sub/../sub/net.py:Net"])
def test_a_reference_is_relative_to_the_study(tmp_path: Path, reference: str) -> None:
    assert own_path(reference, tmp_path) == tmp_path / "sub" / "net.py"
    assert own_path(f"{tmp_path}/net.py:Net", Path("/elsewhere")) == tmp_path / "net.py"
