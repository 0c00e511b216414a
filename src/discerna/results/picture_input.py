"""Whatever a Python program calls a picture -> RGB, by the rules that `images.decode` has for files."""

from __future__ import annotations

import io
import os
from collections.abc import Iterable
from typing import BinaryIO, cast

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from discerna.errors import InvalidDatasetError
from discerna.images.decode import decode, to_rgb
from discerna.settings.build import absolute

Picture = str | os.PathLike[str] | Image.Image | NDArray[np.uint8] | bytes | BinaryIO

ACCEPTED = (
    "a picture is a path, a Pillow image, an array of uint8 [height, width] or [height, width, 3], "
    "the bytes of a picture file, or such a file opened with 'rb'"
)


def one_by_one(pictures: Picture | Iterable[Picture]) -> Iterable[tuple[str, Picture]]:
    """Each picture with its name in messages; a single one need not stand in a list."""
    if _is_one(pictures):
        return [("picture", cast(Picture, pictures))]
    if not isinstance(pictures, Iterable):
        raise _no_picture("pictures", type(pictures).__name__)
    many = cast(Iterable[Picture], pictures)
    return ((f"pictures[{i}]", picture) for i, picture in enumerate(many))


def rgb(picture: Picture, name: str) -> Image.Image:
    """The picture as RGB; UnreadablePictureError names its path, or `name` where it has none."""
    if isinstance(picture, str | os.PathLike):
        return decode(absolute(picture))
    if isinstance(picture, Image.Image):
        return to_rgb(picture, name)
    if isinstance(picture, np.ndarray):
        return Image.fromarray(_checked(picture, name)).convert("RGB")
    if isinstance(picture, bytes | bytearray | memoryview):
        return decode(_Named(picture, name))
    if hasattr(picture, "read"):
        content = picture.read()  # whole, since a socket or a pipe cannot be rewound
        if not isinstance(content, bytes):
            raise _no_picture(name, "a file that is opened as text")
        return decode(_Named(content, str(getattr(picture, "name", name))))
    raise _no_picture(name, type(picture).__name__)


def _is_one(pictures: object) -> bool:
    kinds = (str, os.PathLike, Image.Image, np.ndarray, bytes, bytearray, memoryview)
    return isinstance(pictures, kinds) or hasattr(pictures, "read")


class _Named(io.BytesIO):
    """Bytes with the name by which messages call them."""

    def __init__(self, content: bytes | bytearray | memoryview, name: str) -> None:
        super().__init__(content)
        self.name = name


def _checked(array: NDArray[np.uint8], name: str) -> NDArray[np.uint8]:
    is_picture = array.ndim == 2 or (array.ndim == 3 and array.shape[2] == 3)
    if array.dtype != np.uint8 or not is_picture or array.size == 0:
        raise _no_picture(name, f"an array of {array.dtype} {list(array.shape)}")
    return array


def _no_picture(name: str, found: str) -> InvalidDatasetError:
    return InvalidDatasetError("this is no picture", where=f"{name} is {found}", accepted=ACCEPTED)
