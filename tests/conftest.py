"""Common to all tests: where real data is, and what is skipped without it."""

from __future__ import annotations

import os
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
