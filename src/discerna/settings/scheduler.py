"""The group `scheduler`: how the learning rate moves during a run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from discerna.settings.ranges import AtLeast, Below


@dataclass(frozen=True, kw_only=True)
class ConstantSettings:
    """The learning rate as typed, throughout."""

    name: Literal["constant"]


@dataclass(frozen=True, kw_only=True)
class CosineSettings:
    """Linear warmup, then half a cosine down to 0, moved at every step."""

    name: Literal["cosine"]
    warmup: Annotated[float, Below(0, 1)]


@dataclass(frozen=True, kw_only=True)
class AzurePolynomialSettings:
    """The original's: linear warmup over whole epochs, then a polynomial, moved once an epoch."""

    name: Literal["azure_polynomial"]
    power: Annotated[float, AtLeast(0)]
    end: Annotated[float, AtLeast(0)]
    warmup_epochs: Annotated[int, AtLeast(0)]
    warmup_start: Annotated[float, AtLeast(0)]


SchedulerSettings = ConstantSettings | CosineSettings | AzurePolynomialSettings
