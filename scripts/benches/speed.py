"""`scripts/bench speed`: training, validation and scoring beside what the machine can do, and beside plain loops.

Each measurement is a process of its own; a round takes all of them once, in changing order, so that all see the same
noise. Before and after each a fixed piece of work is timed: a measurement counts only if both took at most 15 % longer
than the fastest of the whole run, and is taken again up to three times otherwise.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

from PIL import Image

from benches.speed_parts import LABELS

KINDS = {
    "small JPEG": (224, 224, "jpg"),
    "medium JPEG": (500, 375, "jpg"),
    "large JPEG": (4000, 3000, "jpg"),
    "medium PNG": (500, 375, "png"),
}
"""Width, height and format of the pictures."""

SLOWER = 1.15
"""A measurement beside which the fixed work took so many times the fastest does not count."""

AGAIN = 3


class Run:
    """All measurements of one run."""

    def __init__(self, rounds: int) -> None:
        self.rounds = rounds
        self.found: dict[str, list[dict[str, float]]] = {}
        self.fastest = min(_fixed_work() for _ in range(10))
        self.left_out = 0

    def take(self, name: str, *command: str) -> None:
        """Measure once, again where the machine was busy with something else."""
        for attempt in range(AGAIN + 1):
            before = _fixed_work()
            began = time.perf_counter()
            done = subprocess.run([sys.executable, *command], capture_output=True, text=True, check=False)
            seconds = time.perf_counter() - began
            if done.returncode:
                raise SystemExit(f"{name} failed:\n{done.stderr}")
            after = _fixed_work()
            self.fastest = min(self.fastest, before, after)
            calm = max(before, after) <= SLOWER * self.fastest
            if calm or attempt == AGAIN:
                line = json.loads(done.stdout) if "benches.speed_parts" in command else {}
                self.found.setdefault(name, []).append({**line, "seconds": seconds})
                return
            self.left_out += 1

    def middle(self, name: str, figure: str = "rate") -> float:
        """The median of the rounds."""
        return median(line[figure] for line in self.found[name])


def main(arguments: list[str]) -> None:
    """Measure and print the tables."""
    parser = argparse.ArgumentParser(prog="scripts/bench speed", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--pictures", type=int, default=192, help="of the training")
    parser.add_argument("--kinds", nargs="*", choices=KINDS, default=list(KINDS))
    parser.add_argument("--json", type=Path, help="keep all measurements in this file")
    given = parser.parse_args(arguments)
    run = Run(given.rounds)
    with pictures(given.kinds, given.pictures) as folders:
        for number in range(given.rounds):
            work = list(_measurements(folders))
            random.Random(number).shuffle(work)
            # Scoring needs a model that training has written.
            for name, command in sorted(work, key=lambda one: one[0].startswith("score")):
                run.take(name, *command)
                print(".", end="", flush=True, file=sys.stderr)
    print(file=sys.stderr)
    print(table(run, given.kinds))
    if given.json:
        given.json.write_text(json.dumps(run.found, indent=2))


def _measurements(folders: dict[str, Path]) -> Iterator[tuple[str, list[str]]]:
    first = next(iter(folders.values()))
    for part in ("ceiling", "ceiling-fp32", "forward-fp32", "libraries"):
        yield part, ["-m", "benches.speed_parts", part, str(first)]
    for kind, folder in folders.items():
        for part in ("train", "plain", "lightning", "decode", "score"):
            yield f"{part}, {kind}", ["-m", "benches.speed_parts", part, str(folder)]


def table(run: Run, kinds: list[str]) -> str:
    """What was measured, as ratios."""
    ceiling, fp32 = run.middle("ceiling"), run.middle("ceiling-fp32")
    lines = [
        f"{run.rounds} rounds, {run.left_out} measurements left out because the machine was busy",
        f"network alone: {ceiling:.1f} pictures/s as `discerna train` computes, {fp32:.1f} in fp32"
        f" ({ceiling / fp32:.2f})",
        "",
        "| pictures | train / ceiling | train / plain loop | train / Lightning | memory / plain loop | score / limit |",
        "|---|--:|--:|--:|--:|--:|",
    ]
    for kind in kinds:
        rate = run.middle(f"train, {kind}")
        cores = _cores()
        limit = 1 / (1 / run.middle("forward-fp32") + 1 / run.middle(f"decode, {kind}") / cores)
        cells = [
            rate / ceiling,
            rate / run.middle(f"plain, {kind}"),
            rate / run.middle(f"lightning, {kind}"),
            run.middle(f"train, {kind}", "private") / run.middle(f"plain, {kind}", "private"),
            run.middle(f"score, {kind}") / limit,
        ]
        lines.append(f"| {kind} | " + " | ".join(f"{cell:.2f}" for cell in cells) + " |")
    return "\n".join(lines)


def _cores() -> int:
    from discerna.machine import cores

    return cores()


@contextmanager
def pictures(kinds: list[str], count: int) -> Iterator[dict[str, Path]]:
    """Folders of training and validation pictures of each kind."""
    with tempfile.TemporaryDirectory(prefix="discerna-speed-") as room:
        folders = {}
        for kind in kinds:
            folders[kind] = Path(room, kind.replace(" ", "-"))
            width, height, ending = KINDS[kind]
            sources = [_picture(width, height, seed) for seed in range(2 if width > 1000 else 8)]
            for side, many in (("train", count), ("valid", max(LABELS, count // 4))):
                for number in range(many):
                    place = folders[kind] / side / f"label{number % LABELS}"
                    place.mkdir(parents=True, exist_ok=True)
                    # Each file its own bytes: the corner differs.
                    image = sources[number % len(sources)]
                    image.putpixel((number % width, 0), (number % 256, side == "train", 7))
                    image.save(place / f"{number}.{ending}", quality=90)
        yield folders


def _picture(width: int, height: int, seed: int) -> Image.Image:
    """Something like a photograph: soft shapes with some grain, about as large a file as one."""
    draw = random.Random(seed)
    coarse = Image.frombytes("RGB", (24, 18), bytes(draw.randrange(256) for _ in range(24 * 18 * 3)))
    soft = coarse.resize((width, height), Image.Resampling.BICUBIC)
    grain = Image.effect_noise((width, height), 20).convert("RGB")
    return Image.blend(soft, grain, 0.15)


def _fixed_work() -> float:
    """Seconds for a piece of work that is always the same, on all cores."""
    import numpy as np

    matrix = np.ones((1200, 1200), np.float32)
    began = time.perf_counter()
    for _ in range(12):
        matrix @ matrix
    return time.perf_counter() - began


if __name__ == "__main__":
    main(sys.argv[1:])
