"""`discerna runs compare`: trainings side by side."""

from __future__ import annotations

import json
from dataclasses import dataclass

from discerna.progress import SILENT, Progress
from discerna.runs.comparison import comparison_table, differences, figures
from discerna.runs.finding import the_run
from discerna.runs.run import Run
from discerna.settings.runs import RunsCompareSettings


@dataclass(frozen=True)
class RunsCompareResult:
    """The runs."""

    runs: list[Run]
    format: str

    def summary(self) -> str:
        """As a table, or as JSON."""
        if self.format == "json":
            told = {
                "runs": [str(run.path) for run in self.runs],
                "figures": figures(self.runs),
                "differences": differences(self.runs),
            }
            return json.dumps(told, indent=2)
        return comparison_table(self.runs)


def run(settings: RunsCompareSettings, progress: Progress = SILENT) -> RunsCompareResult:
    """Find the runs."""
    return RunsCompareResult([the_run(one, settings.folder) for one in settings.runs], settings.format)
