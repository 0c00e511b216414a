import csv
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

import discerna
from discerna.errors import (
    InvalidDatasetError,
    InvalidModelDirectoryError,
    MachineError,
    OutputError,
    SettingsError,
)
from discerna.results.scores import ScoresTable


@pytest.fixture(scope="module")
def models(models_for):
    return models_for(["blue", "green", "red"])


@pytest.fixture
def model(models):
    return models / "trained"


@pytest.fixture
def score(model, tmp_path, monkeypatch):
    """discerna.score in an empty folder; the rows of its file as dictionaries, and the result."""
    monkeypatch.chdir(tmp_path)

    def run(data, output="scores.csv", **settings):
        return discerna.score(**{"model": model, "data": data, "output": output, "device": "cpu", **settings})

    return run


def rows(path="scores.csv"):
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_a_labelled_directory(score, model, pictures):
    result = score(pictures / "valid")
    table = rows()
    assert list(table[0]) == [
        "file", "label", "Scored Labels",
        "Scored Probabilities_blue", "Scored Probabilities_green", "Scored Probabilities_red", "error",
    ]  # fmt: skip
    expected = [
        f"{label}/{n}.png" for label, count in [("blue", 4), ("green", 3), ("red", 4)] for n in range(count)
    ]
    assert [row["file"] for row in table] == expected
    assert [row["label"] for row in table] == [name.split("/")[0] for name in expected]
    assert (result.scored, result.unreadable, result.labelled) == (11, 0, 11)
    right = sum(row["label"] == row["Scored Labels"] for row in table)
    assert (result.right, result.accuracy) == (right, right / 11)
    assert result.summary() == (
        f"scored 11 pictures\naccuracy {right / 11:.2%} of 11 pictures with a label\nscores scores.csv"
    )
    for row, found in zip(
        table, discerna.load(model).predict([pictures / "valid" / n for n in expected]), strict=True
    ):
        assert row["Scored Labels"] == found.label
        for label, probability in found.probabilities.items():
            assert abs(float(row[f"Scored Probabilities_{label}"]) - probability) < 1e-6


def test_batches_workers_and_formats_change_nothing(score, pictures):
    def numbers(path):
        return np.array([[float(row[name]) for name in row if "Prob" in name] for row in rows(path)])

    score(pictures / "valid")
    score(pictures / "valid", "other.csv", batch_size=3, loading={"workers": 1})
    assert np.abs(numbers("scores.csv") - numbers("other.csv")).max() < 1e-4
    score(pictures / "valid", "scores.parquet")
    table = pq.read_table("scores.parquet").to_pylist()
    assert [row["file"] for row in table] == [row["file"] for row in rows()]
    columns = [name for name in table[0] if "Prob" in name]
    assert np.array_equal(
        np.array([[row[name] for name in columns] for row in table], np.float32),
        numbers("scores.csv").astype(np.float32),
    )


def test_unreadable_pictures_have_rows(score, pictures, tmp_path, capsys):
    folder = tmp_path / "new"
    folder.mkdir()
    whole = (pictures / "valid" / "red" / "0.png").read_bytes()
    for name, content in [("a", whole), ("b", b""), ("c", whole[:70]), ("d", whole)]:
        (folder / f"{name}.png").write_bytes(content)
    result = score("new")
    assert (result.scored, result.unreadable, result.accuracy) == (2, 2, None)
    assert result.summary() == "scored 2 pictures, 2 unreadable (see the column error)\nscores scores.csv"
    table = rows()
    assert [row["file"] for row in table] == ["a.png", "b.png", "c.png", "d.png"]
    assert {row["label"] for row in table} == {""}
    assert [row["error"].split(":")[0] for row in table] == ["", "empty", "truncated", ""]
    assert table[1]["error"] == "empty: 0 bytes"
    assert table[2]["Scored Labels"] == table[2]["Scored Probabilities_red"] == ""
    assert table[0]["Scored Probabilities_red"] == table[3]["Scored Probabilities_red"] != ""
    assert "warning: 2 pictures cannot be read; their rows tell why" in capsys.readouterr().err


def test_single_files_are_named_as_typed(score, pictures, tmp_path):
    shutil.copytree(pictures / "valid" / "red", tmp_path / "in" / "red")
    score("in/red/1.png")
    assert [row["file"] for row in rows()] == ["in/red/1.png"]
    far = pictures / "valid" / "blue" / "2.png"
    score(["in/red/0.png", far], "two.csv")
    assert [row["file"] for row in rows("two.csv")] == ["in/red/0.png", str(far)]
    score("in", "folder.csv")
    assert rows("folder.csv")[0]["file"] == "red/0.png"


def test_folders_that_the_model_does_not_know(score, pictures, tmp_path):
    for label in ("red", "yellow"):
        shutil.copytree(pictures / "valid" / "red", tmp_path / "in" / label)
    result = score("in")
    assert (result.scored, result.labelled) == (8, 4)
    assert [row["label"] for row in rows()] == ["red"] * 4 + ["yellow"] * 4
    shutil.rmtree(tmp_path / "in" / "red")
    assert score("in", "no.csv").accuracy is None
    assert {row["label"] for row in rows("no.csv")} == {""}


