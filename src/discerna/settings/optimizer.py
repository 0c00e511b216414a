"""The group `optimizer`: one dataclass a choice, told apart by `name`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from discerna.errors import SettingsError
from discerna.settings.ranges import AtLeast, Below, Between

Decay = Literal["auto"] | Annotated[float, AtLeast(0)]
Factor = Literal["auto"] | Annotated[float, Between(0, 1)]


@dataclass(frozen=True, kw_only=True)
class AutoOptimizerSettings:
    """The recipe chooses; what is given here is kept."""

    name: Literal["auto"]
    weight_decay: Decay
    body_rate: Factor
    layer_decay: Factor


@dataclass(frozen=True, kw_only=True)
class SgdSettings:
    """Stochastic gradient descent."""

    name: Literal["sgd"]
    momentum: Annotated[float, Below(0, 1)]
    nesterov: bool
    weight_decay: Decay
    decay_norm_and_bias: bool
    body_rate: Factor
    layer_decay: Factor

    def __post_init__(self) -> None:
        if self.nesterov and self.momentum == 0:
            raise SettingsError(
                "Nesterov's step needs momentum",
                where="optimizer.momentum=0",
                accepted="optimizer.nesterov=true goes with momentum above 0",
                remedy="set optimizer.nesterov=false or a momentum such as 0.9",
            )


@dataclass(frozen=True, kw_only=True)
class AdamWSettings:
    """Adam with decoupled weight decay."""

    name: Literal["adamw"]
    beta1: Annotated[float, Below(0, 1)]
    beta2: Annotated[float, Below(0, 1)]
    eps: Annotated[float, AtLeast(0)]
    weight_decay: Decay
    decay_norm_and_bias: bool
    body_rate: Factor
    layer_decay: Factor


OptimizerSettings = AutoOptimizerSettings | SgdSettings | AdamWSettings
