"""Decoded pictures kept on disk between epochs, trainings and processes, exactly as `decode_detail` gave them.

A file for each picture, named by its path and how it was decoded; it says for which size and times of the picture's
file it stands, and is made anew when they differ. Written aside and renamed, so that any number of processes may
share a cache: whoever is first writes, and what two write at once is the same. It may be deleted at any time.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import secrets
import stat
import struct
import threading
import time
import zlib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from PIL import Image, ImageFile, features

from discerna.images.decode import VERSION
from discerna.images.detail import Detail, decode_detail

SMALLEST = 8192
"""Picture files of fewer bytes are decoded about as fast as they are found here."""

SETTLED = 3.0
"""Seconds that a file must not have been written to: a change in the same moment would not show in its time."""

KEPT = 7 / 8
"""The share of the limit that is used when a process looks; the rest is for what all write until they look again."""

LEFT_OVER = 3600.0
"""Seconds after which a file that was being written belongs to a process that was killed."""

TOGETHER = 60.0
"""Seconds within which the processes of a training have begun."""

NOTED = 600.0
"""Seconds after which it is noted again that an entry is used."""

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.EFBIG, errno.ENOTDIR)
"""What the system says where there is no use in trying again."""

_HEAD = struct.Struct("<8sQqqIII")
"""Mark; size, time of writing and of change of the picture's file; width, height, checksum."""
_MARK = b"discern1"
_FOLDER = re.compile(r"[0-9a-f]{2}")
_FILE = re.compile(r"[0-9a-f]{30}(\.[0-9a-f]{8}\.part)?")
"""Whatever else lies in the folder is somebody else's, and stays."""
_READ = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)


@dataclass
class _Entry:
    path: str
    size: int
    used: float


