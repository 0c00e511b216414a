"""Pictures that cannot be read: each accounted for, and no epoch dies of one."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

import discerna
from discerna.errors import InvalidDatasetError
from picture_sets import write_pictures


@pytest.fixture
def data(tmp_path) -> Path:
    write_pictures(tmp_path / "data/train", {"red": 10, "green": 10}, seed=1)
    write_pictures(tmp_path / "data/valid", {"red": 5, "green": 5}, seed=2)
    return tmp_path / "data"


@pytest.fixture
def train(data, tmp_path, monkeypatch):
    """Train a network without batch normalisation for two epochs unless told otherwise."""
    monkeypatch.chdir(tmp_path)

    def run(**settings):
        given = {
            "model": "plain",
            "train_data": data / "train",
            "valid_data": data / "valid",
            "output": tmp_path / "model",
            "epochs": 2,
            "batch_size": 8,
            "trainer": {"precision": "32-true"},
            **settings,
        }
        return discerna.train(**given)

    return run


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:200])


def report(tmp_path) -> dict:
    told = json.loads((tmp_path / "model.run/pictures.json").read_text("utf-8"))
    for side in told.values():
        assert side["used"] + len(side["skipped"]) == side["found"]
    return told


def skipped(tmp_path, side="train_data") -> list[tuple[str, str, str]]:
    return [(one["file"], one["reason"], one["when"]) for one in report(tmp_path)[side]["skipped"]]


def test_every_file_is_accounted_for(train, data, tmp_path):
    (data / "train/red/notes.txt").write_text("mine")
    (data / "train/red/.hidden").write_text("mine")
    train()
    found = report(tmp_path)
    marks = {side.pop("fingerprint") for side in found.values()}
    assert len(marks) == 2 and all(len(mark) == 64 for mark in marks)
    assert found == {
        "train_data": {
            "found": 20, "used": 20, "skipped": [], "hidden": 1,
            "not_pictures": [{"file": "red/notes.txt", "reason": "unsupported_format"}],
        },
        "valid_data": {"found": 10, "used": 10, "skipped": [], "hidden": 0, "not_pictures": []},
    }  # fmt: skip


def test_a_bad_picture_is_left_out_before_training(train, data, tmp_path, capsys):
    cut(data / "train/red/3.png")
    (data / "valid/green/1.png").write_bytes(b"")
    result = train(loading={"max_bad": 0.2})
    assert skipped(tmp_path) == [("red/3.png", "truncated", "before training")]
    assert skipped(tmp_path, "valid_data") == [("green/1.png", "empty", "before training")]
    assert "warning: train_data: 1 bad picture left out: red/3.png (truncated)" in capsys.readouterr().err
    (data / "train/red/3.png").unlink()
    (data / "valid/green/1.png").unlink()
    without = train(output="without")
    assert (result.output / "weights.safetensors").read_bytes() == (
        without.output / "weights.safetensors"
    ).read_bytes()


def test_more_than_the_share_stops_before_the_first_step(train, data, tmp_path):
    cut(data / "train/red/3.png")
    with pytest.raises(
        InvalidDatasetError, match=r"red/3\.png \(truncated\); loading\.max_bad=0\.01 allows 0 of 20"
    ):
        train()
    assert not (tmp_path / "model.run/checkpoints").exists()


def test_not_one_where_none_is_allowed(train, data, tmp_path):
    cut(data / "valid/red/3.png")
    with pytest.raises(InvalidDatasetError, match=r"valid_data.*red/3\.png \(truncated\).*on_bad=error"):
        train(loading={"on_bad": "error", "max_bad": 1})
    assert not (tmp_path / "model.run/checkpoints").exists()


def test_a_label_without_a_readable_picture(train, data):
    for path in (data / "valid/red").iterdir():
        path.write_text("no picture")
    with pytest.raises(InvalidDatasetError, match=r"no picture of a label can be read: valid_data=.*; red;"):
        train(loading={"max_bad": 1})


@pytest.mark.parametrize("workers", [0, 1])
def test_a_picture_that_breaks_in_training_kills_no_epoch(train, data, tmp_path, capsys, workers):
    cut(data / "train/red/3.png")
    cut(data / "valid/red/1.png")
    result = train(check="off", loading={"max_bad": 0.2, "workers": workers})
    assert result.epochs_trained == 2
    assert skipped(tmp_path) == [("red/3.png", "truncated", "epoch 1")]
    assert skipped(tmp_path, "valid_data") == [("red/1.png", "truncated", "epoch 1")]
    assert capsys.readouterr().err.count("red/3.png") == 1  # told once, not each epoch
    assert [path.name for path in (tmp_path / "model.run").glob("broken*")] == []


def test_too_many_that_break_stop_between_two_epochs(train, data, tmp_path):
    cut(data / "train/red/3.png")
    with pytest.raises(InvalidDatasetError, match=r"1 picture cannot be read any more.*red/3\.png"):
        train(check="off")
    assert json.loads((tmp_path / "model.run/broken-0.jsonl").read_text("ascii"))


def test_where_none_is_allowed_the_first_that_breaks_stops(train, data):
    cut(data / "train/red/3.png")
    with pytest.raises(InvalidDatasetError, match=r"red/3\.png \(truncated\)"):
        train(check="off", loading={"on_bad": "error"})


def test_the_others_of_its_step_weigh_that_much_more(train, data):
    """With all pictures in one step, a broken one changes nothing but that it is missing."""
    one_step = {
        "batch_size": 20,
        "epochs": 1,
        "augmentation": "none",
        "optimizer": "sgd",
        "sampler": "shuffle",
    }
    fixed = {"image_size": 16}
    cut(data / "train/red/3.png")
    broken = load_file(
        train(check="off", loading={"max_bad": 1}, **one_step, **fixed).output / "weights.safetensors"
    )
    (data / "train/red/3.png").unlink()
    without = load_file(train(output="without", **one_step, **fixed).output / "weights.safetensors")
    for name, weight in without.items():
        assert torch.allclose(weight, broken[name], atol=1e-6), name


def test_batch_normalisation_and_steps_of_which_little_is_left(train, data):
    """Two pictures a step, and of most steps one or none can be read."""
    for path in sorted((data / "train").glob("*/*"))[3:]:
        cut(path)
    result = train(model="tiny", batch_size=2, check="off", loading={"max_bad": 1}, recipe="azure")
    assert result.epochs_trained == 2
    assert all(torch.isfinite(w).all() for w in load_file(result.output / "weights.safetensors").values())


def test_no_picture_that_can_be_read_is_an_error_whatever_is_allowed(train, data, capsys):
    for path in (data / "train").glob("*/*"):
        cut(path)
    with pytest.raises(InvalidDatasetError, match="20 pictures cannot be read any more"):
        train(check="off", loading={"max_bad": 1})
    assert capsys.readouterr().err.count("broke in epoch 1") == 10
    with pytest.raises(InvalidDatasetError, match="20 pictures cannot be read: train_data"):
        train(output="again", loading={"max_bad": 1})


def test_the_full_check_stops_what_no_training_can_mend(train, data, tmp_path, capsys):
    train(check="full")
    told = json.loads((tmp_path / "model.run/check.json").read_text("utf-8"))
    assert told["ok"] and told["directories"]["train_data"]["pictures"] == 20
    assert "verdict  " in capsys.readouterr().err
    shutil.copy(data / "train/red/0.png", data / "valid/red/leak.png")
    with pytest.raises(InvalidDatasetError, match=r"leak: 1 in training and in validation.*check=quick"):
        train(check="full", output="again")
    assert train(output="quick").epochs_trained == 2


def test_the_full_check_leaves_bad_pictures_out_too(train, data, tmp_path):
    cut(data / "train/red/3.png")
    train(check="full", loading={"max_bad": 0.1})
    assert skipped(tmp_path) == [("red/3.png", "truncated", "before training")]


def test_a_large_directory_is_checked_by_headers_and_a_sample(train, data, tmp_path, monkeypatch):
    from discerna.checks import preflight

    monkeypatch.setattr(preflight, "SAMPLE", 4)
    (data / "train/green/7.png").write_text("no picture")  # seen in its header
    cut(data / "train/red/9.png")  # not in the sample, so it breaks in training
    train(loading={"max_bad": 0.2})
    assert skipped(tmp_path) == [
        ("green/7.png", "not_an_image", "before training"),
        ("red/9.png", "truncated", "epoch 1"),
    ]
