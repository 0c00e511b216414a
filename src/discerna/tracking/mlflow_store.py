"""The MLflow store that a setting names: a server, or by default a file in the working folder."""

from __future__ import annotations

import logging
import os
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

from discerna.errors import MissingExtraError

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

EMBEDDED = "mlflow.db"
"""The file of the default store, where `mlflow ui` looks for it too."""

ARTIFACTS = "mlartifacts"
"""The folder beside it that holds what runs have left."""


def store_uri(tracking_uri: str | None) -> str:
    """What is given, else what MLflow's own variable says, else a file in the working folder."""
    return tracking_uri or os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{Path(EMBEDDED).absolute()}"


def connect(tracking_uri: str, purpose: str) -> MlflowClient:
    """A client of the store, for runs and for models; a server that is down fails soon.

    `purpose` is what needs MLflow, for the message where it is not installed.
    """
    # Before the import, which reads them. What the user has set himself stays.
    for variable, value in _SURROUNDINGS.items():
        os.environ.setdefault(variable, value)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of MLflow's own packages about one another
        try:
            from mlflow.tracking import MlflowClient
        except ModuleNotFoundError:
            raise MissingExtraError.of("mlflow", "mlflow", purpose) from None
        for name in ("alembic", "mlflow"):
            logging.getLogger(name).setLevel(logging.WARNING)
        return MlflowClient(tracking_uri, registry_uri=tracking_uri)


_SURROUNDINGS = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "GIT_PYTHON_REFRESH": "quiet",
}


def experiment_id(client: MlflowClient, tracking_uri: str, name: str) -> str:
    """The experiment of that name, made where it is missing."""
    from mlflow.exceptions import MlflowException

    found = client.get_experiment_by_name(name)
    if found is None:
        place = None
        if tracking_uri.startswith("sqlite:///"):  # a server has a place of its own
            place = (Path(tracking_uri.removeprefix("sqlite:///")).parent / ARTIFACTS).as_uri()
        try:
            return str(client.create_experiment(name, artifact_location=place))
        except MlflowException:  # another process was faster
            found = client.get_experiment_by_name(name)
            if found is None:
                raise
    return str(found.experiment_id)
