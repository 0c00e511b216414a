"""Optimizers and schedules do what their settings say."""

import pytest
import torch
from torch import nn

from discerna.settings.optimizer import AdamWSettings, SgdSettings
from discerna.settings.scheduler import AzurePolynomialSettings, ConstantSettings, CosineSettings
from discerna.training.optimization import azure_polynomial, build_optimizer, build_schedule, cosine

SGD = SgdSettings(name="sgd", momentum=0.9, nesterov=True, weight_decay=1e-4, decay_norm_and_bias=False)
ADAMW = AdamWSettings(
    name="adamw", beta1=0.8, beta2=0.9, eps=1e-6, weight_decay=0.1, decay_norm_and_bias=True
)
AZURE = AzurePolynomialSettings(
    name="azure_polynomial", power=2.0, end=1e-7, warmup_epochs=0, warmup_start=1e-4
)


def network() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(4, 2))


def test_vectors_do_not_decay_unless_asked():
    groups = build_optimizer(SGD, network(), 0.5, fused=False).param_groups
    assert [(len(g["params"]), g["weight_decay"]) for g in groups] == [(2, 1e-4), (4, 0.0)]
    assert {(g["lr"], g["momentum"], g["nesterov"]) for g in groups} == {(0.5, 0.9, True)}
    groups = build_optimizer(ADAMW, network(), 0.5, fused=True).param_groups
    assert [(len(g["params"]), g["weight_decay"], g["betas"], g["eps"], g["fused"]) for g in groups] == [
        (6, 0.1, (0.8, 0.9), 1e-6, True)
    ]


def test_frozen_weights_are_left_out():
    frozen = network()
    frozen[0].requires_grad_(False)
    groups = build_optimizer(SGD, frozen, 0.1, fused=False).param_groups
    assert sum(len(g["params"]) for g in groups) == 4


@pytest.mark.parametrize("fused", [False, True])
def test_one_sgd_step_is_the_formula(fused):
    weight = nn.Parameter(torch.tensor([[2.0]]))
    holder = nn.Module()
    holder.w = weight
    plain = SgdSettings(name="sgd", momentum=0.9, nesterov=True, weight_decay=0.5, decay_norm_and_bias=False)
    optimizer = build_optimizer(plain, holder, 0.1, fused=fused)
    (weight * 3).sum().backward()
    optimizer.step()
    gradient = 3 + 0.5 * 2
    assert weight.item() == pytest.approx(2 - 0.1 * (gradient + 0.9 * gradient))


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
    factor = cosine(0.1, 100)
    assert factor(0) == pytest.approx(1 / 11)
    assert factor(10) == 1.0
    assert factor(55) == pytest.approx(0.5)
    assert factor(99) < 0.001 and factor(100) == 0.0 and factor(1000) == 0.0
    assert [factor(n) for n in range(10)] == sorted(factor(n) for n in range(10))


def test_schedules_as_lightning_wants_them():
    optimizer = build_optimizer(SGD, network(), 0.1, fused=False)
    assert build_schedule(ConstantSettings(name="constant"), optimizer, 0.1, 5, 50) is None
    assert (
        build_schedule(CosineSettings(name="cosine", warmup=0.0), optimizer, 0.1, 5, 50)["interval"] == "step"
    )
    assert build_schedule(AZURE, optimizer, 0.1, 5, 50)["interval"] == "epoch"
