"""A trained model that predicts, without Lightning: in fp32, and the same whatever the batch."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.utils.data import DataLoader

from discerna import machine
from discerna.allocator import keep_blocks
from discerna.directories.image_dir import ImageDirectory
from discerna.directories.model_dir import ModelDirectory, ModelSpec
from discerna.errors import (
    InvalidModelDirectoryError,
    MachineError,
    OutOfMemoryError,
    ProcessError,
    UnreadablePictureError,
)
from discerna.images.loading import Batch, PictureDataset, begin, collate, read_here
from discerna.images.preprocessing import fit_picture
from discerna.images.tensors import normalise, to_tensor
from discerna.machine import Choice
from discerna.memory import is_out_of_memory
from discerna.networks.assembly import logits, trained_network
from discerna.networks.products import fp32_products
from discerna.networks.registration import own_names
from discerna.progress import SILENT, Progress
from discerna.results.picture_input import Picture, one_by_one, rgb
from discerna.results.views import View, views_of
from discerna.settings.loading import LoadingSettings
from discerna.wording import counted


@dataclass(frozen=True)
class Prediction:
    """What the model says of one picture."""

    label: str
    """The most probable label; of equally probable ones the first."""
    probability: float
    probabilities: dict[str, float]
    """Of every label, in the model's order; they add up to 1."""


class ScoredBatch(NamedTuple):
    """Some consecutive pictures of an image directory: the probabilities of those that can be read."""

    indices: list[int]
    """The position in the image directory of each picture that was scored."""
    probabilities: NDArray[np.float32]
    """[len(indices), labels]"""
    errors: list[tuple[int, UnreadablePictureError]]
    """The position of each picture that cannot be read, and why."""


class Scorer(Protocol):
    """What scores an image directory: a `Predictor`, or several processes that have one each."""

    labels: list[str]

    def stream(
        self, index: ImageDirectory, *, batch_size: int, workers: int, progress: Progress = SILENT
    ) -> Generator[ScoredBatch, None, None]:
        """Score all pictures in the order of the directory."""
        ...


class Share(NamedTuple):
    """The batches number, number + of, number + 2 of, ...: what one of several processes scores."""

    number: int
    of: int


ALL = Share(0, 1)


class Predictor:
    """A trained network with its labels and its preprocessing, on a device."""

    def __init__(self, network: nn.Module, spec: ModelSpec, device: str, views: str = "one") -> None:
        views_of(views)  # refuses another name; the functions themselves would not survive pickling
        self.views = views
        self.spec = spec
        self.labels = list(spec.labels)
        self.device = device
        # Convolutions are faster channels last, with the same result. A network of the user's own may
        # flatten by `view`, which torch refuses in that layout.
        last = device != "mps" and spec.network not in own_names()
        self._layout = torch.channels_last if last else torch.contiguous_format
        with _failures("the network", "use device=cpu"):
            self.network = network.eval().float().to(device, memory_format=self._layout)  # type: ignore[call-overload]

    @classmethod
    def of(cls, directory: ModelDirectory, *, device: str = "auto", views: str = "one") -> Predictor:
        """The predictor of a trained model directory.

        `device` is auto, cpu, cuda or mps; `views` is one, flip or crops.
        """
        chosen = choose_device(device)
        return cls(trained_network(directory), directory.spec, chosen.value, views)

    def predict(self, pictures: Picture | Iterable[Picture], batch_size: int = 32) -> list[Prediction]:
        """One prediction for each picture, in order; a single picture gives a list of one, too.

        A picture is a path, a Pillow image, an array of uint8 [height, width] or [height, width, 3], the
        bytes of a picture file, or such a file opened with "rb". One that cannot be read raises
        UnreadablePictureError.
        """
        if batch_size < 1:
            raise ValueError(f"batch_size={batch_size}; it is 1 or more")
        named = iter(one_by_one(pictures))
        predictions: list[Prediction] = []
        while chunk := list(islice(named, batch_size)):
            fitted = [fit_picture(rgb(picture, name), self.spec.preprocessing) for name, picture in chunk]
            scores = self._probabilities(torch.stack([to_tensor(picture) for picture in fitted]))
            _refuse_not_finite(scores, [name for name, _ in chunk])
            predictions += [self._prediction(row) for row in scores]
        return predictions

    def stream(
        self,
        index: ImageDirectory,
        *,
        batch_size: int,
        workers: int,
        progress: Progress = SILENT,
        share: Share = ALL,
    ) -> Generator[ScoredBatch, None, None]:
        """Score all pictures of an image directory in its order, or a share, holding no more than a few batches.

        `workers` processes decode the pictures; 0 decodes in this one.
        """
        keep_blocks()
        batches = _InOrder(len(index), batch_size, share)
        dataset = PictureDataset(index, self.spec.preprocessing, None, None, 0)
        if workers and len(batches) > 1:
            read = self._by_workers(dataset, batches, min(workers, len(batches)))
        else:
            read = read_here(dataset, batches, min(torch.get_num_threads(), batch_size))
        with progress.task("scoring", len(index)) as advance, closing(read):
            for batch in read:
                scored = self._scored(batch)
                _refuse_not_finite(scored.probabilities, [index.name(i) for i in scored.indices])
                yield scored
                advance(len(scored.indices) + len(scored.errors), "")

    def _by_workers(
        self, dataset: PictureDataset, batches: _InOrder, workers: int
    ) -> Generator[Batch, None, None]:
        loader: DataLoader[Any] = DataLoader(
            dataset,
            batch_sampler=batches,
            num_workers=workers,
            collate_fn=collate,
            worker_init_fn=begin,
            pin_memory=self.device == "cuda",
            generator=torch.Generator(),  # else the loader draws from the generator that the user has seeded
        )
        return _told(loader)

    def _scored(self, batch: Batch) -> ScoredBatch:
        indices = batch.indices.tolist()
        if not indices:
            return ScoredBatch([], np.empty((0, len(self.labels)), np.float32), batch.errors)
        return ScoredBatch(indices, self._probabilities(batch.pictures), batch.errors)

    def _probabilities(self, pictures: Tensor) -> NDArray[np.float32]:
        """The probabilities [n, labels] of pictures in uint8 [n, 3, size, size], averaged over the views."""
        count = len(pictures)
        remedy = f"use batch_size={count // 2}" if count > 1 else "use device=cpu"
        with _failures(f"batch_size={count}, device={self.device}", remedy), _exact(self.device):
            moved = pictures.to(self.device, non_blocking=True)
            # One after the other: stacked, they would take the memory of a larger batch.
            views = views_of(self.views)
            total = sum(self._of_view(view, moved) for view in views)
            assert isinstance(total, Tensor)
            scores: NDArray[np.float32] = (total / len(views)).cpu().numpy()
            return scores

    def _of_view(self, view: View, pictures: Tensor) -> Tensor:
        # Each from the bytes, as a network may change its input in place.
        ready = view(normalise(pictures, self.spec.preprocessing)).contiguous(memory_format=self._layout)
        main, _ = logits(self.network(ready))
        return main.float().softmax(1)

    def _prediction(self, scores: NDArray[np.float32]) -> Prediction:
        best = int(scores.argmax())
        by_label = dict(zip(self.labels, scores.tolist(), strict=True))
        return Prediction(self.labels[best], by_label[self.labels[best]], by_label)


