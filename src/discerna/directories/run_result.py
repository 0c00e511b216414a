"""What a run came to, as result.json in the run folder keeps it."""

from __future__ import annotations

import json
import shlex
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from discerna.directories.run_folder import write_json
from discerna.directories.run_status import State
from discerna.wording import as_typed, shown

ALL_EPOCHS = "all epochs trained"
"""Why a training ended that nothing stopped."""


@dataclass(frozen=True)
class RunResult:
    """The outcome of `train`."""

    output: Path
    """The trained model directory."""
    run: Path
    """The run folder."""
    best_epoch: int
    """The epoch whose weights were kept, counted from 1."""
    epochs_trained: int
    stopped: str
    """Why training ended."""
    figures: dict[str, float]
    """The validation data measured by the exact path: accuracy, balanced_accuracy, loss, top5."""
    epochs: list[dict[str, float]]
    """A row of metrics for each epoch."""
    seconds: float
    model_sha256: str = ""
    """Of the manifest of the model directory, by which a model tells which run it is of."""

    @property
    def state(self) -> State:
        """How the run stands."""
        return "finished" if self.stopped == ALL_EPOCHS else "stopped early"

    @property
    def best_row(self) -> dict[str, float]:
        """The metrics of the best epoch; empty where no epoch was recorded."""
        return next((row for row in self.epochs if row["epoch"] == self.best_epoch), {})

    @property
    def accuracy(self) -> float:
        """Share of the validation pictures that are right."""
        return self.figures["accuracy"]

    def write(self, path: Path) -> None:
        """Keep the result for programs."""
        write_json(path, {**asdict(self), "output": str(self.output), "run": str(self.run)})

    @classmethod
    def read(cls, path: Path) -> RunResult:
        """The inverse of `write`."""
        told: dict[str, Any] = json.loads(path.read_text("utf-8"))
        return cls(**{**told, "output": Path(told["output"]), "run": Path(told["run"])})

    def summary(self) -> str:
        """What to tell a person: how good, where it is, what to type next."""
        output = as_typed(self.output)
        measured = f"accuracy {self.accuracy:.2%}"
        if "balanced_accuracy" in self.figures:  # not in a result of 0.1.0
            measured += f", balanced {self.figures['balanced_accuracy']:.2%}"
        measured += f", loss {self.figures['loss']:.4f}"
        if "top5" in self.figures:
            measured += f", top-5 {self.figures['top5']:.2%}"
        return "\n".join(
            [
                f"best epoch  {self.best_epoch} of {self.epochs_trained} ({self.stopped})",
                f"validation  {measured}",
                f"model       {shown(output)}",
                f"run         {shown(as_typed(self.run))}",
                f"next        discerna score model={shlex.quote(output)} data=PICTURES output=scores.csv",
            ]
        )
