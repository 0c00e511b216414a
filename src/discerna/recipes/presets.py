"""The packaged files of a group, so that what a recipe chooses has the values that conf/ documents."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Any


@cache
def _read(group: str, choice: str) -> dict[str, Any]:
    import yaml

    text = (files("discerna.conf") / group / f"{choice}.yaml").read_text("utf-8")
    values: dict[str, Any] = yaml.safe_load(text)
    return values


def preset(group: str, choice: str) -> dict[str, Any]:
    """The values of conf/<group>/<choice>.yaml."""
    return dict(_read(group, choice))
