"""A version of a registered model, as version.json tells of it."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass, field
from typing import Any

from discerna.errors import SettingsError
from discerna.settings.build import build


@dataclass(frozen=True, kw_only=True)
class Lineage:
    """Where a model comes from; None where that is not known."""

    run: str | None
    """Its run folder: a path relative to the registry where it is one of files."""
    experiment_name: str | None
    began: str | None
    parent: str | None
    """The registered model that training began from, as `flowers:2`."""
    weights_from: dict[str, str] | None
    """The pretrained weights that it began from."""
    train_data: dict[str, Any] | None
    """Number of pictures and fingerprint."""
    valid_data: dict[str, Any] | None
    figures: dict[str, float]
    """Of the validation pictures, by the exact path."""
    settings: dict[str, Any]
    """What decided the training, by dotted name."""
    git: dict[str, Any] | None
    packages: dict[str, str]


@dataclass(frozen=True, kw_only=True)
class Version:
    """One version of a model."""

    name: str
    number: int
    registered: str
    sha256: str
    """Of the model directory's manifest.json, which has those of its other files."""
    size: int
    """In bytes, of the model directory."""
    network: str
    labels: int
    note: str
    lineage: Lineage
    aliases: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        return f"{self.name}:{self.number}"

    @property
    def folder(self) -> str:
        """The name of its model directory, which a training that begins from it records."""
        return f"{self.name}-{self.number}"

    def as_json(self) -> dict[str, Any]:
        """All of it, aliases too."""
        return asdict(self)

    def kept(self) -> dict[str, Any]:
        """What is kept with the version: aliases lie elsewhere, since they change."""
        kept = self.as_json()
        del kept["aliases"]
        return kept

    def checked(self) -> Version:
        """Itself, once it is sure that it can be read again."""
        return Version.read(self.kept(), self.aliases)

    @classmethod
    def read(cls, kept: dict[str, Any], aliases: list[str]) -> Version:
        """The inverse of `kept`; ValueError where it is not one."""
        try:
            version = build(cls, {**kept, "aliases": aliases})
        except SettingsError as error:
            raise ValueError(str(error)) from None
        if not re.fullmatch(r"[0-9a-f]{64}", version.sha256):  # it becomes the name of a folder
            raise ValueError("sha256 is none")
        return version
