"""`scripts/bench plan`: what `plan=true` says beside what the training then takes, in time and memory.

Each plan and each training is a process of its own with an empty cache, one after the other.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benches.speed import KINDS, pictures


@dataclass(frozen=True)
class Size:
    """A training of some size."""

    kind: str
    """Of the pictures, in `speed.KINDS`."""
    pictures: int
    settings: Sequence[str]


SIZES = {
    "small": Size("small JPEG", 600, ["model=resnet18", "image_size=64", "epochs=6"]),
    "medium": Size("medium JPEG", 400, ["model=resnet18", "image_size=224", "epochs=4", "freeze_epochs=1"]),
    "large": Size("large JPEG", 160, ["model=resnet50", "image_size=288", "epochs=3", "batch_size=32"]),
}


@dataclass(frozen=True)
class Taken:
    """What a training took, or would take."""

    seconds: float
    memory: float
    cache: float


def main(arguments: list[str]) -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(prog="scripts/bench plan", description=__doc__)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--sizes", nargs="*", choices=SIZES, default=list(SIZES))
    parser.add_argument("--more", nargs="*", default=[], help="settings of all, such as trainer.devices=2")
    given = parser.parse_args(arguments)
    print("| training | round | planned | taken | time | memory | cache |\n|---|--:|--:|--:|--:|--:|--:|")
    for name in given.sizes:
        size = SIZES[name]
        with pictures([size.kind], size.pictures) as folders:
            for number in range(given.rounds):
                settings = [*size.settings, "early_stopping=none", *given.more]
                plan, train = _planned(folders[size.kind], settings), _trained(folders[size.kind], settings)
                cells = [
                    *(f"{taken.seconds:.0f} s" for taken in (plan, train)),
                    *(
                        f"{getattr(plan, part) / getattr(train, part):.2f}"
                        for part in ("seconds", "memory", "cache")
                    ),
                ]
                told = f"{name}: {' '.join(size.settings)}, {size.pictures} of {_kind(size)}"
                print(f"| {told} | {number + 1} | {' | '.join(cells)} |", flush=True)


def _kind(size: Size) -> str:
    width, height, _ = KINDS[size.kind]
    return f"{width}x{height}"


def _planned(folder: Path, settings: Sequence[str]) -> Taken:
    with tempfile.TemporaryDirectory(prefix="discerna-plan-") as room:
        done = subprocess.run(
            [sys.executable, "-m", "benches.plan", "--plan", *_data(folder), *settings],
            env={**os.environ, "DISCERNA_CACHE": room},
            cwd=room,
            stdout=subprocess.PIPE,
            check=True,
        )
    told = json.loads(done.stdout)
    return Taken(told["seconds"], told["memory"], told["cache_bytes"])


def _trained(folder: Path, settings: Sequence[str]) -> Taken:
    with tempfile.TemporaryDirectory(prefix="discerna-plan-") as room:
        process = subprocess.Popen(
            [sys.executable, "-m", "discerna", "train", *_data(folder), *settings, "output=model"],
            env={**os.environ, "DISCERNA_CACHE": f"{room}/cache"},
            cwd=room,
            stdout=subprocess.DEVNULL,
        )
        _, status, used = os.wait4(process.pid, 0)
        if status:
            raise SystemExit("the training failed")
        seconds = json.loads(Path(room, "model.run/result.json").read_text())["seconds"]
        cache = sum(file.stat().st_size for file in Path(room, "cache").rglob("*") if file.is_file())
    return Taken(seconds, 1024 * used.ru_maxrss, cache)


def _data(folder: Path) -> list[str]:
    return [f"train_data={folder / 'train'}", f"valid_data={folder / 'valid'}"]


def _plan(overrides: list[str]) -> None:
    """Print a plan for programs, from a process that is discerna's own."""
    from discerna import console, own_process, planning
    from discerna.composition import compose

    own_process.claim()
    console.configure()
    print(json.dumps(dataclasses.asdict(planning.plan(compose("train", overrides), console.progress()))))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--plan"]:
        _plan(sys.argv[2:])
    else:
        main(sys.argv[1:])
