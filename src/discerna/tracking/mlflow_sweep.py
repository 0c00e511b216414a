"""A sweep as a run of MLflow, whose jobs are runs below it."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from discerna.directories.plain_reading import read_object
from discerna.directories.run_folder import write_json
from discerna.directories.run_status import State
from discerna.errors import MissingExtraError
from discerna.settings.logger import MlflowLoggerSettings
from discerna.settings.secrets import masked
from discerna.settings.train import TrainSettings
from discerna.tracking import mlflow_store
from discerna.tracking.mlflow_run import STATES
from discerna.tracking.outbox import cause_of
from discerna.version import __version__

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

LOG = logging.getLogger("discerna")

_RUN = "mlflow.json"
"""In the sweep's folder: which run of MLflow it is."""


class SweepTracker:
    """Tells MLflow of a sweep, if its jobs are tracked there; where MLflow is down, nothing is told."""

    def __init__(self, jobs: Iterable[TrainSettings], folder: Path) -> None:
        self._run = ""
        loggers = [(job, job.logger) for job in jobs if isinstance(job.logger, MlflowLoggerSettings)]
        if not loggers:
            return
        if find_spec("mlflow") is None:
            raise MissingExtraError.of("mlflow", "mlflow", "logger=mlflow")
        job, logger = loggers[0]
        self._uri = mlflow_store.store_uri(logger.tracking_uri)
        try:
            self._client: MlflowClient = mlflow_store.connect(self._uri, "logger=mlflow")
            experiment = mlflow_store.experiment_id(self._client, self._uri, job.experiment_name)
            tags = {
                "mlflow.source.name": "discerna train -m",
                "discerna.sweep": str(folder),
                "discerna.version": __version__,
            }
            self._run = self._earlier(folder / _RUN, experiment)
            if not self._run:
                self._run = self._client.create_run(experiment, tags=tags, run_name=folder.name).info.run_id
                write_json(folder / _RUN, {"run": self._run})
        except Exception as error:  # whatever MLflow raises, the sweep is worth more
            LOG.warning("MLflow (%s) failed: %s; the sweep goes on", masked(self._uri), cause_of(error))

    def _earlier(self, note: Path, experiment: str) -> str:
        """The run of the same sweep before it was started again, which goes on; empty where there is none."""
        try:
            run = str(read_object(note)["run"])
            if self._client.get_run(run).info.experiment_id != experiment:
                return ""
            self._client.update_run(run, status="RUNNING")
        except Exception:  # another store, or a run that was deleted there
            return ""
        return run

    def child(self, job: TrainSettings) -> TrainSettings:
        """The job as a part of the sweep."""
        logger = job.logger
        if not (self._run and isinstance(logger, MlflowLoggerSettings) and logger.parent is None):
            return job
        if mlflow_store.store_uri(logger.tracking_uri) != self._uri:
            return job
        # The address in full: where the job looks for a default may not be where the sweep did.
        return replace(job, logger=replace(logger, parent=self._run, tracking_uri=self._uri))

    def end(self, best: Mapping[str, float], table: Path, state: State) -> None:
        """Tell the best job's figures, the table of all, and how the sweep ended."""
        if not self._run:
            return
        try:
            for name, value in best.items():
                self._client.log_metric(self._run, f"best_{name}", value)
            if table.is_file():
                self._client.log_artifact(self._run, str(table))
            self._client.set_terminated(self._run, STATES[state])
        except Exception as error:
            LOG.warning("MLflow (%s) failed: %s", masked(self._uri), cause_of(error))
