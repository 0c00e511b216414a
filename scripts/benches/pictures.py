"""`scripts/bench pictures`: write the picture sets and, to look at them, a sheet with some of each."""

from __future__ import annotations

import argparse
from pathlib import Path

from benches import picture_sets
from benches.places import PICTURES


def main() -> None:
    """Write the sets, tell about them, draw the sheet."""
    parser = argparse.ArgumentParser(prog="scripts/bench pictures", description=__doc__)
    parser.add_argument(
        "--sets", default=",".join(picture_sets.DRAWN), help=f"of {','.join(picture_sets.BY_NAME)}"
    )
    parser.add_argument("--sheet", type=Path, help="write a contact sheet into this PNG file")
    parser.add_argument("--columns", type=int, default=16)
    parser.add_argument("--rows", type=int, default=1, help="lines of each set")
    parser.add_argument("--side", type=int, default=64, help="pixels of a picture on the sheet")
    given = parser.parse_args()
    ready = []
    for name in given.sets.split(","):
        pictures = picture_sets.prepare(picture_sets.BY_NAME[name], PICTURES)
        ready.append(pictures)
        print(f"{name}: {pictures.labels} labels, {pictures.train} training pictures, {pictures.fingerprint}")
    if given.sheet is not None:
        sheet = picture_sets.contact_sheet(ready, given.columns, given.rows, given.side)
        sheet.quantize(128).save(given.sheet, optimize=True)


if __name__ == "__main__":
    main()
