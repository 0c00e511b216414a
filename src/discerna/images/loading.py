"""Pictures for a DataLoader: decoded, augmented or fitted, and put together to batches."""

from __future__ import annotations

import copy
import os
import signal
import tempfile
from collections.abc import Callable, Generator, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import NamedTuple

import torch
from PIL import Image
from torch.utils.data import Dataset

from discerna.directories.image_dir import ImageDirectory
from discerna.errors import UnreadablePictureError
from discerna.images.decode import decode
from discerna.images.keys import mix
from discerna.images.preprocessing import fit_picture
from discerna.images.tensors import to_tensor
from discerna.images.transforms import view_of
from discerna.images.variation import draw, varies
from discerna.settings.augmentation import AugmentationSettings
from discerna.settings.preprocessing import Preprocessing


@dataclass(frozen=True)
class Sample:
    """One picture, or the reason why there is none."""

    picture: torch.Tensor | None
    """uint8 [3, size, size]"""
    label: int
    """The network's output for the true label; -1 when it is not known."""
    index: int
    """The position in the image directory."""
    error: UnreadablePictureError | None
    drawn: list[int] | None = None
    """What the device is to vary (`variation.draw`)."""


class Batch(NamedTuple):
    """The readable pictures of some samples, and the errors of the others.

    A tuple, so that DataLoader's pin_memory and Lightning's transfer to the device see the tensors in it.
    """

    pictures: torch.Tensor
    """uint8 [n, 3, size, size]; without a readable picture [0, 3, 0, 0]"""
    labels: torch.Tensor
    """int64 [n]"""
    indices: torch.Tensor
    """int64 [n], the positions in the image directory"""
    errors: list[tuple[int, UnreadablePictureError]]
    """The position of each picture that cannot be read, and why."""
    drawn: torch.Tensor
    """int64 [n, numbers], what the device is to vary of each picture; without anything [n, 0]"""

    def to(self, device: torch.device | str, non_blocking: bool = False) -> Batch:
        """The same batch with its tensors on `device`."""
        return self._replace(
            pictures=self.pictures.to(device, non_blocking=non_blocking),
            labels=self.labels.to(device, non_blocking=non_blocking),
            indices=self.indices.to(device, non_blocking=non_blocking),
            drawn=self.drawn.to(device, non_blocking=non_blocking),
        )


class PictureDataset(Dataset[Sample]):
    """The pictures of an image directory, asked for by (epoch, place).

    Places go round: with n pictures, place n is picture 0 again, varied in another way, so that an epoch
    may hold a picture more than once. The augmentation follows from the seed, the epoch and the place
    alone, so neither the number of workers and threads nor a restart changes it.
    """

    def __init__(
        self,
        index: ImageDirectory,
        spec: Preprocessing,
        positions: Sequence[int] | None,
        augmentation: AugmentationSettings | None,
        seed: int,
        size_of_epoch: Callable[[int], int] | None = None,
        read: Callable[[str], Image.Image] = decode,
    ) -> None:
        """`positions`: for each label of `index` the network's output; None leaves the labels out.

        `size_of_epoch`: the side of the pictures in an epoch; None is `spec.size` in each. `read`: path -> RGB.
        """
        self.index = index
        self.spec = spec
        self.positions = positions
        self.augmentation = augmentation
        self.seed = seed
        self.size_of_epoch = size_of_epoch
        self.read = read

    def __len__(self) -> int:
        return len(self.index)

    def side(self, epoch: int) -> int:
        """The side of the pictures in an epoch."""
        return self.spec.size if self.size_of_epoch is None else self.size_of_epoch(epoch)

    def __getitem__(self, key: tuple[int, int]) -> Sample:
        epoch, place = key
        i = place % len(self.index)
        position = self.index.label_index(i)
        label = -1 if self.positions is None or position < 0 else self.positions[position]
        try:
            image = self.read(self.index.path(i))
        except UnreadablePictureError as error:
            # A copy has no traceback; with it a list of errors would keep alive all that decode had in hand.
            return Sample(None, label, i, copy.copy(error))
        spec = self.spec if self.size_of_epoch is None else self.spec.scaled(self.side(epoch))
        if self.augmentation is None:
            return Sample(to_tensor(fit_picture(image, spec)), label, i, None)
        own = mix(self.seed, epoch, place)
        view = view_of(image, spec, self.augmentation, own)
        drawn = draw(self.augmentation, spec.size, own) if varies(self.augmentation) else None
        return Sample(view, label, i, None, drawn)


def collate(samples: Sequence[Sample]) -> Batch:
    """Put samples together; pictures that cannot be read end among the errors."""
    readable = [sample for sample in samples if sample.picture is not None]
    pictures = [sample.picture for sample in readable if sample.picture is not None]
    return Batch(
        pictures=torch.stack(pictures) if pictures else torch.empty((0, 3, 0, 0), dtype=torch.uint8),
        labels=torch.tensor([sample.label for sample in readable], dtype=torch.int64),
        indices=torch.tensor([sample.index for sample in readable], dtype=torch.int64),
        errors=[(sample.index, sample.error) for sample in samples if sample.error is not None],
        drawn=torch.tensor([sample.drawn or [] for sample in readable], dtype=torch.int64),
    )


MOST_THREADS = 16
"""Each may have a picture of half a gigabyte in hand."""


def read_here(
    dataset: PictureDataset, batches: Iterable[Sequence[tuple[int, int]]], threads: int
) -> Generator[Batch, None, None]:
    """The batches of these keys, read in this process: a batch at a time, on all threads, while nothing else computes.

    Where the cores that read are those that compute, both at once would only wait for one another.
    """
    if threads == 1:
        for keys in batches:
            yield collate([dataset[key] for key in keys])
        return
    pool = ThreadPoolExecutor(min(threads, MOST_THREADS), thread_name_prefix="pictures")
    try:
        for keys in batches:
            yield collate(list(pool.map(dataset.__getitem__, keys)))
    finally:  # whoever is stopped waits for what is being read, and for no more
        pool.shutdown(cancel_futures=True)


SOCKET_PATH = 100
"""Bytes that the address of a Unix socket may have on any system."""


def begin(worker: int) -> None:
    """Prepare a loader's worker: tensors go through a socket in the temporary folder, whose path must be short.

    Beyond that each batch would be lost without a word to the loader, which waits for it for ever.
    """
    socket = os.fsencode(tempfile.gettempdir()) + b"/pymp-12345678/listener-12345678"
    if len(socket) > SOCKET_PATH:
        tempfile.tempdir = "/tmp"


def begin_apart(worker: int) -> None:
    """Also let it end with its loader only: who stops a training may signal all processes of its group."""
    begin(worker)
    os.setpgid(0, 0)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
