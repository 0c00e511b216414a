"""`discerna runs show`: all about one training."""

from __future__ import annotations

import json
from dataclasses import dataclass

from discerna.progress import SILENT, Progress
from discerna.runs.description import describe
from discerna.runs.finding import the_run
from discerna.runs.run import Run
from discerna.settings.runs import RunsShowSettings


@dataclass(frozen=True)
class RunsShowResult:
    """The run."""

    run: Run
    format: str

    def summary(self) -> str:
        """For people, or as JSON."""
        return json.dumps(self.run.as_json(), indent=2) if self.format == "json" else describe(self.run)


def run(settings: RunsShowSettings, progress: Progress = SILENT) -> RunsShowResult:
    """Find the run."""
    return RunsShowResult(the_run(settings.run, settings.folder), settings.format)
