"""The parts of a division on disk: folders of links or copies, or a list of files for each part."""

from __future__ import annotations

import csv
import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from discerna.errors import InvalidDatasetError
from discerna.progress import Progress
from discerna.settings.split import Link
from discerna.splitting.division import Division
from discerna.splitting.naming import file_names
from discerna.wording import shown

_NO_LINK = {errno.EXDEV, errno.EPERM, errno.EMLINK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS}
"""Another disk, one that has no hard links, or a file that we may read but not link."""


def write_folders(division: Division, folder: Path, link: Link, progress: Progress) -> int:
    """`folder/<part>/<label>/<picture>`; how many pictures had to be copied in place of being linked."""
    directory = division.directory
    used = [(i, part) for i, part in enumerate(division.part) if part is not None]
    files = file_names([(directory.label(i) or "", directory.name(i)) for i, _ in used])
    for part, label in {(part, directory.label(i) or "") for i, part in used}:
        (folder / division.names[part] / label).mkdir(parents=True, exist_ok=True)
    copied = 0
    with progress.task("writing", len(used)) as advance:
        for (i, part), file in zip(used, files, strict=True):
            target = f"{folder}/{division.names[part]}/{directory.label(i)}/{file}"
            copied += _place(directory.path(i), target, link)
            advance(1, "")
    return copied if link == "hard" else 0


def write_lists(division: Division, folder: Path, output: Path) -> None:
    """`folder/<part>.csv`: files and labels of a part; paths begin in `output`, where the folder will stand."""
    directory = division.directory
    # Both without links: ../ in a path is taken by the system from where a link leads, not from where it stands.
    root, place = os.path.realpath(directory.root), os.path.realpath(output)
    for part, name in enumerate(division.names):
        with (folder / f"{name}.csv").open("x", encoding="utf-8", newline="") as file:
            table = csv.writer(file, lineterminator="\n")
            table.writerow(["file", "label"])
            for i, own in enumerate(division.part):
                if own == part:
                    path = os.path.relpath(os.path.join(root, directory.name(i)), place)  # noqa: PTH118
                    _refuse_undecodable(path)
                    table.writerow([path, directory.label(i)])


def _place(source: str, target: str, link: Link) -> bool:
    """Put a picture there; whether it is a copy."""
    if link == "symlink":
        os.symlink(source, target)  # noqa: PTH211 - a million of them
        return False
    # A hard link to a link would be a link again, which may be relative.
    source = os.path.realpath(source) if os.path.islink(source) else source  # noqa: PTH114
    if link == "hard":
        try:
            with _vanished(source):
                os.link(source, target)
            return False
        except OSError as error:
            if error.errno not in _NO_LINK:
                raise
    with _vanished(source), open(source, "rb") as original:
        with open(target, "xb") as copy:
            shutil.copyfileobj(original, copy, 1 << 20)
        return True


@contextmanager
def _vanished(source: str) -> Iterator[None]:
    """A picture that could be read a moment ago, told as such and not as a fault of the output."""
    try:
        yield
    except FileNotFoundError:
        raise InvalidDatasetError(
            "a picture has gone since it was read",
            where=shown(source),
            remedy="leave the directory alone while it is split, and start again",
        ) from None


def _refuse_undecodable(path: str) -> None:
    try:
        path.encode()
    except UnicodeEncodeError:
        raise InvalidDatasetError(
            "a name that no CSV file can hold",
            where=shown(path),
            accepted="it is no valid Unicode",
            remedy="rename it, or use another link=",
        ) from None
