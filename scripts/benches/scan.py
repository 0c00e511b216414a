"""`scripts/bench scan`: how long the index of a directory takes, and how much memory, beside torchvision's ImageFolder.

Each index is made in a process of its own, ours and theirs by turns, so that both see the same noise of the machine
and the same warm file cache. Names are links to a few empty files: only names matter here.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

from peak_memory import peak_memory

LABELS = 1000
LINKS = 50_000
"""Names of one file; file systems allow some 65,000."""


def main(arguments: list[str]) -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(prog="scripts/bench scan", description=__doc__)
    parser.add_argument(
        "sizes", nargs="*", type=int, default=[10_000, 100_000, 1_000_000], help="numbers of files"
    )
    parser.add_argument("--rounds", type=int, default=5, help="how often each is measured; the median counts")
    parser.add_argument(
        "--dir", type=Path, help="where the files are made; default: the folder for temporary files"
    )
    parser.add_argument("--one", nargs=2, metavar=("WHICH", "DIR"), help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    if given.one:
        print(json.dumps(measure(INDEXES[given.one[0]](), given.one[1])))
        return
    print(table({size: rounds(size, given.rounds, given.dir) for size in given.sizes}))


def rounds(files: int, number: int, place: Path | None) -> dict[str, dict[str, float]]:
    """The medians for a directory of so many files: index -> figure -> value."""
    with tempfile.TemporaryDirectory(prefix="discerna-scan-", dir=place) as folder:
        make(Path(folder, "pictures"), files)
        found: dict[str, list[dict[str, float]]] = {name: [] for name in INDEXES}
        for _ in range(number):
            for name in INDEXES:
                command = [sys.executable, "-m", "benches.scan", "--one", name, f"{folder}/pictures"]
                done = subprocess.run(command, capture_output=True, text=True, check=True)
                found[name].append(json.loads(done.stdout))
                assert found[name][-1]["files"] == files, done.stderr
    return {
        name: {figure: median(line[figure] for line in lines) for figure in lines[0]}
        for name, lines in found.items()
    }


def make(root: Path, files: int) -> None:
    """So many names in label folders of equal size."""
    labels = min(LABELS, files // 2)
    root.mkdir()
    stores: list[Path] = []
    for number in range(files):
        if number % LINKS == 0:
            stores.append(root.with_name(f"store{number}"))
            stores[-1].touch()
        label, place = number % labels, number // labels
        folder = root / f"label{label:04}"
        if place == 0:
            folder.mkdir()
        os.link(stores[-1], f"{folder}/picture_{place:07}.jpg")


def ours() -> Callable[[str], int]:
    """The index of discerna, with the check of its labels against those of the validation data."""
    from discerna.directories.image_dir import ImageDirectory
    from discerna.directories.label_check import check_labels

    def build(path: str) -> int:
        kept.append(index := ImageDirectory.open(path))
        check_labels(index, index)
        return len(index)

    return build


def image_folder() -> Callable[[str], int]:
    """torchvision's index."""
    from torchvision.datasets import ImageFolder

    def build(path: str) -> int:
        kept.append(index := ImageFolder(path))
        return len(index)

    return build


INDEXES = {"discerna": ours, "ImageFolder": image_folder}

kept: list[Any] = []
"""So that what is built is not freed while it is measured."""


def measure(build: Callable[[str], int], path: str) -> dict[str, float]:
    """Files, seconds, and MB at the peak beyond what the process had before."""
    gc.collect()
    with growth() as grown:
        began = time.perf_counter()
        files = build(path)
        seconds = time.perf_counter() - began
    return {"files": files, "seconds": seconds, "megabytes": grown()}


@contextmanager
def growth() -> Iterator[Callable[[], float]]:
    """A function that tells by how many MB the process grew in the block, at most."""
    if sys.platform == "linux":
        Path("/proc/self/clear_refs").write_text("5")  # the peak so far is forgotten
    before = _resident()
    yield lambda: (peak_memory() - before) / 1e6


def _resident() -> float:
    if sys.platform == "linux":
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE")
    return peak_memory()


def table(found: dict[int, dict[str, dict[str, float]]]) -> str:
    """The figures as Markdown, ours beside theirs."""
    lines = [
        "| files | seconds | ImageFolder | ratio | MB | ImageFolder | ratio |",
        "|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for files, by_name in found.items():
        own, other = by_name["discerna"], by_name["ImageFolder"]
        cells = [f"{files:,}"]
        for figure, digits in (("seconds", 2), ("megabytes", 1)):
            cells += [
                f"{own[figure]:.{digits}f}",
                f"{other[figure]:.{digits}f}",
                f"{own[figure] / other[figure]:.2f}",
            ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main(sys.argv[1:])
