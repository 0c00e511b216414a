"""What befalls processes: each training here is harmed by a callback (own_extensions.Harm), and comes out the same."""

import json
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from discerna import launch
from discerna.composition import compose
from discerna.directories.checkpoint_files import checkpoints, is_whole
from discerna.directories.file_lock import is_locked
from discerna.directories.run_folder import RunFolder
from discerna.errors import ProcessError
from discerna.progress import SILENT
from discerna.settings.train import TrainSettings
from real_processes import alive, wait_for
from run_folders import last_checkpoint

SETTINGS = ["model=tiny", "networks.modules=[tiny_networks]", "trainer.precision=32-true", "early_stopping=none",
            "trainer=cpu", "trainer.threads=1", "checkpoint.every_steps=2", "learning_rate=0.01",
            "callbacks.harm={_target_: own_extensions.Harm, folder: '{run}'}"]  # fmt: skip


def data(pictures: Path) -> list[str]:
    return [f"train_data={pictures / 'train'}", f"valid_data={pictures / 'valid'}"]


def weights(run: Path) -> list[dict[str, torch.Tensor]]:
    """Those of the model, and the last ones."""
    last = torch.load(last_checkpoint(run), weights_only=True)["state_dict"]
    return [load_file(run.with_suffix("") / "weights.safetensors"), last]


def assert_same(run: Path, other: Path) -> None:
    for one, two in zip(weights(run), weights(other), strict=True):
        assert one.keys() == two.keys()
        assert all(torch.equal(one[name], two[name]) for name in one)


# One process, whose pictures are read by others.


@pytest.fixture
def reading(pictures, tmp_path):
    """14 steps an epoch, so that there are always pictures that are yet to be read."""

    def settings(name: str) -> TrainSettings:
        own = ["batch_size=2", "epochs=2", "loading.workers=2", f"output={tmp_path / name}"]
        composed = compose("train", [*SETTINGS, *data(pictures), *own])
        assert isinstance(composed, TrainSettings)
        return composed

    return settings


KILLED_READER = "a process that reads pictures was killed; others go on from where it was"


@pytest.mark.slow
def test_a_killed_reader_is_replaced(reading, tmp_path, monkeypatch):
    launch.train(reading("unharmed"), SILENT)
    monkeypatch.setenv("HARMS", "3:reader:KILL 17:reader:KILL")  # one in each epoch
    launch.train(reading("harmed"), SILENT)
    assert len(list((tmp_path / "harmed.run").glob("harm-*"))) == 2
    assert (tmp_path / "harmed.run" / "run.log").read_text().count(f"WARNING {KILLED_READER}") == 2
    assert_same(tmp_path / "harmed.run", tmp_path / "unharmed.run")


@pytest.mark.slow
def test_readers_that_are_killed_again_end_the_training(reading, tmp_path, monkeypatch, caplog):
    monkeypatch.setenv("HARMS", "3:reader:KILL 9:reader:KILL")
    caplog.set_level("INFO", "discerna")
    with pytest.raises(
        ProcessError, match=r"a process that reads pictures ended: .*fewer loading.workers"
    ) as told:
        launch.train(reading("m"), SILENT)
    assert told.value.code == "D2050"
    assert f"to go on: discerna train resume={tmp_path / 'm.run'}" in caplog.text
    assert json.loads((tmp_path / "m.run" / "error.json").read_text())["code"] == "D2050"
    # As it says: without them it goes on.
    monkeypatch.delenv("HARMS")
    settings = reading("m")
    result = launch.train(
        replace(settings, resume="auto", loading=replace(settings.loading, workers=0)), SILENT
    )
    assert result.epochs_trained == 2


# Two processes: 4 steps an epoch, 24 in all; a checkpoint after every second.


