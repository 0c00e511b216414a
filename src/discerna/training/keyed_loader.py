"""Batches whose content is a function of (seed, epoch, position) alone, whatever workers or restarts there are.

Stock loaders draw from random generators whose state no checkpoint holds, and their workers begin with the wrong
epoch after a restart. Here the epoch and the position are read from Lightning's own counters when the first batch
is asked for, which is after a restart has restored them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from torch import Tensor
from torch.utils.data import DataLoader

from discerna.errors import InvalidDatasetError
from discerna.images.loading import PictureDataset, collate
from discerna.training.batch_plan import BatchPlan, Share

if TYPE_CHECKING:
    from lightning.pytorch import Trainer


class Work(NamedTuple):
    """What one process computes at once."""

    pictures: Tensor
    labels: Tensor
    counted: bool
    """False where the process had no share of the piece; it takes the step because the others wait for it."""
    step_size: int


class TrainLoader:
    """The training pictures, shuffled afresh each epoch."""

    def __init__(
        self, dataset: PictureDataset, plan: BatchPlan, seed: int, workers: int, trainer: Trainer
    ) -> None:
        self.dataset = dataset
        self.plan = plan
        self.seed = seed
        self.workers = workers
        self.trainer = trainer

    def __len__(self) -> int:
        return len(self.plan.piece_sizes())

    def __iter__(self) -> Iterator[Work]:
        epoch = self.trainer.current_epoch
        done = self.trainer.fit_loop.epoch_loop.batch_progress.current.ready
        shares = self.plan.shares(self.seed, epoch, self.trainer.global_rank)[done:]
        on_gpu = self.trainer.strategy.root_device.type == "cuda"
        yield from _load(self.dataset, shares, epoch, self.workers, on_gpu)

    # Their presence tells Lightning that a run can go on in mid-epoch; the position is in its counters.
    def state_dict(self) -> dict[str, Any]:
        """Nothing: all state is in the trainer's counters."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Nothing to restore."""


class ValidationLoader:
    """The validation pictures in order, shared out so that each counts once and all processes take equal steps."""

    def __init__(self, dataset: PictureDataset, batch_size: int, workers: int, trainer: Trainer) -> None:
        process, processes = trainer.global_rank, trainer.world_size
        self.on_gpu = trainer.strategy.root_device.type == "cuda"
        total = len(dataset)
        mine = list(range(process, total, processes))
        longest = -(-total // processes)
        steps = -(-longest // batch_size)
        self.shares = [Share(mine[i * batch_size : (i + 1) * batch_size], total) for i in range(steps)]
        self.dataset = dataset
        self.workers = workers

    def __len__(self) -> int:
        return len(self.shares)

    def __iter__(self) -> Iterator[Work]:
        yield from _load(self.dataset, self.shares, 0, self.workers, self.on_gpu)


def _load(
    dataset: PictureDataset, shares: list[Share], epoch: int, workers: int, on_gpu: bool
) -> Iterator[Work]:
    batches = [[(epoch, i) for i in share.pictures or [0]] for share in shares]
    loader: DataLoader[Any] = DataLoader(
        dataset,
        batch_sampler=batches,  # a list of lists is a sampler of batches
        num_workers=workers,
        collate_fn=collate,
        pin_memory=workers > 0 and on_gpu,
    )
    for share, batch in zip(shares, loader, strict=True):
        if batch.errors:
            raise _unreadable(batch.errors)
        yield Work(batch.pictures, batch.labels, bool(share.pictures), share.step_size)


def _unreadable(errors: list[tuple[int, Any]]) -> InvalidDatasetError:
    _, first = errors[0]
    return InvalidDatasetError(
        "a picture cannot be read",
        where=first.where,
        accepted=f"{first.reason}: {first.accepted}" if first.accepted else first.reason,
        remedy="replace it or take it out of the directory",
    )
