"""The scores as the Azure ML designer's Score Image Model gave them: its columns, and its DataFrameDirectory."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

from discerna.directories.designer_meta import META, meta_fields
from discerna.directories.image_dir import ImageDirectory
from discerna.directories.old_ids import picture_ids
from discerna.directories.publishing import refuse_unless_replaceable
from discerna.directories.write_aside import write_failures
from discerna.results.destination import whole_folder
from discerna.results.score_columns import BEST, Column, Columns
from discerna.results.score_files import EXTENSIONS, import_pyarrow
from discerna.results.scores import ScoresTable, open_scores, refuse_scores
from discerna.wording import shown

TRUTH = "category"

_TYPE = "DataFrameDirectory"
_DATA = "_data.parquet"
_SAMPLES = "_samples.json"
_SCHEMA_FOLDER = "schema"
_SCHEMA = "_schema.json"
# The old directories also had _data.visualization, in a format that only the designer's own viewer knew.
_META_TEXT = f"""\
type: {_TYPE}
extension: {{}}
format: Parquet
data: {_DATA}
samples: {_SAMPLES}
schema: {_SCHEMA_FOLDER}/{_SCHEMA}
"""
_SAMPLE_ROWS = 3
_KINDS = {"string": ("String", "str"), "int64": ("Numeric", "int64"), "float": ("Numeric", "float32")}
"""What the old schema calls the types of Arrow."""


def azure_columns(data: ImageDirectory, labels: Sequence[str]) -> Columns:
    """The old ones: the true label where labels are known, the id, the probabilities, and the label given."""
    id_of = picture_ids(data, "data")
    truth = [Column(TRUTH, lambda picture: data.label(picture.position))] if data.labels else []
    return Columns(
        before=[*truth, Column("id", lambda picture: id_of(picture.position), "integer")],
        labels=labels,
        after=[Column(BEST, lambda picture: picture.label)],
    )


def refuse_azure_scores(output: Path, overwrite: bool, inputs: Sequence[Path]) -> None:
    """Refuse a file or a directory that exists already or cannot be written."""
    if _is_file(output):
        refuse_scores(output, overwrite, inputs)
        return
    import_pyarrow(f"format=azure output={shown(output.name)}")
    kind = f"a {_TYPE} of format=azure and nothing else"
    refuse_unless_replaceable(output, overwrite, inputs, _is_ours, kind)


def open_azure_scores(
    output: Path | None, columns: Columns, *, overwrite: bool = False
) -> AbstractContextManager[ScoresTable]:
    """A table as `open_scores` gives it, or in a directory where `output` has no extension of a file.

    A directory, too, appears whole when the block has ended well, and not at all otherwise.
    """
    if output is None or _is_file(output):
        return open_scores(output, columns, overwrite=overwrite)
    return _open_directory(output, columns, overwrite)


@contextmanager
def _open_directory(output: Path, columns: Columns, overwrite: bool) -> Iterator[ScoresTable]:
    where = f"output={shown(str(output))}"
    with whole_folder(output, overwrite) as folder:
        with open_scores(folder / _DATA, columns, where=where) as table:
            yield table
        with write_failures(where):
            (folder / META).write_text(_META_TEXT, "utf-8")
            (folder / _SCHEMA_FOLDER).mkdir()
            _describe(folder, columns)


def _is_file(output: Path) -> bool:
    return output.suffix.lower() in EXTENSIONS


def _is_ours(folder: Path) -> bool:
    try:
        return (
            meta_fields(folder).get("type") == _TYPE
            and set(os.listdir(folder)) == {META, _DATA, _SAMPLES, _SCHEMA_FOLDER}
            and os.listdir(folder / _SCHEMA_FOLDER) == [_SCHEMA]
        )
    except OSError:
        return False


def _describe(folder: Path, columns: Columns) -> None:
    """Write the samples and the schema of the table that stands in the folder."""
    _, parquet = import_pyarrow("Parquet")
    with parquet.ParquetFile(folder / _DATA) as table:
        samples = next(table.iter_batches(_SAMPLE_ROWS)).to_pylist()
        schema = _schema(table, columns)
    (folder / _SAMPLES).write_text(json.dumps(samples), "utf-8")
    (folder / _SCHEMA_FOLDER / _SCHEMA).write_text(json.dumps(schema), "utf-8")


def _schema(table: Any, columns: Columns) -> dict[str, Any]:
    groups = [table.metadata.row_group(number) for number in range(table.metadata.num_row_groups)]
    attributes = []
    for number, field in enumerate(table.schema_arrow):
        kind, element = _KINDS[str(field.type)]
        empty = any(group.column(number).statistics.null_count for group in groups)
        type_of = {"typeName": element, "isNullable": empty}
        attributes.append({"name": field.name, "type": kind, "isFeature": False, "elementType": type_of})
    return {
        "columnAttributes": attributes,
        "labelColumns": {"True Labels": TRUTH} if columns.before[0].name == TRUTH else {},
        "scoreColumns": {name: name for name in columns.probabilities}
        | {"Multi Class Assigned Labels": BEST},
    }
