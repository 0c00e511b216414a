"""SLURM, whose scontrol is a stand-in here: a job that is told of its end goes into the queue again."""

import json
import os
from pathlib import Path

import pytest

from discerna import launch, ranks, slurm
from discerna.composition import compose
from discerna.errors import Preempted
from discerna.progress import SILENT
from discerna.settings.train import TrainSettings
from run_folders import last_checkpoint

SETTINGS = ["model=tiny", "networks.modules=[tiny_networks]", "trainer.precision=32-true", "early_stopping=none",
            "trainer=cpu", "trainer.threads=1", "batch_size=8", "epochs=100000",
            "callbacks.harm={_target_: own_extensions.Harm, folder: '{run}'}"]  # fmt: skip


def write_scontrol(folder: Path, code: int) -> None:
    folder.mkdir()
    program = folder / "scontrol"
    program.write_text(f'#!/bin/sh\necho "$@" >> {folder}/told\necho "not allowed" >&2\nexit {code}\n')
    program.chmod(0o755)


@pytest.fixture
def told(tmp_path, monkeypatch):
    """What scontrol was told, line by line; what sbatch's script finds in its environment."""
    write_scontrol(tmp_path / "bin", 0)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    found = {
        "JOB_ID": "77",
        "NTASKS": "4",
        "NTASKS_PER_NODE": "4",
        "NNODES": "1",
        "PROCID": "0",
        "LOCALID": "0",
    }
    for name, value in found.items():
        monkeypatch.setenv(f"SLURM_{name}", value)
    return lambda: (tmp_path / "bin" / "told").read_text().splitlines()


def test_a_job_that_is_told_of_its_end_is_requeued(pictures, tmp_path, told, monkeypatch, caplog):
    """Its script starts one process, though the job may have four."""
    monkeypatch.setenv("HARMS", "5:0:USR1")
    caplog.set_level("INFO", "discerna")
    data = [
        f"train_data={pictures / 'train'}",
        f"valid_data={pictures / 'valid'}",
        f"output={tmp_path / 'm'}",
    ]
    settings = compose("train", [*SETTINGS, *data])
    assert isinstance(settings, TrainSettings)
    with pytest.raises(Preempted) as stopped:
        launch.train(settings, SILENT)
    assert (stopped.value.signal, stopped.value.step) == ("SIGUSR1", 5)
    assert told() == ["requeue 77"]
    assert "job 77 is in the queue again; its script goes on with this run by resume=auto" in caplog.text
    assert json.loads((tmp_path / "m.run" / "status.json").read_text())["state"] == "preempted"
    assert last_checkpoint(tmp_path / "m.run").stem == "step-00000005"


@pytest.mark.slow
def test_a_job_of_two_processes_is_requeued(discerna, pictures, tmp_path, told):
    data = [f"train_data={pictures / 'train'}", f"valid_data={pictures / 'valid'}", "output=m"]
    line = [*SETTINGS, *data, "trainer.devices=2", "resume=auto"]
    done = discerna("train", *line, HARMS="5:parent:USR1", code=143)
    assert told() == ["requeue 77"] and "job 77 is in the queue again" in done.stderr
    # It may reach all of the job's processes, or one of them only.
    done = discerna("train", *line, HARMS="8:agent:USR1 9:1:USR1", code=143)
    assert told() == ["requeue 77"] * 2
    assert "stopped by SIGUSR1 in epoch 3, after step 9; a checkpoint was written" in done.stderr
    assert json.loads((tmp_path / "m.run" / "status.json").read_text())["state"] == "preempted"
    assert "Traceback" not in done.stderr and "warning" not in done.stderr


def ended(signal: str = "SIGUSR1") -> None:
    with pytest.raises(Preempted), slurm.announced_end():
        raise Preempted(signal, 1, 5)


def test_which_job_is_requeued(told, tmp_path, monkeypatch, caplog):
    ended()
    monkeypatch.setenv("SLURM_ARRAY_JOB_ID", "70")
    monkeypatch.setenv("SLURM_ARRAY_TASK_ID", "3")
    ended()
    ended("SIGTERM")  # scancel: somebody wants it to end
    assert told() == ["requeue 77", "requeue 70_3"]
    assert not [record for record in caplog.records if record.levelname == "WARNING"]
    write_scontrol(tmp_path / "forbidding", 1)
    monkeypatch.setenv("PATH", f"{tmp_path / 'forbidding'}:{os.environ['PATH']}")
    ended()
    monkeypatch.setenv("PATH", "")
    ended()
    warnings = [record.message for record in caplog.records if record.levelname == "WARNING"]
    assert warnings[0] == "the job is not put into the queue again: not allowed"
    assert warnings[1].startswith("the job is not put into the queue again: scontrol: ")


def test_how_many_srun_has_started(told, monkeypatch):
    assert ranks.launched() == 1  # sbatch's script
    monkeypatch.setenv("SLURM_STEP_ID", "0")
    monkeypatch.setenv("SLURM_STEP_NUM_TASKS", "4")
    monkeypatch.setenv("SLURM_STEP_TASKS_PER_NODE", "2(x2)")
    assert (ranks.launched(), ranks.launched_here(), ranks.machines(4)) == (4, 2, 2)
    monkeypatch.setenv("SLURM_STEP_NUM_TASKS", "1")  # a shell that srun has opened in a job for four
    assert ranks.launched() == 1
