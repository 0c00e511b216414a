"""How registered models are named: `flowers`, `flowers:3`, `flowers@production`."""

from __future__ import annotations

import re
from dataclasses import dataclass

from discerna.errors import RegistryError
from discerna.settings.build import REGISTERED
from discerna.wording import shown

NEWEST = "latest"
"""The alias of every model's newest version; it cannot be set."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_ALIAS = re.compile(r"(?!v?\d+$)[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_REFERENCE = re.compile(r"(?P<name>[^:@]+)(?::(?P<number>[^:@]*)|@(?P<alias>[^:@]*))?")


@dataclass(frozen=True)
class Reference:
    """A name with a number, an alias, or neither: then the newest version is meant."""

    name: str
    number: int | None = None
    alias: str | None = None

    @classmethod
    def parse(cls, text: str) -> Reference:
        """Read what was typed, with or without `registry:`."""
        match = _REFERENCE.fullmatch(text.removeprefix(REGISTERED))
        if match is None:
            raise _wrong(text)
        name, number, alias = match["name"], match["number"], match["alias"]
        check_name(name)
        if number is not None and not re.fullmatch(r"[1-9][0-9]{0,8}", number):
            raise _wrong(text)
        if alias is not None and alias != NEWEST:
            check_alias(alias)
        return cls(name, None if number is None else int(number), None if alias == NEWEST else alias)

    def __str__(self) -> str:
        if self.number is not None:
            return f"{self.name}:{self.number}"
        return f"{self.name}@{self.alias}" if self.alias else self.name


def is_name(name: str) -> bool:
    """Whether a registered model can be called so."""
    return _NAME.fullmatch(name) is not None


def check_name(name: str) -> None:
    """Refuse what no registered model can be called: names become folders."""
    if not is_name(name):
        raise RegistryError(
            "not a name for a model",
            where=f"name={shown(name)}",
            accepted="letters, digits, `.`, `_` and `-`, up to 100, the first a letter or digit",
        )


def check_alias(alias: str) -> None:
    """Refuse what no alias can be called."""
    if not _ALIAS.fullmatch(alias) or alias == NEWEST:
        raise RegistryError(
            "not an alias",
            where=f"alias={shown(alias)}",
            accepted=f"letters, digits, `.`, `_` and `-`; no number, nor v1, nor {NEWEST}, which is always there",
        )


def _wrong(text: str) -> RegistryError:
    return RegistryError(
        "not a registered model",
        where=shown(text),
        accepted="NAME, NAME:3 or NAME@ALIAS; numbers begin at 1",
        remedy="see discerna registry list",
    )
