"""The group `scheduler`: how the learning rate moves during a run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from discerna.errors import SettingsError
from discerna.settings.ranges import AtLeast, Below, Between

Warmup = Annotated[float, Below(0, 1)]


@dataclass(frozen=True, kw_only=True)
class AutoSchedulerSettings:
    """The recipe chooses; what is given here is kept."""

    name: Literal["auto"]
    warmup: Literal["auto"] | Warmup


@dataclass(frozen=True, kw_only=True)
class ConstantSettings:
    """The learning rate as typed, after the warmup."""

    name: Literal["constant"]
    warmup: Warmup


@dataclass(frozen=True, kw_only=True)
class CosineSettings:
    """Linear warmup, then half a cosine, moved at every step."""

    name: Literal["cosine"]
    warmup: Warmup
    end: Annotated[float, Between(0, 1)]


@dataclass(frozen=True, kw_only=True)
class OneCycleSettings:
    """Half a cosine up, half a cosine down, and the momentum the other way round, moved at every step."""

    name: Literal["one_cycle"]
    warmup: Annotated[float, Below(0, 1)]
    start: Annotated[float, Between(0, 1)]
    end: Annotated[float, Between(0, 1)]
    momentum_range: list[Annotated[float, Below(0, 1)]] | None

    def __post_init__(self) -> None:
        span = self.momentum_range
        if span is not None and (len(span) != 2 or span[0] > span[1]):
            raise SettingsError(
                "momentum_range is two numbers, the smaller first",
                where=f"scheduler.momentum_range={span}",
                accepted="the momentum at the highest and at the lowest rate, such as [0.85, 0.95], or null",
            )


@dataclass(frozen=True, kw_only=True)
class PolynomialSettings:
    """Linear warmup, then a power of the steps that are left; power 1 is a straight line."""

    name: Literal["polynomial"]
    warmup: Warmup
    power: Annotated[float, AtLeast(0)]
    end: Annotated[float, Between(0, 1)]


@dataclass(frozen=True, kw_only=True)
class PlateauSettings:
    """Linear warmup, then constant, lowered whenever `monitor` has not improved for some validations."""

    name: Literal["plateau"]
    warmup: Warmup
    factor: Annotated[float, Below(0, 1)]
    wait: Annotated[int, AtLeast(1)]
    end: Annotated[float, Between(0, 1)]


@dataclass(frozen=True, kw_only=True)
class AzurePolynomialSettings:
    """The original's: linear warmup over whole epochs, then a polynomial, moved once an epoch."""

    name: Literal["azure_polynomial"]
    power: Annotated[float, AtLeast(0)]
    end: Annotated[float, AtLeast(0)]
    warmup_epochs: Annotated[int, AtLeast(0)]
    warmup_start: Annotated[float, AtLeast(0)]


SchedulerSettings = (
    AutoSchedulerSettings
    | ConstantSettings
    | CosineSettings
    | OneCycleSettings
    | PolynomialSettings
    | PlateauSettings
    | AzurePolynomialSettings
)
