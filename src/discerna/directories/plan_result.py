"""What a training would take, as `plan=true` finds it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from discerna.directories.run_folder import write_json
from discerna.wording import align, amount, counted, duration


@dataclass(frozen=True, kw_only=True)
class PlanResult:
    """The outcome of a plan: times in seconds, sizes in bytes."""

    epochs: int
    """As many as there are unless something ends the training before."""
    steps: int
    """Optimizer steps of an epoch."""
    start: float
    """Until the first step; importing torch is not counted, as in the result of a training."""
    first_epoch: float
    """With its validation; pictures that no cache holds are decoded."""
    later_epoch: float
    """The mean of the others."""
    end: float
    """The model is written, and measured on the validation data."""
    seconds: float
    """Everything."""
    memory: int
    """The most that the processes on this machine have."""
    memory_there: int | None
    """What they may have; None where the system does not tell."""
    gpu_memory: int | None
    """The most that a GPU has; None without one."""
    gpu_memory_there: int | None
    model_bytes: int
    run_bytes: int
    """The most that the run folder has, in checkpoints."""
    cache_bytes: int
    """Decoded pictures that this training looks for; 0 where there is no cache."""
    cache_share: float
    """Of the pictures, those that the cache has room for."""
    disk_free: int
    """Where the model goes."""
    measured: dict[str, int]
    """From how many steps, batches of validation and pictures scored."""
    choices: dict[str, dict[str, Any]]
    """What `auto` stands for: value and reason."""
    ends_before: str
    """What may end the training before; empty where nothing does."""

    def write(self, path: Path) -> None:
        """Keep the plan for the process that asked for it."""
        write_json(path, asdict(self))

    @classmethod
    def read(cls, path: Path) -> PlanResult:
        """The inverse of `write`."""
        return cls(**json.loads(path.read_text("utf-8")))

    def summary(self) -> str:
        """What to tell a person."""
        rows = [("time", duration(self.seconds), self._times())]
        rows.append(("memory", amount(self.memory), self._of(self.memory, self.memory_there)))
        if self.gpu_memory is not None:
            rows.append(("gpu", amount(self.gpu_memory), self._of(self.gpu_memory, self.gpu_memory_there)))
        rows.append(("disk", amount(self.model_bytes + self.run_bytes), self._disk()))
        if self.cache_bytes:
            rows.append(("cache", amount(self.cache_bytes), self._cache()))
        rows.append(("measured", "", self._measured()))
        rows.append(("next", "", "the same command without plan=true"))
        return align(rows)

    def _times(self) -> str:
        epochs = f"first epoch {duration(self.first_epoch)}"
        if self.epochs > 1:
            epochs += f", {self.epochs - 1} more of {duration(self.later_epoch)}"
        told = f"start {duration(self.start)}, {epochs}, end {duration(self.end)}"
        return f"{told}; {self.ends_before}" if self.ends_before else told

    def _of(self, taken: int, there: int | None) -> str:
        if there is None:
            return "at most"
        if taken <= there:
            return f"at most, of {amount(there)}"
        return f"MORE THAN THERE IS: {amount(there)}"

    def _disk(self) -> str:
        told = f"model {amount(self.model_bytes)}, run folder up to {amount(self.run_bytes)}"
        enough = self.model_bytes + self.run_bytes <= self.disk_free
        return f"{told}, {'of' if enough else 'MORE THAN'} {amount(self.disk_free)} free"

    def _cache(self) -> str:
        if self.cache_share >= 1:
            return "of decoded pictures, for later epochs and trainings"
        return (
            f"of decoded pictures: room for {self.cache_share:.0%} of them; loading.cache_gib=N allows more"
        )

    def _measured(self) -> str:
        parts = [
            counted(self.measured["batches"], "batch")
            if self.measured["batches"] == 1
            else f"{self.measured['batches']} batches"
        ]
        parts.append(f"{self.measured['validation']} of validation")
        parts.append(f"{counted(self.measured['scored'], 'picture')} scored")
        return ", ".join(parts) + "; nothing was trained or kept but the cache"