class Pair:
    """A training of two processes in a folder, started again and again."""

    def __init__(self, discerna, pictures, folder) -> None:
        self.discerna, self.folder, self.run = discerna, folder, folder / "m.run"
        self.line = [*SETTINGS, *data(pictures), "batch_size=8", "epochs=6", "trainer.devices=2",
                     "output=m", "resume=auto"]  # fmt: skip

    def start(self, harms: str, *more: str, code: int = 0) -> subprocess.CompletedProcess[str]:
        """Start it or go on; no process stays, and what is left can be gone on with."""
        done = self.discerna("train", *self.line, *more, code=code, cwd=self.folder, HARMS=harms)
        wait_for(lambda: not is_locked(self.run / "run.lock"))
        wait_for(lambda: not alive(self.folder), 2)  # a process that is gone may be listed for an instant
        assert "Traceback" not in done.stderr and "W1" not in done.stderr and "rank: " not in done.stderr
        assert all((self.run / f"harm-{harm.replace(':', '-')}").exists() for harm in harms.split())
        assert all(is_whole(path) for path in checkpoints(self.run / "checkpoints"))
        return done

    def state(self) -> str:
        status = RunFolder(self.run).status()
        assert status is not None
        return status.state

    def last_step(self) -> int:
        return int(last_checkpoint(self.run).stem.removeprefix("step-"))


@pytest.fixture
def pair(discerna, pictures, tmp_path):
    return Pair(discerna, pictures, tmp_path)


@pytest.fixture(scope="module")
def unharmed(pictures, tmp_path_factory):
    folder = tmp_path_factory.mktemp("unharmed")
    settings = compose("train", [*Pair(None, pictures, folder).line, f"output={folder / 'm'}"])
    assert isinstance(settings, TrainSettings)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(Path(__file__).parent))
        launch.train(settings, SILENT)
    return folder / "m.run"


GO_ON = "to go on: discerna train resume=m.run 'networks.modules=[tiny_networks]'\n"


@pytest.mark.slow
def test_a_killed_process_ends_the_training_or_starts_it_again(pair, unharmed):
    done = pair.start("7:1:KILL", code=1)
    assert done.stderr.count("error: ") == 1 and GO_ON in done.stderr
    assert "error: a process of the training was killed: process 1 of 2; SIGKILL" in done.stderr
    assert "[D2051 ProcessKilledError]" in done.stderr
    assert (pair.state(), pair.last_step()) == ("killed", 6)
    done = pair.start("11:0:KILL", "launch.max_restarts=1")
    assert "warning: a process of the training was killed: process 0 of 2" in done.stderr
    assert "all processes start again (0 more times)" in done.stderr
    assert "to go on" not in done.stderr and pair.state() == "finished"
    assert_same(pair.run, unharmed)


@pytest.mark.slow
def test_a_process_that_hangs_ends_the_training(pair):
    done = pair.start("3:1:STOP", "launch.hang_timeout=0.34", code=1)  # 20 seconds
    assert done.stderr.count("error: ") == 1 and GO_ON in done.stderr
    assert "error: a process of the training hangs: process 0 of 2 waited in vain for another" in done.stderr
    assert "[D2052 ProcessHangError]" in done.stderr
    assert (pair.state(), pair.last_step()) == ("failed", 2)


@pytest.mark.slow
def test_no_end_harms_the_training(pair, unharmed):
    pair.start("3:parent:KILL", code=-9)  # the others write a checkpoint before they follow
    assert (pair.state(), pair.last_step()) == ("killed", 3)
    done = pair.start("5:agent:KILL", code=1)  # they are gone with it
    assert (
        "error: the main process of the training was killed: SIGKILL; any others have ended with it"
        in done.stderr
    )
    assert GO_ON in done.stderr and (pair.state(), pair.last_step()) == ("killed", 4)
    done = pair.start("9:parent:INT,INT,INT", code=130)  # while a step takes long
    assert "interrupted\n" in done.stderr and GO_ON in done.stderr
    assert (pair.state(), pair.last_step()) == ("killed", 8)
    done = pair.start("13:parent:INT", code=130)
    assert "stopped by SIGINT in epoch 4, after step 13; a checkpoint was written" in done.stderr
    assert (pair.state(), pair.last_step()) == ("preempted", 13)
    done = pair.start("18:1:TERM", code=143)  # the other one hears of it
    assert "stopped by SIGTERM in epoch 5, after step 18; a checkpoint was written" in done.stderr
    assert GO_ON in done.stderr and (pair.state(), pair.last_step()) == ("preempted", 18)
    pair.start("")
    assert pair.state() == "finished"
    assert_same(pair.run, unharmed)
