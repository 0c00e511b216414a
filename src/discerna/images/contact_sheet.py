"""A contact sheet: for each label a picture as scoring sees it, and as training sees it in its first epochs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from PIL import Image, ImageDraw

from discerna.directories.image_dir import ImageDirectory
from discerna.errors import UnreadablePictureError
from discerna.images.augmentation_in_words import augmentation_in_words, fit_in_words
from discerna.images.decode import decode
from discerna.images.detail import decode_detail, needed
from discerna.images.drawing import (
    BLANK,
    FAINT,
    INK,
    OUTLINE,
    PAPER,
    SMALL_SIZE,
    TEXT_SIZE,
    TITLE_SIZE,
    tile,
    tile_side,
    write,
)
from discerna.images.fonts import legible
from discerna.images.keys import mix
from discerna.images.preprocessing import fit_picture
from discerna.images.transforms import augment
from discerna.settings.augmentation import AugmentationSettings
from discerna.settings.preprocessing import Preprocessing
from discerna.wording import counted

LABELS = 12
EPOCHS = 7

TRIES = 20
"""Pictures of a label that are tried until one can be read."""

MARGIN, GAP, APART = 28, 6, 22
ROW_GAP = 12
NAMES = 168
TITLE_HEIGHT, LINE_HEIGHT = 36, 22


class _Row(NamedTuple):
    label: str
    pictures: int
    views: list[Image.Image]
    """The picture as fitted, then as augmented; none where no picture of the label could be read."""


def sheet(
    index: ImageDirectory,
    spec: Preprocessing,
    augmentation: AugmentationSettings,
    seed: int,
    *,
    notes: Sequence[str] = (),
    labels: int = LABELS,
    epochs: int = EPOCHS,
) -> Image.Image:
    """The contact sheet of a labelled directory; `notes` are lines of text for its head.

    The views are those that a training with this seed, on these very pictures, sees in its first epochs. Of
    more labels than `labels` some are taken, evenly spread, and the sheet says so.
    """
    shown_labels = spread(index.labels, labels)
    rows = _rows(index, shown_labels, spec, augmentation, seed, epochs)
    side = tile_side(spec.size)
    width = 2 * MARGIN + NAMES + side + APART + epochs * side + (epochs - 1) * GAP
    lines = [
        ("scoring sees", fit_in_words(spec)),
        ("training adds", augmentation_in_words(augmentation)),
        *(("" if k else "chosen by auto", note) for k, note in enumerate(notes)),
    ]
    if len(shown_labels) < len(index.labels):
        lines.append(("labels", f"{len(shown_labels)} of {len(index.labels)} are shown, evenly spread"))
    title = f"{index.root.name}: {counted(len(index), 'picture')}, {counted(len(index.labels), 'label')}"
    head = _Head(title, lines, width)
    page = Image.new("RGB", (width, head.height + len(rows) * (side + ROW_GAP) - ROW_GAP + MARGIN), PAPER)
    draw = ImageDraw.Draw(page)
    head.draw(draw)
    first, others = MARGIN + NAMES, MARGIN + NAMES + side + APART
    write(draw, (first, head.height - 10), "scoring", SMALL_SIZE, OUTLINE, "ls")
    told = "training, epoch 1" if epochs == 1 else f"training, epochs 1 to {epochs}"
    write(draw, (others, head.height - 10), told, SMALL_SIZE, FAINT, "ls")
    for number, row in enumerate(rows):
        top = head.height + number * (side + ROW_GAP)
        _draw_row(page, draw, row, top, side, [first, *(others + k * (side + GAP) for k in range(epochs))])
    return page


def spread(items: Sequence[str], most: int) -> list[str]:
    """At most so many of the items, at even distances."""
    return list(items) if len(items) <= most else [items[k * len(items) // most] for k in range(most)]


def _rows(
    index: ImageDirectory,
    labels: Sequence[str],
    spec: Preprocessing,
    augmentation: AugmentationSettings,
    seed: int,
    epochs: int,
) -> list[_Row]:
    rows, first = [], 0
    for label, count in index.counts().items():
        if label in labels:
            rows.append(
                _Row(
                    label, count, _views(index, range(first, first + count), spec, augmentation, seed, epochs)
                )
            )
        first += count
    return rows


def _views(
    index: ImageDirectory,
    places: Sequence[int],
    spec: Preprocessing,
    augmentation: AugmentationSettings,
    seed: int,
    epochs: int,
) -> list[Image.Image]:
    """The first picture that can be read, as fitted and as augmented."""
    for i in places[:TRIES]:
        try:
            image = decode(index.path(i))
        except UnreadablePictureError:
            continue
        views = [fit_picture(image, spec)]
        seen = decode_detail(index.path(i), needed(spec, augmentation))
        for epoch in range(epochs):
            view = augment(seen, spec, augmentation, mix(seed, epoch, i))
            views.append(Image.fromarray(view.permute(1, 2, 0).numpy()))
        return views
    return []


def _draw_row(
    page: Image.Image, draw: ImageDraw.ImageDraw, row: _Row, top: int, side: int, lefts: Sequence[int]
) -> None:
    middle = top + side // 2
    write(draw, (MARGIN, middle - 2), row.label, TEXT_SIZE, INK, "ls", room=NAMES - 16)
    told = counted(row.pictures, "picture") if row.views else "none can be read"
    write(draw, (MARGIN, middle + 6), told, SMALL_SIZE, FAINT, "lt")
    for left, view in zip(lefts, row.views or [Image.new("RGB", (1, 1), BLANK)] * len(lefts), strict=True):
        page.paste(tile(view, side), (left, top))
    draw.rectangle((lefts[0] - 3, top - 3, lefts[0] + side + 2, top + side + 2), outline=OUTLINE, width=2)


class _Head:
    """The lines above the pictures, wrapped to the width of the page."""

    def __init__(self, title: str, lines: Sequence[tuple[str, str]], width: int) -> None:
        self._title = title
        self._room = width - 2 * MARGIN
        self._lines: list[tuple[str, str]] = []
        for name, text in lines:
            wrapped = _wrapped(text, TEXT_SIZE, self._room - NAMES)
            self._lines += [(name if k == 0 else "", line) for k, line in enumerate(wrapped)]
        self.height = MARGIN + TITLE_HEIGHT + len(self._lines) * LINE_HEIGHT + 46

    def draw(self, draw: ImageDraw.ImageDraw) -> None:
        """Write them."""
        write(draw, (MARGIN, MARGIN + TITLE_SIZE), self._title, TITLE_SIZE, INK, "ls", room=self._room)
        for number, (name, line) in enumerate(self._lines):
            base = MARGIN + TITLE_HEIGHT + TEXT_SIZE + number * LINE_HEIGHT
            write(draw, (MARGIN, base), name, TEXT_SIZE, FAINT, "ls")
            write(draw, (MARGIN + NAMES, base), line, TEXT_SIZE, INK, "ls")


def _wrapped(text: str, size: int, room: int) -> list[str]:
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        written, font = legible(longer, size)
        if font.getlength(written) <= room or not lines[-1]:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines
