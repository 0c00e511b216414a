"""How the pictures of a place lie, and what can be wrong with the place itself, each fault with its remedy."""

from __future__ import annotations

import os
import stat
from collections import Counter
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from discerna.directories.picture_files import PICTURE_EXTENSIONS, Rest
from discerna.errors import InvalidDatasetError
from discerna.settings.build import nearest
from discerna.wording import counted, shown

FORMATS = f"pictures end with {' '.join(sorted(PICTURE_EXTENSIONS))}"

PICTURE = "picture"
"""The name of the layout of a single file."""

OLD_IMAGE_DIR = "old ImageDirectory"
"""The name of the layout of the Azure ML designer."""


@dataclass(frozen=True)
class Layout:
    """How pictures lie, as it was recognised."""

    name: str
    """`folders`, `manifest`, `COCO`, `old ImageDirectory`, `unlabelled`, `picture` or `several places`"""
    reason: str
    """By what it was recognised."""
    file: str = ""
    """The list that names the pictures, where there is one."""

    def __str__(self) -> str:
        return f"{self.name}: {self.reason}"


def find_place(given: str, setting: str) -> tuple[str, bool]:
    """The absolute path, and whether it is a directory; refuses what is missing, and model directories."""
    where = as_given(given, setting)
    path = Path(given)
    try:
        mode = path.stat().st_mode
        is_directory = stat.S_ISDIR(mode)
        is_model = is_directory and (path / "manifest.json").exists() and (path / "model.json").exists()
    except (FileNotFoundError, NotADirectoryError):
        raise _missing(path, where) from None
    except OSError as error:
        raise unreadable(given, setting, error) from None
    if not is_directory and not stat.S_ISREG(mode):
        raise InvalidDatasetError(
            "this is a pipe or a device",
            where=where,
            accepted="a directory of pictures, or a picture",
            remedy="write what it gives into a file and pass that",
        )
    if is_model:
        raise InvalidDatasetError(
            "this is a model directory, not an image directory",
            where=where,
            accepted="a directory of pictures",
            remedy="pass a model directory as model=",
        )
    return os.path.abspath(given), is_directory  # noqa: PTH100 - Path.absolute keeps `..`


def not_a_directory(given: str, setting: str) -> InvalidDatasetError:
    """The error for a file where labelled pictures are expected."""
    return InvalidDatasetError(
        "this is a file, not a directory",
        where=as_given(given, setting),
        accepted="a directory with a folder for each label, or a list of pictures: .csv .tsv .jsonl .json",
        remedy="discerna convert makes a directory of an archive",
    )


def unreadable(given: str, setting: str, error: OSError) -> InvalidDatasetError:
    """The error for a directory that the machine does not let us read."""
    return InvalidDatasetError(
        "it cannot be read",
        where=as_given(given, setting),
        accepted=error.strerror or str(error),
        remedy="check the permissions of it and of the directories above it",
    )


def no_pictures(given: str, setting: str, rest: Rest) -> InvalidDatasetError:
    """The error for a place without a picture; says what lies there instead."""
    where = as_given(given, setting)
    if not rest.others:
        hidden = f"only {counted(rest.ignored, 'hidden or system file')}" if rest.ignored else ""
        return InvalidDatasetError("there are no files in it", where=where, accepted=hidden, remedy=FORMATS)
    kinds = Counter(
        PurePosixPath(name).suffix or "no extension" if reason == "unsupported_format" else reason
        for name, reason in rest.others
    )
    found = ", ".join(f"{shown(kind)} ({count})" for kind, count in kinds.most_common(5))
    return InvalidDatasetError(
        "there are no pictures in it", where=where, accepted=f"it holds {found}", remedy=FORMATS
    )


@dataclass(frozen=True)
class Fault:
    """What is wrong with how pictures lie, where the pictures themselves can be read all the same."""

    code: str
    folders: list[str]
    error: InvalidDatasetError


def as_given(given: str, setting: str) -> str:
    """The path with its setting, as messages name it."""
    return f"{setting}={shown(given)}"


def _missing(path: Path, where: str) -> InvalidDatasetError:
    try:
        siblings = os.listdir(path.parent)
    except OSError:
        siblings = []
    near = nearest(path.name, siblings)
    return InvalidDatasetError(
        "this link leads nowhere" if path.is_symlink() else "there is no such file or directory",
        where=where,
        accepted="" if siblings else f"{shown(str(path.parent))} does not exist or is empty",
        remedy=near or "check the path",
    )
