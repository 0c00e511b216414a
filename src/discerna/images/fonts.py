"""Text on pictures, in a font that has its letters."""

from __future__ import annotations

from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

from PIL import ImageFont

from discerna.wording import shown

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont

_WIDE = ("DejaVuSans.ttf", "NotoSansCJK-Regular.ttc", "Arial Unicode.ttf", "NotoSans-Regular.ttf")
"""What many systems have, by the names under which Pillow finds them."""

_NO_CHARACTER = "\U0010ffff"


def legible(text: str, size: int) -> tuple[str, Font]:
    r"""The text with the first font that has all its letters; letters that no font has as escapes (`\u5199`)."""
    text = shown(text)
    for font in _fonts(size):
        if all(_has(font, letter) for letter in set(text)):
            return text, font
    best = max(_fonts(size), key=lambda font: sum(_has(font, letter) for letter in text))
    escaped = (c if _has(best, c) else c.encode("unicode_escape").decode() for c in text)
    return "".join(escaped), best


@lru_cache(maxsize=16)
def _fonts(size: int) -> list[Font]:
    """Pillow's own font, and those of this machine that know more letters."""
    found: list[Font] = [ImageFont.load_default(size)]
    matplotlib = find_spec("matplotlib")
    folder = (
        Path(matplotlib.origin).parent / "mpl-data/fonts/ttf" if matplotlib and matplotlib.origin else None
    )
    for name in (*([str(folder / "DejaVuSans.ttf")] if folder else []), *_WIDE):
        try:
            found.append(ImageFont.truetype(name, size))
        except OSError:  # not there
            continue
    return found


@lru_cache(maxsize=4096)
def _has(font: Font, letter: str) -> bool:
    """Whether the font draws the letter otherwise than one that cannot exist."""
    if letter.isascii():
        return True
    try:
        return bytes(font.getmask(letter)) != bytes(font.getmask(_NO_CHARACTER))
    except UnicodeEncodeError:  # Pillow without FreeType knows Latin letters only
        return False
