"""`discerna runs logs`: what a training has told, or tells now."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from discerna.progress import SILENT, Progress
from discerna.runs.finding import the_run
from discerna.runs.following import follow
from discerna.runs.run import Run
from discerna.settings.runs import RunsLogsSettings
from discerna.wording import shown


@dataclass(frozen=True)
class RunsLogsResult:
    """The run whose log is asked for."""

    run: Run
    follow: bool

    def stream(self) -> Iterator[str]:
        """The log in pieces, as they come; at the end how the run stands."""
        if self.follow:
            yield from follow(self.run)
            ended = Run(self.run.path)
            yield f"{ended.state}: {ended.reason}"
        else:
            yield "\n".join(shown(line) for line in self.run.log.removesuffix("\n").split("\n"))


def run(settings: RunsLogsSettings, progress: Progress = SILENT) -> RunsLogsResult:
    """Find the run."""
    return RunsLogsResult(the_run(settings.run, settings.folder), settings.follow)
