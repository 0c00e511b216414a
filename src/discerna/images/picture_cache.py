"""Decoded pictures kept on disk between epochs, trainings and processes, exactly as `decode_detail` gave them.

A file for each picture, named by its path and how it was decoded; it says for which size and time of the picture's file
it stands, and is made anew when they differ. Written aside and renamed, so that any number of processes may share a
cache: whoever is first writes, and what two write at once is the same. Nothing is lost with it: delete it at any time.
"""

from __future__ import annotations

import hashlib
import json
import mmap
import os
import secrets
import struct
import threading
import time
import zlib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from PIL import Image, features

from discerna.images.detail import Detail, decode_detail

SMALLEST = 128 * 128
"""Pictures of fewer pixels are decoded about as fast as they are found here."""

SETTLED = 3.0
"""Seconds that a file must not have been written to: a change in the same moment would not show in its time."""

KEPT = 7 / 8
"""The share of the limit that is used when a process looks; the rest is for what all write until they look again."""

LEFT_OVER = 3600.0
"""Seconds after which a file that was being written belongs to a process that was killed."""

TOGETHER = 60.0
"""Seconds within which the processes of a training have begun."""

_HEAD = struct.Struct("<8sQqIII")
"""Mark, size and time of the picture's file, width, height, checksum."""
_MARK = b"discern1"
_PART = ".part"


@dataclass
class _Entry:
    path: str
    size: int
    used: float


class PictureCache:
    """What is kept of pictures at one detail."""

    def __init__(self, place: Path, limit: int, detail: Detail | None, writers: int = 1) -> None:
        """`limit`: bytes of all that lies at `place`; `writers`: how many processes of this training share it."""
        self.place = place
        self.limit = limit
        self._detail = detail
        self._began = time.time() - TOGETHER
        # The decoders' versions, too: another one may round differently.
        how = [asdict(detail) if detail else None, Image.__version__, features.version("libjpeg_turbo")]
        self._how = json.dumps(how).encode()
        self._share = int(limit * (1 - KEPT) / max(1, writers))
        self._left = 0
        """Bytes that this process may write before it looks how full the cache is."""
        self._full = limit <= 0
        self._known: set[bytes] = set()
        """Pictures whose checksum this process has seen to be right."""
        self._lock = threading.Lock()

    def __getstate__(self) -> dict[str, object]:
        """For a worker that is not forked."""
        return {**vars(self), "_lock": None}

    def __setstate__(self, state: dict[str, object]) -> None:
        """As above."""
        vars(self).update(state, _lock=threading.Lock())

    def picture(self, path: str) -> Image.Image:
        """The picture as `decode_detail` gives it; UnreadablePictureError where it cannot be read."""
        try:
            found = Path(path).stat()
        except OSError:
            return decode_detail(path, self._detail)  # which tells what is wrong
        key = hashlib.blake2b(os.fsencode(path) + b"\0" + self._how, digest_size=16).digest()
        entry = self._entry(key)
        image = self._read(entry, key, found)
        if image is None:
            image = decode_detail(path, self._detail)
            settled = time.time() - found.st_mtime > SETTLED
            if settled and not self._full and image.width * image.height >= SMALLEST:
                self._write(entry, found, image)
        return image

    def _entry(self, key: bytes) -> str:
        name = key.hex()
        return f"{self.place}/{name[:2]}/{name[2:]}"

    def _read(self, entry: str, key: bytes, found: os.stat_result) -> Image.Image | None:
        """The picture of an entry that is whole and of the file as it is now."""
        try:
            descriptor = os.open(entry, os.O_RDONLY)
        except OSError:
            return None
        try:
            kept = os.fstat(descriptor)
            if kept.st_size <= _HEAD.size:
                return None
            with mmap.mmap(descriptor, kept.st_size, access=mmap.ACCESS_READ) as mapped:
                mark, size, changed, width, height, checksum = _HEAD.unpack_from(mapped)
                right = mark == _MARK and (size, changed) == (found.st_size, found.st_mtime_ns)
                if not right or kept.st_size != _HEAD.size + 3 * width * height:
                    return None
                with memoryview(mapped)[_HEAD.size :] as pixels:
                    if key not in self._known:
                        if zlib.crc32(pixels) != checksum:
                            return None
                        self._known.add(key)
                    image = Image.frombytes("RGB", (width, height), pixels)  # a copy: the map may go
            if kept.st_mtime < self._began:  # used in this training, so not to make room in it
                os.utime(entry)
            return image
        except (OSError, ValueError):
            return None
        finally:
            os.close(descriptor)

    def _write(self, entry: str, found: os.stat_result, image: Image.Image) -> None:
        pixels = image.tobytes()
        head = _HEAD.pack(
            _MARK, found.st_size, found.st_mtime_ns, image.width, image.height, zlib.crc32(pixels)
        )
        if not self._may_write(len(head) + len(pixels)):
            return
        part = f"{entry}.{secrets.token_hex(4)}{_PART}"
        try:
            Path(entry).parent.mkdir(0o700, parents=True, exist_ok=True)
            with open(part, "xb", buffering=0, opener=_for_me) as file:
                if file.write(head) + file.write(pixels) != len(head) + len(pixels):
                    raise OSError("the disk is full")
            Path(part).replace(entry)
        except OSError:  # full, gone or read-only: training goes on without it
            self._full = True
            with suppress(OSError):
                Path(part).unlink()

    def _may_write(self, size: int) -> bool:
        with self._lock:
            if size > self._left and not self._full:
                self._left = self._share if self._make_room() else 0
                self._full = size > self._left
            self._left -= size
            return not self._full

    def _make_room(self) -> bool:
        """Remove what was used longest ago, but nothing that this training uses; whether there is room now."""
        entries = sorted(self._entries(), key=lambda entry: entry.used)
        over = sum(entry.size for entry in entries) - int(self.limit * KEPT)
        for entry in entries:
            if over <= 0:
                return True
            if entry.used >= self._began:
                return False
            with suppress(OSError):  # another process may make room as well
                Path(entry.path).unlink(missing_ok=True)
                over -= entry.size
        return over <= 0

    def _entries(self) -> Iterator[_Entry]:
        for folder in _listed(self.place):
            if not folder.is_dir(follow_symlinks=False):
                continue
            for file in _listed(folder.path):
                try:
                    found = file.stat(follow_symlinks=False)
                    if file.name.endswith(_PART) and time.time() - found.st_mtime > LEFT_OVER:
                        Path(file.path).unlink()
                    else:
                        yield _Entry(file.path, found.st_size, found.st_mtime)
                except OSError:
                    continue


def _listed(place: str | os.PathLike[str]) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(place) as found:
            return list(found)
    except OSError:
        return []


def _for_me(path: str, flags: int) -> int:
    """Pictures may be nobody else's business."""
    return os.open(path, flags, 0o600)
