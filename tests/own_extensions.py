"""What a user might write: callbacks and a logger of his own."""

from pathlib import Path
from typing import ClassVar

import torch
from lightning.pytorch import Callback
from lightning.pytorch.loggers import Logger


class Counter(Callback):
    def __init__(self, file: str) -> None:
        self.file = Path(file)
        self.steps = 0

    def on_train_batch_end(self, *args, **kwargs):
        self.steps += 1

    def on_fit_end(self, *args):
        self.file.write_text(str(self.steps))


class OutOfMemory(Callback):
    def on_train_batch_end(self, *args, **kwargs):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 1 GiB")


class Remember(Logger):
    seen: ClassVar[dict[str, float]] = {}

    @property
    def name(self):
        return "remember"

    @property
    def version(self):
        return "0"

    def log_hyperparams(self, *args, **kwargs):
        pass

    def log_metrics(self, metrics, step=None):
        self.seen.update(metrics)


class NeedsToken(Remember):
    def __init__(self, api_token: str, file: str) -> None:
        super().__init__()
        if api_token != "sesame":
            raise ValueError("wrong token")
        Path(file).write_text(str(len(api_token)))


class Keeper(Callback):
    """Its state is no plain data, which a safe load refuses."""

    def state_dict(self):
        return {"kept": Path("x")}
