from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st

from tenfold.sampling import padded


@given(
    lengths=st.lists(st.integers(0, 7), min_size=1, max_size=5),
    more=st.integers(0, 3),
    items=st.sampled_from([(), (2,)]),
)
def test_rows_come_back_where_they_are_valid(lengths: list[int], more: int, items: tuple[int, ...]) -> None:
    rows = [torch.randint(1, 99, (length, *items)) for length in lengths]
    length = max(lengths) + more
    index, valid = padded(rows, length)
    assert index.shape == (len(rows), length, *items)
    assert index.dtype == torch.int64
    if valid is None:
        assert set(lengths) == {length}
        valid = torch.ones(len(rows), length, dtype=torch.bool)
    else:
        assert valid.dtype == torch.bool
        assert not bool(valid.all())
    assert valid.sum(1).tolist() == lengths
    for run, own in enumerate(rows):
        assert torch.equal(index[run][valid[run]], own)
        assert not index[run][~valid[run]].any()
