"""A picture file -> 8-bit RGB, by one set of rules for training, scoring and serving."""

from __future__ import annotations

import errno
import os
import re
import stat
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import BinaryIO, TypeVar

import numpy as np
from PIL import ExifTags, Image, TiffImagePlugin, UnidentifiedImageError
from PIL.JpegImagePlugin import JpegImageFile

from discerna.errors import UnreadablePictureError
from discerna.images.heif import is_heif, open_heif
from discerna.wording import shown

T = TypeVar("T")

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF", "PPM", "AVIF")
"""Named one by one: Pillow reads dozens more, some through external programs. HEIC comes from `images.heif`."""

VERSION = 1
"""To be raised with any change here, or in `detail`, by which a file gives other pixels."""

MAX_PIXELS = 178_956_970
"""Larger pictures are refused before they are decoded; this is where Pillow's own default refuses, too."""

_HEAD = 64
"""Bytes that tell the format; more than 16 because of HEIC."""
_JPEG = b"\xff\xd8\xff"
_TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_NO_SUCH_PLACE = (errno.EINVAL, errno.EOVERFLOW)
"""What the system says of a place before a file's beginning or beyond all files, where a damaged header leads."""
_SIGNATURES = (b"\x89PNG", b"GIF8")
_UNSUPPORTED = ("unknown pixel mode", "cannot handle", "Unsupported")
"""How what Pillow's plugins say begins where the file is whole, but of a kind that they do not read."""
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_QUIET = ("ignore", None, Warning, re.compile(r"PIL\."), 0)


def decode(
    source: str | os.PathLike[str] | BinaryIO,
    *,
    at_least: int | Callable[[tuple[int, int]], int] | None = None,
) -> Image.Image:
    """The picture as RGB: turned by its EXIF orientation, first frame, transparency on white, 8 bits.

    With `at_least`, a JPEG may come smaller than it is, by a whole factor, but with no side below that many
    pixels, or what it gives for the picture's size: much faster where a small view is all that is needed.

    Whatever is wrong with the file, the error is UnreadablePictureError with a short code as its reason:
    empty, not_an_image, truncated (cut short or damaged), unsupported_mode, too_large, unreadable, missing_extra.
    """

    def finish(image: Image.Image, where: str) -> Image.Image:
        if at_least is not None:
            side = at_least(image.size) if callable(at_least) else at_least
            image.draft(None, (side, side))
        image.load()
        return _upright(image, image, where)

    return _opened(source, finish)


@dataclass(frozen=True, slots=True)
class Header:
    """What a picture file says of itself before it is decoded."""

    format: str
    mode: str
    """Pillow's name for the kind of its pixels."""
    width: int
    height: int
    animated: bool
    """Whether it has several frames or pages."""
    turned: bool
    """Whether its EXIF orientation is another than upright."""


def header(source: str | os.PathLike[str] | BinaryIO) -> Header:
    """The header alone, nothing decoded; what is wrong with it raises as in `decode`."""
    return _opened(source, _header)


def _header(image: Image.Image, where: str) -> Header:
    try:
        animated = bool(getattr(image, "is_animated", False))
    except Exception:  # a later frame is damaged, which costs the first one nothing
        animated = True
    turned = _orientation(image) in _TURNS
    return Header(str(image.format), image.mode, image.width, image.height, animated, turned)


def _opened(source: str | os.PathLike[str] | BinaryIO, finish: Callable[[Image.Image, str], T]) -> T:
    """What `finish` makes of the image, which is opened but not decoded."""
    _silence_pillow()
    if not isinstance(source, str | os.PathLike):
        return _read(source, shown(str(getattr(source, "name", "picture"))), finish)
    where = shown(os.fspath(source))
    try:
        # closed by the with below, which must not catch its errors
        file = open(source, "rb", opener=_open_at_once)  # noqa: SIM115
    except OSError as error:
        raise _refused("unreadable", where, error.strerror or error) from None
    with file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise _refused("unreadable", where, "it is a pipe or a device, not a file")
        return _read(file, where, finish)


def picture_size(path: str | os.PathLike[str]) -> tuple[int, int] | None:
    """Width and height as the file's header has them, nothing decoded; None where it has none."""
    _silence_pillow()
    try:
        with open(path, "rb", opener=_open_at_once) as file:
            size = _open(file, file.read(_HEAD), "").size
            return size if min(size) > 0 else None
    except Exception:  # on damaged bytes Pillow's plugins raise anything
        return None


def to_rgb(image: Image.Image, name: str) -> Image.Image:
    """As `decode` would have it, had it opened the file; the image itself stays as it is."""
    try:
        image.load()
    except Exception as error:  # on damaged bytes Pillow's plugins raise anything
        raise _refused("truncated", name, error) from None
    if 0 in image.size:
        raise _refused("empty", name, "it has no pixels")
    return _upright(image, image.copy(), name)


def _upright(source: Image.Image, image: Image.Image, where: str) -> Image.Image:
    """The image as RGB, turned as the EXIF of `source` says; a copy has lost what the file told of it."""
    turn = _TURNS.get(_orientation(source))
    picture = _to_rgb(source, image, where)
    return picture if turn is None else picture.transpose(turn)


def _open_at_once(path: str, flags: int) -> int:
    """Open a file; a pipe that nobody writes into would be waited for otherwise."""
    return os.open(path, flags | os.O_NONBLOCK)


