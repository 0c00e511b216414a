"""Small labelled picture sets, generated."""

import random
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

TESTS = Path(__file__).parent
COLOURS = {"blue": (40, 60, 210), "green": (40, 200, 60), "red": (210, 40, 50)}


def write_pictures(
    root: Path, counts: dict[str, int], size: tuple[int, int] = (20, 18), seed: int = 0
) -> Path:
    """`root/<label>/<n>.png`: noisy pictures whose colour tells the label."""
    draw = random.Random(f"{seed} {sorted(counts)}")
    for number, (label, count) in enumerate(sorted(counts.items())):
        base = COLOURS.get(label, ((number * 67) % 256, (number * 131) % 256, (number * 29) % 256))
        (root / label).mkdir(parents=True, exist_ok=True)
        for n in range(count):
            picture = Image.new("RGB", size)
            picture.putdata(
                [
                    tuple(min(255, max(0, part + draw.randint(-60, 60))) for part in base)
                    for _ in range(size[0] * size[1])
                ]
            )
            picture.save(root / label / f"{n}.png")
    return root


def photograph(path: Path, size: tuple[int, int] = (400, 300), **saved: Any) -> Path:
    """Soft shapes with some grain."""
    draw = np.random.default_rng(1)
    soft = Image.fromarray(draw.integers(0, 256, (6, 8, 3)).astype(np.uint8)).resize(
        size, Image.Resampling.BICUBIC
    )
    grain = draw.integers(-12, 13, (size[1], size[0], 3))
    Image.fromarray((np.asarray(soft, int) + grain).clip(0, 255).astype(np.uint8)).save(path, **saved)
    return path
