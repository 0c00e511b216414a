"""The small `_meta.yaml` by which the Azure ML designer's directories tell what they are."""

from __future__ import annotations

from pathlib import Path

META = "_meta.yaml"

OLD_MODELS = ("ModelDirectory", "UntrainedModelDirectory")
"""What `type` is in model directories."""

LIMIT = 65536
"""Theirs have a few hundred bytes."""


def meta_fields(folder: Path) -> dict[str, str]:
    """The plain `key: value` lines of the folder's `_meta.yaml`; nothing where there is none."""
    meta = folder / META
    if not meta.is_file():
        return {}
    with meta.open("rb") as stream:
        lines = stream.read(LIMIT).decode(errors="replace").splitlines()
    pairs = (line.partition(":") for line in lines if ":" in line and not line[:1].isspace())
    return {key.strip(): value.strip(" '\"") for key, _, value in pairs}
