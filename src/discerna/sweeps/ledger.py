"""Which number each job of a sweep has, by its hash: what a sweep that starts again knows its jobs by.

How far a job has come stands in its run folder alone, where the job itself writes it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from discerna.directories.plain_reading import read_object
from discerna.directories.run_folder import write_json
from discerna.directories.sweep_folder import SweepFolder
from discerna.errors import OutputError


class Ledger:
    """ledger.json of a sweep's folder; a job that was given a number keeps it."""

    def __init__(self, folder: SweepFolder) -> None:
        self._file = folder.ledger
        self._entries: list[dict[str, object]] = []
        if self._file.exists():
            self._entries = _read(folder)
        self._numbers = {str(entry["key"]): int(str(entry["number"])) for entry in self._entries}

    def numbers(self, jobs: Sequence[tuple[str, Mapping[str, str]]]) -> list[int]:
        """The number of each job, given its hash and what varies; new ones are written down."""
        fresh = False
        for key, varying in jobs:
            if key not in self._numbers:
                fresh = True
                number = 1 + max(self._numbers.values(), default=-1)
                self._numbers[key] = number
                self._entries.append({"number": number, "key": key, "varying": dict(varying)})
        if fresh:
            write_json(self._file, {"jobs": self._entries})
        return [self._numbers[key] for key, _ in jobs]


def _read(folder: SweepFolder) -> list[dict[str, object]]:
    try:
        jobs = read_object(folder.ledger)["jobs"]
        if isinstance(jobs, list) and all(job["key"] and int(job["number"]) >= 0 for job in jobs):
            return jobs
    except (OSError, ValueError, KeyError, TypeError):
        pass
    raise OutputError(
        "the list of a sweep's jobs cannot be read",
        where=str(folder.ledger),
        accepted="it tells which job has which folder",
        remedy="choose another output, or add overwrite=true to begin anew",
    )
