"""A look at some of the training pictures: how large they are, and whether left and right matter."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from discerna.directories.image_dir import ImageDirectory
from discerna.errors import UnreadablePictureError
from discerna.images.decode import decode, picture_size
from discerna.machine import cores

T = TypeVar("T")
Array = NDArray[np.float64]

SAMPLE = 256
"""Pictures that are looked at, spread evenly over at most LABELS labels."""
LABELS = 64

SIDE = 16
CELLS = 4


@dataclass(frozen=True, kw_only=True)
class Look:
    """What a sample of the training pictures shows."""

    short_side: int
    """Median, in pixels; 0 where no picture could be read."""
    aspect: float
    """Long side over short side, of the picture at 95 % of the sample."""
    mirror: float | None
    """How alike the differences are that mirroring makes to the pictures of one label: 0, left and right are
    arbitrary, 1, they are fixed. None where no label has two pictures in the sample."""
    upside: float | None
    """The same for up and down."""


def look(index: ImageDirectory) -> Look:
    """Look at a sample, the same for the same directory; pictures that cannot be read are passed over."""
    sample = _sample(index)
    sizes = [size for i in sample if (size := picture_size(index.path(i))) is not None]
    if not sizes:
        return Look(short_side=0, aspect=1.0, mirror=None, upside=None)
    small: dict[int, list[Array]] = {}
    with ThreadPoolExecutor(min(8, cores())) as pool:
        for i, grey in zip(sample, pool.map(_thumbnail, map(index.path, sample)), strict=True):
            if grey is not None:
                small.setdefault(index.label_index(i), []).append(grey)
    labels = [np.stack(pictures) for pictures in small.values()]
    return Look(
        short_side=int(np.median([min(size) for size in sizes])),
        aspect=float(np.quantile([max(size) / min(size) for size in sizes], 0.95)),
        mirror=_fixed(labels, axis=2),
        upside=_fixed(labels, axis=1),
    )


def _thumbnail(path: str) -> Array | None:
    try:
        image = decode(path, at_least=2 * SIDE)
    except UnreadablePictureError:
        return None
    return np.asarray(image.convert("L").resize((SIDE, SIDE), Image.Resampling.BOX), np.float64)


def _sample(index: ImageDirectory) -> list[int]:
    """Positions in the directory: some pictures of some labels, evenly spread."""
    first, ranges = 0, []
    for count in index.counts().values():
        ranges.append(range(first, first + count))
        first += count
    ranges = _spread(ranges, LABELS)
    each = max(4, SAMPLE // len(ranges))
    return [i for positions in ranges for i in _spread(positions, each)]


def _spread(items: Sequence[T], most: int) -> list[T]:
    """At most so many of the items, at even distances."""
    if len(items) <= most:
        return list(items)
    return [items[k * len(items) // most] for k in range(most)]


def _fixed(labels: Sequence[Array], axis: int) -> float | None:
    """How far the pictures of a label agree in what a flip along `axis` would change in them.

    The mean product of what a flip changes in two different pictures of a label, over the mean square of what
    it changes in one: unbiased, so it is near 0 for arbitrary directions however few pictures there are.
    Brightness tells where things are, the product of the gradients which way slanted lines lean.
    """
    found = [
        agreement
        for features in (_brightness, _slant)
        if (agreement := _agreement([_changes(features, pictures, axis) for pictures in labels])) is not None
    ]
    return max(found, default=None)


def _changes(features: Callable[[Array], Array], pictures: Array, axis: int) -> Array:
    return features(pictures) - features(np.flip(pictures, axis))


def _agreement(labels: Sequence[Array]) -> float | None:
    products = squares = 0.0
    pairs = False
    for changes in labels:
        n = len(changes)
        if n < 2:
            continue
        own = float((changes**2).sum())
        products += (float((changes.sum(0) ** 2).sum()) - own) / (n - 1)
        squares += own
        pairs = True
    if not pairs:
        return None
    return products / squares if squares > 0 else 0.0


def _brightness(pictures: Array) -> Array:
    """Each picture as a row of mean 0 and length 1."""
    rows = pictures.reshape(len(pictures), -1)
    rows = rows - rows.mean(1, keepdims=True)
    scaled: Array = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9)
    return scaled


def _slant(pictures: Array) -> Array:
    """For each part of each picture, how much more its lines lean to one side than to the other."""
    down, across = np.gradient(pictures, axis=(1, 2))
    cells = (len(pictures), CELLS, SIDE // CELLS, CELLS, SIDE // CELLS)
    leaning = (down * across).reshape(cells).sum((2, 4)).reshape(len(pictures), -1)
    strength = (down**2 + across**2).sum((1, 2))[:, None]
    shares: Array = leaning / np.maximum(strength, 1e-9)
    return shares
