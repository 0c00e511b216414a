"""The LightningDataModule around the two image directories, with the label checks."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Generator
from functools import partial

from lightning.pytorch import LightningDataModule
from PIL import Image

from discerna.directories.image_dir import ImageDirectory
from discerna.directories.label_check import check_labels, label_positions
from discerna.directories.run_folder import RunFolder
from discerna.errors import UnreadablePictureError
from discerna.images.cache_choice import CachePlace
from discerna.images.detail import Detail, decode_detail, needed
from discerna.images.loading import PictureDataset
from discerna.images.picture_cache import PictureCache
from discerna.progress import Progress
from discerna.settings.preprocessing import Preprocessing
from discerna.settings.recipe import Recipe
from discerna.settings.train import TrainSettings
from discerna.training.bad_pictures import BadPictures
from discerna.training.batch_plan import BatchPlan, Share
from discerna.training.growing import growing
from discerna.training.keyed_loader import (
    Broke,
    EpochsOfBatches,
    Readers,
    TrainLoader,
    ValidationLoader,
    load,
)

LOG = logging.getLogger("discerna")


class PictureData(LightningDataModule):
    """Training and validation pictures with the same labels."""

    def __init__(self, train: ImageDirectory, valid: ImageDirectory, bad: BadPictures | None = None) -> None:
        super().__init__()
        check_labels(train, valid)
        self.bad = bad
        self.cache: CachePlace | None = None
        """Where decoded pictures are kept."""
        self.train = train
        self.valid = valid
        self.labels = list(train.labels)
        self._loader: TrainLoader | None = None
        self._warned = False

    @classmethod
    def open(cls, settings: TrainSettings, folder: RunFolder, progress: Progress) -> PictureData:
        """Both directories of the settings, their labels checked, bad pictures left out."""
        nested = settings.loading.nested
        train = ImageDirectory.open(settings.train_data, setting="train_data", nested=nested)
        valid = ImageDirectory.open(settings.valid_data, setting="valid_data", nested=nested)
        check_labels(train, valid)
        bad = BadPictures(settings, folder)
        return cls(*bad.leave_out(train, valid, progress), bad)

    def counts(self) -> dict[str, int]:
        """The training pictures of each label."""
        return self.train.counts()

    def train_labels(self) -> list[int]:
        """The label of each training picture, by position in `labels`."""
        return [self.train.label_index(i) for i in range(len(self.train))]

    def prepare(
        self,
        settings: TrainSettings,
        recipe: Recipe,
        spec: Preprocessing,
        plan: BatchPlan,
        readers: Readers,
    ) -> None:
        """Fix how pictures are read, before the trainer asks for loaders."""
        assert settings.random_seed is not None
        self._plan = plan
        self._readers = readers
        self._seed = settings.random_seed
        self._kept = self._cache_of(needed(spec, recipe.augmentation))
        self._train_set = PictureDataset(
            self.train,
            spec,
            label_positions(self.train, self.labels, setting="train_data", allow_missing=False),
            recipe.augmentation,
            self._seed,
            growing(recipe.start_size, spec.size, settings.epochs),
            _reader(self._kept, needed(spec, recipe.augmentation)),
        )
        self._valid_set = PictureDataset(
            self.valid,
            spec,
            label_positions(self.valid, self.labels, setting="valid_data", allow_missing=False),
            None,
            self._seed,
            read=_reader(self._cache_of(needed(spec, None)), needed(spec, None)),
        )
        if plan.batch_size > plan.pictures and not self._warned:
            self._warned = True
            LOG.warning(
                "batch_size=%d is more than the %d training pictures: each epoch is one step of %d",
                plan.batch_size,
                plan.pictures,
                plan.pictures,
            )

    def _cache_of(self, detail: Detail | None) -> PictureCache | None:
        if self.cache is None:
            return None
        writers = 2 * self._plan.processes * max(1, self._readers.workers)  # of training and of validation
        return PictureCache(self.cache.folder, self.cache.limit, detail, writers)

    def batches(self, limit: float | None) -> int:
        """How many an epoch has, each a piece of a step; no more than Lightning's `limit_train_batches`."""
        count = len(self._plan.piece_sizes())
        return count if limit is None else min(count, limit) if type(limit) is int else int(count * limit)

    def steps(self, limit: float | None) -> int:
        """How many optimizer steps an epoch has; the last may have fewer pieces."""
        return (
            len(self._plan.steps()) if limit is None else math.ceil(self.batches(limit) / self._plan.pieces)
        )

    def valid_batches(self, limit: float | None) -> int:
        """How many batches of validation each process has; no more than Lightning's `limit_val_batches`."""
        longest = math.ceil(len(self.valid) / self._plan.processes)
        count = math.ceil(longest / self._valid_batch)
        return count if limit is None else min(count, limit) if type(limit) is int else int(count * limit)

    def first_batches(
        self, epoch: int, process: int, count: int, on_gpu: bool
    ) -> Generator[None, None, None]:
        """Read the first batches of an epoch, as a training would, for whoever wants to know how long it takes."""
        shares = self._plan.shares(self._seed, epoch, process)[:count]
        yield from self._read(self._train_set, epoch, shares, on_gpu, self._broke("train_data"))

    def some_valid_batches(self, process: int, count: int, on_gpu: bool) -> Generator[None, None, None]:
        """Read batches of validation pictures out of all of them, as above; neighbours may be all alike."""
        mine = range(process, len(self.valid), self._plan.processes)
        size = self._valid_batch
        apart = max(1, len(mine) // (count * size))
        some = list(mine[::apart])[: count * size]
        shares = [Share(some[i : i + size], size, [0]) for i in range(0, len(some), size)]
        yield from self._read(self._valid_set, 0, shares, on_gpu, self._broke("valid_data"))

    def _read(
        self, dataset: PictureDataset, epoch: int, shares: list[Share], on_gpu: bool, broke: Broke
    ) -> Generator[None, None, None]:
        batches = EpochsOfBatches(dataset, self._readers, on_gpu, lambda epoch: shares, 0)
        try:
            for _ in load(batches, epoch, shares, 0, broke):
                yield
        finally:
            batches.close()

    def kept_size(self, epoch: int, process: int, count: int) -> float:
        """The mean bytes that the cache has of a picture, as the first batches of an epoch have it."""
        if self._kept is None:
            return 0.0
        shares = self._plan.shares(self._seed, epoch, process)[:count]
        sizes = [self._kept.size(self.train.path(i % len(self.train))) for s in shares for i in s.pictures]
        return sum(sizes) / len(sizes) if sizes else 0.0  # of few pictures a process may have none

    @property
    def _valid_batch(self) -> int:
        return max(1, self._plan.batch_size // (self._plan.processes * self._plan.pieces))

    def train_dataloader(self) -> TrainLoader:
        """Called by Lightning."""
        assert self.trainer is not None
        self._loader = TrainLoader(
            self._train_set, self._plan, self._seed, self._readers, self.trainer, self._broke("train_data")
        )
        return self._loader

    def val_dataloader(self) -> ValidationLoader:
        """Called by Lightning."""
        assert self.trainer is not None
        broke = self._broke("valid_data")
        return ValidationLoader(self._valid_set, self._valid_batch, self._readers, self.trainer, broke)

    def close(self) -> None:
        """Let the workers end that still read ahead, when a training has come to whatever end."""
        if self._loader is not None:
            self._loader.close()
            self._loader = None

    def _broke(self, where: str) -> Broke:
        def broke(i: int, error: UnreadablePictureError, epoch: int) -> None:
            if self.bad is None:
                raise error
            self.bad.broke(where, i, error, epoch)

        return broke


def _reader(cache: PictureCache | None, detail: Detail | None) -> Callable[[str], Image.Image]:
    """Path -> picture in as much detail as this training makes use of, out of the cache where it has it."""
    return partial(decode_detail, detail=detail) if cache is None else cache.picture
