"""Ink, sizes and text, the same on every page that is drawn."""

from __future__ import annotations

from PIL import Image, ImageDraw

from discerna.images.fonts import legible

INK, FAINT, OUTLINE, PAPER, BLANK = "#1f2328", "#656d76", "#0969da", "#ffffff", "#eaeef2"
TITLE_SIZE, TEXT_SIZE, SMALL_SIZE = 22, 14, 12

TILE = 128
"""Pixels of the longest side that a picture gets."""


def tile_side(size: int) -> int:
    """Side of a square picture on a page: small ones are enlarged by a whole factor, so that pixels stay pixels."""
    return size * (TILE // size) if size <= TILE else TILE


def tile(view: Image.Image, side: int) -> Image.Image:
    """A square picture at its size on a page."""
    enlarged = view.width < side
    return view.resize((side, side), Image.Resampling.NEAREST if enlarged else Image.Resampling.LANCZOS)


def write(
    draw: ImageDraw.ImageDraw,
    place: tuple[int, int],
    text: str,
    size: int,
    colour: str,
    anchor: str,
    room: int | None = None,
) -> None:
    """Write the text; where it needs more pixels than `room`, its end is left out."""
    written, font = legible(text, size)
    if room is not None and font.getlength(written) > room:
        while written and font.getlength(f"{written}...") > room:
            written = written[:-1]
        written = f"{written}..."
    draw.text(place, written, fill=colour, font=font, anchor=anchor)
