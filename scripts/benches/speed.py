"""`scripts/bench speed`: training, validation and scoring beside what the machine can do, and beside plain loops.

Each measurement is a process of its own; a round takes all of them once, in changing order, so that all see the same
noise. Before and after each a fixed piece of work is timed: a measurement counts only if both took at most 15 % longer
than the fastest of the whole run, and is taken again up to three times otherwise.
"""

from __future__ import annotations

import argparse
import json
import os
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

from benches.speed_network import BATCH, LABELS
from discerna import machine

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

    def __init__(self, rounds: int, cache: Path) -> None:
        self.rounds = rounds
        self.cache = cache
        """For decoded pictures; it goes with the bench."""
        self.found: dict[str, list[dict[str, float]]] = {}
        self.fastest = min(_fixed_work() for _ in range(10))
        self.left_out = 0

    def take(self, name: str, *command: str) -> None:
        """Measure once, again where the machine was busy with something else."""
        for attempt in range(AGAIN + 1):
            before = _fixed_work()
            began = time.perf_counter()
            done = subprocess.run(
                [sys.executable, *command],
                env={**os.environ, "DISCERNA_CACHE": str(self.cache)},
                capture_output=True,
                text=True,
                check=False,
            )
            seconds = time.perf_counter() - began
            if done.returncode:
                raise SystemExit(f"{name} failed:\n{done.stderr}")
            after = _fixed_work()
            self.fastest = min(self.fastest, before, after)
            calm = max(before, after) <= SLOWER * self.fastest
            if calm or attempt == AGAIN:
                line = json.loads(done.stdout or "{}")  # of a start there is only the time
                self.found.setdefault(name, []).append({**line, "wall": seconds})
                return
            self.left_out += 1

    def middle(self, name: str, figure: str = "") -> float:
        """The median of the rounds; of its one figure where it has no more."""
        own = figure or ("rate" if "rate" in self.found[name][0] else "seconds")
        return median(line[own] for line in self.found[name])


