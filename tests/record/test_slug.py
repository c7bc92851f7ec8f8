"""File names of models."""

from __future__ import annotations

import random
import re

from tenfold.record._slug import slugs


def test_known_names():
    assert slugs(["Siamese CNN 3", "Deep  Siamese (CNN)", "Größe"]) == {
        "Siamese CNN 3": "siamese-cnn-3",
        "Deep  Siamese (CNN)": "deep-siamese-cnn",
        "Größe": "groe",
    }


def test_odd_names_are_safe_and_different():
    names = [
        "../x", "..", ".", "/etc/passwd", "C:\\x", "con", "NUL.txt", "nul", "gallery", "", " ", "a\0b", "<script>",
        "A", "a", "a-2", "a 2", "音", "音楽", "x" * 500, "x" * 501, "-", "--help", "lpt1", "\u202etxt",
    ]  # fmt: skip
    found = slugs(names)
    assert list(found) == names
    assert len(set(found.values())) == len(names)
    for slug in found.values():
        assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", slug)
        assert len(slug) <= 70
        assert slug not in {"con", "nul", "lpt1", "gallery"}


def test_random_names_never_collide():
    rng = random.Random(0)
    names = ["".join(rng.choices("aA1- /.é", k=rng.randint(0, 5))) for _ in range(3000)]
    found = slugs(names)
    assert len(set(found.values())) == len(set(names))
