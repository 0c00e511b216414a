"""One command line of a sweep -> the overrides of each job, by Hydra's own grammar."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override

from discerna.errors import SettingsError
from discerna.sweeps.elements import elements, typed


def expand(overrides: Sequence[str], choices: Mapping[str, Sequence[str]]) -> list[dict[str, str]]:
    """The jobs in order, each as {key: value as typed}: a=1,2 b=3,4 makes four; glob(*) takes from `choices`."""
    parsed = _parsed(overrides)
    axes = [[(key, value) for value in _values(override, choices)] for key, override in parsed.items()]
    return [dict(job) for job in itertools.product(*axes)]


def sample(overrides: Sequence[str], choices: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """One job, with the first value of whatever varies; an interval counts as well."""
    return {key: _first(override, choices) for key, override in _parsed(overrides).items()}


def _parsed(overrides: Sequence[str]) -> dict[str, Override]:
    """By the keys that Hydra takes (`++epochs`, `optimizer`); of one that is given twice the last counts."""
    parsed = OverridesParser.create().parse_overrides(list(overrides))
    last = {override.key_or_group: override for override in parsed}
    return {override.get_key_element(): override for override in last.values()}


def varies(override: str) -> bool:
    """Whether an override has several values."""
    return bool(OverridesParser.create().parse_override(override).is_sweep_override())


def _first(override: Override, choices: Mapping[str, Sequence[str]]) -> str:
    if override.is_sweep_override() and override.is_interval_sweep():
        interval: Any = override.value()
        return str(interval.start)
    return _values(override, choices)[0]


def _values(override: Override, choices: Mapping[str, Sequence[str]]) -> list[str]:
    if not override.is_sweep_override():
        return [override.get_value_string()]
    if override.is_interval_sweep():
        raise SettingsError(
            "an interval has no single values",
            where=typed(override),
            accepted="a grid takes a=1,2 choice(1,2) range(1,4) glob(*)",
            remedy="add sweep=optuna",
        )
    return elements(override, choices)
