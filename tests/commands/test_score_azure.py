"""format=azure: what programs that read the designer's Score Image Model find."""

import csv
import json
import os
import shutil
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import discerna
from discerna.errors import InvalidDatasetError, MissingExtraError, OutputError, SettingsError
from discerna.results.scores import ScoresTable
from listed_pictures import old_image_directory

LABELS = ["007", "NA", "red"]
PROBABILITIES = [f"Scored Probabilities_{label}" for label in LABELS]
FILES = ["_data.parquet", "_meta.yaml", "_samples.json", "schema"]


@pytest.fixture(scope="module")
def model(models_for):
    return models_for(LABELS) / "trained"


@pytest.fixture
def score(model, tmp_path, monkeypatch):
    """discerna.score with format=azure in an empty folder."""
    monkeypatch.chdir(tmp_path)

    def run(data, output="old", **settings):
        given = {"model": model, "data": data, "output": output, "format": "azure", "device": "cpu"}
        return discerna.score(**{**given, **settings})

    return run


@pytest.fixture
def labelled(pictures, tmp_path):
    """data/007 with four pictures, data/NA with three."""
    for label, colour in (("007", "blue"), ("NA", "green")):
        shutil.copytree(pictures / "valid" / colour, tmp_path / "data" / label)
    return tmp_path / "data"


def csv_rows(path):
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def told(table):
    """The rows of a table as CSV tells them."""
    return [
        {key: "" if cell is None else f"{cell:.9g}" if isinstance(cell, float) else str(cell)
         for key, cell in row.items()}
        for row in table.to_pylist()
    ]  # fmt: skip


def old_directory(root, pictures, labelled=True):
    """An old ImageDirectory of six pictures in no order, with the ids that a split leaves."""
    names = {f"image/{'10'[n % 2]}_{n}.png": ("NA", "007")[n % 2] for n in (5, 4, 3, 2, 1, 0)}
    for n, name in enumerate(names):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(pictures / "train" / "red" / f"{n}.png", root / name)
    return old_image_directory(
        root, names if labelled else dict.fromkeys(names), ids=[60, 50, 40, 30, 20, 10]
    )


def test_the_directory(score, labelled):
    result = score("data")
    assert sorted(os.listdir("old")) == FILES
    assert os.listdir("old/schema") == ["_schema.json"]
    assert Path("old/_meta.yaml").read_text() == (
        "type: DataFrameDirectory\nextension: {}\nformat: Parquet\ndata: _data.parquet\n"
        "samples: _samples.json\nschema: schema/_schema.json\n"
    )
    table = pq.read_table("old/_data.parquet")
    assert table.column_names == ["category", "id", *PROBABILITIES, "Scored Labels"]
    assert table.schema.types == [pa.string(), pa.int64(), *[pa.float32()] * 3, pa.string()]
    assert table.column("category").to_pylist() == ["007"] * 4 + ["NA"] * 3
    assert table.column("id").to_pylist() == list(range(7))
    assert json.loads(Path("old/_samples.json").read_text()) == table.slice(0, 3).to_pylist()
    assert result.summary().splitlines() == [*result.lines(), "scores old"]
    assert (result.scored, result.labelled) == (7, 7)
    assert sorted(os.listdir()) == ["data", "old"]


def test_the_schema(score, labelled):
    score("data")
    schema = json.loads(Path("old/schema/_schema.json").read_text())
    kinds = {
        "category": ("String", "str"),
        "id": ("Numeric", "int64"),
        **dict.fromkeys(PROBABILITIES, ("Numeric", "float32")),
        "Scored Labels": ("String", "str"),
    }
    assert schema == {
        "columnAttributes": [
            {
                "name": name,
                "type": kind,
                "isFeature": False,
                "elementType": {"typeName": element, "isNullable": False},
            }
            for name, (kind, element) in kinds.items()
        ],
        "labelColumns": {"True Labels": "category"},
        "scoreColumns": {
            **{name: name for name in PROBABILITIES},
            "Multi Class Assigned Labels": "Scored Labels",
        },
    }


def test_the_values_are_those_of_our_own_format(score, labelled, capsysbinary):
    score("data")
    score("data", "ours.csv", format="discerna")
    score("data", "old.csv")
    score("data", "old.parquet")
    capsysbinary.readouterr()
    score("data", None)
    assert capsysbinary.readouterr().out == Path("old.csv").read_bytes()
    expected = [
        {"category": row["label"], "id": str(number)}
        | {name: row[name] for name in [*PROBABILITIES, "Scored Labels"]}
        for number, row in enumerate(csv_rows("ours.csv"))
    ]
    for rows in (
        csv_rows("old.csv"),
        told(pq.read_table("old.parquet")),
        told(pq.read_table("old/_data.parquet")),
    ):
        assert rows == expected
        assert list(rows[0]) == list(expected[0])


def test_ids_of_an_old_image_directory(score, pictures):
    old_directory(Path("data"), pictures)
    score("data")
    score("data", "ours.csv", format="discerna")
    table = pq.read_table("old/_data.parquet")
    assert table.column("id").to_pylist() == [20, 40, 60, 10, 30, 50]
    assert table.column("category").to_pylist() == ["007"] * 3 + ["NA"] * 3
    files = [row["file"] for row in csv_rows("ours.csv")]
    assert files == [f"image/{n}.png" for n in ("0_1", "0_3", "0_5", "1_0", "1_2", "1_4")]


