"""Common to all tests: where real data is, and what is skipped without it, a GPU or a network."""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent
SHARED = REPOSITORY.parent / "shared"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    have_data = bool(os.environ.get("TENFOLD_DATA")) or (SHARED / "data").is_dir()
    for item in items:
        if item.get_closest_marker("real_data") and not have_data:
            item.add_marker(pytest.mark.skip(reason="real data sets not at hand (set TENFOLD_DATA)"))
        if item.get_closest_marker("network") and not os.environ.get("TENFOLD_NETWORK_TESTS"):
            item.add_marker(pytest.mark.skip(reason="needs the internet (set TENFOLD_NETWORK_TESTS=1)"))
        if item.get_closest_marker("gpu") and not _have_gpu():
            item.add_marker(pytest.mark.skip(reason="needs a CUDA device"))


def _have_gpu() -> bool:
    import torch

    return torch.cuda.is_available()


@pytest.fixture(scope="session")
def prepared_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for ``TENFOLD_DATA`` with the real sets: the one that is set, or one made of the development copies.

    Tests that use it carry the marker ``real_data``, which skips them where there is neither.
    """
    if chosen := os.environ.get("TENFOLD_DATA"):
        return Path(chosen)
    script = REPOSITORY / "scripts" / "prepare_shared.py"
    spec = importlib.util.spec_from_file_location("prepare_shared", script)
    assert spec is not None
    assert spec.loader is not None
    prepare_shared = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = prepare_shared  # dataclasses look their module up
    spec.loader.exec_module(prepare_shared)
    folder = tmp_path_factory.mktemp("prepared")
    assert prepare_shared.main([str(SHARED / "data"), str(folder)]) == 0
    return folder
