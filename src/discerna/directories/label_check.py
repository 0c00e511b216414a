"""Labels of two directories, or of a directory and a model, compared by name and never by position."""

from __future__ import annotations

import difflib
import unicodedata
from collections.abc import Collection, Sequence

from discerna.directories.image_dir import ImageDirectory
from discerna.errors import InvalidDatasetError
from discerna.wording import counted, listed, shown

_SHOWN = 20
"""So many labels are named in a message; a thousand would hide the rest of it."""


def check_labels(train: ImageDirectory, valid: ImageDirectory) -> None:
    """Raise unless validation has exactly the labels of training."""
    lacking = _without(train.labels, valid.labels)
    added = _without(valid.labels, train.labels)
    if not lacking and not added:
        return
    told = [
        f"validation {verb} {_told(labels)}"
        for verb, labels in (("lacks", lacking), ("adds", added))
        if labels
    ]
    twins = _twins(added, lacking or train.labels, "in validation", "in training")
    raise InvalidDatasetError(
        "training and validation data have different labels",
        where=f"valid_data={shown(str(valid.place))}",
        accepted="; ".join([*told, *twins]),
        remedy=f"give it exactly the labels of train_data={shown(str(train.place))}",
    )


def label_positions(
    data: ImageDirectory, labels: Sequence[str], *, setting: str, allow_missing: bool
) -> list[int]:
    """For each label of `data` its position in `labels`, the labels that are known.

    A label that is not known is refused, and so is one of `labels` that `data` lacks, unless `allow_missing`.
    """
    added = _without(data.labels, labels)
    lacking = [] if allow_missing else _without(labels, data.labels)
    if added or lacking:
        told = [f"it {verb} {_told(some)}" for verb, some in (("lacks", lacking), ("adds", added)) if some]
        known = f"known are {_told(labels)}"
        raise InvalidDatasetError(
            "the labels do not match those of the model",
            where=f"{setting}={shown(str(data.place))}",
            accepted="; ".join([*told, *_twins(added, labels, "here", "in the model"), known]),
            remedy="rename or remove these labels"
            if added
            else "add pictures of the labels that are lacking",
        )
    position = {label: index for index, label in enumerate(labels)}
    return [position[label] for label in data.labels]


def _without(labels: Sequence[str], others: Collection[str]) -> list[str]:
    known = set(others)
    return [label for label in labels if label not in known]


def _told(labels: Sequence[str]) -> str:
    return f"{counted(len(labels), 'label')}: {listed(labels, _SHOWN)}"


def _twins(added: Sequence[str], others: Sequence[str], here: str, there: str) -> list[str]:
    """`'Dog' here looks like 'dog' there (upper and lower case)`, for each label that has such a twin."""
    alike = {_folded(other): other for other in others}
    told = []
    for label in added[:_SHOWN]:
        near = difflib.get_close_matches(label, others, n=1, cutoff=0.75)
        twin = alike.get(_folded(label)) or (near[0] if near else None)
        if twin is not None:
            told.append(
                f"'{shown(label)}' {here} looks like '{shown(twin)}' {there} ({_difference(label, twin)})"
            )
    return told


def _folded(label: str) -> str:
    return "".join(unicodedata.normalize("NFC", label).casefold().split())


def _difference(label: str, twin: str) -> str:
    """In what two labels differ: what can be seen least is told first."""
    if unicodedata.normalize("NFC", label) == unicodedata.normalize("NFC", twin):
        return "the same letters in another Unicode form, NFC or NFD"
    if "".join(label.split()) == "".join(twin.split()):
        return "spaces"
    if label.casefold() == twin.casefold():
        return "upper and lower case"
    return "case, spaces and Unicode form" if _folded(label) == _folded(twin) else "spelling"