class PictureCache:
    """What is kept of pictures at one detail."""

    def __init__(self, place: Path, limit: int, detail: Detail | None, writers: int = 1) -> None:
        """`limit`: bytes of all that lies at `place`; `writers`: how many caches of this training share it."""
        self.place = place
        self.limit = limit
        self._detail = detail
        self._began = time.time() - TOGETHER
        self._how = json.dumps([asdict(detail) if detail else None, *_decoders()]).encode()
        self._share = int(limit * (1 - KEPT) / max(1, writers))
        self._left = 0
        """Bytes that this process may write before it looks how full the cache is."""
        self._full = False
        self._seen: dict[bytes, tuple[int, int]] = {}
        """Pictures whose checksum this process has seen to be right, and in which state of which file."""
        self._lock = threading.Lock()

    def __getstate__(self) -> dict[str, object]:
        """For a worker that is not forked."""
        return {**vars(self), "_lock": None}

    def __setstate__(self, state: dict[str, object]) -> None:
        """As above."""
        vars(self).update(state, _lock=threading.Lock())

    def picture(self, path: str) -> Image.Image:
        """The picture as `decode_detail` gives it; UnreadablePictureError where it cannot be read."""
        found = _state(path)
        if found is None or found.st_size < SMALLEST or ImageFile.LOAD_TRUNCATED_IMAGES:
            return decode_detail(path, self._detail)
        key = self._key(path)
        entry = self._entry(key)
        image = self._read(entry, key, found)
        if image is None:
            image = decode_detail(path, self._detail)
            if not self._full and time.time() - found.st_mtime > SETTLED:
                after = _state(path)
                if after is not None and _stamp(after) == _stamp(found):
                    self._write(entry, found, image)
        return image

    def size(self, path: str) -> int:
        """The bytes that are kept of a picture; 0: nothing."""
        try:
            return Path(self._entry(self._key(path))).stat().st_size
        except OSError:
            return 0

    def _key(self, path: str) -> bytes:
        return hashlib.blake2b(os.fsencode(path) + b"\0" + self._how, digest_size=16).digest()

    def _entry(self, key: bytes) -> str:
        name = key.hex()
        return f"{self.place}/{name[:2]}/{name[2:]}"

    def _read(self, entry: str, key: bytes, found: os.stat_result) -> Image.Image | None:
        """The picture of an entry that is whole, ours, and of the file as it is now."""
        try:
            descriptor = os.open(entry, _READ)
        except OSError:
            return None
        try:
            kept = os.fstat(descriptor)
            if not stat.S_ISREG(kept.st_mode) or not _is_mine(kept) or kept.st_size <= _HEAD.size:
                return None
            with os.fdopen(descriptor, "rb", buffering=0, closefd=False) as file:
                content = file.read(kept.st_size)
        except OSError:
            return None
        finally:
            os.close(descriptor)
        if len(content) <= _HEAD.size:
            return None
        mark, *stamp, width, height, checksum = _HEAD.unpack_from(content)
        pixels = memoryview(content)[_HEAD.size :]
        if mark != _MARK or tuple(stamp) != _stamp(found) or len(pixels) != 3 * width * height:
            return None
        state = (kept.st_ino, kept.st_mtime_ns)
        if self._seen.get(key) != state:
            if zlib.crc32(pixels) != checksum:
                return None
            self._seen[key] = state
        if kept.st_mtime < max(self._began, time.time() - NOTED):
            with suppress(OSError):
                os.utime(entry)
        return Image.frombytes("RGB", (width, height), pixels)

    def _write(self, entry: str, found: os.stat_result, image: Image.Image) -> None:
        pixels = image.tobytes()
        head = _HEAD.pack(_MARK, *_stamp(found), image.width, image.height, zlib.crc32(pixels))
        part = f"{entry}.{secrets.token_hex(4)}.part"
        try:
            if not self._may_write(len(head) + len(pixels)):
                return
            Path(entry).parent.mkdir(0o700, parents=True, exist_ok=True)
            with open(part, "xb", opener=_for_me) as file:
                file.write(head)
                file.write(pixels)
            Path(part).replace(entry)
        except OSError as error:  # training goes on without it
            self._full |= error.errno in FULL
            with suppress(OSError):
                Path(part).unlink()

    def _may_write(self, size: int) -> bool:
        if size > self.limit * (1 - KEPT):  # too large for this cache, which is no reason to keep no other
            return False
        with self._lock:
            if size > self._left and not self._full:
                self._full = not self._make_room()
                self._left = max(self._share, size)
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
        now = time.time()
        for folder in _listed(self.place, _FOLDER):
            for file in _listed(folder.path, _FILE):
                with suppress(OSError):
                    found = file.stat(follow_symlinks=False)
                    # A time to come is of a clock that was set back, and tells nothing.
                    used = found.st_mtime if found.st_mtime < now + TOGETHER else 0.0
                    if file.name.endswith(".part") and now - used > LEFT_OVER:
                        Path(file.path).unlink()
                    else:
                        yield _Entry(file.path, found.st_size, used)


def _decoders() -> list[object]:
    """What decides how pictures are decoded: another version may round differently, or read more."""
    try:
        heif = version("pi-heif")
    except PackageNotFoundError:
        heif = None
    return [VERSION, Image.__version__, features.version("libjpeg_turbo"), heif]  # type: ignore[attr-defined]


def _state(path: str) -> os.stat_result | None:
    try:
        return Path(path).stat()
    except (OSError, ValueError):
        return None


def _stamp(found: os.stat_result) -> tuple[int, int, int]:
    """What changes with a file; its own time can be set, but the time of that cannot."""
    return found.st_size, found.st_mtime_ns, found.st_ctime_ns


def _is_mine(found: os.stat_result) -> bool:
    return not hasattr(os, "getuid") or found.st_uid == os.getuid()


def _listed(place: str | os.PathLike[str], names: re.Pattern[str]) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(place) as found:
            return [entry for entry in found if names.fullmatch(entry.name)]
    except OSError:
        return []


def _for_me(path: str, flags: int) -> int:
    """Pictures may be nobody else's business."""
    return os.open(path, flags, 0o600)
