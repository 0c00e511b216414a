"""`discerna runs files`: what a training has left."""

from __future__ import annotations

import json
from dataclasses import dataclass

from discerna.progress import SILENT, Progress
from discerna.runs.files import RunFile, file_table, run_files
from discerna.runs.finding import the_run
from discerna.settings.runs import RunsFilesSettings


@dataclass(frozen=True)
class RunsFilesResult:
    """The files, by name."""

    files: list[RunFile]
    format: str

    def summary(self) -> str:
        """As a table, or as JSON."""
        if self.format == "json":
            told = [{"name": f.name, "path": str(f.path), "size": f.size} for f in self.files]
            return json.dumps(told, indent=2)
        return file_table(self.files)


def run(settings: RunsFilesSettings, progress: Progress = SILENT) -> RunsFilesResult:
    """List them."""
    return RunsFilesResult(run_files(the_run(settings.run, settings.folder)), settings.format)
