"""Pictures in rows, each with two lines of text below."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from PIL import Image, ImageDraw

from discerna.images.drawing import FAINT, INK, PAPER, SMALL_SIZE, TITLE_SIZE, tile, tile_side, write

COLUMNS = 6
MARGIN, GAP, HEAD, FOOT = 28, 12, 44, 40


class Captioned(NamedTuple):
    """A square picture with its text."""

    picture: Image.Image
    first: str
    second: str


def captioned_grid(title: str, pictures: Sequence[Captioned]) -> Image.Image:
    """A page with all of them, in order."""
    side = max(96, tile_side(pictures[0].picture.width))  # room for the text, too
    columns = min(COLUMNS, max(3, len(pictures)))
    rows = -(-len(pictures) // columns)
    size = (
        2 * MARGIN + columns * (side + GAP) - GAP,
        MARGIN + HEAD + rows * (side + FOOT + GAP) + MARGIN - GAP,
    )
    page = Image.new("RGB", size, PAPER)
    draw = ImageDraw.Draw(page)
    write(draw, (MARGIN, MARGIN + TITLE_SIZE), title, TITLE_SIZE, INK, "ls", room=size[0] - 2 * MARGIN)
    for number, (picture, first, second) in enumerate(pictures):
        left = MARGIN + number % columns * (side + GAP)
        top = MARGIN + HEAD + number // columns * (side + FOOT + GAP)
        page.paste(tile(picture, side), (left, top))
        write(draw, (left, top + side + 4), first, SMALL_SIZE, INK, "la", room=side)
        write(draw, (left, top + side + 20), second, SMALL_SIZE, FAINT, "la", room=side)
    return page
