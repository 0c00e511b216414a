"""Kill a training at random instants, let it go on, kill it again: the model must be the one of an unharmed training.

`scripts/soak kills --kills 100` prints a line a training, and ends with exit code 1 if one differs. Each training is a
process of its own that gets a real SIGKILL: after a random time, or at a random write, sync or rename of a file, so
that checkpoints, metrics, status files and the publishing of the model are hit as well.
"""

from __future__ import annotations

import argparse
import logging
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from PIL import Image

MEANS: dict[str, Any] = {
    "epochs": 3,
    "batch_size": 8,
    "ema": 0.9,
    "augmentation": {"name": "strong", "mixup": 0.4},
    "label_smoothing": 0.1,
    "trainer": {"precision": "32-true", "accumulate_grad_batches": 2, "threads": 1},
}
"""All that draws at random or keeps a state of its own; the network has dropout and batch normalisation."""

_CALLS = ("fsync", "replace", "rename")


def write_pictures(root: Path) -> None:
    """27 training and 11 validation pictures of three labels."""
    draw = random.Random(5)
    for side, counts in (("train", (9, 8, 10)), ("valid", (4, 3, 4))):
        for label, count in zip(("blue", "green", "red"), counts, strict=True):
            (root / side / label).mkdir(parents=True)
            for number in range(count):
                noise = bytes(draw.randrange(256) for _ in range(20 * 20 * 3))
                Image.frombytes("RGB", (20, 20), noise).save(root / side / label / f"{number}.png")


def register_network() -> None:
    """A small network with dropout and batch normalisation, as `model=soaked`."""
    from torch import nn

    from discerna.networks import register

    @register("soaked", image_size=16)
    def soaked(num_labels: int) -> nn.Module:
        return nn.Sequential(
            nn.Conv2d(3, 8, 3, stride=2, padding=1),
            nn.BatchNorm2d(8),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(2),
            nn.Flatten(),
            nn.Dropout(0.2),
            nn.Linear(32, num_labels),
        )


def in_child(
    action: Callable[[], object], told: Path, kill_after: float | None = None, kill_at: int | None = None
) -> int:
    """Run the action in a forked process; its exit code, -9 where it was killed by time or at a call of the disk.

    What it says on standard error is in `told`.
    """
    child = os.fork()
    if child == 0:
        code = 1
        os.dup2(os.open(told, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), 2)
        try:
            if kill_at is not None:
                _die_at(kill_at)
            action()
            code = 0
        except BaseException as error:
            print(f"{type(error).__name__}: {error}", file=sys.stderr)
        finally:
            os._exit(code)
    deadline = time.monotonic() + kill_after if kill_after is not None else None
    while True:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        if deadline is not None and time.monotonic() >= deadline:
            os.kill(child, signal.SIGKILL)
            deadline = None
        time.sleep(0.002)


def _die_at(number: int) -> None:
    """Let this process kill itself at its `number`-th call that brings something to the disk, before it or after it."""
    left = number

    def dying(call: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*arguments: Any, **named: Any) -> Any:
            nonlocal left
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return call(*arguments, **named)

        return counted

    for name in _CALLS:
        setattr(os, name, dying(getattr(os, name)))


class Campaign:
    """Many trainings of the same settings, each killed until it comes to its end."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder = folder
        self.draw = random.Random(seed)
        self.kills = 0
        self.told = folder / "told.txt"
        write_pictures(folder)
        began = time.monotonic()
        if in_child(lambda: self._train("reference", workers=0), self.told) != 0:
            raise SystemExit(f"the unharmed training failed:\n{self.told.read_text('utf-8')}")
        self.seconds = time.monotonic() - began

    def _train(self, name: str, workers: int, **more: Any) -> None:
        import discerna

        register_network()
        discerna.train(
            model="soaked",
            train_data=self.folder / "train",
            valid_data=self.folder / "valid",
            output=self.folder / name,
            loading={"workers": workers},
            **{**MEANS, **more},
        )

    def life(self, number: int) -> str | None:
        """One training, killed again and again; what is wrong with what came out, or None."""
        name = f"life-{number}"
        every = self.draw.choice([1, 1, 2, 3])
        for attempt in range(60):
            workers = self.draw.choice([0, 0, 2])
            harmless = attempt >= 5
            by_time = self.draw.random() < 0.5
            code = in_child(
                lambda: self._train(
                    name,
                    workers=workers,  # noqa: B023
                    resume="auto",
                    checkpoint={"every_steps": every, "every_minutes": None},
                ),
                self.told,
                kill_after=self.draw.uniform(0.05, 1.2) * self.seconds if by_time and not harmless else None,
                kill_at=self.draw.randrange(1, 60) if not by_time and not harmless else None,
            )
            if code == 0:
                return self._difference(name)
            if code != -signal.SIGKILL:
                return f"exit code {code}\n{self.told.read_text('utf-8')}"
            self.kills += 1
        return "it never came to its end"

    def _difference(self, name: str) -> str | None:
        mine, reference = (self.folder / n / "weights.safetensors" for n in (name, "reference"))
        if mine.read_bytes() != reference.read_bytes():
            return "other weights"
        if _rows(self.folder / f"{name}.run") != _rows(self.folder / "reference.run"):
            return "other metrics"
        left = [p.name for p in self.folder.iterdir() if p.name.startswith(".")]
        left += [p.name for p in (self.folder / f"{name}.run").rglob(".*")]
        return f"left over: {left}" if left else None


def _rows(run: Path) -> list[str]:
    """metrics.csv without its last column, the speed."""
    return [line.rpartition(",")[0] for line in (run / "metrics.csv").read_text("utf-8").splitlines()]


def run(kills: int, seed: int, folder: Path, tell: Callable[[str], None]) -> list[str]:
    """Train and kill until so many kills have been survived; what went wrong."""
    import discerna.commands.train  # noqa: F401 - once, so that each process begins at once

    logging.getLogger("discerna").setLevel(logging.ERROR)
    campaign = Campaign(folder, seed)
    faults: list[str] = []
    number = 0
    while campaign.kills < kills and not faults:
        before = campaign.kills
        found = campaign.life(number)
        tell(f"training {number}: killed {campaign.kills - before} times: {found or 'the same model'}")
        if found:
            faults.append(f"training {number} (seed {seed}): {found}")
        else:
            for part in (folder / f"life-{number}", folder / f"life-{number}.run"):
                shutil.rmtree(part)
        number += 1
    tell(f"{campaign.kills} kills, {number} trainings, {len(faults)} faults")
    return faults


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="scripts/soak kills", description=__doc__)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    given = parser.parse_args()
    print(f"seed {given.seed}", flush=True)
    with tempfile.TemporaryDirectory(prefix="discerna-kills-") as folder:
        return 1 if run(given.kills, given.seed, Path(folder), lambda text: print(text, flush=True)) else 0


if __name__ == "__main__":
    sys.exit(main())
