"""A limit of time for a whole command: the training ends early enough, and its schedule with it."""

from __future__ import annotations

import time
from typing import Any

from lightning.pytorch import Callback, Trainer


class TimeBudget(Callback):
    """Stops the training when its time has gone; all processes follow the clock of the first."""

    def __init__(self, minutes: float, began: float, valid_pictures: int) -> None:
        """`began`: the monotonic time at which the command began."""
        self._seconds = minutes * 60
        self._began = began
        self._valid_pictures = valid_pictures
        self._seen = 0
        self.share = 0.0
        """Of the time for training, what has gone."""
        self.ended = False

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint keeps: a training that goes on has so much less time."""
        return {"seconds": time.monotonic() - self._began}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Called by Lightning."""
        self._began -= float(state_dict["seconds"])

    def on_train_start(self, trainer: Trainer, pl_module: Any) -> None:
        """What came before is not training time, but it has gone."""
        self._started = time.monotonic()

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Look at the clock."""
        self._seen += len(batch.labels) * trainer.world_size
        now = time.monotonic()
        # Afterwards the pictures are validated, and measured once more in fp32; a picture takes a third of
        # the time of one that is trained, and half as much again without bf16.
        each = (now - self._started) / max(1, self._seen)
        left = self._seconds - (self._started - self._began) - each * self._valid_pictures
        share = min(1.0, (now - self._started) / max(left, 1e-9))
        self.share = float(trainer.strategy.broadcast(share)) if trainer.world_size > 1 else share
        if self.share >= 1 and not self.ended:
            self.ended = True
            trainer.should_stop = True
