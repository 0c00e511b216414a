"""`model=registry:flowers@production` -> the model directory that is meant, checked."""

from __future__ import annotations

import logging
from pathlib import Path

from discerna.registry.references import Reference
from discerna.registry.registry import open_registry
from discerna.settings.build import REGISTERED

LOG = logging.getLogger("discerna")


def is_reference(model: str | Path) -> bool:
    """Whether a registered model is meant."""
    return str(model).startswith(REGISTERED)


def resolved(model: str | Path, registry: str | None) -> Path:
    """The directory of a registered model; an alias is looked up once, here."""
    opened = open_registry(registry)
    version = opened.find(Reference.parse(str(model)))
    path = opened.fetch(version)
    LOG.info("%s is %s of %s, registered %s", model, version, opened.place, version.registered)
    return path
