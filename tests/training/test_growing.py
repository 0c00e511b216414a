"""The picture side of each epoch."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from discerna.training.growing import growing


@pytest.mark.parametrize(
    ("epochs", "sizes"),
    [(3, [64, 96, 128]), (6, [])],
)
def test_small_first_full_in_the_last_third(epochs, sizes):
    size = growing(64, 128, epochs)
    if epochs == 6:
        assert [size(e) for e in range(4, 6)] == [128, 128] and size(0) == 64
        assert [size(e) for e in range(6)] == sorted(size(e) for e in range(6))
    else:
        assert [size(e) for e in range(epochs)] == sizes


def test_no_growth_without_a_smaller_start():
    assert growing(None, 128, 5) is None and growing(128, 128, 5) is None


@given(st.integers(8, 300), st.integers(8, 300), st.integers(1, 40))
def test_never_beyond_the_bounds_and_never_back(start, full, epochs):
    size = growing(start, full, epochs)
    if size is None:
        return
    sizes = [size(epoch) for epoch in range(epochs)]
    assert sizes == sorted(sizes) and min(sizes) >= start and max(sizes) <= full
    if epochs > 1:
        assert sizes[-1] == full
