"""Sweeps as people run them: real processes, killed and started again."""

import csv
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest

from discerna.directories.run_folder import RunFolder
from picture_sets import TESTS
from real_processes import alive, wait_for

Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def sweep(pictures, tmp_path) -> Iterator[Start]:
    """Start `discerna train -m` on tiny pictures; its sweep is s.sweep."""
    started = []

    def start(*overrides: str, largest: int = -1) -> "subprocess.Popen[str]":
        process = subprocess.Popen(
            [sys.executable, "-m", "discerna", "train", "-m", "model=tiny", "networks.modules=[tiny_networks]",
             f"train_data={pictures / 'train'}", f"valid_data={pictures / 'valid'}", "output=s", "batch_size=8",
             "trainer=cpu", "early_stopping=none", *overrides],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(TESTS)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (largest, largest)),
        )  # fmt: skip
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def ended(process, code=0):
    out, told = process.communicate(timeout=400)
    assert process.returncode == code, f"exit {process.returncode}\n{out}\n{told}"
    assert "Traceback" not in told, told
    return out, told


def starts(told):
    return [line for line in told.splitlines() if line.startswith("job ") and line.endswith(" starts")]


def table(tmp_path):
    return json.loads((tmp_path / "s.sweep" / "sweep.json").read_text())


def kill_all(pattern):
    """Kill -9 every process whose command line holds the pattern."""
    found = subprocess.run(["pgrep", "-f", pattern], capture_output=True, text=True).stdout
    for pid in found.split():
        with suppress(ProcessLookupError):
            os.kill(int(pid), signal.SIGKILL)


def weights(tmp_path, number):
    return (tmp_path / "s.sweep" / str(number) / "weights.safetensors").read_bytes()


def has_epoch(tmp_path, number, epoch):
    metrics = tmp_path / "s.sweep" / f"{number}.run" / "metrics.csv"
    return lambda: metrics.exists() and len(metrics.read_text().splitlines()) > epoch


@pytest.mark.slow
def test_the_same_command_runs_what_is_missing(sweep, tmp_path):
    out, told = ended(sweep("epochs=1", "learning_rate=1e30,0.01"), code=1)
    lines = out.splitlines()
    assert lines[0].split() == ["job", "learning_rate", "valid_loss", "accuracy", "epochs", "time", "state"]
    assert [line.split()[-1] for line in lines[1:3]] == ["failed", "finished"]
    assert "best    job 1  learning_rate=0.01" in out
    assert "1 of 2 jobs failed\n  - job 0: the loss became NaN" in told and "s.sweep/0.run" in told
    best = weights(tmp_path, 1)
    assert (tmp_path / "s" / "weights.safetensors").read_bytes() == best
    assert (tmp_path / "s.sweep" / "0.run" / "run.log").is_file()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["s", "s.sweep"]
    with (tmp_path / "s.sweep" / "sweep.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [(row["learning_rate"], row["state"]) for row in rows] == [
        ("1e+30", "failed"),
        ("0.01", "finished"),
    ]
    assert float(rows[1]["valid_loss"]) == table(tmp_path)["jobs"][1]["value"]

    # Two more, and without the one that failed: what is done is not done again.
    out, told = ended(sweep("epochs=1", "learning_rate=0.01,0.1"))
    assert starts(told) == ["job 2 (learning_rate=0.1) starts"]
    assert "job 1 (learning_rate=0.01) already done, 1 of 2" in told
    assert [job["number"] for job in table(tmp_path)["jobs"]] == [1, 2]
    assert weights(tmp_path, 1) == best
    winner = table(tmp_path)["best"]
    assert (tmp_path / "s" / "weights.safetensors").read_bytes() == weights(tmp_path, winner)

    assert "s.sweep" in (tmp_path / "s.sweep" / "sweep.html").read_text()


