"""How fast pictures are read, and how fast steps follow one another, as a clock shows it."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from dataclasses import dataclass
from statistics import median
from typing import Any

import torch
from lightning.pytorch import Callback, Trainer

from discerna import memory
from discerna.progress import Advance

WARM = 3
"""Steps that are not counted: kernels are chosen, memory is fetched."""

Clock = Callable[[], float]


@dataclass(frozen=True)
class Reading:
    """How batches came when nothing else was done."""

    batches: int
    first: float
    """Seconds until the first was there."""
    each: float
    """Seconds from one to the next."""


def read_batches(
    batches: Generator[Any, None, None],
    workers: int,
    patience: float = float("inf"),
    clock: Clock = time.perf_counter,
) -> Reading:
    """Take batches until there are no more or `patience` seconds have gone, two at least.

    Of several workers each begins with a batch, so that the first ones come together and tell nothing.
    """
    came = [clock()]
    try:
        for _ in batches:
            came.append(clock())
            if len(came) > 2 and came[-1] - came[0] > patience:
                break
    finally:
        batches.close()
    count = len(came) - 1
    if not count:
        return Reading(0, 0.0, 0.0)
    together = min(workers, count // 2)
    each = (came[-1] - came[together]) / (count - together)
    return Reading(count, came[1] - came[0], each)


class StepClock(Callback):
    """Notes how steps of a training follow one another, and ends it when that took too long."""

    def __init__(
        self,
        patience: float = float("inf"),
        advance: Advance = lambda count, note: None,
        clock: Clock = time.perf_counter,
    ) -> None:
        self._patience = patience
        self._advance = advance
        self._clock = clock
        self._last: float | None = None
        self._intervals: list[float] = []
        """From the end of a batch to that of the next one of the same epoch."""
        self._firsts: list[float] = []
        """From the beginning of an epoch to the end of its first batch."""
        self.computing: list[float] = []
        """From the beginning of a batch, pictures being there, to its end."""
        self.children = 0
        """The most memory that reading processes had together."""

    def on_train_start(self, trainer: Trainer, pl_module: Any) -> None:
        """Begin."""
        self._began = self._clock()

    def on_train_epoch_start(self, trainer: Trainer, pl_module: Any) -> None:
        """The next batch is the first of its epoch."""
        self._last = None
        self._epoch_began = self._clock()

    def on_train_batch_start(self, trainer: Trainer, pl_module: Any, *args: Any, **kwargs: Any) -> None:
        """The pictures are there."""
        self._batch_began = self._clock()

    def on_train_batch_end(self, trainer: Trainer, pl_module: Any, *args: Any, **kwargs: Any) -> None:
        """Note the time; a GPU must have done its work."""
        wait_for(pl_module.device)
        now = self._clock()
        self.computing.append(now - self._batch_began)
        if self._last is None:
            self._firsts.append(now - self._epoch_began)
        else:
            self._intervals.append(now - self._last)
        if not self.children:
            self.children = memory.of_children()
            now = self._clock()
        self._last = now
        self._advance(1, "")
        if self.batches > 2 and now - self._began > self._patience:
            trainer.should_stop = True

    @property
    def batches(self) -> int:
        """How many were computed."""
        return len(self._intervals) + len(self._firsts)

    @property
    def each(self) -> float:
        """Seconds from one batch to the next."""
        settled = self._intervals[WARM:] or self._intervals[-1:] or self._firsts[-1:]
        return median(settled)

    @property
    def first(self) -> float:
        """Seconds from the beginning of the first epoch to the end of its first batch."""
        return self._firsts[0]


class ValidationClock(Callback):
    """Notes how long the network takes for a batch of validation, reading apart."""

    def __init__(self, advance: Advance, clock: Clock = time.perf_counter) -> None:
        self._advance = advance
        self._clock = clock
        self._times: list[float] = []

    def on_validation_batch_start(self, trainer: Trainer, pl_module: Any, *args: Any, **kwargs: Any) -> None:
        """Begin."""
        wait_for(pl_module.device)
        self._began = self._clock()

    def on_validation_batch_end(self, trainer: Trainer, pl_module: Any, *args: Any, **kwargs: Any) -> None:
        """Note the time."""
        wait_for(pl_module.device)
        self._times.append(self._clock() - self._began)
        self._advance(1, "")

    @property
    def batches(self) -> int:
        """How many were computed."""
        return len(self._times)

    @property
    def each(self) -> float:
        """Seconds for a batch."""
        return median(self._times[1:] or self._times)


def wait_for(device: torch.device) -> None:
    """Until all that was asked of a GPU is done."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()
