"""Every picture of an image directory inspected, and what was found kept in few bytes a picture."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from discerna import machine
from discerna.directories.image_dir import ImageDirectory
from discerna.errors import UnreadablePictureError
from discerna.images.inspection import Inspected, inspect_header, inspect_pixels, inspect_whole
from discerna.progress import Progress

CHUNK = 16
"""Pictures that a thread takes at a time."""

TINY = 16
"""A picture with a side below this holds little to learn from."""
HUGE = 50_000_000
"""A picture of more pixels than this is slow to decode, each epoch anew."""
LONG = 5.0
"""A picture whose long side is more than this many times its short side loses most of itself in a square."""


@dataclass
class Survey:
    """What the pictures of one directory are; lists hold positions in the directory."""

    directory: ImageDirectory
    bad: dict[int, UnreadablePictureError] = field(default_factory=dict)
    wrong_extension: list[int] = field(default_factory=list)
    animated: list[int] = field(default_factory=list)
    turned: list[int] = field(default_factory=list)
    tiny: list[int] = field(default_factory=list)
    huge: list[int] = field(default_factory=list)
    long: list[int] = field(default_factory=list)
    formats: Counter[str] = field(default_factory=Counter)
    modes: Counter[str] = field(default_factory=Counter)
    first_of_mode: dict[str, int] = field(default_factory=dict)
    sides: NDArray[np.int32] = field(default_factory=lambda: np.empty((0, 2), np.int32))
    """Width and height; 0 where the header cannot be read."""
    digests: NDArray[np.void] = field(default_factory=lambda: np.empty(0, "V16"))
    """Of the files' content; zeros where a picture is bad."""
    looks: NDArray[np.uint64] = field(default_factory=lambda: np.empty(0, np.uint64))
    has_look: NDArray[np.bool_] = field(default_factory=lambda: np.empty(0, np.bool_))


def survey(
    directory: ImageDirectory, progress: Progress, name: str, workers: int | Literal["auto"] = "auto"
) -> Survey:
    """Decode every picture of the directory, by so many threads."""
    count = len(directory)
    found = Survey(
        directory,
        sides=np.zeros((count, 2), np.int32),
        digests=np.zeros(count, "V16"),
        looks=np.zeros(count, np.uint64),
        has_look=np.zeros(count, np.bool_),
    )
    with progress.task(name, count) as advance:
        for i, inspected in _each(directory, range(count), inspect_whole, workers):
            _note(found, i, inspected)
            advance(1, f"{len(found.bad)} bad" if found.bad else "")
    return found


def bad_headers(
    directory: ImageDirectory, positions: Sequence[int], progress: Progress, name: str
) -> dict[int, UnreadablePictureError]:
    """Of the pictures at `positions`, those that their first bytes show to be none."""
    return _bad(directory, positions, inspect_header, progress, name)


def bad_pictures(
    directory: ImageDirectory, positions: Sequence[int], progress: Progress, name: str
) -> dict[int, UnreadablePictureError]:
    """Of the pictures at `positions`, those that do not decode to their end."""
    return _bad(directory, positions, inspect_pixels, progress, name)


def _bad(
    directory: ImageDirectory,
    positions: Sequence[int],
    inspect: Callable[[str], Inspected],
    progress: Progress,
    name: str,
) -> dict[int, UnreadablePictureError]:
    found = {}
    with progress.task(name, len(positions)) as advance:
        for i, inspected in _each(directory, positions, inspect):
            if inspected.error is not None:
                found[i] = inspected.error
            advance(1, f"{len(found)} bad" if found else "")
    return found


def _each(
    directory: ImageDirectory,
    positions: Sequence[int],
    inspect: Callable[[str], Inspected],
    workers: int | Literal["auto"] = "auto",
) -> Iterator[tuple[int, Inspected]]:
    """Each position with what was found, in order. Threads do: Pillow decodes without holding Python's lock."""
    chunks = [positions[start : start + CHUNK] for start in range(0, len(positions), CHUNK)]

    def work(chunk: Sequence[int]) -> list[tuple[int, Inspected]]:
        return [(i, inspect(directory.path(i))) for i in chunk]

    pool = ThreadPoolExecutor(machine.cores() if workers == "auto" else max(1, workers))
    try:
        for part in pool.map(work, chunks):
            yield from part
    finally:
        pool.shutdown(cancel_futures=True)


def _note(found: Survey, i: int, inspected: Inspected) -> None:
    """Put down what was found of picture `i`."""
    header = inspected.header
    if inspected.error is not None:
        found.bad[i] = inspected.error
    if header is None:
        return
    sides = header.width, header.height
    found.sides[i] = sides
    if inspected.error is not None:  # its other faults do not matter any more
        return
    found.formats[header.format] += 1
    found.modes[header.mode] += 1
    found.first_of_mode.setdefault(header.mode, i)
    for list_, applies in (
        (found.wrong_extension, inspected.has_wrong_extension(found.directory.name(i))),
        (found.animated, header.animated),
        (found.turned, header.turned),
        (found.tiny, min(sides) < TINY),
        (found.huge, header.width * header.height > HUGE),
        (found.long, max(sides) > LONG * min(sides)),
    ):
        if applies:
            list_.append(i)
    assert inspected.digest is not None
    found.digests[i] = np.void(inspected.digest)
    if inspected.look is not None:
        found.looks[i] = inspected.look
        found.has_look[i] = True
