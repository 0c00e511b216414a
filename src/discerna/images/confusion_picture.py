"""A confusion matrix as a picture: a row for each true label, darker where more of its pictures fall."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from PIL import Image, ImageDraw

from discerna.images.drawing import BLANK, FAINT, INK, PAPER, SMALL_SIZE, TEXT_SIZE, TITLE_SIZE, write

MOST = 400
"""Labels of which a picture can still tell something: cells of two pixels."""

NAMED = 40
"""Up to so many labels are named."""

MARGIN, HEAD, NAMES, BOTTOM = 28, 62, 168, 36


def confusion_picture(labels: Sequence[str], confusions: Mapping[tuple[int, int], int]) -> Image.Image | None:
    """The page for these counts of (true, predicted); None for more labels than a picture can show."""
    count = len(labels)
    if count > MOST:
        return None
    cell = max(2, min(56, 800 // count))
    named = count <= NAMED
    left, top = MARGIN + (NAMES if named else 0), MARGIN + HEAD
    side = cell * count
    wide = max(left + side + MARGIN, 560)
    page = Image.new("RGB", (wide, top + side + BOTTOM + MARGIN), PAPER)
    draw = ImageDraw.Draw(page)
    write(draw, (MARGIN, MARGIN + TITLE_SIZE), "confusion matrix, validation pictures", TITLE_SIZE, INK, "ls")
    told = "row: true label, column: predicted, in the same order; shade: share of the row"
    write(draw, (MARGIN, MARGIN + HEAD - 12), told, SMALL_SIZE, FAINT, "ls", room=wide - 2 * MARGIN)
    draw.rectangle((left, top, left + side - 1, top + side - 1), fill=BLANK)
    totals = [0] * count
    for (true, _), number in confusions.items():
        totals[true] += number
    for (true, predicted), number in confusions.items():
        share = number / totals[true]
        x, y = left + predicted * cell, top + true * cell
        draw.rectangle((x, y, x + cell - 1, y + cell - 1), fill=_shade(share, right=true == predicted))
        if cell >= 22:
            colour = PAPER if share > 0.5 else INK
            write(draw, (x + cell // 2, y + cell // 2), str(number), SMALL_SIZE, colour, "mm", room=cell)
    for number in range(count if named else 0):
        middle = top + number * cell + cell // 2
        write(
            draw,
            (left - 10, middle),
            f"{labels[number]}  {number + 1}",
            TEXT_SIZE,
            INK,
            "rm",
            room=NAMES - 14,
        )
        if cell >= 12:
            place = (left + number * cell + cell // 2, top + side + 6)
            write(draw, place, str(number + 1), SMALL_SIZE, FAINT, "ma")
    return page


def _shade(share: float, *, right: bool) -> tuple[int, int, int]:
    """From pale to full: green-blue for what is right, red for what is not."""
    full = (17, 99, 119) if right else (179, 38, 30)
    pale = (226, 238, 240) if right else (250, 228, 226)
    strength = share**0.6  # so that a few confusions among many still show
    return tuple(round(a + (b - a) * strength) for a, b in zip(pale, full, strict=True))
