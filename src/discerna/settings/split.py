"""The settings of `discerna split`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from discerna.errors import SettingsError, combined
from discerna.settings.loading import LoadingSettings
from discerna.settings.ranges import SMALLEST_DOUBLE, AtLeast, Between, Verbatim

Link = Literal["hard", "symlink", "copy", "manifest"]

NAMES = ("train", "valid", "test")
"""The parts, unless they are named."""

_EXPRESSION, _COLUMN = "regex:", "column:"
_OFF = 0.01
"""So much may the fractions' sum be off, as in [0.33,0.33,0.33]."""


@dataclass(frozen=True, kw_only=True)
class SplitSettings:
    """A labelled image directory, the parts, and what must stay together."""

    data: Path
    output: Path
    fractions: list[Annotated[float, AtLeast(SMALLEST_DOUBLE)]]
    names: list[str] | None
    random_seed: int
    near_duplicates: bool
    group_by: Annotated[str, Verbatim("regex:EXPRESSION or column:NAME")] | None
    rare: Literal["refuse", "train", "leave_out"]
    max_bad: Annotated[float, Between(0, 1)]
    link: Link
    overwrite: bool
    loading: LoadingSettings

    def __post_init__(self) -> None:
        faults = [fault for fault in (self._fractions(), self._names(), self._group_by()) if fault]
        if faults:
            raise combined(faults)

    def parts(self) -> dict[str, float]:
        """The parts in their order, each with its share; the shares sum to 1."""
        whole = sum(self.fractions)
        shares = (fraction / whole for fraction in self.fractions)
        return dict(zip(self.names or NAMES, shares, strict=False))

    @property
    def expression(self) -> re.Pattern[str] | None:
        """By what of their names pictures are grouped."""
        text = self._grouped_by(_EXPRESSION)
        return None if text is None else re.compile(text)

    @property
    def column(self) -> str | None:
        """By which column of the manifest pictures are grouped."""
        return self._grouped_by(_COLUMN)

    def _grouped_by(self, kind: str) -> str | None:
        given = self.group_by
        return given.removeprefix(kind) if given is not None and given.startswith(kind) else None

    def _fractions(self) -> SettingsError | None:
        whole = sum(self.fractions)
        if len(self.fractions) > 1 and abs(whole - 1) <= _OFF + 1e-9:
            return None
        percent = len(self.fractions) > 1 and abs(whole - 100) <= 100 * _OFF
        example = [fraction / 100 for fraction in self.fractions] if percent else [0.8, 0.1, 0.1]
        return SettingsError(
            "the fractions do not make a whole",
            where=f"fractions={_list(self.fractions)}",
            accepted=f"two or more that sum to 1, here {whole:g}",
            remedy=f"write for example fractions={_list(example)}",
        )

    def _names(self) -> SettingsError | None:
        number = len(self.fractions)
        names = list(NAMES[:number]) if self.names is None else self.names
        fit = re.compile(r"(?!split$)\w[\w.-]*")
        if (
            len(names) == number
            and len({name.casefold() for name in names}) == number
            and all(fit.fullmatch(name) and name.casefold() != "split.csv" for name in names)
        ):
            return None
        return SettingsError(
            "a name is needed for each part",
            where=f"names={'null' if self.names is None else '[' + ','.join(self.names) + ']'}",
            accepted=f"{number} different ones, of letters, digits, _ . -, and none of them split",
            remedy="the first part is the one to train on, the second the one to validate on",
        )

    def _group_by(self) -> SettingsError | None:
        if self.group_by is None or self.column:
            return None
        told = "it begins with regex: or column:"
        if self.group_by.startswith(_EXPRESSION):
            try:
                re.compile(self.group_by.removeprefix(_EXPRESSION))
                return None
            except re.error as error:
                told = f"the expression is wrong: {error}"
        return SettingsError(
            "wrong value",
            where=f"group_by={self.group_by}",
            accepted=told,
            remedy=r"for example group_by=regex:patient(\d+), by which the pictures of one number stay together",
        )


def _list(numbers: list[float]) -> str:
    return f"[{','.join(f'{number:g}' for number in numbers)}]"
