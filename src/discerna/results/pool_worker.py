"""`python -m discerna.results.pool_worker DESCRIPTOR`: a process of a `PredictorPool`, which scores a share.

It is told by a connection what to do, and answers there with one `ScoredBatch` after the other, or with the error that
ended it. Light at the top: the order is taken before torch is imported.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import traceback
from collections.abc import Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from types import FrameType

from discerna import own_process
from discerna.directories.image_dir import ImageDirectory
from discerna.errors import DiscernaError, Terminated

TERMINATED = 143
"""The exit code after SIGTERM."""


@dataclass(frozen=True)
class Order:
    """What a process is told first."""

    parent: int
    """The process that started this one."""
    search_path: list[str]
    """Where the parent looks for modules."""
    modules: list[str]
    """The user's, which register networks."""
    model: Path
    device: str
    gpu: int | None
    """Which of several GPUs."""
    threads: int
    views: str
    pictures: ImageDirectory
    batch_size: int
    workers: int
    number: int
    """Of this process, from 0: it scores the batches number, number + processes, ..."""
    processes: int


def main(arguments: Sequence[str] | None = None) -> int:
    """Score what the parent orders; returns the exit code."""
    (descriptor,) = sys.argv[1:] if arguments is None else arguments
    with Connection(int(descriptor)) as parent:
        os.register_at_fork(
            after_in_child=parent.close
        )  # else workers that decode keep it open after our end
        try:
            order: Order = parent.recv()
            _end_with(order.parent)
            _answer(order, parent)
        except (EOFError, BrokenPipeError, ConnectionResetError):  # the parent is gone
            return 1
        except Terminated:
            return TERMINATED
        except Exception as error:
            with suppress(OSError):
                parent.send(_portable(error))
            return 1
    return 0


def _answer(order: Order, parent: Connection) -> None:
    own_process.claim()
    sys.path += [place for place in order.search_path if place not in sys.path]
    import torch

    from discerna.directories.model_dir import ModelDirectory
    from discerna.networks.registration import import_user_modules
    from discerna.results.predictor import Predictor, Share

    # From here on there may be workers that decode, with files of theirs in the temporary folder: SIGTERM must end
    # them first. During the imports it may end this process at once, since some of them swallow exceptions.
    signal.signal(signal.SIGTERM, _terminated)
    torch.set_num_threads(order.threads)
    if order.gpu is not None:
        torch.cuda.set_device(order.gpu)
    import_user_modules(order.modules)
    directory = ModelDirectory.open(order.model, setting="model")
    predictor = Predictor.of(directory, device=order.device, views=order.views)
    share = Share(order.number, order.processes)
    stream = predictor.stream(order.pictures, batch_size=order.batch_size, workers=order.workers, share=share)
    with closing(stream) as batches:
        for batch in batches:
            parent.send(batch)


def _terminated(number: int, frame: FrameType | None) -> None:
    signal.signal(number, signal.SIG_IGN)  # once is enough: a second would disturb what the first lets end
    raise Terminated


def _end_with(parent: int) -> None:
    """Ask Linux to terminate this process when its parent is gone, even by kill -9."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGTERM)  # PR_SET_PDEATHSIG
    if os.getppid() != parent:  # it was gone before
        raise EOFError


def _portable(error: Exception) -> Exception:
    """The error as it can be sent; of a bug with the lines that lead to it."""
    if isinstance(error, DiscernaError):
        return error
    return RuntimeError("".join(traceback.format_exception(error)).rstrip())


if __name__ == "__main__":
    sys.exit(main())