@pytest.mark.slow
def test_a_sweep_killed_in_its_fourth_job_takes_three_further_starts(sweep, tmp_path):
    command = ["epochs=12", "learning_rate=0.01,0.02", "random_seed=1,2,3", "trainer.devices=2",
               "checkpoint.every_steps=1"]  # fmt: skip
    first = sweep(*command)
    wait_for(has_epoch(tmp_path, 3, 2), 300)
    os.kill(first.pid, signal.SIGKILL)
    assert len(starts(first.communicate()[1])) == 4
    told = ended(sweep(*command))[1]
    assert len(starts(told)) == 3
    assert told.count("already done") == 3
    assert "3.run: going on from step-" in told
    assert [job["state"] for job in table(tmp_path)["jobs"]] == ["finished"] * 6
    assert sorted(path.name for path in tmp_path.iterdir()) == ["s", "s.sweep"]
    names = {path.name for path in (tmp_path / "s.sweep").iterdir() if not path.name[0].isdigit()}
    assert names == {"ledger.json", "sweep.csv", "sweep.html", "sweep.json", "sweep.lock", "winner.json"}
    # Every job has trained with two processes, and none has been shared or doubled.
    cut = weights(tmp_path, 3)
    for number in range(6):
        epochs = [line.split(",")[0] for line in _lines(tmp_path, number)]
        assert epochs == ["epoch", *map(str, range(1, 13))]
        log = (tmp_path / "s.sweep" / f"{number}.run" / "run.log").read_text()
        assert "processes" in log and log.count("finished") <= 1
    # The same training without a kill gives the same bytes.
    (tmp_path / "s.sweep").rename(tmp_path / "before")
    ended(sweep("epochs=12", "learning_rate=0.02", "random_seed=1", "trainer.devices=2", "overwrite=true"))
    assert weights(tmp_path, 0) == cut


def _lines(tmp_path, number):
    return (tmp_path / "s.sweep" / f"{number}.run" / "metrics.csv").read_text().splitlines()


@pytest.mark.slow
def test_a_job_that_is_killed_does_not_stop_the_others(sweep, tmp_path):
    command = ["epochs=200", "learning_rate=0.01,0.02", "checkpoint.every_steps=20"]
    process = sweep(*command)
    wait_for(has_epoch(tmp_path, 0, 3))
    kill_all(f"{tmp_path}/s.sweep/0.run")
    _out, told = ended(process, code=1)
    assert [job["state"] for job in table(tmp_path)["jobs"]] == ["killed", "finished"]
    assert "job 0: its process is gone without a word" in told and "the same command runs these again" in told
    assert alive(tmp_path) == []
    told = ended(sweep(*command))[1]
    assert starts(told) == ["job 0 (learning_rate=0.01) starts"]
    assert "0.run: going on from step-" in told


@pytest.mark.slow
def test_everything_is_killed_at_once(sweep, tmp_path):
    command = ["epochs=200", "learning_rate=0.01,0.02", "sweep.parallel=2", "checkpoint.every_steps=5"]
    process = sweep(*command)
    wait_for(has_epoch(tmp_path, 0, 2))
    wait_for(has_epoch(tmp_path, 1, 2))
    os.kill(process.pid, signal.SIGKILL)
    kill_all(f"{tmp_path}/s.sweep")
    process.communicate()
    told = ended(sweep(*command))[1]
    assert len(starts(told)) == 2 and told.count("going on from step-") == 2
    assert [job["state"] for job in table(tmp_path)["jobs"]] == ["finished"] * 2


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_lets_all_jobs_write_a_checkpoint(sweep, tmp_path, number):
    command = [
        "epochs=300",
        "learning_rate=0.01,0.02,0.03",
        "sweep.parallel=2",
        "checkpoint.every_minutes=60",
    ]
    process = sweep(*command)
    wait_for(has_epoch(tmp_path, 0, 2))
    wait_for(has_epoch(tmp_path, 1, 2))
    process.send_signal(number)
    _out, told = ended(process, code=128 + number)
    assert "jobs that run stop after this step" in told and "to go on: the same command" in told
    states = [RunFolder(tmp_path / "s.sweep" / f"{n}.run").status().state for n in (0, 1)]
    assert states == ["preempted", "preempted"]
    assert not (tmp_path / "s").exists() and not (tmp_path / "s.sweep" / "2.run").exists()
    assert alive(tmp_path) == []
    assert table(tmp_path)["ended"] is None
    assert [job["state"] for job in table(tmp_path)["jobs"]] == ["preempted", "preempted", "waiting"]


@pytest.mark.slow
def test_a_second_ctrl_c_stops_at_once(sweep, tmp_path):
    process = sweep("epochs=300", "learning_rate=0.01,0.02", "trainer.devices=2")
    wait_for(has_epoch(tmp_path, 0, 1))
    process.send_signal(signal.SIGINT)
    while "jobs that run stop" not in process.stderr.readline():
        pass
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=30)
    assert process.returncode == 130
    wait_for(lambda: alive(tmp_path) == [])