def test_unlabelled_pictures_have_no_category(score, pictures):
    old_directory(Path("data"), pictures, labelled=False)
    result = score("data")
    assert result.accuracy is None
    assert pq.read_table("old/_data.parquet").column_names == ["id", *PROBABILITIES, "Scored Labels"]
    schema = json.loads(Path("old/schema/_schema.json").read_text())
    assert schema["labelColumns"] == {}
    assert [column["name"] for column in schema["columnAttributes"]][:2] == ["id", PROBABILITIES[0]]
    score(pictures / "valid" / "red" / "0.png", "one.csv")
    assert [row["id"] for row in csv_rows("one.csv")] == ["0"]


def test_unreadable_pictures_have_empty_scores(score, labelled, capsys):
    for n in range(12):
        (labelled / "007" / f"a{n:02}.png").write_bytes(b"")
    result = score("data")
    assert (result.scored, result.unreadable) == (7, 12)
    assert result.lines()[0] == "scored 7 pictures, 12 unreadable (without scores)"
    warned = capsys.readouterr().err
    assert "12 pictures cannot be read; without scores: 007/a00.png (empty: 0 bytes), 007/a01" in warned
    assert "007/a09.png (empty: 0 bytes) … and 2 more" in warned
    rows = pq.read_table("old/_data.parquet").to_pylist()
    assert [row["id"] for row in rows] == list(range(19))
    empty = dict.fromkeys([*PROBABILITIES, "Scored Labels"])
    assert [row for row in rows if row.items() >= empty.items()] == [
        {"category": "007", "id": number, **empty} for number in range(4, 16)
    ]
    schema = json.loads(Path("old/schema/_schema.json").read_text())
    nullable = [column["elementType"]["isNullable"] for column in schema["columnAttributes"]]
    assert nullable == [False, False, True, True, True, True]


def test_overwriting(score, labelled):
    score("data")
    before = Path("old/_data.parquet").read_bytes()
    with pytest.raises(OutputError, match="the output exists: output="):
        score("data", model="no/such/model")
    score("data/NA", overwrite=True)
    assert sorted(os.listdir("old")) == FILES
    assert Path("old/_data.parquet").read_bytes() != before
    for spoiled in ("old/_data.visualization", "old/schema/mine.txt"):
        Path(spoiled).touch()
        with pytest.raises(
            OutputError, match=r"cannot be replaced: .*a DataFrameDirectory of format=azure and nothing else"
        ):
            score("data", overwrite=True, model="no/such/model")
        Path(spoiled).unlink()
    Path("empty").mkdir()
    Path("file").touch()
    Path("link").symlink_to("old")
    for output in ("empty", "file", "link"):
        with pytest.raises(OutputError, match="cannot be replaced"):
            score("data", output, overwrite=True)
    assert sorted(os.listdir()) == ["data", "empty", "file", "link", "old"]


def test_nothing_is_written_into_an_input(score, model, labelled):
    for output in ("data/old", "data/NA/old", model / "old"):
        with pytest.raises(OutputError, match="lies in an input directory"):
            score("data", output)
    with pytest.raises(OutputError, match="an input lies in the output"):
        score("data/NA", "data", overwrite=True)
    assert sorted(os.listdir("data")) == LABELS[:2]


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_nothing_stays_of_what_is_broken_off(score, labelled, monkeypatch, overwrite, error):
    if overwrite:
        score("data")
        old = Path("old/_data.parquet").read_bytes()
    write = ScoresTable.write

    def interrupted(self, batch):
        write(self, batch)
        raise error

    monkeypatch.setattr(ScoresTable, "write", interrupted)
    with pytest.raises(error):
        score("data", overwrite=overwrite)
    assert sorted(os.listdir()) == (["data", "old"] if overwrite else ["data"])
    assert not overwrite or Path("old/_data.parquet").read_bytes() == old


def test_a_full_disk(score, labelled, monkeypatch):
    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OutputError, match=r"cannot be written: output=[^;]*/old; No space left on device"):
        score("data")
    assert os.listdir() == ["data"]


def test_without_pyarrow(score, labelled, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(
        MissingExtraError, match=r"format=azure output=old needs the package pyarrow; .*table"
    ):
        score("data", model="no/such/model")
    with pytest.raises(MissingExtraError, match=r"output=old\.parquet needs the package pyarrow"):
        score("data", "old.parquet", model="no/such/model")
    score("data", "old.csv")


def test_mistakes(score, pictures):
    with pytest.raises(SettingsError, match=r"format=.*old.*discerna"):
        score("data", format="old")
    with pytest.raises(SettingsError, match=r"\.csv or \.parquet"):
        score("data", format="discerna")
    root = old_directory(Path("data"), pictures)
    text = (root / "images.lst").read_text()
    (root / "images.lst").write_text(text.replace('"id": 40', '"id": "forty"'))
    with pytest.raises(InvalidDatasetError, match=r"no whole number as id: data=.*images\.lst; line 3; mend"):
        score("data")
    assert os.listdir() == ["data"]


def test_the_command_line(discerna, model, labelled):
    done = discerna(
        "score",
        f"model={model}",
        "data=data",
        "format=azure",
        "output=old",
        "networks.modules=[tiny_networks]",
    )
    assert done.stdout.endswith("\nscores old\n")
    assert pq.read_table(labelled.parent / "old" / "_data.parquet").num_rows == 7
