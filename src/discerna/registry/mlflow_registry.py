"""MLflow's model registry in the same words: versions are `pyfunc` models without a pickle.

A version's files come from the run that MLflow keeps for it and from nowhere else: MLflow's client would take any
path of this machine that a database names.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal
from urllib.parse import unquote, urlparse

from discerna.directories import model_files as files
from discerna.directories.model_dir import ModelDirectory
from discerna.directories.run_folder import write_json
from discerna.directories.run_status import now
from discerna.directories.write_aside import hidden_sibling, write_failures
from discerna.errors import InvalidModelDirectoryError, RegistryError
from discerna.registry.lookup import no_such_alias, no_such_name, no_such_version, refuse_moved
from discerna.registry.references import NEWEST, Reference, check_name, is_name
from discerna.registry.version import Lineage, Version
from discerna.settings.secrets import masked
from discerna.tracking import mlflow_store
from discerna.tracking.outbox import cause_of
from discerna.wording import shown

LOADER = "discerna.mlflow_model"
"""The module by which MLflow loads a version."""

EXPERIMENT = "registered models"
"""Holds the runs whose artefacts the versions are."""

MODEL, VERSION = "model", "version.json"

_TOLD = "discerna"
"""The tag of a version that holds its version.json, but for settings and packages."""


class MlflowRegistry:
    """Models in MLflow's registry."""

    def __init__(self, uri: str | None) -> None:
        self._uri = mlflow_store.store_uri(uri)
        self.place = f"MLflow ({masked(self._uri)})"
        with self._reached():
            self._client = mlflow_store.connect(self._uri, "registry=mlflow")

    def publish(self, name: str, model: ModelDirectory, lineage: Lineage, note: str) -> Version:
        """Log the model in a run of its own, and make a version of that."""
        check_name(name)
        version = Version(
            name=name,
            number=1,  # MLflow gives the number
            registered=now(),
            sha256=files.file_digest(model.path / files.MANIFEST),
            size=sum(path.stat().st_size for path in model.path.iterdir()),
            network=model.spec.network,
            labels=len(model.spec.labels),
            note=note,
            lineage=lineage,
        ).checked()
        with self._reached(), tempfile.TemporaryDirectory(prefix="discerna-") as room:
            self._ensure(name)
            # Of our own, since others may keep their artefacts elsewhere.
            experiment = mlflow_store.experiment_id(self._client, self._uri, EXPERIMENT)
            run = self._client.create_run(experiment, run_name=f"register {name}")
            _write_pyfunc(Path(room), model, version, run.info.run_id)
            self._client.log_artifacts(run.info.run_id, room, MODEL)
            self._client.set_terminated(run.info.run_id)
            made = self._client.create_model_version(
                name,
                f"{run.info.artifact_uri}/{MODEL}",
                run.info.run_id,
                tags={_TOLD: json.dumps(_short(version))},
                description=note or None,
            )
        return self._version(made, [])

    def names(self) -> list[str]:
        """Those that have a version of ours."""
        with self._reached():
            found = _all(self._client.search_registered_models)
        return sorted(model.name for model in found if is_name(model.name) and self.versions(model.name))

    def versions(self, name: str) -> list[Version]:
        """Those that discerna has registered; others of the name are passed over."""
        check_name(name)
        with self._reached():
            found = _all(self._client.search_model_versions, filter_string=f"name='{name}'")
            aliases = self._aliases(name)
        ours = [one for one in found if _TOLD in (one.tags or {})]
        return sorted((self._version(one, aliases) for one in ours), key=lambda version: version.number)

    def find(self, reference: Reference) -> Version:
        """Look up a number, an alias, or the newest."""
        versions = self.versions(reference.name)
        if not versions:
            raise no_such_name(reference, self.names(), self.place)
        if reference.alias is not None:
            aliases = [alias for version in versions for alias in version.aliases]
            bears = [version for version in versions if reference.alias in version.aliases]
            if not bears:
                raise no_such_alias(reference, [*aliases, NEWEST], self.place)
            return bears[0]
        if reference.number is None:
            return versions[-1]
        for version in versions:
            if version.number == reference.number:
                return version
        raise no_such_version(reference, [version.number for version in versions], self.place)

    def fetch(self, version: Version) -> Path:
        """A copy in the cache, under its SHA-256; brought here once."""
        place = _cache() / version.sha256 / version.folder
        model = place / version.folder
        if _is_whole(model, version):
            return model
        shutil.rmtree(place, ignore_errors=True)
        with self._reached():
            source = self._source(version)
            with write_failures(f"the cache {shown(str(place.parent))}"):
                place.parent.mkdir(parents=True, exist_ok=True)
                whole = hidden_sibling(place)
                try:
                    self._bring(version, source, whole)
                    os.rename(whole, place)  # noqa: PTH104
                except OSError:
                    if not _is_whole(model, version):  # else another process was faster
                        raise
                finally:
                    shutil.rmtree(whole, ignore_errors=True)
        return model

    def set_alias(
        self,
        version: Version,
        alias: str,
        told: dict[str, Any],
        holder: Version | Literal["any"] | None = "any",
    ) -> None:
        """MLflow's own aliases; what is told goes into a tag."""
        with self._reached():
            if holder != "any":  # MLflow knows no condition, so this is as near as it gets
                refuse_moved(alias, self._aliases(version.name).get(alias), holder)
            self._client.set_registered_model_alias(version.name, alias, str(version.number))
            if told:
                self._client.set_model_version_tag(
                    version.name,
                    str(version.number),
                    f"discerna.{alias}",
                    json.dumps({"since": now(), **told}),
                )

    def delete(self, version: Version) -> None:
        """Remove the version; MLflow keeps the run."""
        aliases = self.find(Reference(version.name, version.number)).aliases
        if aliases:
            raise RegistryError(
                "an alias points at the version",
                where=str(version),
                accepted=", ".join(aliases),
                remedy=f"first let it point elsewhere, or discerna registry delete {version.name}@{aliases[0]}",
            )
        with self._reached():
            self._client.delete_model_version(version.name, str(version.number))

    def delete_alias(self, name: str, alias: str) -> None:
        """Forget where it points."""
        with self._reached():
            self._client.delete_registered_model_alias(name, alias)

    def _ensure(self, name: str) -> None:
        from mlflow.exceptions import MlflowException

        try:
            self._client.create_registered_model(name)
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise

    def _aliases(self, name: str) -> dict[str, int]:
        from mlflow.exceptions import MlflowException

        try:
            found = self._client.get_registered_model(name).aliases
        except MlflowException:
            return {}
        return {alias: int(number) for alias, number in found.items()}

    def _version(self, found: Any, aliases: dict[str, int] | list[Any]) -> Version:
        number = int(found.version)
        bears = [alias for alias, n in aliases.items() if n == number] if isinstance(aliases, dict) else []
        try:
            told = json.loads(found.tags[_TOLD])
            lineage = {**told["lineage"], "settings": {}, "packages": {}}
            kept = {**told, "lineage": lineage, "name": found.name, "number": number}
            return Version.read(kept, bears)
        except (KeyError, TypeError, ValueError) as error:
            raise RegistryError(
                "a version cannot be read",
                where=f"{found.name}:{number} in {self.place}",
                accepted=f"its tag {_TOLD} is not discerna's ({' '.join(str(error).split())[:100]})",
                remedy="delete that version in MLflow",
            ) from None

    def _source(self, version: Version) -> str:
        """Where the files of a version lie, which must be in the artefacts of its own run."""
        found = self._client.get_model_version(version.name, str(version.number))
        root = str(self._client.get_run(str(found.run_id)).info.artifact_uri).rstrip("/")
        if str(found.source) != f"{root}/{MODEL}" or not _inside_store(self._uri, root):
            raise RegistryError(
                "the version lies outside the store",
                where=f"{version} in {self.place}",
                accepted=f"its source is {shown(masked(str(found.source)))}",
                remedy="only what discerna has registered is read; delete that version in MLflow",
            )
        return str(found.source)

    def _bring(self, version: Version, source: str, whole: Path) -> None:
        from mlflow.artifacts import download_artifacts

        room = whole / "brought"
        room.mkdir(parents=True)
        model = Path(
            download_artifacts(artifact_uri=source, dst_path=str(room), tracking_uri=self._uri), MODEL
        )
        manifest = model / files.MANIFEST
        if not manifest.is_file() or files.file_digest(manifest) != version.sha256:
            raise InvalidModelDirectoryError(
                "a registered model was altered or damaged",
                where=f"{version} in {self.place}",
                accepted=f"{files.MANIFEST} is not the one that was registered",
                remedy="use another version, or register the model again",
            )
        ModelDirectory.open(model)
        model.rename(whole / version.folder)
        shutil.rmtree(room)
        write_json(whole / VERSION, version.kept())

    @contextmanager
    def _reached(self) -> Iterator[None]:
        """What MLflow and the way to it raise, in our words."""
        try:
            yield
        except (OSError, ImportError) as error:
            raise self._failed(error) from error
        except Exception as error:
            # Its own error, and those of the libraries below it, by their names: they are not imported here.
            if type(error).__module__.partition(".")[0] in (
                "mlflow",
                "requests",
                "urllib3",
                "sqlalchemy",
                "sqlite3",
            ):
                raise self._failed(error) from error
            raise

    def _failed(self, error: Exception) -> RegistryError:
        return RegistryError(
            "the registry cannot be reached or refuses",
            where=self.place,
            accepted=cause_of(error),
            remedy="check registry=, MLFLOW_TRACKING_URI and the credentials",
        )


