"""What a picture file is, without a network: its header, whether it decodes, and what it looks like."""

from __future__ import annotations

import copy
import hashlib
from dataclasses import dataclass
from functools import cache
from pathlib import PurePath

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from discerna.errors import UnreadablePictureError
from discerna.images.decode import Header, decode, header
from discerna.wording import shown

EXTENSIONS = {
    "JPEG": {".jpg", ".jpeg"},
    "PNG": {".png"},
    "WEBP": {".webp"},
    "BMP": {".bmp"},
    "TIFF": {".tif", ".tiff"},
    "GIF": {".gif"},
    "PPM": {".ppm", ".pgm"},
    "AVIF": {".avif"},
    "HEIF": {".heic", ".heif"},
}
"""The endings that the names of each format have."""

SKETCH = 16
"""Side of the sketch by which two pictures are compared."""

SEEN = 64
"""A JPEG may be decoded smaller, down to this side, before it is looked at."""

_FLAT = 3.0
"""A picture whose greys deviate less than this (of 255) has no look: all such resemble one another."""


@dataclass(frozen=True, slots=True)
class Inspected:
    """One picture file; a part that was not asked for, or cannot be told, is None."""

    error: UnreadablePictureError | None
    header: Header | None
    digest: bytes | None = None
    """16 bytes of the SHA-256 of the file."""
    look: int | None = None
    """64 bits that are alike for pictures that look alike."""

    def has_wrong_extension(self, name: str) -> bool:
        """Whether `name` ends like that of another format."""
        if self.header is None:
            return False
        return PurePath(name).suffix.lower() not in EXTENSIONS.get(self.header.format, ())


def inspect_header(path: str) -> Inspected:
    """What the file's first bytes tell; fast, and blind to damage further down."""
    try:
        return Inspected(None, header(path))
    except UnreadablePictureError as error:
        return Inspected(_without_traceback(error), None)


def inspect_pixels(path: str) -> Inspected:
    """Whether the picture decodes to its end."""
    try:
        decode(path, at_least=SEEN)
    except UnreadablePictureError as error:
        return Inspected(_without_traceback(error), None)
    return Inspected(None, None)


def inspect_whole(path: str) -> Inspected:
    """Everything: the file is decoded to its end."""
    found = None
    try:
        found = header(path)
        # A JPEG is decoded to its last byte at this size too, only with fewer pixels.
        picture = decode(path, at_least=SEEN)
        with open(path, "rb") as file:
            digest = hashlib.file_digest(file, "sha256").digest()
    except UnreadablePictureError as error:
        return Inspected(_without_traceback(error), found)
    except OSError as error:  # it has just been read: a disk or a network that fails
        detail = error.strerror or str(error)
        return Inspected(UnreadablePictureError("unreadable", where=shown(path), accepted=detail), found)
    return Inspected(None, found, digest[:16], look(picture))


def _without_traceback(error: UnreadablePictureError) -> UnreadablePictureError:
    """A copy: the error's own traceback would keep alive all that decoding had in hand."""
    return copy.copy(error)


def look(picture: Image.Image) -> int | None:
    """64 bits: which of the lowest frequencies are above their median. None for a picture of one tone."""
    grey = np.asarray(picture.convert("L").resize((32, 32), Image.Resampling.BILINEAR), np.float64)
    if grey.std() < _FLAT:
        return None
    waves = _waves()
    low = (waves @ grey @ waves.T).ravel()
    bits = low > np.median(low[1:])
    return int.from_bytes(np.packbits(bits).tobytes())


def sketch(path: str) -> NDArray[np.float64]:
    """The picture as SKETCH x SKETCH colours, to be compared with another's."""
    picture = decode(path, at_least=SEEN)
    return np.asarray(picture.resize((SKETCH, SKETCH), Image.Resampling.BILINEAR), np.float64)


@cache
def _waves() -> NDArray[np.float64]:
    """The eight lowest cosines over 32 places."""
    places = (np.arange(32) + 0.5) * np.pi / 32
    return np.cos(np.arange(8)[:, None] * places)
