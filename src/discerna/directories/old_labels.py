"""The label map of the Azure ML designer's models, `index_to_label.csv`.

    ,label
    0,cat
    1,dog

Every label is text as it stands there: `007` stays `007`, and `NA` is no missing value.
"""

from __future__ import annotations

import csv
import io
from collections import Counter
from typing import NoReturn

from discerna.directories.model_dir import can_be_label
from discerna.directories.model_files import Fault, damaged, in_one_phrase
from discerna.wording import listed


def parse_label_map(data: bytes, name: str, outputs: int) -> list[str]:
    """The label of each of the model's outputs, from the content of the file `name`."""
    rows = _rows(data, name)
    if not rows or len(rows[0]) != 2 or rows[0][1] != "label":
        raise damaged(f'{name} does not begin with the line ",label"')
    found: dict[int, str] = {}
    for number, row in enumerate(rows[1:], start=1):
        index = row[0] if len(row) == 2 else ""
        if not (index.isascii() and index.isdecimal() and len(index) < 10) or int(index) in found:
            raise damaged(f"row {number} of {name} has no index of its own and a label")
        found[int(index)] = row[1]
    if len(found) != outputs or sorted(found) != list(range(outputs)):
        raise damaged(
            f"{name} has {len(found)} labels, and they are not numbered 0 to {outputs - 1} as the model's outputs"
            if len(found) == outputs
            else f"{name} has {len(found)} labels, and the model {outputs} outputs"
        )
    labels = [found[index] for index in range(outputs)]
    _refuse_unusable(labels, name)
    return labels


def _rows(data: bytes, name: str) -> list[list[str]]:
    try:
        # newline="": a line break within quotes is part of the label
        text = io.StringIO(data.decode("utf-8-sig"), newline="")
        return [row for row in csv.reader(text, strict=True) if row]
    except (UnicodeDecodeError, csv.Error) as error:
        raise damaged(f"{name} is no CSV in UTF-8 ({in_one_phrase(error)})") from None


def _refuse_unusable(labels: list[str], name: str) -> None:
    """Refuse labels by which pictures could not be sorted into folders."""
    twice = [label for label, count in Counter(labels).items() if count > 1]
    unfit = [label for label in labels if not can_be_label(label)]
    if twice:
        _refuse(f"{name} has {listed(twice, 3)} more than once")
    if unfit:
        _refuse(f"{name} has {listed(unfit, 3)}, which no folder can bear")


def _refuse(found: str) -> NoReturn:
    raise Fault(
        "the model has labels that discerna cannot hold",
        found,
        "give each output a name of its own in the file, and image directories the same names",
    )
