"""What the processes of a training decide together, so that none waits for one that has left."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from lightning.pytorch import Trainer


class Agreement:
    """Asks all processes the same questions at the same moment; each must ask."""

    def __init__(self, trainer: Trainer, patience: timedelta) -> None:
        self._several = trainer.world_size > 1
        # A group of its own on the CPUs: asked on GPUs, each question would wait for all work that is queued there.
        self._group: Any = dist.new_group(backend="gloo", timeout=patience) if self._several else None

    def highest(self, *numbers: float) -> list[float]:
        """The highest of each number over all processes."""
        if not self._several:
            return list(numbers)
        told = torch.tensor(numbers, dtype=torch.float64)
        dist.all_reduce(told, dist.ReduceOp.MAX, group=self._group)
        return [float(number) for number in told]
