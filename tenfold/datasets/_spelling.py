"""Names that differ only in how they are spelled."""

from __future__ import annotations

import re
from collections.abc import Iterable

__all__ = ["alike", "spelling_key"]


def spelling_key(name: str) -> str:
    """What several spellings of a name have in common; numbers are taken as they are, for their signs count.

    Example:
        >>> spelling_key("Going  up"), spelling_key("going_up"), spelling_key("-1")
        ('goingup', 'goingup', '-1')
    """
    return name if re.fullmatch(r"[-+]?[\d.,]+", name) else re.sub(r"[\s_-]+", "", name).casefold()


def alike(names: Iterable[str]) -> list[list[str]]:
    """Names that differ in capitals, blanks, "_" or "-" only, in their order.

    Example:
        >>> alike(["Walk", "sit", "walk", "1", "-1"])
        [['Walk', 'walk']]
    """
    found: dict[str, list[str]] = {}
    for name in names:
        found.setdefault(spelling_key(name), []).append(name)
    return [same for same in found.values() if len(same) > 1]
