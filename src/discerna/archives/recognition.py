"""Which archive a file is, told by its first bytes and never by its name."""

from __future__ import annotations

import tarfile
from pathlib import Path

from discerna.archives.archive import DAMAGE, Archive
from discerna.archives.tar_archive import BLOCK, OPENERS, TarArchive
from discerna.archives.zip_archive import ZipArchive
from discerna.errors import InvalidDatasetError
from discerna.wording import shown

_ZIP = (b"PK\3\4", b"PK\5\6", b"PK\7\x08")
_OTHERS = {
    b"7z\xbc\xaf\x27\x1c": "a 7z archive",
    b"Rar!\x1a\x07": "a RAR archive",
    b"\x28\xb5\x2f\xfd": "compressed by zstd",
}
_ACCEPTED = "read are zip, tar, tar.gz, tar.bz2 and tar.xz"


def is_archive(path: Path) -> bool:
    """Whether `open_archive` would take the file."""
    start = _start(path)
    return (
        start.startswith(_ZIP)
        or _is_tar(start)
        or (bool(_compressed(start)) and _is_tar(_unpacked(path, start)))
    )


def open_archive(path: Path) -> Archive:
    """The archive that the file is; raises InvalidDatasetError where it is none."""
    where = f"input={shown(str(path))}"
    start = _start(path)
    if start.startswith(_ZIP):
        return ZipArchive(path)
    if _is_tar(start):
        return TarArchive(path)
    if magic := _compressed(start):
        try:
            begin = _unpacked(path, start)
        except DAMAGE as error:
            raise InvalidDatasetError(
                "the archive is damaged or cut short",
                where=where,
                accepted=shown(str(error)),
                remedy="fetch or pack it again",
            ) from None
        if _is_tar(begin):
            return TarArchive(path)
        kind = {b"\x1f\x8b": "gzip", b"BZh": "bzip2"}.get(magic, "xz")
        problem = f"this is one file compressed by {kind}, not an archive"
    elif found := [told for magic, told in _OTHERS.items() if start.startswith(magic)]:
        problem = f"this is {found[0]}, which is not read here"
    else:
        problem = "this is no archive" if start else "this file is empty"
    raise InvalidDatasetError(
        problem, where=where, accepted=_ACCEPTED, remedy="unpack it yourself and pass the folder"
    )


def _start(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(BLOCK)
    except OSError as error:
        raise InvalidDatasetError(
            "it cannot be read", where=f"input={shown(str(path))}", accepted=str(error.strerror)
        ) from None


def _compressed(start: bytes) -> bytes:
    return next((magic for magic in OPENERS if start.startswith(magic)), b"")


def _unpacked(path: Path, start: bytes) -> bytes:
    """The first block of a compressed file's content."""
    with path.open("rb") as file:
        return OPENERS[_compressed(start)](file).read(BLOCK)  # type: ignore[no-any-return]


def _is_tar(start: bytes) -> bool:
    """Whether a header of a member stands there, or the end mark of a tar without any."""
    if len(start) < BLOCK:
        return False
    try:
        tarfile.TarInfo.frombuf(start, "utf-8", "surrogateescape")
    except tarfile.EOFHeaderError:  # type: ignore[attr-defined]
        return True
    except tarfile.HeaderError:
        return False
    return True
