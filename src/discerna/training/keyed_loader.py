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
from functools import lru_cache
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
        self.trainer = trainer
        process, on_gpu = trainer.global_rank, trainer.strategy.root_device.type == "cuda"
        # Of the epoch that is trained and of the next one, which is read ahead.
        self.shares = lru_cache(maxsize=2)(lambda epoch: plan.shares(seed, epoch, process))
        epochs = trainer.max_epochs
        self.batches = EpochsOfBatches(
            dataset, readers, on_gpu, self.shares, epochs if epochs and epochs > 0 else None
        )

    def __len__(self) -> int:
        return len(self.plan.piece_sizes())

    def __iter__(self) -> Iterator[Work]:
        epoch = self.trainer.current_epoch
        done = self.trainer.fit_loop.epoch_loop.batch_progress.current.ready
        side = self.dataset.side(epoch)
        for share, batch in load(self.batches, epoch, self.shares(epoch), done, self.broke):
            yield _work(share, batch, side, self.plan.smallest)

    def close(self) -> None:
        """Let the workers end."""
        self.batches.close()

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
        on_gpu = trainer.strategy.root_device.type == "cuda"
        total = len(dataset)
        mine = list(range(process, total, processes))
        longest = -(-total // processes)
        steps = -(-longest // batch_size)
        self.shares = [Share(mine[i * batch_size : (i + 1) * batch_size], total, [0]) for i in range(steps)]
        self.dataset = dataset
        self.batches = EpochsOfBatches(dataset, readers, on_gpu, lambda epoch: self.shares, 0)
        self.trainer = trainer
        self.broke = broke

    def __len__(self) -> int:
        return len(self.shares)

    def __iter__(self) -> Iterator[Work]:
        epoch = self.trainer.current_epoch  # only told: the pictures are the same in each
        for share, batch in load(self.batches, epoch, self.shares, 0, self.broke):
            yield _work(share, batch, self.dataset.side(epoch), 1)


class EpochsOfBatches:
    """The batches of one epoch after the other.

    Workers go on with the next epoch while the last batches of this one are computed and validated: a training on few
    pictures would otherwise wait for new workers more often than for anything else.
    """

    def __init__(
        self,
        dataset: PictureDataset,
        readers: Readers,
        on_gpu: bool,
        shares: Callable[[int], list[Share]],
        epochs: int | None,
    ) -> None:
        """`shares` of an epoch; `epochs`: how many there are, None for no end; 0: each is read for itself."""
        self._dataset = dataset
        self._readers = readers
        self._on_gpu = on_gpu
        self._shares = shares
        self._epochs = epochs
        self._coming: Iterator[Batch] | None = None
        self._next = (0, 0)
        """Epoch and position of what comes next."""

    def take(self, epoch: int, done: int) -> Iterator[Batch]:
        """The batches of an epoch beyond those that are `done`."""
        count = len(self._shares(epoch))
        if not self._readers.workers:
            yield from read_here(self._dataset, self._keys(epoch, done, epoch + 1), self._readers.threads)
            return
        end = None if self._epochs is None else max(self._epochs, epoch + 1)
        if self._coming is None or self._next != (epoch, done):
            self.close()
            self._coming = self._begin(epoch, done, end)
        try:
            for number in range(done, count):
                try:
                    batch = next(self._coming)
                except GONE as error:  # a worker that dies while it hands over what it has read
                    raise RuntimeError(f"{OF_WORKERS}: {type(error).__name__}, {error}") from None
                self._next = (epoch, number + 1) if number + 1 < count else (epoch + 1, 0)
                if self._next == (end, 0):
                    self.close()  # now, as nobody asks for more than the last
                yield batch
        finally:
            # Whoever stops in mid-epoch may go on from there, but for one that is read for itself.
            if self._epochs == 0:
                self.close()

    def close(self) -> None:
        """Let the workers end."""
        self._coming = None

    def _keys(self, epoch: int, done: int, end: int | None) -> Iterator[list[tuple[int, int]]]:
        while end is None or epoch < end:
            for share in self._shares(epoch)[done:]:
                yield [(epoch, i) for i in share.pictures or share.stand_ins]
            epoch, done = epoch + 1, 0

    def _begin(self, epoch: int, done: int, end: int | None) -> Iterator[Batch]:
        batches = len(self._shares(epoch)) - done
        loader: DataLoader[Any] = DataLoader(
            self._dataset,
            batch_sampler=self._keys(epoch, done, end),
            num_workers=self._readers.workers if end != epoch + 1 else min(self._readers.workers, batches),
            collate_fn=collate,
            pin_memory=self._on_gpu,
            worker_init_fn=begin_apart,
        )
        coming = iter(loader)
        if threading.current_thread() is threading.main_thread():
            # torch lets the death of a worker raise wherever the training is then; asked for a batch, it tells as well.
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        return coming


def load(
    batches: EpochsOfBatches, epoch: int, shares: list[Share], done: int, broke: Broke
) -> Iterator[tuple[Share, Batch]]:
    """The pictures of each share beyond those that are `done`; workers that die are replaced once an epoch."""
    retried = False
    while done < len(shares):
        try:
            for batch in batches.take(epoch, done):
                share = shares[done]
                done += 1
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
            batches.close()
            LOG.warning(
                "a process that reads pictures was killed; others go on from where it was: %s",
                _first_line(error),
            )


OF_WORKERS = "DataLoader worker"
"""How torch begins when it says that one is gone."""

GONE = (ConnectionError, EOFError, FileNotFoundError)
"""What comes of a batch whose worker is gone before torch has noticed."""


def is_of_dead_worker(error: BaseException) -> bool:
    """Whether a loader says that one of its workers is gone."""
    return OF_WORKERS in str(error)


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
        nothing = torch.zeros((smallest, DRAWN), dtype=torch.int64)
        return Work(blank, torch.zeros(smallest, dtype=torch.int64), False, share.step_size, nothing)
    if not batch.errors:
        return Work(pictures, labels, counted, share.step_size, drawn)
    if len(labels) < smallest:
        pictures, labels, drawn = (torch.cat([part, part]) for part in (pictures, labels, drawn))
    share_of_step = share.step_size * len(labels) / max(1, len(share.pictures))
    return Work(pictures, labels, counted, share_of_step, drawn)
