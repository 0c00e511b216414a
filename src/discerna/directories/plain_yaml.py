"""YAML from strangers -> plain values: no tags, no merging, bounded depth."""

from __future__ import annotations

from typing import Any

from discerna.directories.model_files import Fault, altered, damaged, in_one_phrase
from discerna.wording import short

DEPTH_LIMIT = 64
"""The designer's nests five deep; PyYAML itself gives up near a thousand."""


def parse_plain_yaml(data: bytes, name: str) -> dict[str, Any]:
    """The mapping in `data`, which messages call `name`."""
    import yaml

    try:
        _refuse_tricks(data, name)
        value = yaml.safe_load(data)
    except Fault:
        raise
    # ValueError: a date or a number that is none
    except (yaml.YAMLError, ValueError, OverflowError) as error:
        raise damaged(f"{name} is not YAML ({in_one_phrase(error)})") from None
    if not isinstance(value, dict):
        raise damaged(f"{name} is no YAML mapping")
    return value


def _refuse_tricks(data: bytes, name: str) -> None:
    """Look at the text before anything is made of it."""
    import yaml

    # Aliases are what an honest writer puts for a list that stands twice, and cost nothing: both are one list.
    # Merging copies what it merges, so that a few lines of it fill any memory.
    depth = 0
    for event in yaml.parse(data, Loader=yaml.SafeLoader):
        tag = getattr(event, "tag", None)
        if tag is not None:
            raise altered(f"{name} has the tag {short(str(tag))}, and no tag belongs there")
        if isinstance(event, yaml.ScalarEvent) and event.value == "<<":
            raise altered(f"{name} merges mappings (<<), which does not belong there")
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > DEPTH_LIMIT:
            raise damaged(f"{name} is nested too deeply")
