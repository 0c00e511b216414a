"""`scripts/soak damage`: decode very many damaged pictures.

Each must come out as a picture or as UnreadablePictureError with one of the known reasons: no other exception, no
crash, none that takes longer than a few seconds, and a memory that is bounded.
"""

from __future__ import annotations

import argparse
import queue
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from soaks.damaged_pictures import damaged

OUTCOMES = {
    "picture", "empty", "not_an_image", "truncated", "unsupported_mode", "too_large", "missing_extra",
}  # fmt: skip
"""What may become of a damaged picture."""

SCRIPTS = Path(__file__).parents[1]

CHUNK = 2000
"""Pictures of one process."""
SECONDS = 20.0
"""Longer without a line, and the process hangs; machines are shared and noisy."""
MEMORY = 6 << 30
"""What a process may ask the system for: 178 million pixels take 4 bytes each, and conversions a few such copies."""


@dataclass
class Tally:
    """What became of damaged pictures."""

    outcomes: Counter[str] = field(default_factory=Counter)
    slowest: tuple[float, int] = (0.0, -1)
    """Milliseconds, and the number of the picture."""
    memory: int = 0
    """The most that a process had, in MB."""
    faults: list[str] = field(default_factory=list)

    def add(self, other: Tally) -> None:
        """Count what the other has counted, too."""
        self.outcomes += other.outcomes
        self.slowest = max(self.slowest, other.slowest)
        self.memory = max(self.memory, other.memory)
        self.faults += other.faults

    def lines(self, seed: int) -> Iterator[str]:
        """For people."""
        yield f"{self.outcomes.total()} damaged pictures"
        for outcome, count in self.outcomes.most_common():
            yield f"  {count:7}  {outcome}"
        number = self.slowest[1]
        yield f"slowest {self.slowest[0]:.0f} ms: {damaged(number, seed).name if number >= 0 else '-'}"
        yield f"most memory of a process: {self.memory} MB"
        yield from (f"FAULT {fault}" for fault in self.faults)


def decode_damaged(seed: int, first: int, end: int) -> Tally:
    """Decode pictures `first` to `end`, in processes of their own; one that dies is followed by another."""
    tally = Tally()
    while first < end:
        first = _one_process(seed, first, end, tally)
    return tally


def command(seed: int, first: int, end: int) -> list[str]:
    """What decodes these pictures."""
    return [sys.executable, "-m", "soaks.decode_each", *map(str, (seed, first, end, MEMORY))]


def _one_process(seed: int, first: int, end: int, tally: Tally) -> int:
    """Decode from `first` until the end or a fault; the number of the picture to go on with."""
    child = subprocess.Popen(
        command(seed, first, end), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=SCRIPTS
    )
    lines: queue.Queue[str | None] = queue.Queue()
    complaints: list[str] = []
    assert child.stdout is not None and child.stderr is not None
    readers = [
        threading.Thread(target=_read, args=(child.stdout, lines.put)),
        threading.Thread(target=_read, args=(child.stderr, lambda line: complaints.append(line or ""))),
    ]
    for reader in readers:
        reader.start()
    fault = ""
    try:
        while (line := lines.get(timeout=SECONDS)) is not None:
            name, *found = line.split()
            if name == "memory":
                tally.memory = max(tally.memory, int(found[0]))
                continue
            outcome, milliseconds = found
            tally.outcomes[outcome] += 1
            tally.slowest = max(tally.slowest, (float(milliseconds), first))
            if outcome not in OUTCOMES:
                tally.faults.append(f"{damaged(first, seed).name}: {outcome}")
            first += 1
    except queue.Empty:
        fault = f"no answer for {SECONDS:g} s"
    finally:
        child.kill()  # does nothing where it has ended
        code = child.wait()
        for reader in readers:
            reader.join()
        child.stdout.close()
        child.stderr.close()
    if first == end and not fault:
        return end
    last = next((text.strip() for text in reversed(complaints) if text.strip()), "")
    tally.outcomes["fault"] += 1
    tally.faults.append(f"{damaged(first, seed).name}: {fault or f'exit {code}'} {last}".rstrip())
    return first + 1


def _read(stream: Iterator[str], put: Callable[[str | None], object]) -> None:
    for line in stream:
        put(line)
    put(None)


def campaign(count: int, seed: int, processes: int) -> Tally:
    """Decode pictures 0 to `count`, in so many processes at a time."""
    total = Tally()
    with ThreadPoolExecutor(processes) as pool:
        starts = range(0, count, CHUNK)
        parts = pool.map(lambda first: decode_damaged(seed, first, min(count, first + CHUNK)), starts)
        for part in parts:
            total.add(part)
    return total


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="scripts/soak damage", description=__doc__)
    parser.add_argument("--count", type=int, default=100_000, help="how many pictures (default %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="other seeds give other damage (default 0)")
    parser.add_argument("--processes", type=int, default=2, help="at a time (default %(default)s)")
    given = parser.parse_args()
    began = time.monotonic()
    tally = campaign(given.count, given.seed, given.processes)
    print(*tally.lines(given.seed), sep="\n")
    print(f"{time.monotonic() - began:.0f} s, seed {given.seed}")
    return 1 if tally.faults else 0


if __name__ == "__main__":
    sys.exit(main())
