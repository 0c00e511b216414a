"""`discerna runs download`: a copy of a training's files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from discerna.progress import SILENT, Progress
from discerna.runs.files import RunFile, download
from discerna.runs.finding import the_run
from discerna.settings.runs import RunsDownloadSettings
from discerna.wording import as_typed, counted, shown


@dataclass(frozen=True)
class RunsDownloadResult:
    """What was copied, and where it is."""

    files: list[RunFile]
    output: Path

    def summary(self) -> str:
        """For people."""
        size = sum(file.size for file in self.files)
        return f"copied {counted(len(self.files), 'file')}, {size:,} bytes, to {shown(as_typed(self.output))}"


def run(settings: RunsDownloadSettings, progress: Progress = SILENT) -> RunsDownloadResult:
    """Copy them."""
    found = the_run(settings.run, settings.folder)
    files = download(found, settings.output, settings.files, settings.overwrite, progress)
    return RunsDownloadResult(files, settings.output)