@pytest.mark.slow
def test_a_budget_ends_a_sweep_that_goes_on_later(sweep, tmp_path):
    command = ["epochs=9", "learning_rate=0.01,0.02"]
    out, told = ended(sweep(*command, "sweep.max_hours=0.001"))
    assert "stopped by sweep.max_hours=0.001" in told
    assert "ended   by sweep.max_hours=0.001; the same command goes on" in out
    assert "finished" not in [
        job["state"] for job in table(tmp_path)["jobs"]
    ]  # 3.6 seconds load no more than torch
    _out, told = ended(sweep(*command))
    assert [job["state"] for job in table(tmp_path)["jobs"]] == ["finished"] * 2
    assert len(starts(told)) == 2


@pytest.mark.slow
def test_a_sweep_that_goes_on_is_left_alone(sweep, tmp_path, discerna, pictures):
    command = ["epochs=50", "learning_rate=0.01,0.02"]
    process = sweep(*command)
    wait_for(has_epoch(tmp_path, 0, 1))
    for more in ([], ["overwrite=true"]):
        assert "a sweep is going on in the folder" in ended(sweep(*command, *more), code=1)[1]
    ended(process)
    # The output is the sweep's own, so that the same command may replace it; another one may not.
    assert "the run folder exists" not in ended(sweep(*command))[1]


@pytest.mark.slow
def test_repeats_are_compared_by_their_mean(sweep, tmp_path):
    out, told = ended(sweep("epochs=2", "learning_rate=0.001,0.05", "sweep.repeats=2", "random_seed=7"))
    told = table(tmp_path)
    assert [(job["random_seed"], job["point"]) for job in told["jobs"]] == [(7, 0), (8, 0), (7, 1), (8, 1)]
    by_point = {point["number"]: point for point in told["points"]}
    values = [job["value"] for job in told["jobs"]]
    assert by_point[1]["value"] == pytest.approx(sum(values[2:]) / 2)
    assert by_point[1]["spread"] == pytest.approx(abs(values[2] - values[3]) / 2**0.5)
    assert told["best"] == (2 if values[2] < values[3] else 3)
    assert "valid_loss, mean" in out and "±" in out


@pytest.mark.slow
@pytest.mark.parametrize("processes", [1, 2])
def test_a_hopeless_job_ends_after_an_epoch(sweep, tmp_path, processes):
    rule = ["early_termination=bandit", "early_termination.delay=2", "early_termination.slack=0.1"]
    command = ["epochs=9", "learning_rate=0.05,0.00001", f"trainer.devices={processes}"]
    _out, _told = ended(sweep(*command, *rule))
    jobs = table(tmp_path)["jobs"]
    assert [job["state"] for job in jobs] == ["finished", "pruned"]
    assert jobs[1]["epochs_trained"] == 2 and jobs[1]["reason"].startswith(
        "after epoch 2: it is behind the best"
    )
    assert not (tmp_path / "s.sweep" / "1").exists()
    assert "job 1 (learning_rate=1e-05) already done" in ended(sweep(*command, *rule))[1]
    # Without the rule it goes on from there, to what it would have come to anyway.
    assert "going on from step-" in ended(sweep(*command))[1]
    cut = weights(tmp_path, 1)
    ended(sweep("epochs=9", "learning_rate=0.00001", f"trainer.devices={processes}", "overwrite=true"))
    assert weights(tmp_path, 0) == cut


