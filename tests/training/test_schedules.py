"""Schedules: the factor of the learning rate at each step."""

import pytest
import torch

from discerna.settings.scheduler import (
    AzurePolynomialSettings,
    ConstantSettings,
    CosineSettings,
    OneCycleSettings,
    PlateauSettings,
    PolynomialSettings,
)
from discerna.training.schedules import Plateau, azure_polynomial, build_schedule, factor_of

AZURE = AzurePolynomialSettings(
    name="azure_polynomial", power=2.0, end=1e-7, warmup_epochs=0, warmup_start=1e-4
)


def optimizer(kind=torch.optim.SGD, **values):
    return kind([torch.nn.Parameter(torch.zeros(1))], lr=0.1, **values)


def schedule(settings, over=None, **values):
    given = {"rate": 0.1, "epochs": 5, "steps": 50, **values}
    return build_schedule(settings, over or optimizer(), **given)


def test_the_originals_rates():
    factor = azure_polynomial(AZURE, 1e-3, 6)
    rates = [1e-3 * factor(epoch) for epoch in range(6)]
    assert rates == pytest.approx([1e-3, 6.94e-4, 4.45e-4, 2.5e-4, 1.1e-4, 2.8e-5], rel=0.02)


def test_the_originals_warmup_counts_epochs():
    settings = AzurePolynomialSettings(
        name="azure_polynomial", power=2.0, end=0.0, warmup_epochs=2, warmup_start=1e-4
    )
    factor = azure_polynomial(settings, 1e-3, 6)
    assert [1e-3 * factor(epoch) for epoch in range(4)] == pytest.approx([1e-4, 5.5e-4, 1e-3, 1e-3 * 0.75**2])


def test_cosine_warms_up_and_ends_near_zero():
    factor = factor_of(CosineSettings(name="cosine", warmup=0.1, end=0.0), 100)
    assert factor(0) == pytest.approx(1 / 11)
    assert factor(10) == 1.0
    assert factor(55) == pytest.approx(0.5)
    assert factor(99) < 0.001 and factor(100) == 0.0 and factor(1000) == 0.0
    assert [factor(n) for n in range(10)] == sorted(factor(n) for n in range(10))


@pytest.mark.parametrize(
    "settings",
    [
        CosineSettings(name="cosine", warmup=0.0, end=0.2),
        PolynomialSettings(name="polynomial", warmup=0.0, power=2.0, end=0.2),
    ],
)
def test_a_rate_that_is_left_at_the_end(settings):
    factor = factor_of(settings, 100)
    assert factor(0) == 1.0 and factor(100) == pytest.approx(0.2) == factor(200)


def test_polynomial():
    line = factor_of(PolynomialSettings(name="polynomial", warmup=0.2, power=1.0, end=0.0), 100)
    assert [line(n) for n in (9, 20, 60, 100)] == pytest.approx([10 / 21, 1.0, 0.5, 0.0])
    square = factor_of(PolynomialSettings(name="polynomial", warmup=0.0, power=2.0, end=0.0), 100)
    assert square(50) == pytest.approx(0.25)


def test_constant_warms_up():
    factor = factor_of(ConstantSettings(name="constant", warmup=0.1), 100)
    assert factor(4) == pytest.approx(5 / 11) and factor(10) == factor(99) == 1.0


def test_one_cycle_moves_momentum_against_the_rate():
    settings = OneCycleSettings(name="one_cycle", warmup=0.25, start=0.1, end=0.0, momentum_range=[0.8, 0.9])
    over = optimizer(torch.optim.AdamW)
    moved = schedule(settings, over, steps=100)["scheduler"]
    seen = []
    for _ in range(100):
        seen.append((over.param_groups[0]["lr"], over.param_groups[0]["betas"][0]))
        over.step()
        moved.step()
    assert seen[0] == pytest.approx((0.01, 0.89))
    assert seen[25] == pytest.approx((0.1, 0.8))
    assert seen[99][0] < 1e-3 and seen[99][1] > 0.899
    assert over.param_groups[0]["betas"][1] == 0.999
    still = schedule(OneCycleSettings(name="one_cycle", warmup=0.25, start=0.1, end=0.0, momentum_range=None))
    assert "momentum" not in vars(still["scheduler"])
    sgd = optimizer(momentum=0.5)
    schedule(settings, sgd)
    assert sgd.param_groups[0]["momentum"] == pytest.approx(0.89)


@pytest.mark.parametrize(("mode", "better"), [("min", [3, 2, 1]), ("max", [1, 2, 3])])
def test_plateau_falls_when_nothing_improves(mode, better):
    settings = PlateauSettings(name="plateau", warmup=0.0, factor=0.1, wait=2, end=0.02)
    factor = Plateau(settings, 100, mode)
    for figure in better:
        factor.observe(figure)
    assert factor(50) == 1.0
    factor.observe(2)
    assert factor(50) == 1.0
    factor.observe(2)
    assert factor(50) == pytest.approx(0.1)
    factor.observe(2)
    factor.observe(2)
    assert factor(50) == pytest.approx(0.02)


def test_a_checkpoint_keeps_the_plateaus_state():
    settings = PlateauSettings(name="plateau", warmup=0.0, factor=0.5, wait=1, end=0.0)
    first = schedule(settings)["scheduler"]
    first.lr_lambdas[0].observe(1.0)
    first.lr_lambdas[0].observe(1.0)
    second = schedule(settings)["scheduler"]
    second.load_state_dict(first.state_dict())
    assert second.lr_lambdas[0].scale == 0.5 and second.lr_lambdas[0].best == 1.0


def test_schedules_as_lightning_wants_them():
    assert schedule(ConstantSettings(name="constant", warmup=0.0))["interval"] == "step"
    assert schedule(AZURE)["interval"] == "epoch"


def test_a_budget_hurries_the_schedule():
    class Half:
        share = 0.5

    settings = CosineSettings(name="cosine", warmup=0.0, end=0.0)
    over = optimizer()
    schedule(settings, over, steps=100, budget=Half())
    assert over.param_groups[0]["lr"] == pytest.approx(0.05)
