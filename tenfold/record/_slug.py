"""File names for models: safe on every system, and different for different models."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

__all__ = ["slugs"]

# Names that Windows keeps for devices, and the one file in predictions/ that does not belong to a model.
_RESERVED = {"con", "prn", "aux", "nul", "gallery", *(f"{port}{i}" for port in ("com", "lpt") for i in range(10))}
_LONGEST = 60


def slugs(names: Iterable[str]) -> dict[str, str]:
    """A file name (without ending) for each model name, in order; only a-z, 0-9 and single dashes.

    Example:
        >>> slugs(["Siamese CNN 3", "siamese cnn-3", "../x", "音"])
        {'Siamese CNN 3': 'siamese-cnn-3', 'siamese cnn-3': 'siamese-cnn-3-2', '../x': 'x', '音': 'model'}
    """
    taken: dict[str, str] = {}
    used: set[str] = set()
    for name in names:
        if name in taken:
            continue
        base = _plain(name)
        slug, count = base, 1
        while slug in used:
            count += 1
            slug = f"{base}-{count}"
        used.add(slug)
        taken[name] = slug
    return taken


def _plain(name: str) -> str:
    ascii_only = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    slug = re.sub(r"[^a-z0-9]+", "-", ascii_only).strip("-")[:_LONGEST].strip("-") or "model"
    return f"{slug}-model" if slug in _RESERVED else slug