@pytest.mark.slow
@pytest.mark.parametrize("launcher", ["joblib", "submitit_local"])
def test_launchers(sweep, tmp_path, launcher):
    more = ["hydra.launcher.n_jobs=2"] if launcher == "joblib" else ["sweep.parallel=2"]
    command = ["epochs=3", "learning_rate=0.01,0.02,0.03", "trainer.devices=2", f"hydra/launcher={launcher}"]
    _out, told = ended(sweep(*command, *more))
    assert "3 jobs, 2 at once" in told
    lines = told.splitlines()
    firsts = [number for number, line in enumerate(lines) if line.endswith(" starts")]
    assert firsts[1] < next(number for number, line in enumerate(lines) if " done, 1 of 3" in line)
    assert [job["state"] for job in table(tmp_path)["jobs"]] == ["finished"] * 3
    assert sorted(path.name for path in tmp_path.iterdir()) == ["s", "s.sweep"]
    rates = [json.loads(RunFolder(tmp_path / "s.sweep" / f"{n}.run").settings.read_text()) for n in range(3)]
    assert [one["settings"]["learning_rate"] for one in rates] == [0.01, 0.02, 0.03]
    cores = len(os.sched_getaffinity(0))
    if cores > 1:  # each job has cores of its own
        chosen = json.loads((tmp_path / "s.sweep" / "0" / "training.json").read_text())["machine"]
        assert int(chosen["threads"]["value"]) == max(1, cores // 2 // 2)


@pytest.mark.slow
def test_a_search_that_is_killed_goes_on_with_the_same_points(sweep, tmp_path):
    command = ["epochs=4", "sweep=optuna", "sweep.max_jobs=3", "learning_rate=tag(log,interval(1e-4,1e-1))",
               "optimizer=sgd,adamw", "checkpoint.every_steps=1"]  # fmt: skip
    first = sweep(*command)
    wait_for(has_epoch(tmp_path, 1, 1), 300)
    os.kill(first.pid, signal.SIGKILL)
    first.communicate()
    told = ended(sweep(*command))[1]
    assert told.count("already done") == 1 and len(starts(told)) == 2
    killed = [job["varying"] for job in table(tmp_path)["jobs"]]
    assert ended(sweep(*command))[1].count("already done") == 3
    ended(sweep(*command, "overwrite=true"))
    assert [job["varying"] for job in table(tmp_path)["jobs"]] == killed
    # A larger budget goes on with the same search.
    told = ended(sweep(*command, "sweep.max_jobs=4"))[1]
    assert told.count("already done") == 3 and len(starts(told)) == 1


@pytest.mark.slow
def test_what_is_damaged_is_made_again(sweep, tmp_path):
    command = ["epochs=1", "learning_rate=0.01,0.02"]
    ended(sweep(*command))
    folder = tmp_path / "s.sweep"
    before = [weights(tmp_path, number) for number in range(2)]
    (folder / "0.run" / "result.json").write_text("{")
    shutil.rmtree(folder / "1.run")
    (folder / "winner.json").unlink()
    assert len(starts(ended(sweep(*command))[1])) == 2
    assert [job["state"] for job in table(tmp_path)["jobs"]] == ["finished"] * 2
    assert [weights(tmp_path, number) for number in range(2)] == before


@pytest.mark.slow
def test_a_damaged_model_does_not_become_that_of_the_sweep(sweep, tmp_path):
    ended(sweep("epochs=1", "learning_rate=0.01"))
    model = tmp_path / "s.sweep" / "0"
    before = weights(tmp_path, 0)
    (model / "weights.safetensors").write_bytes(b"x")
    shutil.rmtree(tmp_path / "s")
    told = ended(sweep("epochs=1", "learning_rate=0.01"), code=1)[1]
    assert f"the model of the best job is damaged: {model}; weights.safetensors has" in told
    shutil.rmtree(model)
    assert len(starts(ended(sweep("epochs=1", "learning_rate=0.01"))[1])) == 1
    assert (tmp_path / "s" / "weights.safetensors").read_bytes() == before


@pytest.mark.slow
def test_the_folder_of_a_sweep_may_be_a_link(sweep, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "s.sweep").symlink_to("elsewhere")
    ended(sweep("epochs=1", "learning_rate=0.01,0.02"))
    ended(sweep("epochs=1", "learning_rate=0.01", "overwrite=true"))
    assert (tmp_path / "s.sweep").is_symlink()
    assert len(table(tmp_path)["jobs"]) == 1 and not (tmp_path / "elsewhere" / "1").exists()


@pytest.mark.slow
@pytest.mark.parametrize("search", [[], ["sweep=optuna"]])
def test_a_full_disk_is_told_as_such(sweep, tmp_path, search):
    size = 45_000  # of a file: less than the page, and than a study
    told = ended(sweep("epochs=1", "learning_rate=0.01,0.02", *search, largest=size), code=1)[1]
    assert "File too large" in told or "disk I/O error" in told
    assert "bug in discerna" not in told
