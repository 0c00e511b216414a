"""Damaged picture files, as many as you like, each the same for the same seed and number.

Number n is of format n modulo their count, and damaged in way n modulo theirs; these counts have no common
factor, so all pairs come in turn.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from math import gcd
from pathlib import Path
from random import Random
from typing import Any, Literal

import numpy as np
from PIL import Image

HEIC = Path(__file__).parents[2] / "tests" / "images" / "heif"


@dataclass(frozen=True)
class DamagedPicture:
    """A damaged file."""

    number: int
    form: str
    """What it was when it was whole, such as `png palette`."""
    damage: str
    data: bytes
    extension: str

    @property
    def name(self) -> str:
        """A file name that tells all: `00017-png_palette-cut.png`."""
        return f"{self.number:05}-{self.form}-{self.damage}".replace(" ", "_") + self.extension


def write_damaged(folder: Path, count: int, seed: int = 0) -> list[DamagedPicture]:
    """Write so many damaged pictures into the folder, which is made; tell what each is."""
    folder.mkdir(parents=True, exist_ok=True)
    made = [damaged(number, seed) for number in range(count)]
    for picture in made:
        (folder / picture.name).write_bytes(picture.data)
    return made


def damaged(number: int, seed: int = 0) -> DamagedPicture:
    """Damaged picture `number`."""
    draw = Random(f"{seed} {number}")
    forms, ways = list(whole()), list(DAMAGES)
    form, way = forms[number % len(forms)], ways[number % len(ways)]
    data = DAMAGES[way](whole()[form], draw)
    return DamagedPicture(number, form, way, data, "." + form.split()[0])


@cache
def whole() -> dict[str, bytes]:
    """The files before they are damaged, by format and kind; the format is the ending of the name."""
    colour, other = _noise(48, 40, 0), _noise(48, 40, 1)
    wide = Image.fromarray(np.arange(1920, dtype=np.uint16).reshape(40, 48) * 34)
    palette, clear = colour.quantize(16), colour.copy()
    clear.putalpha(128)
    exif = Image.Exif()
    exif[0x0112] = 6
    profile = bytes(range(256)) * 12
    files = {
        "jpg": _stored(colour, "JPEG", exif=exif, icc_profile=profile),
        "jpg progressive": _stored(colour, "JPEG", progressive=True),
        "jpg grey": _stored(colour.convert("L"), "JPEG"),
        "jpg cmyk": _stored(colour.convert("CMYK"), "JPEG"),
        "jpg several": _stored(colour, "MPO", other),
        "png": _stored(colour, "PNG", exif=exif),
        "png palette": _stored(palette, "PNG", transparency=3),
        "png alpha": _stored(clear, "PNG"),
        "png 16 bits": _stored(wide, "PNG"),
        "png animated": _stored(colour, "PNG", other, colour),
        "webp": _stored(colour, "WEBP", exif=exif),
        "webp lossless": _stored(clear, "WEBP", lossless=True),
        "webp animated": _stored(colour, "WEBP", other, colour),
        "bmp": _stored(colour, "BMP"),
        "bmp palette": _stored(palette, "BMP"),
        "bmp 1 bit": _stored(colour.convert("1"), "BMP"),
        "tif": _stored(colour, "TIFF", exif=exif),
        "tif lzw": _stored(clear, "TIFF", compression="tiff_lzw"),
        "tif jpeg": _stored(colour, "TIFF", compression="jpeg"),
        "tif fax": _stored(colour.convert("1"), "TIFF", compression="group4"),
        "tif 16 bits": _stored(wide, "TIFF", compression="tiff_adobe_deflate"),
        "tif large": _stored(colour, "TIFF", big_tiff=True),
        "tiff pages": _stored(colour, "TIFF", other, colour),
        "gif": _stored(palette, "GIF", transparency=3),
        "gif animated": _stored(colour, "GIF", other, colour),
        "ppm": _stored(colour, "PPM"),
        "ppm plain": b"P3\n# of noise\n8 6\n255\n"
        + b" ".join(b"%d" % n for n in colour.tobytes()[: 8 * 6 * 3]),
        "pgm 16 bits": _stored(wide, "PPM"),
        "avif": _stored(colour, "AVIF", exif=exif, quality=60),
        "avif animated": _stored(colour, "AVIF", other, colour, quality=40),
    }
    files |= {
        f"heic {path.stem.replace('_', ' ')}": path.read_bytes() for path in sorted(HEIC.glob("*.heic"))
    }
    assert gcd(len(files), len(DAMAGES)) == 1, "some formats would never be damaged in some ways"
    return files


def _noise(width: int, height: int, seed: int) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (height, width, 3)).astype(np.uint8))


def _stored(image: Image.Image, form: str, *more: Image.Image, **options: Any) -> bytes:
    """The picture as a file, with more frames if they are given."""
    stream = io.BytesIO()
    first, *others = (
        frame.copy() for frame in (image, *more)
    )  # what a JPEG leaves in an image disturbs TIFF
    if others:
        options |= {"save_all": True, "append_images": others}
    first.save(stream, form, **options)
    return stream.getvalue()


def _place(data: bytes, draw: Random) -> int:
    """Somewhere in the file, and every second time near its beginning, where most of its structure lies."""
    return draw.randrange(min(len(data), draw.choice([96, len(data)])))


def _flip_bits(data: bytes, draw: Random, least: int = 1, most: int = 4) -> bytes:
    changed = bytearray(data)
    for _ in range(draw.randint(least, most)):
        changed[_place(data, draw)] ^= 1 << draw.randrange(8)
    return bytes(changed)


def _change_bytes(data: bytes, draw: Random) -> bytes:
    changed = bytearray(data)
    for _ in range(draw.randint(1, 8)):
        changed[_place(data, draw)] = draw.choice([0, 1, 127, 128, 255, draw.randrange(256)])
    return bytes(changed)


def _fill_block(data: bytes, draw: Random, with_value: int = 0) -> bytes:
    at = _place(data, draw)
    size = draw.randint(1, 1 + len(data) // draw.choice([3, 20, 100]))
    return (data[:at] + bytes([with_value]) * size + data[at + size :])[: len(data)]


def _edit_number(data: bytes, draw: Random) -> bytes:
    """Two or four bytes become a number that is very large, nothing, or a little beside what it was."""
    size = draw.choice([2, 4])
    order: Literal["little", "big"] = draw.choice(["little", "big"])
    at = min(_place(data, draw), len(data) - size)
    old = int.from_bytes(data[at : at + size], order)
    most = (1 << 8 * size) - 1
    new = draw.choice([0, 1, most, most // 2, old + 1, old - 1, 2 * old, draw.randint(0, most)]) & most
    return data[:at] + new.to_bytes(size, order) + data[at + size :]


def _swap_header(data: bytes, draw: Random) -> bytes:
    """The beginning of a file of another kind before the rest of this one."""
    other = whole()[draw.choice(list(whole()))]
    size = draw.choice([4, 8, 12, 16, 32, 64, 128])
    return other[:size] + data[size:]


def _splice(data: bytes, draw: Random) -> bytes:
    other = whole()[draw.choice(list(whole()))]
    return data[: draw.randrange(len(data))] + other[draw.randrange(len(other)) :]


def _remove_block(data: bytes, draw: Random) -> bytes:
    at = _place(data, draw)
    return data[:at] + data[at + draw.randint(1, 64) :]


def _repeat_block(data: bytes, draw: Random) -> bytes:
    at = _place(data, draw)
    size = draw.randint(1, 64)
    return data[:at] + data[at : at + size] * draw.randint(2, 9) + data[at + size :]


DAMAGES: dict[str, Callable[[bytes, Random], bytes]] = {
    "cut": lambda data, draw: data[: draw.randrange(len(data))],
    "cut early": lambda data, draw: data[: draw.randrange(min(len(data), 200))],
    "cut late": lambda data, draw: data[: -draw.randint(1, 12)],
    "few bits": _flip_bits,
    "many bits": lambda data, draw: _flip_bits(data, draw, 20, 200),
    "bytes": _change_bytes,
    "zeros": _fill_block,
    "number": _edit_number,
    "header": _swap_header,
    "splice": _splice,
    "removed": _remove_block,
    "repeated": _repeat_block,
}
"""The ways in which a file is damaged."""
