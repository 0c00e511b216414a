"""The loss of each picture."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from discerna.training.loss import PictureLoss, weights_of_labels

COUNTS = {"a": 8, "b": 2}


def test_plain_is_the_negative_log_probability():
    answers = torch.tensor([[2.0, 0.0]])
    loss = PictureLoss(COUNTS, "none", 0.0)(answers, torch.tensor([1]))
    assert loss.item() == pytest.approx(math.log(1 + math.exp(2)))


def test_smoothing_punishes_certainty():
    sure = torch.tensor([[20.0, 0.0]])
    assert PictureLoss(COUNTS, "none", 0.0)(sure, torch.tensor([0])).item() < 1e-6
    assert PictureLoss(COUNTS, "none", 0.1)(sure, torch.tensor([0])).item() == pytest.approx(1.0, rel=1e-3)


@given(st.lists(st.integers(1, 1000), min_size=1, max_size=8), st.sampled_from(["none", "sqrt", "balanced"]))
def test_weights_leave_the_scale_of_the_loss(counts, how):
    weights = weights_of_labels(counts, how)
    mean = sum(w * n for w, n in zip(weights, counts, strict=True)) / sum(counts)
    assert mean == pytest.approx(1.0)
    rarest, most = counts.index(min(counts)), counts.index(max(counts))
    power = {"none": 0, "sqrt": 0.5, "balanced": 1}[how]
    assert weights[rarest] / weights[most] == pytest.approx((counts[most] / counts[rarest]) ** power)


def test_balanced_labels_count_the_same_in_sum():
    loss = PictureLoss(COUNTS, "balanced", 0.0)
    answers = torch.zeros(10, 2)
    targets = torch.tensor([0] * 8 + [1] * 2)
    losses = loss(answers, targets)
    assert losses[:8].sum().item() == pytest.approx(losses[8:].sum().item())


def test_mixed_targets_are_the_mixture_of_the_losses():
    loss = PictureLoss(COUNTS, "sqrt", 0.0)
    answers = torch.tensor([[1.0, -1.0]])
    mixed = loss(answers, torch.tensor([[0.3, 0.7]])).item()
    apart = [loss(answers, torch.tensor([label])).item() for label in (0, 1)]
    assert mixed == pytest.approx(0.3 * apart[0] + 0.7 * apart[1])
