"""How a job of a sweep stands, by its run folder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from discerna import launch
from discerna.directories.run_folder import RunFolder
from discerna.directories.run_result import RunResult
from discerna.directories.run_status import State
from discerna.directories.sweep_folder import SweepFolder, curve
from discerna.settings.train import METRIC_MODES

JobState = State | Literal["waiting"]

DONE = ("finished", "stopped early")


@dataclass(frozen=True)
class Standing:
    """What is known of a job now."""

    state: JobState
    reason: str = ""
    value: float | None = None
    """The best of `monitor` so far."""
    accuracy: float | None = None
    """Of the model, by the exact path; None until there is one."""
    best_epoch: int | None = None
    curve: Mapping[int, float] = field(default_factory=dict)
    """`monitor` at each epoch so far."""

    @property
    def is_done(self) -> bool:
        """Whether it has a model."""
        return self.state in DONE

    @property
    def has_ended(self) -> bool:
        """Whether nothing is left to do."""
        return self.is_done or self.state == "pruned"

    @property
    def is_cut(self) -> bool:
        """Whether it goes on from where it is, and has not come to any end of its own."""
        return not self.has_ended and self.state != "failed"

    def told(self, monitor: str) -> str:
        """How it came out, for people."""
        if not self.is_done:
            return self.reason
        accuracy = "" if self.accuracy is None else f", accuracy {self.accuracy:.2%}"
        return f"{monitor} {'-' if self.value is None else f'{self.value:.4g}'}{accuracy}"

    @property
    def epochs_trained(self) -> int:
        """How many epochs have been trained."""
        return max(self.curve, default=0)


def standing(folder: SweepFolder, number: int, monitor: str) -> Standing:
    """How a job stands; one whose model is done and whose process was killed then is finished as well."""
    run, output = folder.run(number), folder.output(number)
    status = run.status() if run.is_run() else None
    if status is None:
        return Standing("waiting")
    result = _result(run)
    if status.state == "killed" and result is not None and run.has_published(output):
        launch.settle(run)
        status = run.status() or status
    found = curve(run, monitor)
    if status.state in DONE:
        if result is None or not run.has_published(output):  # taken away or damaged, and made again
            return Standing("waiting")
        return Standing(
            status.state,
            status.reason,
            result.best_row.get(monitor),
            result.figures.get("accuracy"),
            result.best_epoch,
            found or {int(row["epoch"]): row[monitor] for row in result.epochs if monitor in row},
        )
    pick = min if METRIC_MODES[monitor] == "min" else max
    best = pick(found, key=lambda epoch: found[epoch]) if found else None
    state: JobState = "waiting" if status.state == "prepared" else status.state
    value = None if best is None else found[best]
    return Standing(state, status.reason, value, None, best, found)


def _result(run: RunFolder) -> RunResult | None:
    """What a run came to; None where nothing tells."""
    try:
        return RunResult.read(run.result)
    except (OSError, ValueError, TypeError, KeyError):
        return None
