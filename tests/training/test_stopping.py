"""The two rules of early stopping on curves that tell them apart."""

import pytest
import torch

from discerna.composition import compose
from discerna.training.stopping import build_stopping

SAW = [1.0, 0.8, 0.9, 0.85, 0.9, 0.85, 0.9, 0.85]
RISING = [1.0, 0.8, 0.9, 1.0, 1.1, 1.2]
RECOVERING = [1.0, 0.5, 0.9, 0.8, 0.7, 0.6]


def stops_after(curve, rule, patience=3):
    settings = compose(
        "train",
        ["model=tiny", "train_data=a", "valid_data=b", f"early_stopping.rule={rule}", f"patience={patience}"],
    )
    stopping = build_stopping(settings)
    for number, value in enumerate(curve, start=1):
        if stopping._evaluate_stopping_criteria(torch.tensor(value))[0]:
            return number
    return None


@pytest.mark.parametrize(
    ("curve", "rule", "expected"),
    [
        (SAW, "best", 5),
        (SAW, "consecutive", None),
        (RISING, "best", 5),
        (RISING, "consecutive", 5),
        (RECOVERING, "best", 5),
        (RECOVERING, "consecutive", None),
    ],
)
def test_rules(curve, rule, expected):
    assert stops_after(curve, rule) == expected


def test_none():
    settings = compose("train", ["model=tiny", "train_data=a", "valid_data=b", "early_stopping=none"])
    assert build_stopping(settings) is None
