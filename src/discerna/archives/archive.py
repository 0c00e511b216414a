"""What every kind of archive has: members, one after another, and how much of the file is read."""

from __future__ import annotations

import lzma
import struct
import tarfile
import zipfile
import zlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Protocol

from discerna.errors import InvalidDatasetError
from discerna.wording import shown

MOST_MEMBERS = 10_000_000
"""Beyond this an archive is refused."""

DAMAGE = (
    tarfile.TarError,
    zipfile.BadZipFile,
    EOFError,
    OSError,
    ValueError,
    NotImplementedError,
    zlib.error,
    lzma.LZMAError,
    struct.error,
)
"""What the standard library raises on a damaged archive."""


class Stream(Protocol):
    """The content of a member."""

    def read(self, size: int, /) -> bytes:
        """The next bytes, `size` at most; none at the end."""
        ...

    def close(self) -> None:
        """Give back what reading took."""
        ...


@dataclass(frozen=True)
class Member:
    """A member as the archive describes it, which may be a lie."""

    name: str
    """As written there; bytes that are no UTF-8 as surrogates."""
    size: int
    """How many bytes it says to have."""
    packed: int | None
    """How many bytes it takes in the archive, where it is compressed by itself."""
    fault: str
    """The reason why its content is not taken (`link`); nothing for a file."""
    open: Callable[[], Stream]


class Archive(ABC):
    """An archive file that is open."""

    independent: ClassVar[bool]
    """Whether the other members can be read where one is damaged."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def where(self) -> str:
        """How messages name it."""
        return f"input={shown(str(self.path))}"

    @abstractmethod
    def members(self) -> Iterator[Member]:
        """Every member but folders, in order; raises InvalidDatasetError where the archive is damaged."""

    @abstractmethod
    def position(self) -> int:
        """How many bytes of the file are read."""

    def declared(self) -> int:
        """How many bytes its pictures take unpacked, as far as it says so beforehand."""
        return 0

    @abstractmethod
    def close(self) -> None:
        """Close the file."""

    def damaged(self, why: object) -> InvalidDatasetError:
        """The error for an archive that cannot be read to its end."""
        return InvalidDatasetError(
            "the archive is damaged or cut short",
            where=self.where,
            accepted=shown(str(why)),
            remedy="fetch or pack it again",
        )
