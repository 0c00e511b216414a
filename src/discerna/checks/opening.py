"""An image directory opened for a check: a wrong layout is a finding, and the pictures are looked at all the same."""

from __future__ import annotations

import os
from pathlib import Path

from discerna.checks.findings import Finding
from discerna.directories.image_dir import ImageDirectory
from discerna.directories.layout import Fault
from discerna.errors import DatasetError, NotLabeledDatasetError
from discerna.settings.loading import LoadingSettings


def opened(path: Path, where: str, loading: LoadingSettings) -> tuple[ImageDirectory | None, list[Finding]]:
    """The directory, or what can be read of it, and what is wrong with how its pictures lie."""
    faults: list[Fault] = []
    try:
        directory = ImageDirectory.open(path, setting=where, nested=loading.nested, faults=faults)
        # A folder that cannot be read stands among the directory's other files already.
        told = [fault for fault in faults if fault.code != "unreadable"]
        return directory, [Finding(fault.code, where, len(fault.folders), fault.folders) for fault in told]
    except DatasetError as error:
        found = _whatever_is_there(path, where, loading)
        # By itself, a directory may also hold pictures that are to be scored, which need no labels.
        if not (isinstance(error, NotLabeledDatasetError) and where == "data"):
            return found, [Finding("layout", where, 1, [str(error)])]
        flat = found is not None and not any("/" in found.name(i) for i in range(len(found)))
        return found, [] if flat else [Finding("unlabelled", where, 1, [str(error)])]


def _whatever_is_there(path: Path, where: str, loading: LoadingSettings) -> ImageDirectory | None:
    """All pictures, with their folders as labels as far as that goes."""
    try:
        folders = [entry.name for entry in os.scandir(path) if entry.is_dir()] if path.is_dir() else []
        return ImageDirectory.open_any(path, setting=where, labels=folders, nested=loading.nested)
    except (DatasetError, OSError):
        return None
