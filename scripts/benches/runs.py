"""`scripts/bench runs`: how long lists of 100 to 10,000 runs take; with `--versions`, those of registered models.

The runs are folders as a training leaves them, without models; the figures are whole commands, the first of each
warm file cache, beside `discerna --version`, which is what starting takes.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import torch

from discerna.composition import compose
from discerna.directories.model_dir import ModelDirectory, ModelSpec, write_model_directory
from discerna.directories.run_folder import RunFolder, write_json
from discerna.recipes.preview import USUAL as IMAGENET
from discerna.registry.folder_registry import FolderRegistry
from discerna.registry.lineage import lineage_of

COMMANDS = {
    "start": ["--version"],
    "list": ["runs", "list", "runs"],
    "list, JSON": ["runs", "list", "runs", "format=json"],
    "list, by a setting": ["runs", "list", "runs", "where=learning_rate>0.5", "sort=-accuracy"],
    "best": ["runs", "best", "runs"],
}


def main(arguments: list[str]) -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(prog="scripts/bench runs", description=__doc__)
    parser.add_argument("sizes", nargs="*", type=int, default=[100, 1_000, 10_000], help="numbers of runs")
    parser.add_argument("--rounds", type=int, default=3, help="how often each is measured; the median counts")
    parser.add_argument(
        "--versions", action="store_true", help="versions of a registered model instead of runs"
    )
    given = parser.parse_args(arguments)
    if given.versions:
        measure_versions(given.sizes, given.rounds)
        return
    print("runs    " + "".join(name.rjust(22) for name in COMMANDS))
    for size in given.sizes:
        with tempfile.TemporaryDirectory(prefix="discerna-runs-") as room:
            make_runs(Path(room, "runs"), size)
            found = {name: seconds(command, room, given.rounds) for name, command in COMMANDS.items()}
        print(f"{size:<8}" + "".join(f"{taken:.2f} s".rjust(22) for taken in found.values()), flush=True)


def measure_versions(sizes: list[int], rounds: int) -> None:
    """Print how long it takes to make so many versions of a small model, one after the other, and to list them."""
    commands = {
        "start": ["--version"],
        "list": ["registry", "list", "flowers"],
        "show": ["registry", "show", "flowers@latest"],
    }
    print("versions" + "register, each".rjust(22) + "".join(name.rjust(12) for name in commands))
    for size in sizes:
        with tempfile.TemporaryDirectory(prefix="discerna-registry-") as room:
            model = small_model(Path(room))
            registry = FolderRegistry(Path(room, "registry"))
            began = time.perf_counter()
            for _ in range(size):
                registry.publish("flowers", model, lineage_of(model, None), "")
            each = (time.perf_counter() - began) / size
            found = {name: seconds(command, room, rounds) for name, command in commands.items()}
        times = "".join(f"{taken:.2f} s".rjust(12) for taken in found.values())
        print(f"{size:<8}" + f"{each * 1000:.1f} ms".rjust(22) + times, flush=True)


def small_model(room: Path) -> ModelDirectory:
    """A trained model directory of a megabyte."""
    spec = ModelSpec(
        state="trained",
        network="resnet18",
        arguments={},
        labels=["a", "b"],
        preprocessing=IMAGENET,
        weights_from=None,
    )
    write_model_directory(
        room / "model", spec, {"weight": torch.zeros(250_000)}, training={"settings": {}}, overwrite=False
    )
    return ModelDirectory.open(room / "model")


def seconds(command: list[str], room: str, rounds: int) -> float:
    """The median time of a command."""
    taken = []
    for _ in range(rounds + 1):
        began = time.perf_counter()
        subprocess.run(
            [sys.executable, "-m", "discerna", *command], cwd=room, check=True, stdout=subprocess.DEVNULL
        )
        taken.append(time.perf_counter() - began)
    return median(taken[1:])


def make_runs(root: Path, count: int) -> None:
    """So many finished runs."""
    settings = compose("train", ["model=resnet18", "train_data=t", "valid_data=v"])
    folder, _ = RunFolder.begin(root / "0.run", settings)
    rows = [{"epoch": float(epoch), "valid_loss": 1 / epoch} for epoch in range(1, 21)]
    lines = "".join(f"{row['epoch']:.0f},0.5,{row['valid_loss']}\n" for row in rows)
    folder.metrics.write_text("epoch,train_loss,valid_loss\n" + lines)
    folder.log.write_text("a line of the log\n" * 60)
    write_json(folder.pictures, {"valid_data": {"found": 3, "used": 3, "fingerprint": "a" * 64}})
    figures = {
        "figures": {"accuracy": 0.5, "loss": 0.7},
        "best_epoch": 20,
        "epochs_trained": 20,
        "best": rows[-1],
    }
    folder.end("finished", "all epochs trained", **figures)
    assert folder.lock is not None
    folder.lock.release()
    told = json.loads(folder.status_file.read_text())
    for number in range(1, count):
        path = root / f"{number}.run"
        shutil.copytree(folder.path, path)
        accuracy = (number * 7919 % 10_007) / 10_007
        write_json(path / "status.json", {**told, "figures": {"accuracy": accuracy, "loss": 1 - accuracy}})


if __name__ == "__main__":
    main(sys.argv[1:])
