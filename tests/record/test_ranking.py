"""Groups of variants that are not told apart."""

from __future__ import annotations

import random
from itertools import combinations

import numpy as np
import pytest

from tenfold.errors import RequestError
from tenfold.record._ranking import groups_not_told_apart, rank
from tenfold.stats import verdicts


def test_nothing_differs_is_one_group_and_everything_differs_is_one_each():
    assert groups_not_told_apart("abc", []) == [("a", "b", "c")]
    assert groups_not_told_apart("abc", combinations("abc", 2)) == [("a",), ("b",), ("c",)]
    assert groups_not_told_apart("", []) == []


def test_two_labels_share_a_group_exactly_when_they_are_not_told_apart():
    for seed in range(60):
        rng = random.Random(seed)
        labels = "abcdefgh"[: rng.randint(1, 8)]
        different = {pair for pair in combinations(labels, 2) if rng.random() < 0.6}
        groups = groups_not_told_apart(labels, different)
        for pair in combinations(labels, 2):
            together = any(set(pair) <= set(group) for group in groups)
            assert together == (pair not in different), f"seed {seed}, {pair}, {groups}"
        assert {label for group in groups for label in group} == set(labels), f"seed {seed}"


def test_variants_that_were_not_compared_share_no_group() -> None:
    rng = np.random.default_rng(0)
    scores = {name: 0.8 + 0.01 * rng.normal(size=10) for name in "abcd"}
    pairs = [("a", "b"), ("c", "d")]
    found = verdicts(scores, pairs=pairs, unit="%")
    assert [(v.first, v.second) for v in found] == pairs
    assert {v.n_pairs for v in found} == {2}
    ranks = {entry.label: entry for entry in rank("abcd", found)}
    assert ranks["a"].compared == {"b"}
    for first, second in combinations("abcd", 2):
        together = bool(set(ranks[first].groups) & set(ranks[second].groups))
        told = any({v.first, v.second} == {first, second} and v.outcome != "better" for v in found)
        assert together == told
    with pytest.raises(RequestError, match="pairs: no scores of 'x'"):
        verdicts(scores, pairs=[("a", "x")])
