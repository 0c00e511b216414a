"""Disks that are full or may not be written to: one clear error, and whatever is left can be loaded."""

import errno
import os
import shutil
import subprocess
from pathlib import Path

import pytest
import torch

import discerna
from discerna.directories.checkpoint_files import checkpoints, is_whole
from discerna.errors import OutputError

EACH_STEP = {"every_steps": 1, "every_minutes": None, "keep": 3}


@pytest.fixture
def train(pictures, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def run(output, **settings):
        return discerna.train(
            model="tiny",
            train_data=pictures / "train",
            valid_data=pictures / "valid",
            output=output,
            **{"epochs": 3, "batch_size": 8, "checkpoint": EACH_STEP, **settings},
            trainer={"precision": "32-true"},
        )

    return run


def everything_loads(run: Path) -> int:
    """How many checkpoints are left, each of which loads."""
    found = checkpoints(run / "checkpoints")
    for path in [*found, *(run / "checkpoints").glob("best-*.ckpt")]:
        assert is_whole(path), path
        torch.load(path, weights_only=True)
    assert not [path for path in run.rglob("*") if path.name.startswith(".discerna-")], "nothing half-written"
    return len(found)


@pytest.fixture(scope="module")
def unharmed(pictures, tmp_path_factory):
    return discerna.train(
        model="tiny",
        train_data=pictures / "train",
        valid_data=pictures / "valid",
        output=tmp_path_factory.mktemp("unharmed") / "m",
        epochs=3,
        batch_size=8,
        trainer={"precision": "32-true"},
    ).output


@pytest.mark.parametrize(
    ("number", "call"),
    [(errno.ENOSPC, 4), (errno.EDQUOT, 9), (errno.ENOSPC, 15), (errno.EROFS, 21), (errno.EIO, 26)],
)
def test_a_write_that_fails_leaves_what_was_there(train, tmp_path, monkeypatch, unharmed, number, call):
    """The `call`-th sync of a file fails, as it does where the disk has no room for it."""
    left = call
    sync = os.fsync

    def failing(descriptor):
        nonlocal left
        left -= 1
        if left <= 0:
            raise OSError(number, os.strerror(number))
        sync(descriptor)

    with monkeypatch.context() as full:
        full.setattr(os, "fsync", failing)
        with pytest.raises(OutputError, match=os.strerror(number)):
            train(tmp_path / "m")
    assert not (tmp_path / "m").exists()
    everything_loads(tmp_path / "m.run")
    train(tmp_path / "m", resume="auto")  # there is room again
    one, other = (output / "weights.safetensors" for output in (tmp_path / "m", unharmed))
    assert one.read_bytes() == other.read_bytes()


@pytest.fixture
def small_disk(tmp_path):
    """A disk of 60 kB, on which a run has room for some checkpoints."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=60k", "tmpfs", str(place)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("no right to mount a disk")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def test_a_disk_that_is_really_full(train, small_disk):
    filler = small_disk / "filler"
    with pytest.raises(OutputError) as full:
        train(small_disk / "m", checkpoint={**EACH_STEP, "keep": 100}, epochs=50)
    assert "No space left" in str(full.value) or "make room" in str(full.value)
    assert everything_loads(small_disk / "m.run") >= 1
    assert not filler.exists() and not (small_disk / "m").exists()


def test_an_output_that_may_not_be_written_is_refused_before_anything_is_done(train, tmp_path, small_disk):
    (small_disk / "old").mkdir()
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    with pytest.raises(OutputError, match="Read-only file system"):
        train(small_disk / "m")
    assert [path.name for path in small_disk.iterdir()] == ["old"]


def test_the_second_of_two_runs_on_one_output_is_refused(train, tmp_path):
    train(tmp_path / "m")
    folder = discerna.directories.run_folder.RunFolder(tmp_path / "m.run").owned()
    try:
        for more in ({"resume": "auto", "epochs": 4}, {"overwrite": True}):
            with pytest.raises(OutputError, match=rf"a run is going on .* process {os.getpid()} on"):
                train(tmp_path / "m", **more)
    finally:
        folder.lock.release()
    shutil.rmtree(tmp_path / "m")
    assert train(tmp_path / "m", resume="auto", epochs=4).epochs_trained == 4
