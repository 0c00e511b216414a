"""Which rate a trial suggests."""

import pytest

from discerna.training.rate_finder import USUAL, suggestion


def test_a_tenth_of_the_rate_of_the_lowest_loss():
    rates = [1e-4, 1e-3, 1e-2, 1e-1]
    assert suggestion(rates, [2.0, 1.5, 1.0, float("nan")]).value == pytest.approx(1e-3)


@pytest.mark.parametrize("losses", [[1.0, 1.0, 1.1], [float("nan")] * 3, [1.0, 3.0, 9.0]])
def test_the_usual_rate_where_nothing_helps(losses):
    found = suggestion([1e-4, 1e-3, 1e-2], losses)
    assert found.value == USUAL and "no rate made the loss fall" in found.reason
