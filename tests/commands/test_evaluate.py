import csv
import json
import os
import shutil
from pathlib import Path

import pytest

import discerna
from discerna import cli
from discerna.errors import (
    InvalidDatasetError,
    InvalidModelDirectoryError,
    NotLabeledDatasetError,
    OutputError,
)
from discerna.results.scores import ScoresTable


@pytest.fixture(scope="module")
def models(models_for):
    return models_for(["black", "blue", "green", "red"])


@pytest.fixture
def model(models):
    return models / "trained"


@pytest.fixture
def evaluate(model, pictures, tmp_path, monkeypatch):
    """discerna.evaluate in an empty folder."""
    monkeypatch.chdir(tmp_path)

    def run(data=pictures / "valid", **settings):
        return discerna.evaluate(**{"model": model, "data": data, "device": "cpu", **settings})

    return run


def test_the_folder(evaluate, pictures):
    result = evaluate(output="deep/evaluation")
    assert sorted(os.listdir("deep")) == ["evaluation"]
    assert sorted(os.listdir("deep/evaluation")) == ["evaluation.json", "scores.csv"]
    found = result.evaluation
    assert json.loads(Path("deep/evaluation/evaluation.json").read_text("utf-8")) == found.as_json()
    assert found.labels == ["black", "blue", "green", "red"]
    assert [figures.support for figures in found.per_label] == [0, 4, 3, 4]
    with open("deep/evaluation/scores.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["file"] for row in rows[:5]] == [
        "blue/0.png",
        "blue/1.png",
        "blue/2.png",
        "blue/3.png",
        "green/0.png",
    ]
    right = sum(row["label"] == row["Scored Labels"] for row in rows)
    assert found.accuracy == right / 11
    assert result.summary() == f"{found.table()}\n\nwritten deep/evaluation: evaluation.json, scores.csv"
    assert str(pictures) not in Path("deep/evaluation/evaluation.json").read_text("utf-8")


def test_only_the_table(evaluate, capsys):
    result = evaluate()
    assert os.listdir() == []
    assert result.output is None
    assert result.summary() == result.evaluation.table()
    assert result.summary().startswith("accuracy ")
    assert "data has no picture of 1 label: 'black'" in capsys.readouterr().err


def test_score_and_evaluate_agree(evaluate, model, pictures):
    scored = discerna.score(model=model, data=pictures / "valid", output="scores.csv", device="cpu")
    found = evaluate(batch_size=3, loading={"workers": 1}).evaluation
    assert scored.accuracy == found.accuracy
    assert evaluate().evaluation.loss == pytest.approx(found.loss, abs=1e-6)


def test_unreadable_pictures(evaluate, pictures, capsys):
    shutil.copytree(pictures / "valid", "in")
    Path("in/red/1.png").write_bytes(b"")
    found = evaluate("in", output="out").evaluation
    assert (found.pictures, found.skipped) == (10, [("red/1.png", "empty: 0 bytes")])
    assert "data: 1 unreadable picture not counted: red/1.png (empty: 0 bytes)" in capsys.readouterr().err
    assert Path("out/scores.csv").read_text("utf-8").count("\n") == 12


def test_an_existing_output(evaluate):
    Path("out").mkdir()
    with pytest.raises(OutputError, match="the output exists"):
        evaluate(output="out", model="no/such/model")
    with pytest.raises(
        OutputError, match=r"cannot be replaced: .*a folder of evaluation\.json, scores\.csv and nothing"
    ):
        evaluate(output="out", overwrite=True)
    Path("out/evaluation.json").write_text("old")
    Path("out/notes.txt").write_text("mine")
    with pytest.raises(OutputError, match="cannot be replaced"):
        evaluate(output="out", overwrite=True)
    assert Path("out/notes.txt").read_text() == "mine"
    Path("out/notes.txt").unlink()
    evaluate(output="out", overwrite=True)
    assert json.loads(Path("out/evaluation.json").read_text("utf-8"))["pictures"] == 11
    assert os.listdir() == ["out"]


@pytest.mark.parametrize("overwrite", [False, True])
def test_an_old_output_outlives_an_interruption(evaluate, monkeypatch, overwrite):
    if overwrite:
        evaluate(output="out")
        old = Path("out/evaluation.json").read_bytes()

    def interrupted(self, batch):
        raise KeyboardInterrupt

    monkeypatch.setattr(ScoresTable, "write", interrupted)
    with pytest.raises(KeyboardInterrupt):
        evaluate(output="out", overwrite=overwrite)
    assert os.listdir() == (["out"] if overwrite else [])
    assert not overwrite or Path("out/evaluation.json").read_bytes() == old


def test_a_full_disk_is_told_of_the_output_that_was_asked_for(evaluate, monkeypatch):
    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OutputError, match=r"cannot be written: output=[^;]*/out; No space left on device"):
        evaluate(output="out")
    assert os.listdir() == []


def test_mistakes(evaluate, models, model, pictures):
    with pytest.raises(InvalidModelDirectoryError, match="untrained"):
        evaluate(model=models / "untrained")
    shutil.copytree(pictures / "valid", "in")
    for output in ("in/evaluation", model / "evaluation"):
        with pytest.raises(OutputError, match="lies in an input directory"):
            evaluate("in", output=output)
    Path("in/red").rename("in/Red")
    with pytest.raises(InvalidDatasetError, match="'Red' here looks like 'red' in the model"):
        evaluate("in", output="out")
    with pytest.raises(NotLabeledDatasetError):
        evaluate("in/blue")
    assert os.listdir() == ["in"]


def test_the_command_line(model, pictures, capsys):
    assert cli.main(["evaluate", f"model={model}", f"data={pictures / 'valid'}", "device=cpu"]) == 0
    told = capsys.readouterr()
    assert told.out.startswith("accuracy ")
    assert "true \\ predicted  black  blue  green  red" in told.out
    assert "no picture of 1 label" in told.err
