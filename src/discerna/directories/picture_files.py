"""The files below a directory: which are pictures, which are passed over, and why.

Our own walk, since others follow links round in circles and take `._x.jpg` for a picture.
"""

from __future__ import annotations

import os
import tempfile
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

PICTURE_EXTENSIONS = frozenset(
    [
        ".jpg",
        ".jpeg",
        ".png",
        ".webp",
        ".bmp",
        ".tif",
        ".tiff",
        ".gif",
        ".ppm",
        ".pgm",
        ".avif",
        ".heic",
        ".heif",
    ]
)
"""What the name of a picture ends with, in lower case; `IMG.JPG` counts too.

The same on every machine: a HEIC counts without the extra `heif` too, and is then told to be unreadable.
"""

SYSTEM_NAMES = frozenset({b"__macosx", b"thumbs.db", b"desktop.ini", b"ehthumbs.db"})
"""What operating systems leave behind, in lower case; names that start with a dot are left out anyway."""

_ENDINGS = frozenset(os.fsencode(extension[1:]) for extension in PICTURE_EXTENSIONS)


@dataclass
class Rest:
    """What a walk found besides pictures."""

    ignored: int = 0
    others: list[tuple[str, str]] = field(default_factory=list)
    folders: set[tuple[int, int]] = field(default_factory=set)
    """The folders that were read, by device and inode, since links give a folder several names."""

    def note(self, name: bytes, reason: str) -> None:
        """Put a file, named relative to the root, among the others."""
        self.others.append((os.fsdecode(name), reason))

    def is_new(self, folder: bytes) -> bool:
        """Whether the folder was not read yet; from now on it was."""
        try:
            found = os.stat(folder)  # noqa: PTH116 - bytes
        except OSError:  # reading it will tell
            return True
        known = (found.st_dev, found.st_ino) in self.folders
        self.folders.add((found.st_dev, found.st_ino))
        return not known or found.st_ino == 0  # some network disks have no such numbers


def has_picture_name(name: bytes) -> bool:
    """Whether the name ends like a picture's."""
    stem, _, ending = name.rpartition(b".")  # half of the time of splitext, which a million names feel
    return bool(stem) and ending.lower() in _ENDINGS


def is_ignored(name: bytes) -> bool:
    """Whether it is hidden, or one that operating systems leave behind."""
    return name.startswith(b".") or name.lower() in SYSTEM_NAMES


def name_key(folder: Path) -> Callable[[bytes], bytes]:
    """A function that gives two names the same key where the disk of `folder` would give them one file."""
    with tempfile.NamedTemporaryFile(dir=folder, prefix="a") as probe:
        distinct = not Path(probe.name).with_name(Path(probe.name).name.upper()).exists()
    if distinct:
        return lambda name: name
    return lambda name: os.fsencode(unicodedata.normalize("NFC", os.fsdecode(name)).casefold())


def read_folder(root: bytes, folder: bytes, rest: Rest, *, links: bool) -> tuple[list[bytes], list[bytes]]:
    """The pictures and the folders directly in `folder`, as names relative to `root`.

    A link to a directory is a folder with `links` only. Names are bytes, as the disk has them: they sort
    alike everywhere, and one that is no UTF-8 is a name like any other.
    """
    pictures: list[bytes] = []
    folders: list[bytes] = []
    prefix = folder + b"/" if folder else b""
    with os.scandir(root + b"/" + folder) as entries:
        for entry in entries:
            name = prefix + entry.name
            kind = _kind(entry, links)
            if kind == "picture":
                pictures.append(name)
            elif kind == "folder":
                folders.append(name)
                if not links and has_picture_name(name):  # somebody may miss the picture x.png
                    rest.note(name, "not_a_file")
            elif kind == "ignored":
                rest.ignored += 1
            else:
                rest.note(name, kind)
    return pictures, folders


def walk(root: bytes, top: bytes, rest: Rest) -> list[bytes]:
    """All pictures in the folder `top` and below it, sorted; links to directories are not followed there."""
    found: list[bytes] = []
    pending = [top]
    while pending:
        folder = pending.pop()
        if folder != top and not rest.is_new(root + b"/" + folder):  # reached by a link before
            rest.note(folder, "link_loop")
            continue
        try:
            pictures, folders = read_folder(root, folder, rest, links=False)
        except OSError:
            rest.note(folder, "unreadable")
            continue
        found += pictures
        pending += folders
    found.sort()
    return found


def _kind(entry: os.DirEntry[bytes], links: bool) -> str:
    """picture, folder, ignored, or the reason why the entry is none of these."""
    if is_ignored(entry.name):
        return "ignored"
    try:
        if entry.is_dir(follow_symlinks=links):
            return "folder"
        if entry.is_file():
            return "picture" if has_picture_name(entry.name) else "unsupported_format"
        if entry.is_symlink():
            entry.stat()  # raises where the link leads nowhere
    except OSError:
        return "broken_link" if entry.is_symlink() else "unreadable"
    return "not_a_file"