def main(arguments: list[str]) -> None:
    """Measure and print the tables."""
    parser = argparse.ArgumentParser(prog="scripts/bench speed", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--pictures", type=int, default=160, help="of the training")
    parser.add_argument("--kinds", nargs="*", choices=KINDS, default=list(KINDS))
    parser.add_argument("--start", action="store_true", help="measure only what passes before the first step")
    parser.add_argument(
        "--memory", action="store_true", help="measure only the memory of scoring 1,000 and 100,000"
    )
    parser.add_argument("--score", action="store_true", help="measure only scoring")
    parser.add_argument("--json", type=Path, help="keep all measurements in this file")
    parser.add_argument("--chart", type=Path, help="draw the rates of training into this file")
    given = parser.parse_args(arguments)
    if given.start or given.memory:
        given.kinds = given.kinds[:1]
    with pictures(given.kinds, given.pictures) as folders:
        run = Run(given.rounds, next(iter(folders.values())).with_name("cache"))
        if given.memory:
            print(of_memory(run, next(iter(folders.values()))))
            return
        for number in range(given.rounds):
            work = [
                (name, command)
                for name, command in _measurements(folders)
                if (not given.start or name in START) and (not given.score or name.startswith(SCORING))
            ]
            random.Random(number).shuffle(work)
            # Scoring needs a model that training has written.
            for name, command in sorted(work, key=lambda one: one[0].startswith("score")):
                run.take(name, *command)
                print(".", end="", flush=True, file=sys.stderr)
        print(file=sys.stderr)
    if given.start:
        texts = [of_start(run)]
    elif given.score:
        texts = [of_scoring(run, given.kinds)]
    else:
        texts = [of_network(run), of_training(run, given.kinds), of_scoring(run, given.kinds), of_start(run)]
    for text in texts:
        print(text, end="\n\n")
    if given.json:
        given.json.write_text(json.dumps(run.found, indent=2))
    if given.chart:
        from benches.speed_chart import draw

        draw({kind: _rates(run, kind) for kind in given.kinds}, run.middle("ceiling"), given.chart)


def _measurements(folders: dict[str, Path]) -> Iterator[tuple[str, list[str]]]:
    first = next(iter(folders.values()))
    for part in ONCE:
        yield part, ["-m", "benches.speed_parts", part, str(first)]
    for kind, folder in folders.items():
        for part in ("train", "plain", "lightning", "decode", "decode-together", "score"):
            yield f"{part}, {kind}", ["-m", "benches.speed_parts", part, str(folder)]


SCORING = ("forward-fp32", "decode", "train", "score")
"""A model to score with is trained before."""
START = ("libraries", "start", "help", "hydra-help")
ONCE = ("ceiling", "ceiling-fp32", "forward", "forward-fp32", "step", "bare-step", *START)
"""Parts that do not depend on the pictures."""


def of_network(run: Run) -> str:
    """What the network alone does, and a step beside it."""
    ceiling, fp32 = run.middle("ceiling"), run.middle("ceiling-fp32")
    step, bare = run.middle("step"), run.middle("bare-step")
    return (
        f"{run.rounds} rounds, {run.left_out} measurements left out because the machine was busy.\n"
        f"Network alone: {ceiling:.1f} pictures/s as discerna computes, {fp32:.1f} as PyTorch does by itself:"
        f" {ceiling / fp32:.2f}.\n"
        f"A step costs {1000 * (step - bare):.1f} ms beside reading, network and optimizer,"
        f" {100 * (step - bare) * ceiling / BATCH:.1f} % of one of resnet18."
    )


def _rates(run: Run, kind: str) -> dict[str, float]:
    return {part: run.middle(f"{part}, {kind}") for part in ("train", "lightning", "plain")}


def of_training(run: Run, kinds: list[str]) -> str:
    """Training and validation, as ratios."""
    ceiling = run.middle("ceiling")
    lines = [
        "| pictures | train / ceiling | train / plain loop | train / Lightning | validation / limit"
        " | memory / plain loop |",
        "|---|--:|--:|--:|--:|--:|",
    ]
    for kind in kinds:
        rates = _rates(run, kind)
        cells = [
            rates["train"] / ceiling,
            rates["train"] / rates["plain"],
            rates["train"] / rates["lightning"],
            run.middle(f"train, {kind}", "validation") / run.middle("forward"),
            run.middle(f"train, {kind}", "private") / run.middle(f"plain, {kind}", "private"),
        ]
        lines.append(f"| {kind} | " + " | ".join(f"{cell:.2f}" for cell in cells) + " |")
    return "\n".join(lines)


def of_scoring(run: Run, kinds: list[str]) -> str:
    """Scoring beside 1 / (network + decoding alone), which is as one core decodes times the cores, or as all do."""
    lines = [
        "| pictures | score / limit | all cores decode / cores x one | score / limit with all cores |",
        "|---|--:|--:|--:|",
    ]
    forward, cores = run.middle("forward-fp32"), machine.cores()
    for kind in kinds:
        score, alone = run.middle(f"score, {kind}"), cores * run.middle(f"decode, {kind}")
        together = run.middle(f"decode-together, {kind}")
        cells = [score * (1 / forward + 1 / alone), together / alone, score * (1 / forward + 1 / together)]
        lines.append(f"| {kind} | " + " | ".join(f"{cell:.2f}" for cell in cells) + " |")
    return "\n".join(lines)


def of_memory(run: Run, folder: Path) -> str:
    """What scoring many pictures takes."""
    parts = ["-m", "benches.speed_parts"]
    run.take("step", *parts, "step", str(folder))
    for count in ("1000", "100000"):
        run.take(count, *parts, "score-many", str(folder), count)
    few, many = (run.middle(count, "private") / 1e6 for count in ("1000", "100000"))
    return f"score: {few:.0f} MB with 1,000 pictures, {many:.0f} MB with 100,000: {many / few:.3f}"


def of_start(run: Run) -> str:
    """What passes before the first step."""
    start, libraries = run.middle("start", "wall"), run.middle("libraries", "wall")
    ours, bare = run.middle("help", "wall"), run.middle("hydra-help", "wall")
    return (
        f"Command to first step: {start:.1f} s; torch, torchvision, lightning and the network: {libraries:.1f} s:"
        f" {start / libraries:.2f}.\n--help: {ours:.2f} s; that of a bare Hydra application: {bare:.2f} s:"
        f" {ours / bare:.2f}."
    )


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