@pytest.mark.parametrize("output", [None, "-"])
def test_rows_on_the_standard_output(score, pictures, capsysbinary, output):
    score(pictures / "valid")
    result = score(pictures / "valid", output)
    told = capsysbinary.readouterr()
    assert told.out == Path("scores.csv").read_bytes()
    assert result.output is None
    assert result.summary() == ""
    assert b"scored 11 pictures\naccuracy" in told.err
    assert os.listdir() == ["scores.csv"]


def test_an_output_is_refused_before_the_model_is_opened(score, pictures, tmp_path):
    Path("scores.csv").write_text("mine")
    with pytest.raises(OutputError, match=r"the output exists: output=.*scores\.csv"):
        score(pictures / "valid", model="no/such/model")
    assert Path("scores.csv").read_text() == "mine"
    score(pictures / "valid", overwrite=True)
    assert len(rows()) == 11
    with pytest.raises(SettingsError, match=r"\.csv or \.parquet"):
        score(pictures / "valid", "scores.xlsx", model="no/such/model")
    Path("folder.csv").mkdir()
    with pytest.raises(OutputError, match=r"cannot be replaced: .*; overwrite=true replaces a file"):
        score(pictures / "valid", "folder.csv", overwrite=True)
    Path("link.csv").symlink_to("scores.csv")
    with pytest.raises(OutputError, match="cannot be replaced"):
        score(pictures / "valid", "link.csv", overwrite=True)


def test_nothing_is_written_into_an_input(score, model, pictures, tmp_path):
    shutil.copytree(pictures / "valid", "in")
    Path("alias").symlink_to("in")
    before = sorted(map(str, tmp_path.rglob("*")))
    for output in ("in/scores.csv", "in/red/scores.csv", "alias/deep/scores.csv", model / "scores.csv"):
        with pytest.raises(
            OutputError, match=r"lies in an input directory: .* is only read; choose an output"
        ):
            score("in", output)
    assert sorted(map(str, tmp_path.rglob("*"))) == before
    assert discerna.load(model).labels == ["blue", "green", "red"]


def test_mistakes(score, models, pictures, tmp_path, monkeypatch):
    with pytest.raises(InvalidModelDirectoryError, match="untrained"):
        score(pictures / "valid", model=models / "untrained")
    with pytest.raises(InvalidModelDirectoryError, match="no such model directory"):
        score(pictures / "valid", model="no/such")
    Path("empty").mkdir()
    with pytest.raises(InvalidDatasetError, match="there are no files in it: data="):
        score("empty")
    monkeypatch.setattr("discerna.machine.gpu_kind", lambda: None)
    with pytest.raises(MachineError, match="device=cuda"):
        score(pictures / "valid", device="cuda")
    assert os.listdir() == ["empty"]


def test_ctrl_c_leaves_nothing(score, pictures, monkeypatch):
    def interrupted(self, batch):
        raise KeyboardInterrupt

    monkeypatch.setattr(ScoresTable, "write", interrupted)
    with pytest.raises(KeyboardInterrupt):
        score(pictures / "valid")
    assert os.listdir() == []


def test_the_command_line(discerna, model, pictures, tmp_path):
    """Rows alone on the standard output, notes on standard error."""
    done = discerna(
        "score", f"model={model}", f"data={pictures / 'valid'}", "networks.modules=[tiny_networks]"
    )
    table = list(csv.DictReader(done.stdout.splitlines()))
    assert len(table) == 11
    assert {row["error"] for row in table} == {""}
    assert "scored 11 pictures" in done.stderr


PEAK = """
import sys
from discerna.commands import score
from discerna.settings.build import build
from discerna.settings.score import ScoreSettings
from peak_memory import peak_memory
model, data, output, columns = sys.argv[1:]
plain = dict(model=model, data=data, output=output, format=columns, batch_size=32, views="one",
             device="cpu", devices=1, overwrite=False, registry=None, loading=dict(workers=0, nested=False),
             networks=dict(modules=["tiny_networks"]))
assert score.run(build(ScoreSettings, plain)).unreadable == 0
print(peak_memory() >> 10)
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("extension", "columns"), [(".csv", "discerna"), (".parquet", "discerna"), ("", "azure")]
)
def test_memory_does_not_grow_with_the_pictures(model, tmp_path, extension, columns):
    Image.new("RGB", (16, 16), "red").save(tmp_path / "one.png")
    peaks, tests = [], Path(__file__).parents[1]
    for count in (2_000, 20_000):
        folder = tmp_path / str(count)
        folder.mkdir()
        for n in range(count):
            os.link(tmp_path / "one.png", folder / f"{n:06}.png")
        done = subprocess.run(
            [sys.executable, "-c", PEAK, str(model), str(folder), f"{folder}-scores{extension}", columns],
            env={**os.environ, "PYTHONPATH": f"{tests}{os.pathsep}{tests.parent / 'scripts'}"},
            capture_output=True,
            text=True,
            check=True,
        )
        peaks.append(int(done.stdout.split()[-1]))  # KiB on Linux
    assert peaks[1] - peaks[0] < 40 * 1024