def _write_pyfunc(room: Path, model: ModelDirectory, version: Version, run: str) -> None:
    """The files of a version: MLflow's description, ours, and the model directory as it is."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of its own type hints
        import mlflow.pyfunc
        from mlflow.models import Model

    shutil.copytree(model.path, room / MODEL)
    ModelDirectory.open(room / MODEL)
    described = Model(artifact_path=MODEL, run_id=run)
    mlflow.pyfunc.add_to_model(described, loader_module=LOADER, data=MODEL)
    described.save(str(room / "MLmodel"))
    write_json(room / VERSION, version.kept())


def _short(version: Version) -> dict[str, Any]:
    """What fits into a tag; settings and packages stand in version.json among the artefacts."""
    kept = version.kept()
    del kept["name"], kept["number"]
    kept["lineage"] = {k: v for k, v in kept["lineage"].items() if k not in ("settings", "packages")}
    return kept


def _inside_store(uri: str, root: str) -> bool:
    """Whether artefacts at `root` belong to the store: files only to one of files, in the folder beside it."""
    if not uri.startswith(mlflow_store.SQLITE):
        return urlparse(root).scheme not in ("", "file") and ".." not in unquote(root).split("/")
    folder = Path(uri.removeprefix(mlflow_store.SQLITE)).parent / mlflow_store.ARTIFACTS
    place = Path(unquote(urlparse(root).path)).resolve()
    return urlparse(root).scheme in ("", "file") and place.is_relative_to(folder.resolve())


def _all(search: Any, **arguments: Any) -> list[Any]:
    """All pages of a search."""
    found: list[Any] = []
    token = None
    while True:
        page = search(**arguments, page_token=token)
        found += page
        token = getattr(page, "token", None)
        if not token:
            return found


def _is_whole(model: Path, version: Version) -> bool:
    """Whether the cache has the very model that was registered, unharmed."""
    try:
        if files.file_digest(model / files.MANIFEST) != version.sha256:
            return False
        ModelDirectory.open(model)
    except (OSError, InvalidModelDirectoryError):
        return False
    return True


def _cache() -> Path:
    home = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")  # noqa: PTH111
    return Path(home, "discerna", "registry")
