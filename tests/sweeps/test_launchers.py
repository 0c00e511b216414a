"""Where jobs run, and which devices each has."""

import os

import pytest

from discerna.errors import MachineError, MissingExtraError, SettingsError
from discerna.settings.build import build
from discerna.settings.sweep import GridSettings
from discerna.settings.trainer import TrainerSettings
from discerna.sweeps import placement
from discerna.sweeps.launchers import Launcher, split_off
from discerna.sweeps.placement import Places
from discerna.sweeps.submitted_jobs import SubmittedJobs

AUTO = GridSettings(name="grid", parallel="auto", repeats=1, max_jobs=None, max_hours=None)


def parallel(*typed):
    return split_off(typed)[0].parallel(AUTO)


def test_launchers_by_hydras_names():
    launcher, rest = split_off(["epochs=1,2", "hydra/launcher=joblib", "hydra.launcher.n_jobs=4"])
    assert (launcher.name, dict(launcher.settings), rest) == ("joblib", {"n_jobs": 4}, ["epochs=1,2"])
    assert launcher.parallel(AUTO) == 4
    assert parallel() == parallel("hydra/launcher=basic") == parallel("hydra/launcher=submitit_local") == 1
    assert parallel("hydra/launcher=joblib") == len(os.sched_getaffinity(0))
    assert parallel("hydra/launcher=submitit_slurm") is None
    assert parallel("hydra/launcher='submitit_slurm'", "hydra.launcher.array_parallelism=4") == 4
    assert split_off(["hydra/launcher=submitit_slurm", "hydra.launcher.partition='a b'"])[0].settings == {
        "partition": "a b"
    }


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        (["hydra/launcher=ray"], "unknown launcher: hydra/launcher=ray; it is basic"),
        (["hydra/launcher=jobib"], "did you mean joblib"),
        (["hydra.launcher.n_jobs=2"], "a setting without effect here: hydra.launcher.n_jobs"),
        (["hydra/launcher=joblib", "hydra.launcher.verbose=1"], "hydra.launcher.verbose"),
        (["hydra/launcher=joblib", "hydra.launcher.n_jobs=two"], "wrong value: hydra.launcher.n_jobs=two"),
        (["hydra/launcher=joblib", "hydra.launcher.n_jobs=0"], "wrong value"),
        (["hydra/launcher=submitit_slurm", "hydra.launcher.array_parallelism=x"], "wrong value"),
    ],
)
def test_what_launchers_do_not_take(typed, told):
    with pytest.raises(SettingsError, match=told):
        split_off(typed)


def test_submitit_is_asked_for_by_its_extra(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "submitit", None)
    with pytest.raises(MissingExtraError, match=r"discerna\[slurm\]"):
        SubmittedJobs(tmp_path / "x", Launcher("submitit_local"))


def test_what_submitit_does_not_take_is_told(tmp_path):
    with pytest.raises(SettingsError, match="Could not detect"):
        SubmittedJobs(tmp_path / "x", Launcher("submitit_slurm", {"partition": "gpu"}))


@pytest.fixture
def trainer():
    from discerna.composition import compose

    def make(**given):
        settings = compose("train", ["model=resnet18", "train_data=a", "valid_data=b"]).trainer
        return build(
            TrainerSettings, {**{k: getattr(settings, k) for k in settings.__dataclass_fields__}, **given}
        )

    return make


def test_cores_are_divided(trainer, monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0, 1, 2, 5, 6, 7, 9})
    places = Places(3)
    taken = [places.take(trainer(accelerator="cpu")) for _ in range(4)]
    assert [place and place.cores for place in taken] == [(0, 1), (2, 5), (6, 7, 9), None]
    assert all(place.gpus is None for place in taken[:3])
    places.give_back(taken[1])
    assert places.take(trainer(accelerator="cpu")).cores == (2, 5)
    assert Places(8).take(trainer(accelerator="cpu")).cores == ()  # more jobs than cores share all
    assert Places(1).take(trainer(accelerator="cpu")).cores == ()


def test_gpus_are_divided(trainer, monkeypatch):
    monkeypatch.setattr(placement.machine, "device", lambda trainer: placement.machine.Choice("cuda", ""))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,5,6,7")
    monkeypatch.setattr("torch.cuda.device_count", lambda: 4)
    places = Places(2)
    two, one = places.take(trainer(devices=2)), places.take(trainer(devices=1))
    assert two.environment == {"CUDA_VISIBLE_DEVICES": "4,5"}
    assert one.environment == {"CUDA_VISIBLE_DEVICES": "6"}
    places.give_back(one)
    assert places.take(trainer(devices=3)) is None  # until the other job has ended
    places.give_back(two)
    assert places.take(trainer(devices=3)).environment == {"CUDA_VISIBLE_DEVICES": "4,5,6"}
    assert Places(2).take(trainer(devices="auto")).gpus == ("4", "5")
    assert Places(1).take(trainer(devices="auto")).environment == {}
    Places(2).check(trainer(devices=2))
    with pytest.raises(MachineError, match="torch sees 4"):
        Places(2).take(trainer(devices=5))
    with pytest.raises(MachineError, match=r"3 jobs with 2 each; torch sees 4; use sweep\.parallel=2"):
        Places(3).check(trainer(devices=2))
    with pytest.raises(MachineError, match="jobs at once would use the same GPUs"):
        Places(2).check(trainer(devices=[0, 1]))
