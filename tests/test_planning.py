"""`plan=true`: what a training would take, and nothing left but the cache."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import discerna
from discerna.errors import InvalidDatasetError, OutputError, SettingsError
from picture_sets import TESTS, photograph


def below(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


def size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


@pytest.fixture
def given(pictures, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return {
        "model": "tiny",
        "train_data": pictures / "train",
        "valid_data": pictures / "valid",
        "output": tmp_path / "out" / "m",
        "epochs": 3,
        "batch_size": 8,
    }


def test_it_tells_on_the_command_line_and_leaves_nothing_behind(pictures, tmp_path, discerna):
    command = [
        "train",
        "model=squeezenet1_1",
        "image_size=32",
        f"train_data={pictures / 'train'}",
        f"valid_data={pictures / 'valid'}",
        "epochs=4",
        "plan=true",
    ]
    told = discerna(*command)
    assert below(tmp_path) == set()
    lines = dict(line.split(None, 1) for line in told.stdout.splitlines())
    assert list(lines) == ["time", "memory", "disk", "measured", "next"]
    assert "first epoch" in lines["time"] and "3 more of" in lines["time"]
    assert "patience=3 may end it sooner" in lines["time"]
    assert "augmentation" in told.stderr  # the recipe with its reasons
    assert "plan=true" in lines["next"]


def test_sizes_are_those_of_the_training(given, tmp_path):
    planned = discerna.plan(**given)
    assert below(tmp_path) == set()
    parts = planned.start + planned.first_epoch + 2 * planned.later_epoch + planned.end
    assert planned.seconds == pytest.approx(parts)
    assert (planned.epochs, planned.steps) == (3, 4)
    assert (
        discerna.plan(**given, trainer={"accumulate_grad_batches": 2}).steps == 4
    )  # the last one is of one piece
    assert planned.memory > 100 * 2**20
    done = discerna.train(**given)
    record = (done.output / "training.json").stat().st_size  # of a training, so no plan has it
    assert planned.model_bytes == pytest.approx(size(done.output) - record, rel=0.1)
    kept = size(done.run / "checkpoints")
    assert kept <= planned.run_bytes <= 4 * kept  # two are kept while a third is written
    assert "plan" not in json.loads((done.output / "training.json").read_text())["settings"]
    stored = json.loads((done.run / "settings.json").read_text())["settings"]
    assert stored["plan"] is False


def test_the_cache_is_as_large_as_the_training_makes_it(given, tmp_path, monkeypatch):
    for side in ("train", "valid"):
        for label in ("a", "b"):
            for number in range(6):
                place = tmp_path / "photos" / side / label
                place.mkdir(parents=True, exist_ok=True)
                photograph(place / f"{number}.jpg", (400, 300), quality=90)
                os.utime(place / f"{number}.jpg", (1e9, 1e9))
    given |= {f"{side}_data": tmp_path / "photos" / side for side in ("train", "valid")}
    monkeypatch.setenv("DISCERNA_CACHE", str(tmp_path / "one"))
    planned = discerna.plan(**given, image_size=64)
    monkeypatch.setenv("DISCERNA_CACHE", str(tmp_path / "other"))
    discerna.train(**given, image_size=64)
    assert planned.cache_share == 1.0
    assert planned.cache_bytes == pytest.approx(size(tmp_path / "other"), rel=0.05)
    assert "cache" in planned.summary()
    little = discerna.plan(**given, image_size=64, overwrite=True, loading={"cache_gib": 0.01})
    assert little.cache_share == 1.0  # 24 pictures
    off = discerna.plan(**given, image_size=64, overwrite=True, loading={"cache": "off"})
    assert off.cache_bytes == 0


def test_epochs_that_freeze_and_grow_are_measured_apart(given, capsys):
    planned = discerna.plan(
        **{**given, "model": "squeezenet1_1", "epochs": 6},
        image_size=96,
        start_size=64,
        freeze_epochs=1,
        ema=0.9,
        learning_rate="find",
        trainer={"accumulate_grad_batches": 2},
    )
    assert "the body learns" not in capsys.readouterr().err
    assert planned.measured["batches"] >= 3 * 8  # kinds of epochs, and pieces
    assert planned.choices["learning_rate"]["value"] == "find"
    assert planned.epochs == 6


def test_the_body_learns_after_epochs_in_which_it_is_frozen(given):
    """Of weights that learn AdamW keeps two numbers each, which stand in a checkpoint."""
    given |= {"model": "squeezenet1_1", "image_size": 32}
    frozen_first = discerna.plan(**given, freeze_epochs=1)
    assert frozen_first.run_bytes == pytest.approx(discerna.plan(**given).run_bytes, rel=0.01)
    assert discerna.plan(**given, freeze_epochs=3).run_bytes < frozen_first.run_bytes * 0.7


def test_what_the_training_would_refuse(given, tmp_path):
    discerna.train(**{**given, "epochs": 1})
    empty = tmp_path / "empty"
    empty.mkdir()
    before = below(tmp_path)
    with pytest.raises(OutputError, match="the output exists"):
        discerna.plan(**given)
    assert discerna.plan(**given, overwrite=True).epochs == 3
    with pytest.raises(SettingsError, match="a plan is of a training from its start"):
        discerna.plan(**given, resume="auto")
    other = {**given, "output": tmp_path / "out" / "new"}
    assert discerna.plan(**other, resume="auto").epochs == 3  # nothing has begun there
    (tmp_path / "out" / "new.run").mkdir()
    (tmp_path / "out" / "new.run" / "mine.txt").touch()
    with pytest.raises(OutputError, match="not one of discerna's"):
        discerna.plan(**other)
    (tmp_path / "out" / "new.run" / "mine.txt").unlink()
    (tmp_path / "out" / "new.run").rmdir()
    for limit in ("limit_train_batches", "limit_val_batches"):
        with pytest.raises(SettingsError, match=f"no batch would be left: trainer.{limit}=0.1"):
            discerna.plan(**other, trainer={limit: 0.1})
    with pytest.raises(InvalidDatasetError):
        discerna.plan(**{**given, "valid_data": empty}, overwrite=True)
    assert below(tmp_path) == before


def test_a_plan_is_no_training_and_no_sweep(given):
    with pytest.raises(SettingsError, match=r"discerna\.plan"):
        discerna.train(**given, plan=True)
    del given["batch_size"]
    with pytest.raises(SettingsError, match="a plan is of one training"):
        discerna.sweep(vary={"batch_size": [4, 8]}, **given, plan=True)


def test_memory_that_runs_out_in_the_plan_would_in_the_training(given, capsys):
    planned = discerna.plan(**{**given, "model": "greedy"})
    assert planned.choices["trainer.accumulate_grad_batches"]["value"] == 2
    assert "out of memory with 8 pictures at once" in capsys.readouterr().err
    found = discerna.plan(**{**given, "model": "greedy"}, trainer={"batch_finder": True})
    assert found.choices["trainer.accumulate_grad_batches"]["value"] == 2


def test_one_picture_a_label_and_one_step(given, tmp_path):
    for side in ("train", "valid"):
        for label in "ab":
            place = tmp_path / side / label
            place.mkdir(parents=True)
            photograph(place / "0.jpg", (40, 30))
    planned = discerna.plan(
        **{**given, "train_data": tmp_path / "train", "valid_data": tmp_path / "valid", "epochs": 1}
    )
    assert (planned.epochs, planned.steps, planned.later_epoch) == (1, 1, 0.0)
    assert "more of" not in planned.summary()


@pytest.mark.skipif(sys.platform != "linux", reason="/proc takes no folder, not even from root")
def test_a_place_that_cannot_be_written(given):
    with pytest.raises(OutputError, match="cannot be written"):
        discerna.plan(**{**given, "output": Path("/proc/m")})


@pytest.mark.slow
def test_two_processes_plan_together(given, tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(TESTS))
    planned = discerna.plan(
        **given, trainer={"devices": 2, "accelerator": "cpu"}, networks={"modules": ["tiny_networks"]}
    )
    assert planned.choices["processes"]["value"] == 2
    alone = discerna.plan(**given, trainer={"accelerator": "cpu"})
    assert planned.steps == alone.steps
    assert below(tmp_path) == set()


@pytest.mark.slow
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_leaves_nothing_either(pictures, tmp_path, number, code):
    command = [
        "train",
        "model=resnet50",
        f"train_data={pictures / 'train'}",
        f"valid_data={pictures / 'valid'}",
    ]
    with subprocess.Popen(
        [sys.executable, "-m", "discerna", *command, "plan=true", "output=out/m"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(TESTS)},
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        deadline = time.monotonic() + 100
        while (
            not list(tmp_path.glob(".discerna-plan-*/model.run/checkpoints")) and time.monotonic() < deadline
        ):
            time.sleep(0.05)
        time.sleep(1)  # it measures
        process.send_signal(number)
        told = process.communicate(timeout=100)[1]
    assert process.returncode == code, told
    assert below(tmp_path) == set()
