"""Tar files, plain or compressed, read once from front to back."""

from __future__ import annotations

import bz2
import gzip
import lzma
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

from discerna.archives.archive import DAMAGE, Archive, Member
from discerna.archives.limits import refuse_bomb

BLOCK = 512
_LONGEST_HEADER = 1 << 16
_CHUNK = 1 << 18

OPENERS: dict[bytes, Callable[[IO[bytes]], Any]] = {
    b"\x1f\x8b": lambda file: gzip.GzipFile(fileobj=file, mode="rb"),
    b"BZh": bz2.BZ2File,
    b"\xfd7zXZ\0": lzma.LZMAFile,
}
"""How a compressed file begins, and what reads it."""


class TarArchive(Archive):
    """A tar file, with or without compression."""

    independent = False

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._file = path.open("rb")
        self._stream = _Forward(self._file, self)

    def members(self) -> Iterator[Member]:
        """The files in the order of the archive."""
        try:
            tar = tarfile.TarFile(fileobj=self._stream, mode="r")  # type: ignore[arg-type]  # read, seek and tell
            while (info := tar.next()) is not None:
                tar.members = []  # type: ignore[attr-defined]  # it would keep them all
                if info.size < 0:
                    raise tarfile.ReadError("a member has a negative size")
                if not info.isdir():
                    yield _member(tar, info)
            self._refuse_cut_end()
        except DAMAGE as error:
            raise self.damaged(error) from None

    def position(self) -> int:
        """How many bytes of the file are read, compressed as they are."""
        return self._file.tell()

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _refuse_cut_end(self) -> None:
        """The standard library takes a damaged header for the end; a real end is a block of zeros."""
        if self._stream.last != bytes(BLOCK):
            raise tarfile.ReadError("it has no end mark")
        while self._stream.read(_CHUNK, data=True):  # checks the sum of the compressed data
            pass


class _Forward:
    """The unpacked bytes, forward only: what tarfile asks for is never taken at its word."""

    def __init__(self, file: IO[bytes], archive: TarArchive) -> None:
        self._archive = archive
        start = file.read(BLOCK)
        file.seek(0)
        opener = next((opener for magic, opener in OPENERS.items() if start.startswith(magic)), None)
        self._packed = opener is not None
        self._source = opener(file) if opener else file
        self._tell = 0
        self.last = b""
        """The last block that was read as a header."""

    def read(self, size: int, data: bool = False) -> bytes:
        if size > _LONGEST_HEADER and not data:
            raise tarfile.ReadError("a header is longer than any real one")
        found: bytes = self._source.read(size)
        self._tell += len(found)
        if self._packed:
            refuse_bomb(self._archive.path, self._tell, self._archive.position())
        if not data:
            self.last = found
        return found

    def tell(self) -> int:
        return self._tell

    def seek(self, position: int) -> None:
        if position < self._tell:
            raise tarfile.ReadError("a header leads backwards")
        if not self._packed:
            self._source.seek(position)
            self._tell = position
            return
        while self._tell < position:
            if not self.read(min(_CHUNK, position - self._tell), data=True):
                raise EOFError("it ends in the middle of a member")


class _Content:
    """The bytes of one member, straight from the stream: no buffers of tarfile's between."""

    def __init__(self, stream: _Forward, size: int) -> None:
        self._stream = stream
        self._left = size

    def read(self, size: int, /) -> bytes:
        found = self._stream.read(min(size, self._left), data=True)
        if self._left and not found:
            raise EOFError("it ends in the middle of a member")
        self._left -= len(found)
        return found

    def close(self) -> None:
        pass


def _member(tar: tarfile.TarFile, info: tarfile.TarInfo) -> Member:
    fault = ""
    if info.issym() or info.islnk():
        fault = "link"
    elif info.issparse():
        fault = "sparse_file"  # a few bytes may stand for terabytes, and no picture is one
    elif not info.isreg():
        fault = "not_a_file"
    stream: Any = tar.fileobj
    return Member(info.name, info.size, None, fault, lambda: _Content(stream, info.size))
