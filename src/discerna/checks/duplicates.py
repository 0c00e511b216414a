"""Pictures that are the same file twice, and pictures that look the same."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from discerna.images.inspection import SKETCH
from discerna.progress import Advance

_GREYS = SKETCH * SKETCH
"""So many of the traits of a picture are its greys."""

Sketch = Callable[[int], NDArray[np.float64]]
"""A position -> the picture as a few colours."""

BANDS = 4
"""A look of 64 bits is cut into so many bands; looks that differ in fewer bits than this share a band."""
MOST_BITS = 8
"""Looks that differ in more bits than this are not compared any further."""
CROWD = 64
"""So many neighbours are compared where many pictures share a band, as on a white ground."""
STEPS = BANDS * CROWD
"""In so many steps all pictures are compared."""
GREYS_APART = 0.11
"""Two pictures look the same if their greys, brought to one brightness and contrast, differ by less than this.

Saving a picture again in another size, format, brightness or contrast changes 0.01 to 0.08; the most alike of 1,438
handwritten digits are 0.13 apart, of 1,000 garments 0.14."""
COLOURS_APART = 0.06
"""And if their colours, as shares of the brightness, do: a red heart and a green one are two pictures."""


def same_files(digests: NDArray[np.void]) -> list[list[int]]:
    """Groups of positions whose files hold the same bytes; positions without a digest are in none."""
    known = np.flatnonzero(digests != np.zeros(1, digests.dtype)[0])
    _, group, counts = np.unique(digests[known], return_inverse=True, return_counts=True)
    repeated = np.flatnonzero(counts[group] > 1)
    groups: dict[int, list[int]] = {}
    for position in repeated:
        groups.setdefault(int(group[position]), []).append(int(known[position]))
    return sorted(groups.values())


def look_alikes(
    looks: NDArray[np.uint64],
    positions: Sequence[int],
    sketch: Sketch,
    advance: Advance = lambda count, note: None,
) -> list[list[int]]:
    """Groups of `positions` that look the same, by their looks first and by a comparison of sketches then.

    `advance` is called STEPS times in all, each time when a like share of the comparisons is done.
    """
    parent: dict[int, int] = {}

    def root(i: int) -> int:
        while parent.setdefault(i, i) != i:
            parent[i] = parent[parent[i]]
            i = parent[i]
        return i

    traits: dict[int, NDArray[np.float16]] = {}

    def traits_of(i: int) -> NDArray[np.float16]:
        if i not in traits:
            traits[i] = _traits(sketch(i))
        return traits[i]

    for pairs in _candidates(looks, np.asarray(positions, np.int64)):
        for a, b in pairs:
            if root(a) != root(b) and _same(traits_of(a), traits_of(b)):
                parent[root(b)] = root(a)
        advance(1, "")
    groups: dict[int, list[int]] = {}
    for i in sorted(parent):
        groups.setdefault(root(i), []).append(i)
    return sorted(group for group in groups.values() if len(group) > 1)


def _same(one: NDArray[np.float16], other: NDArray[np.float16]) -> bool:
    """Whether two pictures are one, saved twice: each part of their traits is scaled so that 1 is too much."""
    apart = np.square(one.astype(np.float32) - other)
    return bool(apart[:_GREYS].mean() < 1 and apart[_GREYS:].mean() < 1)


def _traits(sketch: NDArray[np.float64]) -> NDArray[np.float16]:
    """The greys of a sketch at one brightness and contrast, then its colours: small, since many may be kept."""
    parts = _greys(sketch).ravel() / GREYS_APART, _colours(sketch).ravel() / COLOURS_APART
    return np.concatenate(parts).astype(np.float16)


def _greys(sketch: NDArray[np.float64]) -> NDArray[np.float64]:
    grey = sketch.mean(axis=2)
    return np.asarray((grey - grey.mean()) / max(float(grey.std()), 1.0))


def _colours(sketch: NDArray[np.float64]) -> NDArray[np.float64]:
    """Of sixteen parts of the picture; finer ones suffer from the way in which a JPEG saves on colour."""
    side = len(sketch) // 4
    coarse = sketch.reshape(4, side, 4, side, 3).mean(axis=(1, 3))
    share = coarse / max(float(coarse.mean()), 1.0)
    return np.asarray(share - share.mean(axis=2, keepdims=True))


def _candidates(
    looks: NDArray[np.uint64], positions: NDArray[np.int64]
) -> Iterator[Iterable[tuple[int, int]]]:
    """STEPS times some pairs of positions whose looks share a band and differ in few bits; a pair may come twice."""
    own = looks[positions]
    width = np.uint64(64 // BANDS)
    for number in range(BANDS):
        # The band in front, so that sorting puts those together that share it, and among them the most alike.
        shift = np.uint64(number) * width
        turned = (own << shift) | (own >> ((np.uint64(64) - shift) % np.uint64(64))) if number else own
        order = np.argsort(turned, kind="stable")
        band = turned[order] >> (np.uint64(64) - width)
        sorted_own, sorted_positions = own[order], positions[order]
        for step in range(1, CROWD + 1):
            shared = band[step:] == band[:-step]
            bits = np.bitwise_count(sorted_own[step:][shared] ^ sorted_own[:-step][shared])
            near = np.flatnonzero(shared)[bits <= MOST_BITS]
            yield zip(sorted_positions[near].tolist(), sorted_positions[near + step].tolist(), strict=True)
