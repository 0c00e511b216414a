"""The columns of a table of scores, and what each says of a picture."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from discerna.directories.image_dir import ImageDirectory
from discerna.wording import unicode_text

PROBABILITIES = "Scored Probabilities_"
BEST = "Scored Labels"

Cell = str | int | None


class Scored(NamedTuple):
    """A picture that went through the network, or could not."""

    position: int
    """In the image directory."""
    label: str | None
    """The most probable label, None where the picture cannot be read."""
    error: str | None
    """Why it cannot be read."""


@dataclass(frozen=True)
class Column:
    """A column beside the probabilities."""

    name: str
    cell: Callable[[Scored], Cell]
    """What it says of a picture; None where it has nothing to say."""
    kind: Literal["text", "integer"] = "text"


@dataclass(frozen=True)
class Columns:
    """All columns: a probability for each label, and what stands before and after these."""

    before: Sequence[Column]
    labels: Sequence[str]
    """The model's, in its order."""
    after: Sequence[Column]

    @property
    def probabilities(self) -> list[str]:
        """The names of the columns of probabilities."""
        return [unicode_text(f"{PROBABILITIES}{label}") for label in self.labels]

    @property
    def names(self) -> list[str]:
        """The names of all columns."""
        return [
            *(column.name for column in self.before),
            *self.probabilities,
            *(column.name for column in self.after),
        ]


def own_columns(
    data: ImageDirectory, labels: Sequence[str], name: Callable[[int], str] | None = None
) -> Columns:
    """Ours: which file, its true label, the scores, and why there are none.

    `name` gives the column `file`, by default the name relative to the directory.
    """
    name = data.name if name is None else name
    return Columns(
        before=[
            Column("file", lambda picture: name(picture.position)),
            Column("label", lambda picture: data.label(picture.position)),
            Column(BEST, lambda picture: picture.label),
        ],
        labels=labels,
        after=[Column("error", lambda picture: picture.error)],
    )
