import csv
import io
import os
import struct
import sys

import numpy as np
import pyarrow.parquet as pq
import pytest

from discerna.directories.image_dir import ImageDirectory
from discerna.errors import MissingExtraError, OutputError, SettingsError, UnreadablePictureError
from discerna.results import score_files
from discerna.results.predictor import ScoredBatch
from discerna.results.score_columns import own_columns
from discerna.results.score_files import format_of
from discerna.results.scores import open_scores

LABELS = ["007", "NA", "a,b", 'quo"te', "z\nz"]
HEADER = ["file", "label", "Scored Labels", *(f"Scored Probabilities_{label}" for label in LABELS), "error"]
BROKEN = UnreadablePictureError("truncated", where="x", accepted="9 bytes, cut")


@pytest.fixture
def data(tmp_path):
    root = tmp_path / "data"
    for label in LABELS:
        (root / label).mkdir(parents=True)
        (root / label / "1.png").touch()
    for name in (b"caf\xe9.png", b"car\rriage.png"):
        with open(os.fsencode(root / "NA") + b"/" + name, "wb"):
            pass
    return ImageDirectory.open(root)


@pytest.fixture
def batches(data):
    numbers = np.random.default_rng(1).random((len(data), len(LABELS))).astype(np.float32)
    numbers[0] = [1e-45, 0, 1, 0.1, np.float32(1) / 3]
    return [
        ScoredBatch([0, 2], numbers[[0, 2]], [(1, BROKEN)]),
        ScoredBatch([], np.empty((0, 5), np.float32), [(3, UnreadablePictureError("empty", where="x"))]),
        ScoredBatch([4, 5, 6], numbers[4:], []),
    ]


def rows_of(text):
    return list(csv.reader(io.StringIO(text, newline="")))


def written(output, data, batches, name=None, **more):
    with open_scores(output, own_columns(data, LABELS, name), **more) as table:
        for batch in batches:
            table.write(batch)


def check(rows, data, batches):
    """Rows as texts, with nothing for null."""
    assert [row[0] for row in rows] == [
        "007/1.png", "NA/1.png", "NA/caf\\udce9.png", "NA/car\rriage.png", "a,b/1.png",
        'quo"te/1.png', "z\nz/1.png",
    ]  # fmt: skip
    assert [row[1] for row in rows] == [data.label(i) for i in range(7)]
    assert [row[-1] for row in rows] == ["", "truncated: 9 bytes, cut", "", "empty", "", "", ""]
    for i in (1, 3):
        assert rows[i][2:-1] == [""] * 6
    for batch in batches:
        for i, expected in zip(batch.indices, batch.probabilities, strict=True):
            assert [struct.pack("f", float(cell)) for cell in rows[i][3:-1]] == [
                struct.pack("f", v) for v in expected
            ]
            assert rows[i][2] == LABELS[expected.argmax()]


def test_csv(data, batches, tmp_path):
    output = tmp_path / "new" / "scores.csv"
    written(output, data, batches)
    content = output.read_bytes().decode("utf-8")
    header, *rows = rows_of(content)
    assert header == HEADER
    check(rows, data, batches)
    assert content.startswith(
        'file,label,Scored Labels,Scored Probabilities_007,Scored Probabilities_NA,"Scored'
    )
    assert '\n"NA/car\rriage.png",NA,,,,,,,empty\n' in content
    assert "\r\n" not in content
    assert os.listdir(output.parent) == ["scores.csv"]


@pytest.mark.parametrize("cells", [1, 16, 4_000_000])
def test_parquet(data, batches, tmp_path, monkeypatch, cells):
    monkeypatch.setattr(score_files, "CELLS", cells)
    output = tmp_path / "scores.PARQUET"
    written(output, data, batches)
    file = pq.ParquetFile(output)
    assert file.num_row_groups == {1: 7, 16: 3, 4_000_000: 1}[cells]
    table = file.read()
    assert table.column_names == HEADER
    assert {str(table.schema.field(name).type) for name in HEADER[3:-1]} == {"float"}
    assert table.column("error").null_count == 5
    assert table.column("Scored Labels").null_count == 2
    rows = [["" if cell is None else str(cell) for cell in row.values()] for row in table.to_pylist()]
    check(rows, data, batches)


