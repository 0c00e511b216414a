"""What a user might write: callbacks and a logger of his own."""

import multiprocessing
import os
import signal
import time
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


class Harm(Callback):
    """What befalls the processes of a training, each thing once: HARMS="12:1:KILL 30:parent:INT,INT".

    A step, who (a process by its number, the agent of the first or of agent1, the parent of that, or the newest reader
    of pictures), and signals.
    """

    def __init__(self, folder: str) -> None:
        self.folder = Path(folder)

    def on_train_batch_end(self, trainer, *args):
        for harm in os.environ.get("HARMS", "").split():
            step, who, signals = harm.split(":")
            mark = self.folder / f"harm-{harm.replace(':', '-')}"
            by = int(who[-1]) if who[-1].isdigit() else 0
            if trainer.global_step == int(step) and trainer.global_rank == by and not mark.exists():
                mark.write_text(str(time.time()))
                for name in signals.split(","):
                    os.kill(self.process(who), signal.Signals[f"SIG{name}"])
                    time.sleep(0.5)  # meanwhile it arrives

    @staticmethod
    def process(who):
        match who:
            case "reader":
                children = multiprocessing.active_children()
                return max(children, key=lambda child: int(child.name.rpartition("-")[2])).pid
            case "agent" | "agent1":
                return os.getppid()
            case "parent":
                status = Path(f"/proc/{os.getppid()}/status").read_text()
                return int(status.partition("PPid:")[2].split()[0])
        return os.getpid()
