"""Batches whose content is a function of (seed, epoch, position) alone, whatever workers or restarts there are.

Stock loaders draw from random generators whose state no checkpoint holds, and their workers begin with the wrong
epoch after a restart. Here the epoch and the position are read from Lightning's own counters when the first batch
is asked for, which is after a restart has restored them.
"""

from __future__ import annotations

import logging
import signal
import threading
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor
from torch.utils.data import DataLoader

from discerna.errors import UnreadablePictureError
from discerna.images.loading import Batch, PictureDataset, begin_apart, collate, read_here
from discerna.images.variation import DRAWN
from discerna.training.batch_plan import BatchPlan, Share

LOG = logging.getLogger("discerna")

if TYPE_CHECKING:
    from lightning.pytorch import Trainer


class Work(NamedTuple):
    """What one process computes at once."""

    pictures: Tensor
    labels: Tensor
    counted: bool
    """False where the process had no share of the piece; it takes the step because the others wait for it."""
    step_size: float
    """How many pictures of the weight of these the whole step has, over all pieces and processes."""
    drawn: Tensor
    """What the device is to vary of each picture."""


class Readers(NamedTuple):
    """Who reads pictures."""

    workers: int
    """Processes beside this one; 0: its own threads, between two steps."""
    threads: int


Broke = Callable[[int, UnreadablePictureError, int], None]
"""Told of a picture that cannot be read: its position, why, and the epoch."""


class TrainLoader:
    """The training pictures, shuffled afresh each epoch."""

    def __init__(
        self,
        dataset: PictureDataset,
        plan: BatchPlan,
        seed: int,
        readers: Readers,
        trainer: Trainer,
        broke: Broke,
    ) -> None:
        self.dataset = dataset
        self.broke = broke
        self.plan = plan
        self.seed = seed
        self.readers = readers
        self.trainer = trainer

    def __len__(self) -> int:
        return len(self.plan.piece_sizes())

    def __iter__(self) -> Iterator[Work]:
        epoch = self.trainer.current_epoch
        done = self.trainer.fit_loop.epoch_loop.batch_progress.current.ready
        shares = self.plan.shares(self.seed, epoch, self.trainer.global_rank)[done:]
        on_gpu = self.trainer.strategy.root_device.type == "cuda"
        for share, batch in load(self.dataset, shares, epoch, self.readers, on_gpu, self.broke):
            yield _work(share, batch, self.dataset.side(epoch), self.plan.smallest)

    # Their presence tells Lightning that a run can go on in mid-epoch; the position is in its counters.
    def state_dict(self) -> dict[str, Any]:
        """Nothing: all state is in the trainer's counters."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Nothing to restore."""


class ValidationLoader:
    """The validation pictures in order, shared out so that each counts once and all processes take equal steps."""

    def __init__(
        self, dataset: PictureDataset, batch_size: int, readers: Readers, trainer: Trainer, broke: Broke
    ) -> None:
        process, processes = trainer.global_rank, trainer.world_size
        self.on_gpu = trainer.strategy.root_device.type == "cuda"
        total = len(dataset)
        mine = list(range(process, total, processes))
        longest = -(-total // processes)
        steps = -(-longest // batch_size)
        self.shares = [Share(mine[i * batch_size : (i + 1) * batch_size], total, [0]) for i in range(steps)]
        self.dataset = dataset
        self.readers = readers
        self.trainer = trainer
        self.broke = broke

    def __len__(self) -> int:
        return len(self.shares)

    def __iter__(self) -> Iterator[Work]:
        epoch = self.trainer.current_epoch  # only told: the pictures are the same in each
        for share, batch in load(self.dataset, self.shares, epoch, self.readers, self.on_gpu, self.broke):
            yield _work(share, batch, self.dataset.side(epoch), 1)


def load(
    dataset: PictureDataset, shares: list[Share], epoch: int, readers: Readers, on_gpu: bool, broke: Broke
) -> Iterator[tuple[Share, Batch]]:
    """The pictures of each share; workers that die are replaced once."""
    left = shares
    retried = False
    while left:
        try:
            for batch in _batches(dataset, left, epoch, readers, on_gpu):
                share, *left = left
                if share.pictures:  # of a stand-in the process tells whose picture it is
                    for i, error in batch.errors:
                        broke(i, error, epoch)
                yield share, batch
            return
        except RuntimeError as error:
            # What a batch holds follows from its position, so new workers give what the dead ones would have given.
            if retried or not is_of_dead_worker(error):
                raise
            retried = True
            LOG.warning(
                "a process that reads pictures was killed; others go on from where it was: %s",
                _first_line(error),
            )


def _batches(
    dataset: PictureDataset, shares: list[Share], epoch: int, readers: Readers, on_gpu: bool
) -> Iterator[Batch]:
    keys = [[(epoch, i) for i in share.pictures or share.stand_ins] for share in shares]
    if not readers.workers:
        yield from read_here(dataset, keys, readers.threads)
        return
    loader: DataLoader[Any] = DataLoader(
        dataset,
        batch_sampler=keys,
        num_workers=readers.workers,
        collate_fn=collate,
        pin_memory=on_gpu,
        worker_init_fn=begin_apart,
    )
    batches = iter(loader)
    if threading.current_thread() is threading.main_thread():
        # torch lets the death of a worker raise wherever the training is then; asked for a batch, it tells as well.
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    yield from batches


def is_of_dead_worker(error: BaseException) -> bool:
    """Whether a loader says that one of its workers is gone."""
    return "DataLoader worker" in str(error)


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [""])[0]


def _work(share: Share, batch: Batch, side: int, smallest: int) -> Work:
    """What a share comes to. Pictures that broke are left out, and the others of the share weigh that much more.

    A network with batch normalisation needs two pictures (`smallest`): a single one that is left is taken twice, at
    half its weight. Where none is left, blank ones take the step without any weight.
    """
    pictures, labels, drawn, counted = batch.pictures, batch.labels, batch.drawn, bool(share.pictures)
    if not len(labels):
        blank = torch.zeros((smallest, 3, side, side), dtype=torch.uint8)
        nothing = torch.zeros(smallest, DRAWN)
        return Work(blank, torch.zeros(smallest, dtype=torch.int64), False, share.step_size, nothing)
    if not batch.errors:
        return Work(pictures, labels, counted, share.step_size, drawn)
    if len(labels) < smallest:
        pictures, labels, drawn = (torch.cat([part, part]) for part in (pictures, labels, drawn))
    share_of_step = share.step_size * len(labels) / max(1, len(share.pictures))
    return Work(pictures, labels, counted, share_of_step, drawn)
