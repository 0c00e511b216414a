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


class NoWaiting(Callback):
    """A step that makes a GPU wait is an error, but for the first one, in which kernels are chosen."""

    def on_train_batch_start(self, trainer, *args, **kwargs):
        if trainer.global_step:
            torch.cuda.set_sync_debug_mode("error")

    def on_train_batch_end(self, *args, **kwargs):
        torch.cuda.set_sync_debug_mode("default")

    def on_exception(self, *args):
        torch.cuda.set_sync_debug_mode("default")


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


class Died(BaseException):
    """What a test raises where a process would die: nothing of ours may catch it."""


class Dies(Callback):
    """Ends the process, as it were, at the batch whose number DIE_AT has; validation counts too."""

    def __init__(self) -> None:
        self.batches = 0

    def on_train_batch_start(self, *args):
        self._count()

    def on_validation_batch_start(self, *args):
        self._count()

    def _count(self) -> None:
        self.batches += 1
        if self.batches == int(os.environ.get("DIE_AT", "0")):
            raise Died


class Signals(Dies):
    """Sends this process SIGNAL (so often as SIGNAL_TIMES says) at the batch whose number SIGNAL_AT has."""

    def _count(self) -> None:
        self.batches += 1
        if self.batches == int(os.environ.get("SIGNAL_AT", "0")):
            for _ in range(int(os.environ.get("SIGNAL_TIMES", "1"))):
                os.kill(os.getpid(), int(os.environ["SIGNAL"]))


class OutOfMemoryOver(Callback):
    """Has room for so many pictures at once from the step on whose number OOM_FROM has."""

    def __init__(self, most: int) -> None:
        self.most = most

    def on_before_optimizer_step(self, trainer, pl_module, optimizer):
        rank = int(os.environ.get("OOM_RANK", "0"))
        if trainer.global_rank == rank and trainer.global_step >= int(os.environ.get("OOM_FROM", "1000000")):
            pieces = trainer.accumulate_grad_batches
            if 8 // pieces > self.most:
                raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 1 GiB")


class Poison(Callback):
    """Makes a weight NaN in the step NAN_AT of process NAN_RANK, as long as the rate is above NAN_ABOVE."""

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        if trainer.global_rank != int(os.environ.get("NAN_RANK", "0")):
            return
        rate = max(group["lr"] for group in trainer.optimizers[0].param_groups)
        if trainer.global_step == int(os.environ.get("NAN_AT", "-1")) and rate > float(
            os.environ["NAN_ABOVE"]
        ):
            with torch.no_grad():
                next(pl_module.network.parameters()).fill_(float("nan"))


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
