"""The pictures and models of a sweep's jobs: each looked at once, before the first job that needs it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from discerna.directories.image_dir import ImageDirectory
from discerna.directories.label_check import check_labels
from discerna.directories.model_dir import ModelDirectory
from discerna.directories.model_files import MANIFEST, file_digest
from discerna.settings.train import TrainSettings


class Inputs:
    """Raises what is wrong with them; says what a job's hash holds of them."""

    def __init__(self) -> None:
        self._pictures: dict[tuple[Path, Path, bool], list[str]] = {}
        self._models: dict[str, str] = {}
        self.places: set[Path] = set()
        """All directories that were looked at."""

    def facts(self, settings: TrainSettings) -> list[Any]:
        """What decides of pictures, labels and model: their places, and fingerprints of what lies there.

        The places too: pictures of the same names elsewhere may be others.
        """
        train, valid, nested = settings.train_data, settings.valid_data, settings.loading.nested
        if (train, valid, nested) not in self._pictures:
            opened = ImageDirectory.open(train, setting="train_data", nested=nested)
            others = ImageDirectory.open(valid, setting="valid_data", nested=nested)
            check_labels(opened, others)
            self.places |= {train, valid}
            self._pictures[train, valid, nested] = [opened.fingerprint(), others.fingerprint()]
        if settings.model_is_directory and settings.model not in self._models:
            ModelDirectory.open(settings.model)
            self.places.add(Path(settings.model))
            manifest = Path(settings.model) / MANIFEST
            self._models[settings.model] = file_digest(manifest) if manifest.is_file() else ""
        places = [str(train), str(valid), None if settings.transforms is None else str(settings.transforms)]
        if settings.transforms is not None:
            self.places.add(settings.transforms)
        found = self._pictures[train, valid, nested]
        return [*places, *found, settings.model, self._models.get(settings.model, "")]
