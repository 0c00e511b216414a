"""Runs as their folders tell of them: states told apart, found, filtered, compared, copied."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import discerna
from discerna import launch
from discerna.cli import main
from discerna.directories.run_folder import RunFolder, write_json
from discerna.errors import DivergedError, OutputError, RunNotFoundError, SettingsError
from discerna.overrides import PACKAGED
from discerna.progress import SILENT
from discerna.runs.files import download
from discerna.runs.finding import find_runs, the_run
from discerna.runs.run import Run
from discerna.sweeps import multirun
from picture_sets import TESTS
from run_folders import write_run


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def names(runs):
    return [run.name for run in runs]


TINY = ["model=tiny", "networks.modules=[tiny_networks]", "batch_size=8", "trainer.precision=32-true"]


def start(pictures: Path, room: Path, *more: str) -> "subprocess.Popen[bytes]":
    data = [f"train_data={pictures / 'train'}", f"valid_data={pictures / 'valid'}"]
    return subprocess.Popen(
        [sys.executable, "-m", "discerna", "train", *TINY, *data, *more],
        cwd=room,
        env={**os.environ, "PYTHONPATH": str(TESTS)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def wait_for(condition, seconds=120):
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "it did not come"
        time.sleep(0.05)


def test_every_end_is_told_apart(pictures, here):
    given = {
        "model": "tiny",
        "train_data": pictures / "train",
        "valid_data": pictures / "valid",
        "batch_size": 8,
        "trainer": {"precision": "32-true"},
    }
    discerna.train(**given, output="finished", epochs=1, experiment_name="flowers")
    at_once = {"cooldown": 0}
    discerna.train(
        **given,
        output="early",
        epochs=40,
        learning_rate=3.0,
        scheduler="constant",
        patience=1,
        early_stopping=at_once,
    )
    with pytest.raises(DivergedError):
        discerna.train(**given, output="failed", epochs=1, learning_rate=1e30)
    states = {run.name: run.state for run in discerna.list_runs()}
    assert states == {"finished": "finished", "early": "stopped early", "failed": "failed"}
    early, failed, finished = discerna.list_runs(sort="run")
    assert "valid_loss was not better" in early.reason
    assert "the loss became NaN" in failed.reason and failed.output is None
    assert finished.reason == "all epochs trained" and finished.output == here / "finished"
    assert finished.value("experiment_name") == "flowers" and finished.value("model") == "tiny"
    result = json.loads((here / "finished.run" / "result.json").read_text())
    assert finished.value("accuracy") == result["figures"]["accuracy"]
    assert [row["epoch"] for row in finished.epochs()] == [1.0]
    training = json.loads((here / "finished" / "training.json").read_text())
    for part in ("train", "valid"):
        assert finished.pictures[f"{part}_data"]["fingerprint"] == training["data"][part]["fingerprint"]
    assert "experiment_name" not in training["settings"]
    environment = finished.environment
    assert environment["packages"]["torch"] and environment["machine"]["cores"] and environment["python"]


@pytest.mark.parametrize(
    ("signals", "state", "reason"),
    [
        ([signal.SIGKILL], "killed", "gone without a word"),
        pytest.param([signal.SIGTERM], "preempted", "SIGTERM in epoch", marks=pytest.mark.slow),
        pytest.param([signal.SIGINT], "preempted", "SIGINT in epoch", marks=pytest.mark.slow),
    ],
)
def test_a_run_that_goes_on_and_one_that_was_killed(pictures, here, signals, state, reason):
    # A loader's worker may outlive its killed parent; it must not keep the lock.
    workers = 1 if signals == [signal.SIGKILL] else 0
    more = ["epochs=100000", "early_stopping=none", f"loading.workers={workers}"]
    going = start(pictures, here, "output=m", *more)
    run = Run(here / "m.run")
    try:
        wait_for(lambda: run.epochs())
        assert Run(run.path).state == "running"
        with pytest.raises(OutputError, match=f"a run is going on in the run folder.*process {going.pid} on"):
            discerna.train(
                model="tiny",
                train_data=pictures / "train",
                valid_data=pictures / "valid",
                output="m",
                overwrite=True,
            )
        for number in signals:
            going.send_signal(number)
        going.wait(timeout=60)
    finally:
        going.kill()
        going.wait()
    # At once, though a loader's worker may live on for some seconds.
    ended = Run(run.path)
    assert ended.state == state and reason in ended.reason
    assert ended.value("epochs_trained") >= 1 and ended.value("valid_loss") > 0


@pytest.mark.slow
def test_a_process_of_two_that_is_killed(pictures, here):
    going = start(
        pictures, here, "output=m", "epochs=100000", "early_stopping=none", "trainer=cpu", "trainer.devices=2"
    )
    try:
        wait_for(lambda: Run(here / "m.run").epochs())
        workers = subprocess.run(
            ["pgrep", "-f", f"discerna.worker {here / 'm.run'}"], capture_output=True, text=True, check=True
        ).stdout.split()
        newest = max(map(int, workers))
        os.kill(newest, signal.SIGKILL)
        going.wait(timeout=60)
    finally:
        going.kill()
        going.wait()
    ended = Run(here / "m.run")
    assert ended.state == "killed" and "SIGKILL" in ended.reason


@pytest.mark.slow
def test_jobs_of_a_sweep_are_runs(discerna, pictures, here):
    discerna(
        "train", "-m", *TINY, f"train_data={pictures / 'train'}", f"valid_data={pictures / 'valid'}", "epochs=1",
        "output=s", "learning_rate=1e30,0.001", code=1,
    )  # fmt: skip
    assert {run.name: run.state for run in find_runs(here)} == {"0": "failed", "1": "finished"}


def test_runs_are_found_and_nothing_else(here):
    write_run(here / "models" / "a.run")
    write_run(here / "deep" / "er" / "still" / "b.run")
    write_run(here / "runs" / "2026-01-01_00-00-00")
    write_run(here / ".hidden" / "c.run")
    write_run(here / "venv" / "d.run")
    (here / "venv" / "pyvenv.cfg").touch()
    (here / "models" / "not.run").mkdir()
    (here / "models" / "other.run").mkdir()
    (here / "models" / "other.run" / "settings.json").write_text('{"command": "train"}')
    (here / "link.run").symlink_to(here / "models" / "a.run")
    (here / "loop").symlink_to(here)
    assert sorted(names(find_runs(here))) == ["2026-01-01_00-00-00", "a", "b"]
    assert names(find_runs(here / "models" / "a.run")) == ["a"]
    assert find_runs(here / "nowhere") == []
    write_run(here / "mlartifacts" / "1" / "artifacts" / "run")
    (here / "manifest.json").touch()
    assert sorted(names(find_runs(here))) == ["2026-01-01_00-00-00", "a", "b"]


def test_a_run_is_named_in_several_ways(here):
    write_run(here / "models" / "a.run")
    write_run(here / "runs" / "b")
    (here / "runs" / "b" / "model").mkdir()
    for given in ("a", "models/a", "models/a.run", here / "models" / "a"):
        assert the_run(here / given, here).path == here / "models" / "a.run"
    assert the_run(here / "runs" / "b" / "model", here).name == "b"
    with pytest.raises(
        RunNotFoundError, match=r"no such run: run=models/c; 2 in \.; did you mean models/a\.run"
    ):
        the_run(here / "models" / "c", here)
    write_run(here / "other" / "a.run")
    with pytest.raises(
        RunNotFoundError, match=r"several runs have this name.*'models/a\.run', 'other/a\.run'"
    ):
        the_run(here / "a", here)


@pytest.fixture
def four(here):
    write_run(here / "a.run", accuracy=0.9, learning_rate=0.1, began="2026-01-01T10:00:00+00:00")
    write_run(
        here / "b.run", accuracy=0.95, learning_rate=0.01, optimizer="sgd", began="2026-01-02T10:00:00+00:00"
    )
    write_run(here / "c.run", accuracy=0.8, experiment_name="other, one", began="2026-01-03T10:00:00+00:00")
    write_run(here / "d.run", state="failed", began="2026-01-04T10:00:00+00:00")
    return here


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        (None, "abcd"),
        ("", "abcd"),
        ("accuracy>0.85", "ab"),
        ("accuracy>=0.9, learning_rate<0.05", "b"),
        ("state=failed", "d"),
        ("state!=failed", "abc"),
        ("optimizer=sgd", "b"),
        ("optimizer.name=sgd", "b"),
        ("learning_rate=1e-1", "a"),
        ("experiment_name~OTHER", "c"),
        ("experiment~other", "c"),
        ("accuracy=null", "d"),
        ("pretrained=false", "abcd"),
        ("accuracy<banana", ""),
        ("began>2026-01-02", "bcd"),
    ],
)
def test_conditions(four, where, expected):
    assert "".join(names(discerna.list_runs(where=where))) == expected


@pytest.mark.parametrize("where", ["accuracy", "=3", "acuracy>1", "accuracy>0.5;b"])
def test_what_is_no_condition_is_refused(four, where):
    if where == "accuracy>0.5;b":  # a text, to which no number compares
        assert discerna.list_runs(where=where) == []
        return
    with pytest.raises(SettingsError, match="where="):
        discerna.list_runs(where=where)


def test_order_and_limit(four):
    assert names(discerna.list_runs(sort="-accuracy")) == ["b", "a", "c", "d"]
    assert names(discerna.list_runs(sort="accuracy")) == ["c", "a", "b", "d"]
    assert names(discerna.list_runs(limit=2)) == ["c", "d"], "the newest"
    assert names(discerna.list_runs(sort="-accuracy", limit=1)) == ["b"]
    with pytest.raises(SettingsError, match=r"sort=acuracy.*did you mean accuracy"):
        discerna.list_runs(sort="acuracy")


def test_a_damaged_run_does_not_hide_the_others(four):
    (four / "a.run" / "status.json").write_text("{")
    (four / "b.run" / "metrics.csv").write_bytes(b"\xff\xfe\0epoch")
    (four / "c.run" / "status.json").write_text('{"state": "dreaming"}')
    assert sorted(names(discerna.list_runs())) == ["a", "b", "c", "d"]


ODD = {
    "status.json": [
        '{"figures": null}', "[]", "[" * 200_000, "1" + "0" * 400, "\xff", *(
            f'"{key}": {value}'
            for key, value in [("figures", "null"), ("figures", "[]"), ("figures", '{"accuracy": NaN}'),
                               ("best", "null"), ("figures", '{"accuracy": 1%s}' % ("0" * 400)), ("best_epoch", '"x"'),
                               ("monitor", "[]"),
                               ("experiment_name", "{}"), ("began", "7"), ("state", '"dreaming"')]
        ),
    ],
    "metrics.csv": ["x" * 200_000, "epoch,valid_loss\nnan,inf\n1,nan\n", '"', "epoch\n1e999\n"],
    "result.json": ['{"epochs": 5}', '{"epochs": [1, 2], "figures": null, "best_epoch": "q"}', "[]",
                    '{"figures": [1]}'],
    "settings.json": ['{"discerna": "0", "command": "train", "settings": {"learning_rate": 1%s}}' % ("0" * 400),
                      '{"discerna": "0", "command": "train", "settings": []}'],
    "pictures.json": ['{"valid_data": 3, "train_data": []}', '{"valid_data": {}}',
                      '{"valid_data": {"fingerprint": 7}}'],
    "environment.json": ['{"git": "abc", "machine": 3, "packages": []}', '{"git": {"commit": 5}}', '{"python": {}}'],
}  # fmt: skip


@pytest.mark.parametrize(("file", "text"), [(file, text) for file, texts in ODD.items() for text in texts])
def test_an_odd_run_never_hides_the_others(four, capsys, file, text):
    path = four / "a.run" / file
    if file == "status.json" and text.startswith('"'):
        told = json.loads(path.read_text())
        key, _, value = text.partition(": ")
        told[json.loads(key)] = "PLACE"
        text = json.dumps(told).replace('"PLACE"', value)
    path.write_text(text)
    if file == "result.json":
        (four / "a.run" / "status.json").unlink()
    for words in (
        ["runs", "list"], ["runs", "list", "format=json"],
        ["runs", "list", "where=learning_rate>0.001", "sort=-accuracy"], ["runs", "show", "a"],
        ["runs", "show", "a", "format=json"],
        ["runs", "compare", "a", "b"], ["runs", "best"],
        ["runs", "best", "metric=loss"], ["runs", "files", "a"],
    ):  # fmt: skip
        assert main(words) == 0, capsys.readouterr().err
        out, err = capsys.readouterr()
        assert "bug in discerna" not in err and "nan" not in out.lower().split()
        if words[1] == "best":
            assert "b.run" in out


@pytest.mark.parametrize(
    "file", ["settings.json", "run.lock", "status.json", "metrics.csv", "environment.json"]
)
def test_a_pipe_does_not_hang_a_list(four, discerna, file):
    path = four / "a.run" / file
    path.unlink(missing_ok=True)
    os.mkfifo(path)
    assert "b.run" in discerna("runs", "list").stdout
    if file != "settings.json":
        discerna("runs", "show", "a")


def test_a_download_replaces_a_download_only(four):
    going = RunFolder(four / "b.run").owned()
    try:
        for name in ("b.run", "c.run"):
            with pytest.raises(OutputError, match="replaces an earlier download only"):
                download(Run(four / "a.run"), four / name, ["metrics.csv"], True, SILENT)
    finally:
        going.lock.release()
    assert (four / "b.run" / "status.json").exists()
    download(Run(four / "a.run"), four / "copy", ["metrics.csv"], False, SILENT)
    download(Run(four / "a.run"), four / "copy", [], True, SILENT)
    assert (four / "copy" / "settings.json").exists()


def test_a_sweep_that_goes_on_is_not_replaced(pictures, here):
    typed = ["model=tiny", f"train_data={pictures / 'train'}", f"valid_data={pictures / 'valid'}", "epochs=1,2",
             "output=s", "overwrite=true"]  # fmt: skip
    job = here / "s.sweep" / "0.run"
    write_run(job)
    going = RunFolder(job).owned()
    try:
        with pytest.raises(OutputError, match="a sweep is going on in the folder"):
            multirun.run(typed, PACKAGED, SILENT)
    finally:
        going.lock.release()
    assert (job / "status.json").exists()


def test_a_failing_end_lets_go_of_the_folder(here, monkeypatch):
    """As on a full disk, in a program that goes on."""
    write_run(here / "a.run")
    folder = RunFolder(here / "a.run").restarted()

    def full(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(RunFolder, "write_error", full)
    with pytest.raises(SettingsError), launch.recorded(folder):
        raise SettingsError("wrong")
    assert Run(folder.path).state == "failed"
    folder = RunFolder(here / "a.run").restarted()
    with launch.recorded(folder):
        pass  # without a result
    RunFolder(here / "a.run").owned().lock.release()


def test_a_folder_of_0_1_0(here):
    write_run(here / "old.run", accuracy=0.7)
    (here / "old.run" / "status.json").unlink()
    (here / "old.run" / "run.lock").unlink()
    write_json(
        here / "old.run" / "result.json",
        {"stopped": "stopped early: x", "figures": {"accuracy": 0.7}, "best_epoch": 1, "epochs_trained": 2,
         "epochs": [{"epoch": 1.0, "valid_loss": 0.5}], "seconds": 3.0},
    )  # fmt: skip
    (run,) = discerna.list_runs()
    assert run.state == "stopped early" and run.value("accuracy") == 0.7 and run.value("valid_loss") == 0.5


def test_lists_on_the_command_line(discerna, four):
    table = discerna("runs", "list", "sort=-accuracy", "columns=[learning_rate]").stdout.splitlines()
    assert table[0].split()[:5] == ["run", "experiment", "model", "state", "epoch"]
    assert [line.split()[0] for line in table[1:]] == ["b.run", "a.run", "c.run", "d.run"]
    assert table[1].split()[-1] == "0.01"
    found = json.loads(discerna("runs", "list", "where=accuracy>0.85,optimizer=sgd", "format=json").stdout)
    assert [run["run"] for run in found] == ["b.run"] and found[0]["accuracy"] == 0.95
    assert "no such folder: folder=elsewhere" in discerna("runs", "list", "elsewhere", code=1).stderr
    (four / "empty").mkdir()
    assert discerna("runs", "list", "empty").stdout == "no runs in empty\n"
    assert discerna("runs", "list", "where=accuracy>2").stdout == "no run in this folder meets accuracy>2\n"
    assert "did you mean running" in discerna("runs", "list", "where=state=runing", code=1).stderr
    assert "experiment_name=chain" not in discerna("runs", "show", "a").stdout
    shown = json.loads(discerna("runs", "show", "run=a", "format=json").stdout)
    assert shown["settings"]["learning_rate"] == 0.1 and shown["metrics"][0]["epoch"] == 1
    assert "did you mean" in discerna("runs", "shwo", code=1).stderr
    assert "no such run: run=zzz" in discerna("runs", "show", "zzz", code=1).stderr
    assert "list, show, logs" in discerna("--help").stdout


def test_the_best_run(discerna, four):
    told = discerna("runs", "best")
    assert told.stdout.startswith("best   b.run, accuracy 95.00%, of 3")
    assert "a.run" in discerna("runs", "best", "where=accuracy<0.92").stdout
    assert "no run has a figure" in discerna("runs", "best", "where=state=failed", code=1).stderr
    assert json.loads(discerna("runs", "best", "metric=loss", "format=json").stdout)["run"] == "b.run"
    write_run(four / "e.run", accuracy=0.99, fingerprint="f" * 64)
    assert "different validation pictures" in discerna("runs", "best").stderr


def test_runs_side_by_side(discerna, four):
    text = discerna("runs", "compare", "a", "b.run").stdout
    lines = {line.split()[0]: line.split()[1:] for line in text.splitlines() if line.split()}
    assert lines["accuracy"] == ["90.00%", "95.00%", "*"]
    assert lines["learning_rate"] == ["0.1", "0.01"] and lines["optimizer"] == ["auto", "sgd"]
    assert "batch_size" not in lines
    found = json.loads(discerna("runs", "compare", "a", "b", "format=json").stdout)
    assert found["differences"]["learning_rate"] == [0.1, 0.01]
    assert "nothing to compare" in discerna("runs", "compare", "a", code=1).stderr


@pytest.mark.slow
def test_files_and_their_copy(discerna, pictures, here):
    data = [f"train_data={pictures / 'train'}", f"valid_data={pictures / 'valid'}"]
    discerna("train", *TINY, *data, "output=m", "epochs=1")
    files = {file["name"]: file for file in json.loads(discerna("runs", "files", "m", "format=json").stdout)}
    assert {"metrics.csv", "settings.json", "model/weights.safetensors", "data.json"} <= set(files)
    assert any(name.startswith("checkpoints/best-") for name in files)
    assert not {name for name in files if "lock" in name}
    assert "metrics.csv" in discerna("runs", "files", "m").stdout
    discerna("runs", "download", "m", "output=copy")
    for name, file in files.items():
        assert (here / "copy" / name).read_bytes() == Path(file["path"]).read_bytes()
    assert names(find_runs(here)) == ["m"], "a copy does not stand beside its original"
    assert names(find_runs(here / "copy")) == ["copy"]
    (here / "far").mkdir()
    (here / "copy").rename(here / "far" / "copy")
    assert {run.name: run.state for run in find_runs(here / "far")} == {"copy": "finished"}
    (here / "far" / "copy").rename(here / "copy")
    assert Run(here / "copy").output == here / "copy" / "model"
    discerna("score", "model=copy/model", TINY[1], f"data={pictures / 'valid'}", "output=scores.csv")
    discerna("runs", "download", "m", "output=some", "files=[metrics.csv,model]")
    assert sorted(p.name for p in (here / "some").iterdir()) == ["download.json", "metrics.csv", "model"]
    assert "the output exists" in discerna("runs", "download", "m", "output=some", code=1).stderr
    assert (
        "the run has no such file"
        in discerna("runs", "download", "m", "output=x", "files=[../m/model.json]", code=1).stderr
    )
    assert "input directory" in discerna("runs", "download", "m", "output=m.run/x", code=1).stderr
    assert not (here / "x").exists()
    assert "all epochs trained" in discerna("runs", "logs", "m").stdout


@pytest.mark.slow
def test_a_log_is_followed_to_its_end(pictures, here):
    going = start(pictures, here, "output=m", "epochs=12", "early_stopping=none")
    try:
        wait_for(lambda: (here / "m.run" / "run.log").exists())
        done = subprocess.run(
            [sys.executable, "-m", "discerna", "runs", "logs", "m", "follow=true"],
            capture_output=True, text=True, timeout=120, cwd=here, check=True,
        )  # fmt: skip
    finally:
        going.kill()
        going.wait()
    assert done.stdout.splitlines()[-1] == "finished: all epochs trained"
    log = (here / "m.run" / "run.log").read_text()
    assert done.stdout.removesuffix("finished: all epochs trained\n") == log


def test_the_state_of_the_code_is_recorded(here):
    from discerna.environment import git_state

    assert git_state(here) is None
    git = ["git", "-c", "user.name=x", "-c", "user.email=x@example.org"]
    subprocess.run([*git, "init", "-q", "-b", "work"], check=True)
    (here / "code.py").write_text("a")
    subprocess.run([*git, "add", "."], check=True)
    subprocess.run([*git, "commit", "-q", "-m", "x"], check=True)
    state = git_state(here)
    assert state and len(state["commit"]) == 40 and state["branch"] == "work" and state["dirty"] is False
    (here / "code.py").write_text("b")
    assert git_state(here)["dirty"] is True
