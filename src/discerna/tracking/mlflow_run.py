"""One training as a run of MLflow."""

from __future__ import annotations

import getpass
import tempfile
import time
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from discerna.directories.plain_reading import read_object
from discerna.directories.run_folder import RunFolder, write_json
from discerna.directories.run_status import State
from discerna.errors import MissingExtraError
from discerna.settings.logger import MlflowLoggerSettings
from discerna.settings.secrets import masked
from discerna.settings.train import TrainSettings
from discerna.tracking import mlflow_store
from discerna.tracking.outbox import Outbox
from discerna.tracking.tracker import Data
from discerna.version import __version__

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient
    from PIL.Image import Image

STATES = {
    "finished": "FINISHED",
    "stopped early": "FINISHED",
    "failed": "FAILED",
    "killed": "KILLED",
    "preempted": "KILLED",
    "pruned": "KILLED",
    "prepared": "SCHEDULED",
}
"""Ours, and what MLflow calls them; its runs have a tag with ours too."""

_RUN = "mlflow.json"
"""In the run folder: which run of MLflow it is."""

_MOST = 100
"""Parameters of one request, as MLflow's servers allow."""


class MlflowTracker:
    """Tells MLflow of a training, through an outbox."""

    def __init__(self, settings: TrainSettings, logger: MlflowLoggerSettings, folder: RunFolder) -> None:
        if find_spec("mlflow") is None:
            raise MissingExtraError.of("mlflow", "mlflow", "logger=mlflow")
        self.wants_pictures = True
        self._uri = mlflow_store.store_uri(logger.tracking_uri)
        self._experiment = settings.experiment_name
        self._parent = logger.parent
        self._takes_model = logger.model
        self._folder = folder
        self._client: MlflowClient | None = None
        self._run = ""
        self._outbox = Outbox("MLflow", masked(self._uri), mlflow_store.is_hopeless)
        self._outbox.put(self._begin)

    def settled(self, settings: Mapping[str, Any], data: list[Data]) -> None:
        """The parameters and data sets of the run."""

        def send(client: MlflowClient) -> None:
            from mlflow.entities import Dataset, DatasetInput, InputTag, Param

            # MLflow does not let a parameter change; a run that goes on may have a few that differ.
            known = client.get_run(self._run).data.params
            params = [Param(key, _short(value)) for key, value in settings.items() if key not in known]
            for first in range(0, len(params), _MOST):
                client.log_batch(self._run, params=params[first : first + _MOST])
            inputs = [
                DatasetInput(
                    Dataset(
                        name=one.path.name or str(one.path),
                        digest=one.fingerprint[:36],  # as many as MLflow takes
                        source_type="local",
                        source=str(one.path),
                        profile=f'{{"pictures": {one.pictures}}}',
                    ),
                    [
                        InputTag(
                            "mlflow.data.context", "training" if one.setting == "train_data" else "validation"
                        )
                    ],
                )
                for one in data
            ]
            client.log_inputs(self._run, inputs)

        self._put(send)

    def epoch(self, row: Mapping[str, float]) -> None:
        """A point of each curve."""
        self._metrics({name: value for name, value in row.items() if name != "epoch"}, int(row["epoch"]))

    def picture(self, name: str, image: Image) -> None:
        """A PNG among the artefacts."""

        def send(client: MlflowClient) -> None:
            with tempfile.TemporaryDirectory(prefix="discerna-") as room:
                image.save(Path(room, f"{name}.png"))
                client.log_artifact(self._run, str(Path(room, f"{name}.png")), "pictures")

        self._put(send)

    def model(self, output: Path, figures: Mapping[str, float]) -> None:
        """The figures that count, and the model directory among the artefacts."""
        self._metrics({f"final_{name}": value for name, value in figures.items()}, 0)
        if self._takes_model:
            self._put(lambda client: client.log_artifacts(self._run, str(output), "model"))

    def end(self, state: State, reason: str) -> None:
        """The files of the run folder, and MLflow's word for how it ended."""
        folder = self._folder
        files = [
            folder.settings,
            folder.environment,
            folder.pictures,
            folder.metrics,
            folder.log,
            folder.error,
        ]

        def send(client: MlflowClient) -> None:
            for file in files:
                if file.is_file():
                    client.log_artifact(self._run, str(file), "run")
            client.set_tag(self._run, "discerna.state", state)
            client.set_tag(self._run, "discerna.reason", reason[:500] or state)
            client.set_terminated(self._run, STATES[state])

        self._put(send)
        self._outbox.close()

    def _put(self, send: Any) -> None:
        def job() -> None:
            if self._client is not None and self._run:  # else MLflow has refused the run itself
                send(self._client)

        self._outbox.put(job)

    def _begin(self) -> None:
        self._client = self._client or mlflow_store.connect(self._uri, "logger=mlflow")
        tags = {
            "mlflow.user": _user(),
            "mlflow.source.name": "discerna train",
            "mlflow.source.type": "LOCAL",
            "discerna.run": str(self._folder.path),
            "discerna.version": __version__,
        }
        if self._parent:
            tags["mlflow.parentRunId"] = self._parent
        if (earlier := self._earlier()) is not None:
            self._client.update_run(earlier, status="RUNNING")
            self._run = earlier
            return
        experiment = mlflow_store.experiment_id(self._client, self._uri, self._experiment)
        name = self._folder.path.name.removesuffix(".run")
        self._run = self._client.create_run(experiment, tags=tags, run_name=name).info.run_id
        write_json(self._folder.path / _RUN, {"store": masked(self._uri), "run": self._run})

    def _earlier(self) -> str | None:
        """MLflow's run of this run, which goes on; None where it is new, or MLflow's is in another store or gone."""
        from mlflow.exceptions import MlflowException

        assert self._client is not None
        try:
            told = read_object(self._folder.path / _RUN)
            if told["store"] != masked(self._uri):
                return None
            return str(self._client.get_run(str(told["run"])).info.run_id)
        except (OSError, ValueError, KeyError, MlflowException):
            return None

    def _metrics(self, values: Mapping[str, float], step: int) -> None:
        moment = int(time.time() * 1000)

        def send(client: MlflowClient) -> None:
            from mlflow.entities import Metric

            points = [Metric(name, float(value), moment, step) for name, value in values.items()]
            client.log_batch(self._run, metrics=points)

        self._put(send)


def _short(value: Any) -> str:
    """As long as MLflow takes a parameter; the whole is in settings.json among the artefacts."""
    return str(value)[:6000]


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        return "unknown"
