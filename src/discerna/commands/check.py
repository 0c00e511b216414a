"""`discerna check`: image directories in, what is wrong with them out."""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass
from pathlib import Path

from discerna.checks.examination import examine
from discerna.checks.findings import Finding
from discerna.checks.opening import opened
from discerna.checks.survey import Survey
from discerna.checks.verdict import Verdict
from discerna.directories.image_dir import ImageDirectory
from discerna.directories.write_aside import write_failures
from discerna.progress import SILENT, Progress
from discerna.results.destination import refuse_folder, whole_folder
from discerna.settings.check import CheckSettings
from discerna.wording import as_typed, shown

REPORT, PREVIEW = "check.json", "preview.png"


@dataclass(frozen=True)
class CheckResult:
    """What was found, and where that is written."""

    verdict: Verdict
    output: Path | None
    """The folder with check.json and, if asked for, preview.png; None: nothing was written."""
    files: list[str]
    """What lies in it."""
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
            written = (shown(as_typed(self.output / name)) for name in self.files)
            lines.append(f"{'written':<9}{', '.join(written)}")
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
    output = settings.output
    if output is None and settings.preview:
        output = Path("check").absolute()
    if output is not None:
        names = [REPORT, PREVIEW]
        refuse_folder(output, settings.overwrite, list(given.values()), mark=REPORT, files=names)
    findings: list[Finding] = []
    directories: dict[str, ImageDirectory] = {}
    for where, path in given.items():
        directory, faults = opened(path, where, settings.loading)
        findings += faults
        if directory is not None:
            directories[where] = directory
    verdict, surveys = examine(
        directories,
        settings.limits,
        progress,
        findings,
        strict=settings.strict,
        workers=settings.loading.workers,
    )
    files = []
    if output is not None:
        files = [REPORT]
        with whole_folder(output, settings.overwrite) as folder:
            with write_failures(f"output={shown(str(output))}"):
                (folder / REPORT).write_text(json.dumps(verdict.as_json(), indent=2) + "\n", "utf-8")
            if settings.preview and surveys:
                files.append(PREVIEW)
                _preview(next(iter(surveys.values())), settings, folder / PREVIEW)
    return CheckResult(verdict, output, files, _next(given))


def _preview(survey: Survey, settings: CheckSettings, output: Path) -> None:
    from discerna.recipes.preview import write_preview  # it loads torch, which nothing else here needs

    readable = survey.directory.without(survey.bad)
    write_preview(readable, output, augmentation=settings.augmentation, seen=settings.seen())


def _next(given: dict[str, Path]) -> str:
    if not {"train_data", "valid_data"} <= given.keys():
        return ""
    places = (f"{where}={shlex.quote(as_typed(path))}" for where, path in given.items())
    return f"discerna train model=resnet18 {' '.join(places)}"