def _open(file: BinaryIO, head: bytes, where: str) -> Image.Image:
    """The picture with its header read, and its pixels not yet."""
    file.seek(0)
    if head.startswith(_JPEG):
        # Image.open would follow the index of a multi-picture file (MPO, as many phones write) to the others,
        # and refuse the first for a fault in it.
        return JpegImageFile(file)
    if head.startswith(_TIFF):
        return TiffImagePlugin.TiffImageFile(file)  # Image.open would not tell what it does not support
    if is_heif(head):
        return open_heif(file, where)
    return Image.open(file, formats=FORMATS)


def _read(file: BinaryIO, where: str, finish: Callable[[Image.Image, str], T]) -> T:
    head = b""
    try:
        head = file.read(_HEAD)
        if not head:
            raise _refused("empty", where, "0 bytes")
        image = _open(file, head, where)
        width, height = image.size
        if width * height > MAX_PIXELS:
            raise _refused("too_large", where, f"{width}x{height}, at most {MAX_PIXELS} pixels are decoded")
        return finish(image, where)
    except UnreadablePictureError:
        raise
    except UnidentifiedImageError:
        if head.startswith(_SIGNATURES) or head[8:12] in (b"WEBP", b"avif"):
            raise _refused(
                "truncated", where, "it begins like a picture, but its header is damaged"
            ) from None
        raise _refused("not_an_image", where, f"none of {' '.join(FORMATS)} HEIC") from None
    except SyntaxError as error:
        kind = "unsupported_mode" if str(error).startswith(_UNSUPPORTED) else "truncated"
        raise _refused(kind, where, error) from None
    except Image.DecompressionBombError:
        raise _refused("too_large", where, f"at most {MAX_PIXELS} pixels are decoded") from None
    except MemoryError:
        raise _refused("too_large", where, "there is not enough memory") from None
    except OSError as error:  # Pillow's own OSErrors bear no number
        is_damage = error.errno in (None, *_NO_SUCH_PLACE)
        raise _refused("truncated" if is_damage else "unreadable", where, error) from None
    except (
        Exception
    ) as error:  # on damaged bytes Pillow's plugins raise anything: struct.error, KeyError, ...
        raise _refused("truncated", where, f"{type(error).__name__} {error}") from None


def _refused(reason: str, where: str, detail: object) -> UnreadablePictureError:
    return UnreadablePictureError(reason, where=where, accepted=shown(str(detail))[:200])


def _silence_pillow() -> None:
    """Let no warning out that Pillow raises in its own lines, such as for damaged EXIF or 90 megapixels.

    What is wrong with a picture is said by our errors, a line each, not by warnings of no known file. The
    filter stays for good: warnings.catch_warnings around each picture would restore the wrong filters when
    two threads decode at once. It is put in front again when somebody (a test runner) has put others there.
    """
    if not warnings.filters or warnings.filters[0] != _QUIET:
        warnings.filterwarnings("ignore", category=Warning, module=r"PIL\.")


def _orientation(image: Image.Image) -> int:
    """The EXIF orientation, 1 where there is none; damaged EXIF must not cost a picture that is whole."""
    try:
        return int(image.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception:  # as above: anything
        return 1


def _to_rgb(source: Image.Image, image: Image.Image, where: str) -> Image.Image:
    if image.mode == "F":
        raise _refused("unsupported_mode", where, "floating-point pixels have no known range")
    if image.mode.startswith("I"):
        return _from_16_bits(source, image, where).convert("RGB")
    if not image.has_transparency_data:
        return image if image.mode == "RGB" else image.convert("RGB")  # which would copy it
    key = image.info.get("transparency")
    if image.mode == "RGB" and isinstance(key, tuple) and max(key) > 255:
        # Of 16-bit colour Pillow keeps the upper byte, but not so of the colour that is transparent.
        image.info["transparency"] = tuple(value >> 8 for value in key)
    if image.mode == "La":  # of which Pillow knows no other way
        image = image.convert("LA")
    coloured = image if image.mode == "RGBA" else image.convert("RGBA")
    ground = Image.new("RGB", image.size, "white")
    ground.paste(coloured, mask=coloured)
    return ground


def _from_16_bits(source: Image.Image, image: Image.Image, where: str) -> Image.Image:
    """Grey of 16 bits as grey of 8: scaled and rounded (Pillow's convert would clip at 255)."""
    values = np.asarray(image)
    if image.mode == "I" and (values.min() < 0 or values.max() > 65535):
        raise _refused("unsupported_mode", where, "integers beyond 0 to 65535 have no known range")
    tags = getattr(source, "tag_v2", {})  # a TIFF's; Pillow widens its 12 bits, but does not scale them
    most = 4095 if tags.get(TiffImagePlugin.BITSPERSAMPLE) == (12,) else 65535
    grey = ((values.astype(np.uint32) * 255 + most // 2) // most).astype(np.uint8)
    if image.mode == "I;16" and tags.get(TiffImagePlugin.PHOTOMETRIC_INTERPRETATION) == 0:
        grey = 255 - grey  # 0 is white, which Pillow heeds for 8 bits only
    key = image.info.get("transparency")
    if isinstance(key, int):
        grey[values == key] = 255
    return Image.fromarray(grey)
