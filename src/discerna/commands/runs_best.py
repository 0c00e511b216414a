"""`discerna runs best`: the best training below a folder."""

from __future__ import annotations

import json
import logging
import shlex
from dataclasses import dataclass

from discerna.errors import RunNotFoundError
from discerna.progress import SILENT, Progress
from discerna.runs.comparison import same_validation
from discerna.runs.conditions import check_key
from discerna.runs.listing import cell, chosen, ordered
from discerna.runs.run import Run
from discerna.settings.runs import RunsBestSettings
from discerna.wording import as_typed, shown

LOG = logging.getLogger("discerna")


@dataclass(frozen=True)
class RunsBestResult:
    """The best run."""

    run: Run
    metric: str
    among: int
    format: str

    def summary(self) -> str:
        """For people, as JSON, or the path of its model."""
        output = self.run.output
        if self.format == "json":
            return json.dumps(self.run.as_json(), indent=2)
        if self.format == "path":
            assert output is not None
            return as_typed(output)
        lines = [
            f"best   {shown(as_typed(self.run.path))}, {self.metric} {cell(self.run, self.metric)}, of {self.among}",
            f"model  {shown(as_typed(output)) if output else 'none'}",
        ]
        if output:
            lines.append(
                f"next   discerna score model={shlex.quote(as_typed(output))} data=PICTURES output=scores.csv"
            )
        return "\n".join(lines)


def run(settings: RunsBestSettings, progress: Progress = SILENT) -> RunsBestResult:
    """Find the run with the best value of the metric."""
    metric = settings.metric
    found = chosen(settings.folder, settings.where, "began", None)
    check_key(metric, "metric", found)
    known = [one for one in found if type(one.value(metric)) in (int, float)]
    if settings.format == "path":
        known = [one for one in known if one.output is not None]
    if not known:
        raise RunNotFoundError(
            f"no run has a figure for {metric}",
            where=f"folder={shown(as_typed(settings.folder))}",
            accepted=f"{len(found)} runs" + (f" with {settings.where}" if settings.where else ""),
            remedy="see discerna runs list",
        )
    if not same_validation(known):
        LOG.warning("the runs were measured on different validation pictures; see discerna runs compare")
    smallest = metric.endswith("loss")
    return RunsBestResult(ordered(known, metric, not smallest)[0], metric, len(known), settings.format)
