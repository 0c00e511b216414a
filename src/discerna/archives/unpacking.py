"""Our own loop over the members of an archive: pictures and tables become files, everything else is listed."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path

from discerna.archives.archive import DAMAGE, MOST_MEMBERS, Archive, Member, Stream
from discerna.archives.limits import Room, refuse_bomb
from discerna.archives.member_names import place_of
from discerna.directories.picture_files import has_picture_name, is_ignored, name_key
from discerna.errors import InvalidDatasetError, OutputError
from discerna.progress import Progress
from discerna.wording import shown

TABLES = frozenset({b".json", b".jsonl", b".ndjson", b".csv", b".tsv", b".txt", b".lst", b".yaml", b".yml"})
"""What the name of a file ends with that may tell the labels of pictures."""

_NESTED = (b".zip", b".tar", b".tgz", b".tbz2", b".txz", b".gz", b".bz2", b".xz", b".7z", b".rar", b".zst")
_CHUNK = 1 << 18
_MB = 10**6

IGNORED = "hidden_or_system"
"""The reason for a member that nobody misses."""


def unpack(archive: Archive, folder: Path, progress: Progress) -> Iterator[tuple[str, str]]:
    """Write the pictures and tables of an archive below `folder`; yields every other member with a reason.

    What lies there already, in its full length, is left as it is: an earlier call was killed.
    """
    return _Unpacking(archive, folder).run(progress)


class _Unpacking:
    def __init__(self, archive: Archive, folder: Path) -> None:
        self.archive = archive
        self.root = os.fsencode(folder) + b"/"
        self.room = Room(folder)
        self.key = name_key(folder)
        self.seen: set[bytes] = set()
        self.written = 0
        self.size = archive.path.stat().st_size

    def run(self, progress: Progress) -> Iterator[tuple[str, str]]:
        told = 0
        self.room.refuse(self.archive.declared())
        with progress.task(f"unpacking {shown(self.archive.path.name)}, MB", self.size // _MB) as advance:
            for number, member in enumerate(self.archive.members()):
                if number >= MOST_MEMBERS:
                    raise InvalidDatasetError(
                        "the archive has too many members",
                        where=self.archive.where,
                        accepted=f"{MOST_MEMBERS:,} at most",
                        remedy="unpack it yourself and pass the folder",
                    )
                if reason := self.take(member):
                    yield member.name, reason
                if (done := self.archive.position() // _MB) > told:
                    advance(done - told, "")
                    told = done

    def take(self, member: Member) -> str:
        """Write one member, or say why not."""
        place, reason = place_of(member.name)
        if not reason and any(is_ignored(part) for part in place.split(b"/")):
            return IGNORED
        reason = reason or member.fault or self.reason_by_name(place)
        if not reason:
            self.seen.add(self.key(place))
            reason = self.write(member, place)
        return reason

    def reason_by_name(self, place: bytes) -> str:
        if place.lower().endswith(_NESTED):
            return "nested_archive"
        if not has_picture_name(place) and os.path.splitext(place)[1].lower() not in TABLES:  # noqa: PTH122
            return "unsupported_format"
        return "duplicate_name" if self.key(place) in self.seen else ""

    def write(self, member: Member, place: bytes) -> str:
        target = self.root + place
        if _length(target) == member.size:
            return ""
        try:
            stream = member.open()
        except DAMAGE as error:
            return self.damage(error)
        try:
            return self.copy(member, stream, target)
        finally:
            stream.close()

    def copy(self, member: Member, stream: Stream, target: bytes) -> str:
        """The content is read a step ahead of its file, so that a damaged member leaves none."""
        size, file = 0, -1
        try:
            while True:
                try:
                    chunk = stream.read(_CHUNK)
                except DAMAGE as error:
                    reason = self.damage(error)
                    break
                size += len(chunk)
                self.written += len(chunk)
                if member.packed is not None:
                    refuse_bomb(self.archive.path, size, member.packed, member.name)
                refuse_bomb(self.archive.path, self.written, self.size)
                if file < 0:
                    file = _create(target)
                if not chunk:
                    reason = "" if size == member.size else "damaged"
                    break
                self.room.take(len(chunk))
                written = 0
                while written < len(chunk):
                    written += os.write(file, chunk[written:])
        except _NoPlace as error:
            return error.reason
        except OSError as error:
            raise self.unwritable(error) from None
        finally:
            if file >= 0:
                os.close(file)
        if reason and file >= 0:
            os.unlink(target)  # noqa: PTH108
        return reason

    def damage(self, error: Exception) -> str:
        if not self.archive.independent:
            raise self.archive.damaged(error) from None
        return "damaged"

    def unwritable(self, error: OSError) -> OutputError:
        return OutputError(
            "the archive cannot be unpacked",
            where=self.archive.where,
            accepted=str(error.strerror),
            remedy="make room, or choose an output on another disk",
        )


class _NoPlace(Exception):
    """A member cannot lie where its name says; the others may."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def _length(target: bytes) -> int:
    """The size of the file, -1 where there is none."""
    try:
        return os.stat(target, follow_symlinks=False).st_size  # noqa: PTH116
    except OSError:
        return -1


def _create(target: bytes) -> int:
    """A new file, and the folders above it; what an earlier call left unfinished is emptied."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        try:
            return os.open(target, flags, 0o666)
        except FileNotFoundError:
            os.makedirs(os.path.dirname(target), exist_ok=True)  # noqa: PTH103, PTH120
            return os.open(target, flags, 0o666)
    except OSError as error:
        if error.errno in (errno.EEXIST, errno.ENOTDIR, errno.EISDIR):
            raise _NoPlace("name_conflict") from None
        if error.errno in (errno.ENAMETOOLONG, errno.EILSEQ, errno.EINVAL):
            raise _NoPlace("name_too_long" if error.errno == errno.ENAMETOOLONG else "name_refused") from None
        raise
