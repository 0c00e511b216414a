"""The MLflow store that a setting names: a server, or by default a file in the working folder."""

from __future__ import annotations

import logging
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from discerna.directories.file_lock import FileLock
from discerna.errors import MissingExtraError, SettingsError

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

EMBEDDED = "mlflow.db"
"""The file of the default store, where `mlflow ui` looks for it too."""

SQLITE = "sqlite:///"

ARTIFACTS = "mlartifacts"
"""The folder beside it that holds what runs have left."""


def store_uri(tracking_uri: str | None) -> str:
    """What is given, else what MLflow's own variable says, else a file in the working folder."""
    uri = tracking_uri or os.environ.get("MLFLOW_TRACKING_URI") or f"{SQLITE}{EMBEDDED}"
    if not uri.startswith(SQLITE):
        return uri
    file = uri.removeprefix(SQLITE)
    if not file:
        raise SettingsError("no database is named", where=uri, remedy=f"write {SQLITE}{EMBEDDED}")
    return f"{SQLITE}{Path(file).absolute()}"  # it names the folder of the artefacts, too


def connect(tracking_uri: str, purpose: str) -> MlflowClient:
    """A client of the store, for runs and for models; a server that is down fails soon.

    `purpose` is what needs MLflow, for the message where it is not installed.
    """
    # Before the import, which reads them. What the user has set himself stays.
    for variable, value in _SURROUNDINGS.items():
        os.environ.setdefault(variable, value)
    try:
        from mlflow.tracking import MlflowClient
    except ModuleNotFoundError:
        raise MissingExtraError.of("mlflow", "mlflow", purpose) from None
    for name in ("alembic", "mlflow"):
        logging.getLogger(name).setLevel(logging.ERROR)
    with _made_by_one(tracking_uri):
        _try_file(tracking_uri)
        client = MlflowClient(tracking_uri, registry_uri=tracking_uri)
        client.search_experiments(max_results=1)  # makes the tables of a new database
    return client


@contextmanager
def _made_by_one(tracking_uri: str) -> Iterator[None]:
    """A new database is filled by one process at a time: two that make its tables at once break it."""
    if not tracking_uri.startswith(SQLITE):
        yield
        return
    file = Path(tracking_uri.removeprefix(SQLITE))
    file.parent.mkdir(parents=True, exist_ok=True)
    door = file.with_name(f".{file.name}.lock")
    door.touch()
    lock = FileLock.take(door, patience=60)
    try:
        yield
    finally:
        if lock is not None:
            lock.release()


def _try_file(tracking_uri: str) -> None:
    """A file that cannot be opened fails here at once; MLflow would try for minutes."""
    if tracking_uri.startswith(SQLITE):
        with closing(sqlite3.connect(tracking_uri.removeprefix(SQLITE))) as database:
            database.execute("PRAGMA schema_version")


def is_hopeless(error: Exception) -> bool:
    """Whether MLflow refuses something for good, rather than being down."""
    return getattr(error, "error_code", "") in {
        *("INVALID_PARAMETER_VALUE", "INVALID_STATE", "PERMISSION_DENIED"),
        *("RESOURCE_DOES_NOT_EXIST", "UNAUTHENTICATED", "NOT_IMPLEMENTED"),
    }


_SURROUNDINGS = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",  # the standard output is the command's own
    "GIT_PYTHON_REFRESH": "quiet",
}


def experiment_id(client: MlflowClient, tracking_uri: str, name: str) -> str:
    """The experiment of that name, made where it is missing."""
    from mlflow.exceptions import MlflowException

    found = client.get_experiment_by_name(name)
    if found is None:
        place = None
        if tracking_uri.startswith(SQLITE):  # a server has a place of its own
            place = (Path(tracking_uri.removeprefix(SQLITE)).parent / ARTIFACTS).as_uri()
        try:
            return str(client.create_experiment(name, artifact_location=place))
        except MlflowException:  # another process was faster
            found = client.get_experiment_by_name(name)
            if found is None:
                raise
    return str(found.experiment_id)
