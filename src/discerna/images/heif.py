"""HEIC and HEIF pictures, which the extra `heif` reads; nothing of it is imported before such a picture comes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

from PIL import Image

from discerna.errors import UnreadablePictureError

_CODED = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs"}
_CONTAINERS = {b"mif1", b"msf1"}
_AV1 = {b"avif", b"avis"}


def is_heif(head: bytes) -> bool:
    """Whether a file that begins so is HEIC or HEIF; AVIF, which Pillow reads itself, lies in the same container."""
    if head[4:8] != b"ftyp":
        return False
    end = min(int.from_bytes(head[:4], "big"), len(head))
    main, others = head[8:12], {head[at : at + 4] for at in range(16, end - 3, 4)}
    return main in _CODED or (main in _CONTAINERS and not others & _AV1)


def open_heif(file: BinaryIO, where: str) -> Image.Image:
    """The main picture, its header read and its pixels not yet; it comes upright, whatever its EXIF says."""
    try:
        from pi_heif import HeifImageFile
    except ImportError:
        raise UnreadablePictureError(
            "missing_extra",
            where=where,
            accepted="HEIC needs the package pi-heif, which is not installed",
            remedy="pip install 'discerna[heif]'",
        ) from None
    if _names_are_damaged(file.read()):
        raise UnreadablePictureError("truncated", where=where, accepted="the list of its parts is damaged")
    file.seek(0)
    image: Image.Image = HeifImageFile(file)  # without Pillow's registry, which is everybody's
    return image


def _names_are_damaged(data: bytes) -> bool:
    """Whether the list of the file's parts has bytes that are no text; pi-heif up to 1.4 crashes on such a name."""
    at = 0
    while at + 8 <= len(data):
        size, kind = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8]
        if size == 1:
            size = int.from_bytes(data[at + 8 : at + 16], "big")
        end = at + size if size else len(data)
        if kind == b"meta" and not all(map(_is_text, _part_names(data[at:end]))):
            return True
        if end < at + 8:
            break
        at = end
    return False


def _part_names(meta: bytes) -> Iterator[bytes]:
    """Of each part its kind, name and type, which follow 12 bytes of numbers."""
    at = meta.find(b"infe")
    while at >= 0:
        size = int.from_bytes(meta[at - 4 : at], "big")
        yield meta[at + 12 : at - 4 + size]
        at = meta.find(b"infe", at + 4)


def _is_text(name: bytes) -> bool:
    try:
        name.decode()
    except UnicodeDecodeError:
        return False
    return True
