"""`discerna check`: image directories in, what is wrong with them out."""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass
from pathlib import Path

from discerna.checks.examination import examine
from discerna.checks.findings import Finding
from discerna.checks.opening import opened
from discerna.checks.verdict import Verdict
from discerna.directories.image_dir import ImageDirectory
from discerna.directories.write_aside import write_failures
from discerna.progress import SILENT, Progress
from discerna.results.destination import refuse_folder, whole_folder
from discerna.settings.check import CheckSettings
from discerna.wording import as_typed, shown

REPORT = "check.json"


@dataclass(frozen=True)
class CheckResult:
    """What was found, and where that is written."""

    verdict: Verdict
    output: Path | None
    """The folder with check.json; None: nothing was written."""
    next: str
    """What to do with pictures that are fit."""

    @property
    def ok(self) -> bool:
        """Whether the pictures are fit to train on."""
        return self.verdict.ok

    def summary(self) -> str:
        """The table, and what to do next."""
        lines = [self.verdict.table()]
        if self.output is not None:
            lines.append(f"{'written':<9}{shown(as_typed(self.output / REPORT))}")
        if self.ok and self.next:
            lines.append(f"{'next':<9}{self.next}")
        return "\n".join(lines)

    def raise_failures(self) -> None:
        """Raise InvalidDatasetError if the pictures are not fit to train on."""
        if not self.ok:
            raise self.verdict.error()


def run(settings: CheckSettings, progress: Progress = SILENT) -> CheckResult:
    """Look at every picture of the directories."""
    given = settings.directories()
    if settings.output is not None:
        refuse_folder(settings.output, settings.overwrite, list(given.values()), mark=REPORT, files=[REPORT])
    findings: list[Finding] = []
    directories: dict[str, ImageDirectory] = {}
    for where, path in given.items():
        directory, faults = opened(path, where, settings.loading)
        findings += faults
        if directory is not None:
            directories[where] = directory
    verdict, _ = examine(directories, settings.limits, progress, findings, strict=settings.strict)
    if settings.output is not None:
        where = f"output={shown(str(settings.output))}"
        with whole_folder(settings.output, settings.overwrite) as folder, write_failures(where):
            (folder / REPORT).write_text(json.dumps(verdict.as_json(), indent=2) + "\n", "utf-8")
    return CheckResult(verdict, settings.output, _next(given))


def _next(given: dict[str, Path]) -> str:
    if not {"train_data", "valid_data"} <= given.keys():
        return ""
    places = (f"{where}={shlex.quote(as_typed(path))}" for where, path in given.items())
    return f"discerna train model=resnet18 {' '.join(places)}"