def test_unknown_labels_are_empty(data, batches, tmp_path):
    unknown = ImageDirectory.open_any(data.root)
    written(tmp_path / "s.csv", unknown, batches, name=lambda i: f"picture {i}")
    _, *rows = rows_of((tmp_path / "s.csv").read_text("utf-8"))
    assert {row[1] for row in rows} == {""}
    assert rows[3][0] == "picture 3"
    written(tmp_path / "s.parquet", unknown, batches)
    assert pq.read_table(tmp_path / "s.parquet").column("label").null_count == 7


def test_the_standard_output(data, batches, tmp_path, capsysbinary, monkeypatch):
    written(tmp_path / "s.csv", data, batches)
    sys.stdout.write("before\n")
    written(None, data, batches)
    expected = (tmp_path / "s.csv").read_bytes()
    assert capsysbinary.readouterr().out == b"before\n" + expected
    notebook = io.StringIO(newline="")
    monkeypatch.setattr(sys, "stdout", notebook)
    written(None, data, batches)
    assert notebook.getvalue().encode() == expected


class Closed(io.RawIOBase):
    def __init__(self, error):
        self.error = error

    def write(self, data):
        raise self.error


@pytest.mark.parametrize(
    ("error", "told"),
    [(BrokenPipeError(), BrokenPipeError), (OSError(28, "No space left on device"), OutputError)],
)
def test_a_standard_output_that_fails(data, batches, monkeypatch, error, told):
    stream = io.StringIO()
    stream.buffer = Closed(error)
    monkeypatch.setattr(sys, "stdout", stream)
    with pytest.raises(told):
        written(None, data, batches)


@pytest.mark.parametrize("name", ["scores.csv", "scores.parquet"])
@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_nothing_stays_of_what_is_broken_off(data, batches, tmp_path, name, error):
    output = tmp_path / "out" / name
    with pytest.raises(error), open_scores(output, own_columns(data, LABELS)) as table:
        table.write(batches[0])
        assert len(os.listdir(output.parent)) == 1
        assert not output.exists()
        raise error
    assert os.listdir(output.parent) == []


@pytest.mark.parametrize("name", ["scores.csv", "scores.parquet"])
def test_a_full_disk(data, batches, tmp_path, name, monkeypatch):
    output = tmp_path / "out" / name

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(
        OutputError, match=r"cannot be written: output=.*; No space left on device; choose another"
    ):
        written(output, data, batches)
    assert os.listdir(output.parent) == []


def test_an_output_that_appears_meanwhile_is_kept(data, batches, tmp_path):
    output = tmp_path / "s.csv"
    with (
        pytest.raises(OutputError, match="appeared while"),
        open_scores(output, own_columns(data, LABELS)) as table,
    ):
        table.write(batches[0])
        output.write_text("mine")
    assert output.read_text() == "mine"
    written(output, data, batches, overwrite=True)
    assert len(rows_of(output.read_text("utf-8"))) == 8
    assert not list(tmp_path.glob(".*"))


def test_a_folder_that_cannot_be_made(data, batches, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="cannot be written"):
        written(tmp_path / "file" / "s.csv", data, batches)


def test_formats(tmp_path, monkeypatch):
    for name in ("scores", "scores.tsv", "scores.csv.gz", "-"):
        with pytest.raises(SettingsError, match=r"output=.*; its name ends with \.csv or \.parquet"):
            format_of(tmp_path / name)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    assert format_of(tmp_path / "a.CSV") == "csv"
    with pytest.raises(MissingExtraError, match=r"output=a\.parquet needs .* pyarrow; .*'discerna\[table\]'"):
        format_of(tmp_path / "a.parquet")
