"""Zip files, read by their table of contents, which is checked before anything is unpacked."""

from __future__ import annotations

import os
import stat
import zipfile
from array import array
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

from discerna.archives.archive import DAMAGE, MOST_MEMBERS, Archive, Member
from discerna.directories.picture_files import has_picture_name
from discerna.directories.zip_end import ENTRY, zip_end
from discerna.errors import InvalidDatasetError
from discerna.wording import shown

_METHODS = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA}
_ENCRYPTED, _UTF8 = 0x1, 0x800
_LOCAL = 30
"""The bytes of a member's own header, besides its name."""


class ZipArchive(Archive):
    """A zip file."""

    independent = True

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._position = 0
        self._refuse_parts_and_long_tables()
        try:
            self._zip = zipfile.ZipFile(path)
        except DAMAGE as error:
            raise self.damaged(error) from None
        self._refuse_overlaps()

    def members(self) -> Iterator[Member]:
        """The files in the order of the table."""
        for info in self._zip.infolist():
            if not info.is_dir():
                yield self._member(info)
                self._position += info.compress_size

    def position(self) -> int:
        """The packed bytes of the members that are done."""
        return self._position

    def declared(self) -> int:
        """By the table; a lie here only makes us refuse."""
        return sum(i.file_size for i in self._zip.infolist() if has_picture_name(os.fsencode(i.filename)))

    def close(self) -> None:
        """Close the file."""
        self._zip.close()

    def _member(self, info: zipfile.ZipInfo) -> Member:
        kind = stat.S_IFMT(info.external_attr >> 16)
        fault = "link" if kind == stat.S_IFLNK else "" if kind in (0, stat.S_IFREG) else "not_a_file"
        # A zip written by old Windows tools separates folders by backslashes.
        name = _name(info).replace("\\", "/")
        return Member(name, info.file_size, info.compress_size, fault, lambda: self._open(info))

    def _open(self, info: zipfile.ZipInfo) -> zipfile.ZipExtFile:
        unpack_it = "unpack it yourself and pass the folder"
        if info.flag_bits & _ENCRYPTED:
            raise InvalidDatasetError(
                "the archive is encrypted", where=self.where, accepted=_told(info), remedy=unpack_it
            )
        if info.compress_type not in _METHODS:
            raise InvalidDatasetError(
                "the archive uses a compression that is not read here",
                where=self.where,
                accepted=f"{_told(info)} has method {info.compress_type}; read are stored, deflate, bzip2, lzma",
                remedy=unpack_it,
            )
        return self._zip.open(info)  # type: ignore[return-value]  # in mode r it is a ZipExtFile

    def _refuse_parts_and_long_tables(self) -> None:
        """Look at the end record before the standard library reads the whole table into memory."""
        end = zip_end(self.path)
        if end is None:
            raise self.damaged("its table of contents, which stands at the end, is missing")
        if end.disk or end.first:
            raise InvalidDatasetError(
                "this is one part of an archive in several files",
                where=self.where,
                remedy="join them (zip -s 0 IN --out OUT), or unpack it yourself and pass the folder",
            )
        if end.table > MOST_MEMBERS * ENTRY:
            raise InvalidDatasetError(
                "the archive has too many members",
                where=self.where,
                accepted=f"{MOST_MEMBERS:,} at most",
                remedy="unpack it yourself and pass the folder",
            )

    def _refuse_overlaps(self) -> None:
        """Members that share bytes are how a small zip unpacks to petabytes."""
        infos = self._zip.infolist()
        starts = array("Q", (info.header_offset for info in infos))
        order = sorted(range(len(infos)), key=starts.__getitem__)
        for one, other in pairwise(order):
            end = starts[one] + _LOCAL + len(infos[one].orig_filename) + infos[one].compress_size
            if end > starts[other]:
                raise InvalidDatasetError(
                    "the archive is a zip bomb",
                    where=self.where,
                    accepted=f"{_told(infos[one])} and {_told(infos[other])} lie over one another",
                    remedy="do not unpack it",
                )


def _name(info: zipfile.ZipInfo) -> str:
    """The name as its bytes say: many programs write UTF-8 without saying so."""
    # orig_filename still has what stands behind a zero byte.
    if info.flag_bits & _UTF8:
        return info.orig_filename
    try:
        return info.orig_filename.encode("cp437").decode("utf-8")
    except UnicodeError:
        return info.orig_filename


def _told(info: zipfile.ZipInfo) -> str:
    return f"'{shown(info.filename)}'"
