"""Pictures that are the same file twice, and pictures that look the same."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

Sketch = Callable[[int], NDArray[np.float64]]
"""A position -> the picture as a few colours."""

BANDS = 4
"""A look of 64 bits is cut into so many bands; looks that differ in fewer bits than this share a band."""
MOST_BITS = 8
"""Looks that differ in more bits than this are not compared any further."""
CROWD = 64
"""So many neighbours are compared where many pictures share a band, as on a white ground."""
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


def look_alikes(looks: NDArray[np.uint64], positions: Sequence[int], sketch: Sketch) -> list[list[int]]:
    """Groups of `positions` that look the same, by their looks first and by a comparison of sketches then."""
    parent: dict[int, int] = {}

    def root(i: int) -> int:
        while parent.setdefault(i, i) != i:
            parent[i] = parent[parent[i]]
            i = parent[i]
        return i

    sketches: dict[int, NDArray[np.float64]] = {}

    def sketched(i: int) -> NDArray[np.float64]:
        if i not in sketches:
            sketches[i] = sketch(i)
        return sketches[i]

    for a, b in _candidates(looks, np.asarray(positions, np.int64)):
        if root(a) != root(b) and look_the_same(sketched(a), sketched(b)):
            parent[root(b)] = root(a)
    groups: dict[int, list[int]] = {}
    for i in sorted(parent):
        groups.setdefault(root(i), []).append(i)
    return sorted(group for group in groups.values() if len(group) > 1)


def look_the_same(one: NDArray[np.float64], other: NDArray[np.float64]) -> bool:
    """Whether two sketches are of the same picture, saved twice."""
    return (
        _apart(_greys(one), _greys(other)) < GREYS_APART
        and _apart(_colours(one), _colours(other)) < COLOURS_APART
    )


def _apart(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    return float(np.sqrt(np.mean((one - other) ** 2)))


def _greys(sketch: NDArray[np.float64]) -> NDArray[np.float64]:
    grey = sketch.mean(axis=2)
    return np.asarray((grey - grey.mean()) / max(float(grey.std()), 1.0))


def _colours(sketch: NDArray[np.float64]) -> NDArray[np.float64]:
    """Of sixteen parts of the picture; finer ones suffer from the way in which a JPEG saves on colour."""
    side = len(sketch) // 4
    coarse = sketch.reshape(4, side, 4, side, 3).mean(axis=(1, 3))
    share = coarse / max(float(coarse.mean()), 1.0)
    return np.asarray(share - share.mean(axis=2, keepdims=True))


def _candidates(looks: NDArray[np.uint64], positions: NDArray[np.int64]) -> Iterator[tuple[int, int]]:
    """Pairs of positions whose looks share a band and differ in few bits; a pair may come twice."""
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
            if not shared.any():
                break
            bits = np.bitwise_count(sorted_own[step:][shared] ^ sorted_own[:-step][shared])
            near = np.flatnonzero(shared)[bits <= MOST_BITS]
            yield from zip(
                sorted_positions[near].tolist(), sorted_positions[near + step].tolist(), strict=True
            )