def choose_device(asked: str) -> Choice:
    """cpu, cuda or mps for what the user asked; MachineError where it is not there."""
    if asked == "cpu":
        return Choice("cpu", "device=cpu")
    found = machine.gpu_kind()
    if asked == "auto":
        if found is None:
            return Choice("cpu", "no GPU was found")
        return Choice(found, f"found {machine.gpu_name(found)}")
    if asked not in ("cuda", "mps"):
        raise MachineError(
            "unknown device", where=f"device={asked}", accepted="it is auto | cpu | cuda | mps"
        )
    if found != asked:
        raise MachineError(
            "the device that was asked for is not there",
            where=f"device={asked}",
            accepted=f"torch sees {machine.gpu_name(found) if found else 'no GPU'} on this machine",
            remedy="use device=auto or device=cpu; discerna env shows what torch sees",
        )
    return Choice(found, f"device={asked}")


def choose_workers(loading: LoadingSettings, device: str, processes: int = 1) -> Choice:
    """How many processes decode pictures beside the network of each of `processes`."""
    if loading.workers != "auto":
        return Choice(loading.workers, "loading.workers")
    cores = max(1, machine.cores() // processes)
    told = f"{cores} cores" if processes == 1 else f"{counted(cores, 'core')} a process"
    if device == "cpu":
        return Choice(0, "the cores that score decode the pictures between two batches")
    return Choice(min(8, max(1, cores - 1)), told)


class _InOrder:
    """Keys of pictures in their order, a batch at a time; a list of them would grow with the pictures."""

    def __init__(self, pictures: int, batch_size: int, share: Share) -> None:
        self.pictures = pictures
        self.batch_size = batch_size
        self.firsts = range(share.number * batch_size, pictures, share.of * batch_size)

    def __len__(self) -> int:
        return len(self.firsts)

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        for first in self.firsts:
            yield [(0, i) for i in range(first, min(first + self.batch_size, self.pictures))]


def _told(loader: Iterable[Batch]) -> Generator[Batch, None, None]:
    """The batches; a worker that the system killed is told in our words."""
    try:
        yield from loader
    except RuntimeError as error:
        if "DataLoader worker" not in str(error):
            raise
        raise ProcessError(
            "a process that decodes pictures was ended by the system",
            where=str(error).splitlines()[0][:200],
            accepted="it ran out of memory, or of shared memory (/dev/shm, often small in a container)",
            remedy="use a smaller batch_size or loading.workers=0",
        ) from None


@contextmanager
def _failures(where: str, remedy: str) -> Iterator[None]:
    """Out of memory, told in our words."""
    try:
        yield
    except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
        told = str(error)
        if not is_out_of_memory(error):
            raise
        first = told.splitlines()[0][:120] if told else ""
        raise OutOfMemoryError("out of memory", where=where, accepted=first, remedy=remedy) from None


@contextmanager
def _exact(device: str) -> Iterator[None]:
    """Plain fp32, whatever the surrounding program has set: TF32 moves probabilities by more than 1e-4."""
    with fp32_products("ieee"), torch.inference_mode(), torch.autocast(device, enabled=False):
        yield


def _refuse_not_finite(scores: NDArray[np.float32], names: list[str]) -> None:
    finite = np.isfinite(scores).all(1)
    if not finite.all():
        raise InvalidModelDirectoryError(
            "the model answers NaN",
            where=names[int(finite.argmin())],
            accepted="its numbers overflow in fp32",
            remedy="train it again with a smaller learning_rate",
        )
