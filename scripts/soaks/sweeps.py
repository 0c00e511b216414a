"""Kill a sweep, its jobs or all of them at random instants, and start it again until it is done: nothing is lost.

`scripts/soak sweeps --kills 30` prints a line a sweep, and ends with exit code 1 if a job trained again what was done,
or if a model differs from that of an unharmed sweep. The jobs have two processes each.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from soaks.kills import write_pictures

NETWORKS = """from torch import nn

from discerna.networks import register


@register("soaked", image_size=16)
def soaked(num_labels: int) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, stride=2, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten(),
        nn.Dropout(0.2), nn.Linear(32, num_labels),
    )
"""

JOBS = 6


class Campaign:
    """Sweeps of the same jobs, each killed until it comes to its end."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder = folder
        self.draw = random.Random(seed)
        self.kills = 0
        write_pictures(folder)
        (folder / "soaked_networks.py").write_text(NETWORKS)
        began = time.monotonic()
        sweep = self._start("reference", parallel=1)
        if sweep.wait() != 0:
            raise SystemExit(f"the unharmed sweep failed:\n{self._told('reference')}")
        self.seconds = time.monotonic() - began

    def _start(self, name: str, parallel: int) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "discerna", "train", "-m", "model=soaked", "epochs=6", "batch_size=8",
                   "networks.modules=[soaked_networks]", "train_data=train", "valid_data=valid", f"output={name}",
                   "learning_rate=0.01,0.02", "random_seed=1,2,3", "trainer=cpu", "trainer.devices=2",
                   "trainer.threads=1", "ema=0.9", "augmentation=strong", "checkpoint.every_steps=2",
                   f"sweep.parallel={parallel}"]  # fmt: skip
        with (self.folder / f"{name}.txt").open("ab") as told:
            return subprocess.Popen(
                command,
                cwd=self.folder,
                env={**os.environ, "PYTHONPATH": str(self.folder)},
                stdout=told,
                stderr=told,
                start_new_session=True,
            )

    def _told(self, name: str) -> str:
        return (self.folder / f"{name}.txt").read_text("utf-8", "replace")

    def life(self, number: int) -> str | None:
        """One sweep, killed again and again; what is wrong with what came out, or None."""
        name = f"life-{number}"
        for attempt in range(40):
            sweep = self._start(name, parallel=self.draw.choice([1, 1, 2]))
            if attempt < 10 and self._killed(sweep, name):
                self.kills += 1
            code = sweep.wait()
            if code == 0:
                return self._difference(name)
            if code not in (1, -signal.SIGKILL):
                return f"exit code {code}\n{self._told(name)}"
        return f"it never came to its end\n{self._told(name)}"

    def _killed(self, sweep: subprocess.Popen[bytes], name: str) -> bool:
        """Kill the sweep, one process of a job, or all of them, after a random time; False where it was over before."""
        try:
            sweep.wait(self.draw.uniform(0.1, 0.6) * self.seconds)
            return False
        except subprocess.TimeoutExpired:
            pass
        found = subprocess.run(
            ["pgrep", "-f", f"{self.folder}/{name}.sweep/"], capture_output=True, text=True
        )
        jobs = [int(pid) for pid in found.stdout.split()]
        kind = self.draw.choice(["sweep", "one", "all"])
        chosen = {"sweep": [], "one": self.draw.sample(jobs, min(1, len(jobs))), "all": jobs}[kind]
        for pid in [*chosen, *([] if kind == "one" and chosen else [sweep.pid])]:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        return True

    def _difference(self, name: str) -> str | None:
        for place in ["", *(f".sweep/{number}" for number in range(JOBS))]:
            mine, reference = (
                self.folder / f"{n}{place}" / "weights.safetensors" for n in (name, "reference")
            )
            if mine.read_bytes() != reference.read_bytes():
                return f"other weights: {name}{place or ', the winner'}"
        folder = self.folder / f"{name}.sweep"
        numbers = sorted(int(p.name) for p in folder.iterdir() if p.name.isdigit())
        if numbers != list(range(JOBS)):
            return f"other jobs: {numbers}"
        for number in range(JOBS):
            rows = (folder / f"{number}.run" / "metrics.csv").read_text("utf-8").splitlines()[1:]
            if [row.partition(",")[0] for row in rows] != [str(epoch) for epoch in range(1, 7)]:
                return f"a gap or a double row in {number}.run/metrics.csv"
        left = [str(path) for path in folder.rglob(".*") if path.name != ".submitit"]
        return f"left over: {left}" if left else None


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="scripts/soak sweeps", description=__doc__)
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    given = parser.parse_args()
    print(f"seed {given.seed}", flush=True)
    with tempfile.TemporaryDirectory(prefix="discerna-sweeps-") as folder:
        campaign = Campaign(Path(folder), given.seed)
        number = 0
        while campaign.kills < given.kills:
            before = campaign.kills
            found = campaign.life(number)
            print(
                f"sweep {number}: {campaign.kills - before} kills: {found or 'the same models'}", flush=True
            )
            if found:
                return 1
            number += 1
    print(f"{campaign.kills} kills, {number} sweeps of {JOBS} jobs, 0 faults", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
