"""A moving average of the weights, which is validated and becomes the model in place of the weights themselves."""

from __future__ import annotations

from typing import Any

from lightning.pytorch.callbacks import WeightAveraging
from torch import Tensor


class MovingAverage(WeightAveraging):
    """Lightning's averaging with a memory that grows: a short run must not keep its random beginning."""

    def __init__(self, decay: float) -> None:
        super().__init__(avg_fn=lambda mean, new, count: mean + (new - mean) * (1 - _decay(decay, count)))
        self._swapped = False

    def on_validation_epoch_start(self, trainer: Any, pl_module: Any) -> None:
        """Put the average in the place of the weights."""
        super().on_validation_epoch_start(trainer, pl_module)
        self._swapped = True

    def on_validation_epoch_end(self, trainer: Any, pl_module: Any) -> None:
        """Put the weights back."""
        self.end_validation(pl_module)

    def end_validation(self, pl_module: Any) -> None:
        """Put the weights back, also where a validation does not come to its end."""
        if self._swapped:
            self._swap_models(pl_module)
            self._swapped = False

    def on_train_end(self, trainer: Any, pl_module: Any) -> None:
        """Leave the weights as they are, for a last checkpoint; who wants the average asks for it."""

    def averaged(self) -> dict[str, Any]:
        """The classifier's state with the average in the place of the weights."""
        assert self._average_model is not None
        prefix = "module."
        state = self._average_model.state_dict()
        return {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}


def _decay(decay: float, count: Tensor | int) -> float:
    return min(decay, (1 + int(count)) / (10 + int(count)))
