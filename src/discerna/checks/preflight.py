"""Before a training: bad pictures are found while nothing is spent yet, and left out, or the training is refused."""

from __future__ import annotations

from collections.abc import Mapping

from discerna.checks.survey import bad_headers, bad_pictures
from discerna.directories.image_dir import ImageDirectory
from discerna.errors import InvalidDatasetError, UnreadablePictureError
from discerna.progress import Progress
from discerna.wording import counted, shown

Bad = Mapping[int, UnreadablePictureError]

SAMPLE = 1_000
"""A quick check decodes so many pictures of a directory to their end; of more it looks at the headers only."""


def find_bad(directory: ImageDirectory, how: str, progress: Progress, name: str) -> Bad:
    """The pictures that cannot be used: all of them where `how` is full; where it is quick, those that show early."""
    if how == "off":
        return {}
    count = len(directory)
    if how == "full" or count <= SAMPLE:
        return bad_pictures(directory, range(count), progress, name)
    spread = [number * count // SAMPLE for number in range(SAMPLE)]
    return {
        **bad_headers(directory, range(count), progress, name),
        **bad_pictures(directory, spread, progress, f"{name}, a sample"),
    }


def refuse_bad(
    bad: Bad,
    directory: ImageDirectory,
    where: str,
    *,
    skip: bool,
    limit: float,
    found: str = "",
    group: str = "loading.",
) -> None:
    """Raise if bad pictures are not to be skipped, are more than the share `limit`, or are all there are.

    `group` is that of the settings which say so.
    """
    some_left = len(bad) < len(directory)
    if not bad or (skip and some_left and len(bad) <= limit * len(directory)):
        return
    told = [f"{shown(directory.name(i))} ({error.reason})" for i, error in sorted(bad.items())[:5]]
    more = f", … {len(bad) - 5} more" if len(bad) > 5 else ""
    allowed = (
        f"{group}max_bad={limit:g} allows {int(limit * len(directory))} of {len(directory)}"
        if skip
        else f"{group}on_bad=error allows none"
    )
    raise InvalidDatasetError(
        f"{counted(len(bad), 'picture')} cannot be read{found}",
        where=f"{where}={shown(str(directory.place))}",
        accepted=f"{', '.join(told)}{more}; {allowed}",
        remedy="mend or remove them (discerna check lists all)"
        + (f", or raise {group}max_bad" if skip else f", or use {group}on_bad=skip"),
    )


def refuse_lost_labels(before: ImageDirectory, after: ImageDirectory, where: str) -> None:
    """Raise if a label has no picture left."""
    left = set(after.labels)
    lost = [label for label in before.labels if label not in left]
    if lost:
        raise InvalidDatasetError(
            "no picture of a label can be read",
            where=f"{where}={shown(str(before.place))}",
            accepted=", ".join(shown(label) for label in lost),
            remedy="replace the pictures, or remove the label from both directories",
        )
