"""`discerna runs list`: the trainings below a folder."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from discerna.progress import SILENT, Progress
from discerna.runs.conditions import check_key
from discerna.runs.listing import chosen, run_table
from discerna.runs.run import Run
from discerna.settings.runs import RunsListSettings
from discerna.wording import as_typed, shown


@dataclass(frozen=True)
class RunsListResult:
    """The runs, in order."""

    runs: list[Run]
    folder: Path
    where: str | None
    columns: list[str]
    format: str

    def summary(self) -> str:
        """As a table, or as JSON."""
        if self.format == "json":
            told = [
                {**run.facts, "path": str(run.path), **{c: run.value(c) for c in self.columns}}
                for run in self.runs
            ]
            return json.dumps(told, indent=2)
        if not self.runs:
            place = "this folder" if self.folder == Path.cwd() else shown(as_typed(self.folder))
            return f"no run in {place} meets {shown(self.where)}" if self.where else f"no runs in {place}"
        return run_table(self.runs, self.columns)


def run(settings: RunsListSettings, progress: Progress = SILENT) -> RunsListResult:
    """Find, filter and sort."""
    runs = chosen(settings.folder, settings.where, settings.sort, settings.limit)
    for column in settings.columns:
        check_key(column, "columns", runs)
    return RunsListResult(runs, settings.folder, settings.where, settings.columns, settings.format)
