"""Optimizers do what their settings say."""

import pytest
import torch
from torch import nn
from torchvision import models

from discerna.settings.optimizer import AdamWSettings, SgdSettings
from discerna.training.optimization import build_optimizer, layer_of, rate_factors


def sgd(**changed) -> SgdSettings:
    values = {"momentum": 0.9, "nesterov": True, "weight_decay": 1e-4, "decay_norm_and_bias": False}
    return SgdSettings(name="sgd", **{**values, "body_rate": 1.0, "layer_decay": 1.0, **changed})


ADAMW = AdamWSettings(
    name="adamw",
    beta1=0.8,
    beta2=0.9,
    eps=1e-6,
    weight_decay=0.1,
    decay_norm_and_bias=True,
    body_rate=1.0,
    layer_decay=1.0,
)


def network() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(4, 2))


def test_vectors_do_not_decay_unless_asked():
    groups = build_optimizer(sgd(), network(), 0.5, fused=False).param_groups
    assert [(len(g["params"]), g["weight_decay"]) for g in groups] == [(2, 1e-4), (4, 0.0)]
    assert {(g["lr"], g["momentum"], g["nesterov"]) for g in groups} == {(0.5, 0.9, True)}
    groups = build_optimizer(ADAMW, network(), 0.5, fused=True).param_groups
    assert [(len(g["params"]), g["weight_decay"], g["betas"], g["eps"], g["fused"]) for g in groups] == [
        (6, 0.1, (0.8, 0.9), 1e-6, True)
    ]


def test_frozen_weights_are_left_out():
    frozen = network()
    frozen[0].requires_grad_(False)
    groups = build_optimizer(sgd(), frozen, 0.1, fused=False).param_groups
    assert sum(len(g["params"]) for g in groups) == 4


@pytest.mark.parametrize("fused", [False, True])
def test_one_sgd_step_is_the_formula(fused):
    weight = nn.Parameter(torch.tensor([[2.0]]))
    holder = nn.Module()
    holder.w = weight
    optimizer = build_optimizer(sgd(weight_decay=0.5), holder, 0.1, fused=fused)
    (weight * 3).sum().backward()
    optimizer.step()
    gradient = 3 + 0.5 * 2
    assert weight.item() == pytest.approx(2 - 0.1 * (gradient + 0.9 * gradient))


def test_the_body_learns_at_its_own_rate():
    made = network()
    head = {"3.weight", "3.bias"}
    groups = build_optimizer(
        sgd(body_rate=0.1, weight_decay=0.0), made, 0.5, fused=False, head=head
    ).param_groups
    assert [(g["lr"], len(g["params"])) for g in groups] == [(0.5, 2), (pytest.approx(0.05), 4)]
    assert groups[0]["params"][0] is made[3].weight


def test_layers_further_from_the_head_learn_less():
    made = models.resnet18(num_classes=3)
    factors = rate_factors(made, sgd(body_rate=0.5, layer_decay=0.1), {"fc.weight", "fc.bias"})
    assert factors["fc.weight"] == 1.0
    assert factors["layer4.1.conv2.weight"] == factors["layer4.0.conv1.weight"] == 0.5
    assert factors["layer3.0.conv1.weight"] == pytest.approx(0.05)
    assert factors["conv1.weight"] == pytest.approx(0.5 * 0.1**5)  # layer4 3 2 1, bn1, conv1


@pytest.mark.parametrize(
    ("weight", "layer"),
    [
        ("layer1.0.conv1.weight", "layer1"),
        ("features.denseblock2.denselayer3.norm1.weight", "features.denseblock2"),
        ("features.4.0.block.1.weight", "features.4"),
        ("encoder.layers.encoder_layer_11.ln_1.weight", "encoder.layers.encoder_layer_11"),
        ("class_token", ""),
        ("conv_proj.weight", "conv_proj"),
    ],
)
def test_a_layer_ends_at_the_first_number(weight, layer):
    assert layer_of(weight) == layer
