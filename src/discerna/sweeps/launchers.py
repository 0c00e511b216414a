"""Where the jobs of a sweep run, said as Hydra's users say it: `hydra/launcher=joblib hydra.launcher.n_jobs=4`.

The launchers themselves are ours: Hydra's own run a job in their process, or start it by the command line again, and
report only when the last of a batch has ended.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from discerna import launch, machine
from discerna.errors import SettingsError
from discerna.settings.build import nearest
from discerna.settings.sweep import SweepSettings

CHOICE, SETTING = "hydra/launcher", "hydra.launcher."

KNOWN = ("basic", "joblib", "submitit_local", "submitit_slurm")

ON_A_CLUSTER = 8
"""Jobs of a search that run at once where nothing is said: each is chosen after those that have ended."""


class Jobs(Protocol):
    """Starts process trees, and tells which have ended."""

    def start(self, number: int, process: launch.Process) -> None:
        """Start the job `number`."""
        ...

    def adopt(self, number: int, run: Path) -> bool:
        """Take over a job that an earlier sweep has submitted and that still waits or runs; False: there is none."""
        ...

    def ended(self) -> dict[int, str]:
        """Jobs whose process has ended, and how; until they are forgotten."""
        ...

    def forget(self, number: int) -> None:
        """The end of the job was heard."""
        ...

    def signal(self, number: int) -> None:
        """Let every job that runs finish its step and write a checkpoint."""
        ...

    def close(self) -> None:
        """Leave no process behind."""
        ...


@dataclass(frozen=True)
class Launcher:
    """Which one, and what was set of it."""

    name: str = "basic"
    settings: Mapping[str, Any] = field(default_factory=dict)

    @property
    def is_here(self) -> bool:
        """Whether jobs share the cores and GPUs of this machine."""
        return self.name != "submitit_slurm"

    def parallel(self, sweep: SweepSettings) -> int | None:
        """How many jobs run at once; None: all."""
        if sweep.parallel != "auto":
            return sweep.parallel
        if self.name == "submitit_slurm":
            at_once = self.settings.get("array_parallelism")
            return int(at_once) if at_once else ON_A_CLUSTER if sweep.name == "optuna" else None
        if self.name == "joblib":
            count = int(self.settings.get("n_jobs", -1))
            return machine.cores() if count < 0 else count
        return 1


def split_off(typed: Sequence[str]) -> tuple[Launcher, list[str]]:
    """The launcher that a command line names, and the rest of it."""
    name, settings, rest = "basic", {}, []
    for text in typed:
        key, equals, value = text.lstrip("+").partition("=")
        if key == CHOICE and equals:
            name = str(_value(value))
        elif key.startswith(SETTING) and equals:
            settings[key.removeprefix(SETTING)] = _value(value)
        else:
            rest.append(text)
    if name not in KNOWN:
        raise SettingsError(
            "unknown launcher",
            where=f"{CHOICE}={name}",
            accepted=f"it is {' | '.join(KNOWN)}",
            remedy=nearest(name, KNOWN),
        )
    _check(name, settings)
    return Launcher(name, settings), rest


def _check(name: str, settings: Mapping[str, Any]) -> None:
    known = {"basic": set(), "joblib": {"n_jobs"}}.get(name, settings.keys())
    if unknown := settings.keys() - known:
        raise SettingsError(
            "a setting without effect here",
            where=f"{SETTING}{min(unknown)}",
            accepted="jobs are processes of their own; joblib takes hydra.launcher.n_jobs",
            remedy="use sweep.parallel=N for N jobs at once",
        )
    at_once = settings.get("array_parallelism")
    if at_once is not None and (type(at_once) is not int or at_once < 1):
        raise SettingsError(
            "wrong value",
            where=f"{SETTING}array_parallelism={at_once}",
            accepted="it is a whole number, 1 or more",
        )
    count = settings.get("n_jobs")
    if name == "joblib" and (type(count) not in (int, type(None)) or count == 0):
        raise SettingsError(
            "wrong value",
            where=f"{SETTING}n_jobs={count}",
            accepted="it is a whole number; -1: one job a core",
        )


def _value(text: str) -> Any:
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException

    try:
        value = OverridesParser.create().parse_override(f"x={text}").value()
    except HydraException as error:
        raise SettingsError(
            "not readable as KEY=VALUE", where=text, accepted=str(error).splitlines()[0]
        ) from None
    return getattr(value, "text", value)  # what was quoted
