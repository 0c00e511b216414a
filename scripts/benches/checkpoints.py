"""`scripts/bench checkpoints`: what checkpoints cost a training, as a ratio to one that writes none but the last.

ResNet-18 with AdamW on generated pictures: about 130 MB a checkpoint. Each round trains once with each way of writing
them, in changing order, in one process; the figures are medians of the rounds' ratios.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from contextlib import redirect_stderr
from io import StringIO
from pathlib import Path
from statistics import median
from typing import Any

from PIL import Image

import discerna

WAYS: dict[str, dict[str, Any]] = {
    "none but the last": {"every_steps": None, "every_minutes": None},
    "auto": {"every_steps": None, "every_minutes": "auto"},
    "every 20 steps": {"every_steps": 20, "every_minutes": None},
}


def main(arguments: list[str]) -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(prog="scripts/bench checkpoints", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--pictures", type=int, default=320, help="of the training, in 2 labels")
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--size", type=int, default=64, help="side of the pictures")
    given = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="discerna-checkpoints-") as room:
        folder = Path(room)
        write(folder / "train", given.pictures, given.size)
        write(folder / "valid", 8, given.size)
        taken: dict[str, list[float]] = {name: [] for name in WAYS}
        for number in range(-1, given.rounds):
            for name in sorted(WAYS, key=lambda name: hash((name, number))):
                began = time.monotonic()
                train(folder, WAYS[name], given.epochs, given.size)
                if number >= 0:  # the round before warms up
                    taken[name].append(time.monotonic() - began)
        plain = taken["none but the last"]
        for name, seconds in taken.items():
            ratios = [own / base for own, base in zip(seconds, plain, strict=True)]
            print(f"{name:20}{median(seconds):8.2f} s   ratio {median(ratios):.3f}"
                  f"  ({min(ratios):.3f} to {max(ratios):.3f})", flush=True)  # fmt: skip


def write(root: Path, count: int, size: int) -> None:
    """So many pictures in two labels."""
    for number in range(count):
        place = root / ("dark" if number % 2 else "light") / f"{number}.png"
        place.parent.mkdir(parents=True, exist_ok=True)
        Image.effect_noise((size, size), 40 + number % 2 * 60).convert("RGB").save(place)


def train(folder: Path, checkpoint: dict[str, Any], epochs: int, size: int) -> None:
    """One training."""
    with redirect_stderr(StringIO()):
        discerna.train(
            model="resnet18",
            image_size=size,
            train_data=folder / "train",
            valid_data=folder / "valid",
            output=folder / "model",
            overwrite=True,
            check="off",
            epochs=epochs,
            early_stopping="none",
            checkpoint=checkpoint,
        )


if __name__ == "__main__":
    import sys

    main(sys.argv[1:])
