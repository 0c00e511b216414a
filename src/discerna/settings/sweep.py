"""The groups `sweep` and `early_termination`: which jobs a sweep has, how many run at once, and which end early."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from discerna.errors import SettingsError
from discerna.settings.ranges import AtLeast


@dataclass(frozen=True, kw_only=True)
class GridSettings:
    """Every combination of what is typed."""

    name: Literal["grid"]
    parallel: Literal["auto"] | Annotated[int, AtLeast(1)]
    repeats: Annotated[int, AtLeast(1)]
    max_jobs: Annotated[int, AtLeast(1)] | None
    max_hours: Annotated[float, AtLeast(0.001)] | None

    def __post_init__(self) -> None:
        _refuse_broken_points(self.max_jobs, self.repeats)


@dataclass(frozen=True, kw_only=True)
class OptunaSettings:
    """Combinations that Optuna proposes after what the ones before came to."""

    name: Literal["optuna"]
    parallel: Literal["auto"] | Annotated[int, AtLeast(1)]
    repeats: Annotated[int, AtLeast(1)]
    max_jobs: Annotated[int, AtLeast(1)]
    max_hours: Annotated[float, AtLeast(0.001)] | None
    sampler: Literal["tpe", "random"]
    seed: int

    def __post_init__(self) -> None:
        _refuse_broken_points(self.max_jobs, self.repeats)


SweepSettings = GridSettings | OptunaSettings


def _refuse_broken_points(max_jobs: int | None, repeats: int) -> None:
    if max_jobs is not None and max_jobs < repeats:
        raise SettingsError(
            "not one combination could be trained",
            where=f"sweep.max_jobs={max_jobs} sweep.repeats={repeats}",
            accepted="each combination takes sweep.repeats trainings",
            remedy=f"use sweep.max_jobs={repeats} or more",
        )


@dataclass(frozen=True, kw_only=True)
class NoTerminationSettings:
    """Every job trains to its end."""

    name: Literal["none"]


@dataclass(frozen=True, kw_only=True)
class MedianSettings:
    """A job ends whose best epoch so far is worse than what half of the others had on average."""

    name: Literal["median"]
    interval: Annotated[int, AtLeast(1)]
    delay: Annotated[int, AtLeast(0)]
    others: Annotated[int, AtLeast(1)]


@dataclass(frozen=True, kw_only=True)
class BanditSettings:
    """A job ends that falls too far behind the best one."""

    name: Literal["bandit"]
    interval: Annotated[int, AtLeast(1)]
    delay: Annotated[int, AtLeast(0)]
    slack: Annotated[float, AtLeast(0)]
    slack_amount: Annotated[float, AtLeast(0)] | None


@dataclass(frozen=True, kw_only=True)
class AshaSettings:
    """At epochs that grow geometrically, the best share of the jobs goes on (asynchronous successive halving)."""

    name: Literal["asha"]
    min_epochs: Annotated[int, AtLeast(1)]
    reduction: Annotated[int, AtLeast(2)]


TerminationSettings = NoTerminationSettings | MedianSettings | BanditSettings | AshaSettings
