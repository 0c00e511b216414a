"""Several processes that score: one output, the same as of one; and how they end."""

import os
import signal
import subprocess
import sys
import time

import pytest
import torch

import discerna
import sleepy_networks  # noqa: F401
from discerna.errors import InvalidModelDirectoryError, ProcessError, ProcessKilledError
from discerna.results import pool
from picture_sets import TESTS, write_pictures

MODULES = {"modules": ["tiny_networks"]}


@pytest.fixture(autouse=True)
def one_thread():
    """In this process, so that the others have one each too: with as many threads the bits are the same."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def odd(tmp_path_factory):
    """data/7 and data/37, so many labelled pictures, of which two cannot be read."""
    root = tmp_path_factory.mktemp("odd")
    for count in (7, 37):
        write_pictures(root / str(count), {"blue": count // 2, "red": count - count // 2}, seed=count)
        for name in ("blue/1.png", "red/0.png"):
            (root / str(count) / name).write_bytes(b"\x89PNG\r\n\x1a\n" if name == "blue/1.png" else b"")
    return root


def contents(place):
    return {str(path.relative_to(place)): path.read_bytes() for path in place.rglob("*") if path.is_file()}


@pytest.mark.slow
def test_three_processes_write_the_scores_of_one(odd, tiny_model, tmp_path):
    given = {"model": tiny_model.path, "data": odd / "37", "format": "azure", "batch_size": 5, "device": "cpu",
             "networks": MODULES}  # fmt: skip
    one = discerna.score(**given, output=tmp_path / "one")
    several = discerna.score(**given, output=tmp_path / "several", devices=3)
    assert contents(tmp_path / "several") == contents(tmp_path / "one") != {}
    assert (several.scored, several.unreadable) == (35, 2) == (one.scored, one.unreadable)
    assert (several.labelled, several.right) == (one.labelled, one.right)
    assert sorted(os.listdir(tmp_path)) == ["one", "several"]


@pytest.mark.slow
def test_two_processes_give_the_figures_of_one(odd, tiny_model, tmp_path, capsys):
    """Nine were asked for, but there are two batches."""
    given = {
        "model": tiny_model.path,
        "data": odd / "7",
        "batch_size": 5,
        "device": "cpu",
        "networks": MODULES,
    }
    one = discerna.evaluate(**given, output=tmp_path / "one")
    several = discerna.evaluate(**given, output=tmp_path / "several", devices=9, loading={"workers": 1})
    assert several.evaluation == one.evaluation
    assert several.evaluation.pictures == 5
    assert contents(tmp_path / "several") == contents(tmp_path / "one")  # scores.csv, too
    assert sorted(contents(tmp_path / "one")) == ["evaluation.json", "scores.csv"]
    told = capsys.readouterr().err
    assert "; 2 processes of 1 thread: there are no more batches of 5, " in told


STAND_IN = """
import os, signal, sys, time
from multiprocessing.connection import Connection
from discerna.errors import InvalidModelDirectoryError
parent = Connection(int(sys.argv[-1]))
if {deaf}: sys.exit(7)
order = parent.recv()
if order.number == {number}: {action}
time.sleep(60)
"""


@pytest.mark.parametrize(
    ("number", "action", "kind", "told"),
    [
        (1, "os.kill(os.getpid(), 9)", ProcessKilledError, r"was killed: process 1 of 2, id \d+; SIGKILL, as"),
        (1, "sys.exit(143)", ProcessKilledError, r"was killed: process 1 of 2, id \d+; SIGTERM"),
        (1, "os.kill(os.getpid(), 11)", ProcessError, r"failed: process 1 of 2, id \d+; SIGSEGV"),
        (0, "sys.exit(7)", ProcessError, r"failed: process 0 of 2, id \d+; exit code 7; its messages"),
        (None, "", ProcessError, r"failed: process 0 of 2, id \d+; exit code 7"),
        (0, "parent.send(InvalidModelDirectoryError('odd', where='m'))", InvalidModelDirectoryError, "^odd: m$"),
        (0, "parent.send(RuntimeError('a bug'))", RuntimeError, "^a bug$"),
    ],
)  # fmt: skip
def test_how_a_process_fails(odd, tiny_model, tmp_path, monkeypatch, number, action, kind, told):
    """By processes that stand in for ours, which need seconds to load torch."""
    script = STAND_IN.format(number=number, action=action or "pass", deaf=number is None)
    monkeypatch.setattr(pool, "COMMAND", [sys.executable, "-c", script])
    with pytest.raises(kind, match=told):
        discerna.score(model=tiny_model.path, data=odd / "7", output=tmp_path / "s.csv", device="cpu", batch_size=4,
                       devices=2)  # fmt: skip
    assert os.listdir(tmp_path) == []
    assert descendants(os.getpid()) == []


@pytest.fixture
def running(make_model, pictures, tmp_path):
    """`discerna score` on two processes that are at work; its temporary folder is tmp/."""
    started = []

    def start(*overrides):
        (tmp_path / "tmp").mkdir()
        process = subprocess.Popen(
            [sys.executable, "-m", "discerna", "score", f"model={make_model('sleepy').path}",
             f"data={pictures / 'train'}", "output=out/scores.csv", "batch_size=1", "device=cpu", "devices=2",
             "networks.modules=[sleepy_networks]", *overrides],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(TESTS), "TMPDIR": str(tmp_path / "tmp"), "SLEEPY_SAYS": "1"},
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )  # fmt: skip
        started.append(process)
        until(lambda: len(list(tmp_path.glob("at-work-*"))) == 2 or process.poll() is not None)
        assert process.returncode is None, process.communicate()[1]
        return process

    yield start
    for process in started:
        process.kill()  # a test that failed; its own processes end with it
        process.communicate()


def until(true, seconds=300):
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def descendants(pid):
    """All processes below one, the nearest first."""
    listed = subprocess.run(["ps", "-eo", "pid=,ppid=,stat=,comm="], capture_output=True, text=True).stdout
    rows = [line.split() for line in listed.splitlines()]
    children = [
        int(child)
        for child, parent, state, *name in rows
        if int(parent) == pid and state[0] != "Z" and name != ["ps"]
    ]
    return [*children, *(below for child in children for below in descendants(child))]


def alive(pids):
    listed = subprocess.run(["ps", "-eo", "pid=,stat="], capture_output=True, text=True).stdout
    there = {int(line.split()[0]) for line in listed.splitlines() if line.split()[1][0] != "Z"}
    return sorted(there & set(pids))


@pytest.mark.slow
def test_ctrl_c_leaves_nothing(running, tmp_path):
    process = running("loading.workers=1")
    below = descendants(process.pid)
    assert len(below) == 4
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does
    _, told = process.communicate(timeout=30)
    assert process.returncode == 130, told
    assert "Traceback" not in told
    assert alive(below) == []
    assert os.listdir(tmp_path / "out") == os.listdir(tmp_path / "tmp") == []


@pytest.mark.slow
def test_a_killed_process_ends_the_command(running, tmp_path):
    process = running()
    below = descendants(process.pid)
    began = time.monotonic()
    os.kill(below[1], signal.SIGKILL)
    _, told = process.communicate(timeout=30)
    assert time.monotonic() - began < 10
    assert process.returncode == 1
    assert f"a process that scores pictures was killed: process 1 of 2, id {below[1]}; SIGKILL" in told
    assert "[D2051 ProcessKilledError]" in told
    assert "Traceback" not in told
    assert alive(below) == []
    assert os.listdir(tmp_path / "out") == os.listdir(tmp_path / "tmp") == []


@pytest.mark.slow
def test_the_processes_end_with_a_killed_command(running, tmp_path):
    process = running("loading.workers=1")
    below = descendants(process.pid)
    assert len(below) == 4
    process.kill()
    process.communicate(timeout=30)
    until(lambda: not alive(below))
    assert os.listdir(tmp_path / "tmp") == []
