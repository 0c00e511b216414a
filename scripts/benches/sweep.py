"""`scripts/bench sweep`: how long a sweep takes beside its jobs one by one, as `discerna train` commands.

ResNet-18 on generated pictures, one job after the other and several at once, in turns within one run.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benches.checkpoints import write


def main(arguments: list[str]) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="scripts/bench sweep", description=__doc__)
    parser.add_argument("--jobs", type=int, default=12)
    parser.add_argument("--parallel", type=int, default=2)
    parser.add_argument("--pictures", type=int, default=240, help="of the training, in 2 labels")
    parser.add_argument("--epochs", type=int, default=3)
    given = parser.parse_args(arguments)
    rates = [f"{0.0005 * (number + 1):g}" for number in range(given.jobs)]
    with tempfile.TemporaryDirectory(prefix="discerna-sweep-") as room:
        folder = Path(room)
        write(folder / "train", given.pictures, 64)
        write(folder / "valid", 32, 64)
        common = [
            "model=resnet18",
            "image_size=64",
            f"epochs={given.epochs}",
            "early_stopping=none",
            "check=off",
        ]
        single = sum(
            _seconds(folder, [*common, f"learning_rate={rate}", f"output=one/{rate}"]) for rate in rates
        )
        told = f"{given.jobs} commands, one by one"
        print(f"{told:32}{single:8.1f} s", flush=True)
        for parallel in (1, given.parallel):
            taken = _seconds(
                folder,
                [
                    *common,
                    "-m",
                    f"learning_rate={','.join(rates)}",
                    f"sweep.parallel={parallel}",
                    f"output=s{parallel}",
                ],
            )
            told = f"a sweep of them, {parallel} at once"
            print(f"{told:32}{taken:8.1f} s   ratio {taken / single:.3f}", flush=True)


def _seconds(folder: Path, overrides: list[str]) -> float:
    began = time.monotonic()
    command = [sys.executable, "-m", "discerna", "train", "train_data=train", "valid_data=valid", *overrides]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    return time.monotonic() - began


if __name__ == "__main__":
    main(sys.argv[1:])
