"""The command line as a person meets it: help, mistakes, streams, exit codes, signals."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from discerna import console
from discerna.cli import main
from discerna.errors import SettingsError
from discerna.version import __version__


def told(capsys, *arguments: str) -> tuple[int, str, str]:
    code = main(list(arguments))
    out, err = capsys.readouterr()
    return code, out, err


@pytest.mark.parametrize("arguments", [[], ["--help"], ["-h"], ["help"]])
def test_overview(capsys, arguments):
    code, out, err = told(capsys, *arguments)
    assert code == 0 and err == ""
    for verb in ("create", "train", "score", "evaluate", "convert", "env", "demo"):
        assert re.search(rf"^  {verb} ", out, re.MULTILINE)


def test_version(capsys):
    assert told(capsys, "--version") == (0, f"discerna {__version__}\n", "")


def test_help_of_train(capsys):
    code, out, _ = told(capsys, "train", "--help")
    assert code == 0
    assert (
        "epochs=5" in out
        and "how often each training picture is seen" in out
        and "[a whole number, 1 or more]" in out
    )
    assert "optimizer=auto   (adamw | auto | azure_sgd | sgd)" in out
    assert max(len(line) for line in out.splitlines()) < 160


def test_cfg_shows_the_composition(capsys):
    code, out, _ = told(capsys, "train", "--cfg", "job", "optimizer=sgd", "train_data=a=b,c")
    assert code == 0
    assert "name: sgd" in out and "train_data: a=b,c" in out and "model: ???" in out
    assert "hydra:" in told(capsys, "train", "--cfg", "hydra")[1]
    assert {"hydra:", "epochs: 5"} <= set(told(capsys, "train", "--cfg", "all")[1].splitlines())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["trian"], "unknown command: trian; it is create | split | check | train"),
        (["train", "--hepl"], "unknown flag: --hepl"),
        (["train", "--epochs", "3"], "write epochs=VALUE"),
        (["train", "--lr", "3"], "write learning_rate=VALUE"),
        (["score", "--devices", "2"], "write devices=VALUE"),
        (["runs", "lst"], "unknown command: runs lst; runs has list | show"),
        (["registry", "show"], "a setting is missing: model"),
        (["train", "--cfg", "jobs"], "the command line cannot be read"),
        (["train", "--config-dir", "nowhere"], "no such directory: --config-dir"),
        (["train", "epochz=1"], "did you mean epochs"),
        (["score", "-m", "model=a,b", "data=c"], "a sweep needs train"),
        (["train"], "3 faults"),
        (["create", "network=resnet18"], "a setting is missing: output"),
        (
            ["train", "epochs=1,2"],
            "several values for one run: epochs=1,2; a comma separates the jobs",
        ),
        (["train", "=3"], "a setting without a name: =3"),
        (["train", "-m", "--cfg", "job"], "--cfg shows one composition"),
        (
            ["train", "-m", "learning_rate=interval(0,1)"],
            "an interval has no single values: learning_rate=interval(0,1)",
        ),
    ],
)
def test_a_mistake_is_one_message_on_stderr(capsys, arguments, message):
    code, out, err = told(capsys, *arguments)
    assert code == 1 and out == ""
    assert err.startswith("error: ") and message in err
    assert "Traceback" not in err and "HYDRA_FULL_ERROR" not in err


def test_the_nearest_command_is_named(capsys):
    assert "did you mean train" in told(capsys, "trian")[2]


def test_a_bug_of_ours_shows_a_traceback(capsys):
    def broken():
        raise ZeroDivisionError("oh")

    assert console.guard(broken) == 1
    err = capsys.readouterr().err
    assert "Traceback" in err and "this is a bug in discerna" in err


def test_control_characters_of_a_message_are_escaped(capsys):
    console.tell(SettingsError("wrong", where="a\x1b[31m\nb\udcff"))
    err = capsys.readouterr().err
    assert "\x1b" not in err and "\\x1b" in err and "\\udcff" in err


def test_env(discerna):
    text = discerna("env").stdout
    assert "chosen for a training" in text and "precision" in text
    found = json.loads(discerna("env", "format=json", "trainer=cpu").stdout)
    assert found["choices"]["device"] == {"value": "cpu", "reason": "trainer.accelerator"}
    assert found["packages"]["discerna"] == __version__


def test_nothing_is_left_in_the_users_directory(discerna, tmp_path):
    discerna("env")
    discerna("train", "model=resnet18", "train_data=a", "valid_data=b", "epochs=0", code=1)
    assert list(tmp_path.iterdir()) == []


WAITING = """
import sys, time
from discerna import console
def wait():
    print("ready", flush=True)
    time.sleep(60)
sys.exit(console.guard(wait))
"""


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_signals_give_their_exit_code(number, code):
    process = subprocess.Popen(
        [sys.executable, "-c", WAITING], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None and process.stdout.readline() == "ready\n"
    process.send_signal(number)
    _, err = process.communicate(timeout=20)
    assert process.returncode == code
    assert "Traceback" not in err


def test_a_closed_pipe_is_no_traceback():
    process = subprocess.run(
        f"{sys.executable} -m discerna train --help | head -1", shell=True, capture_output=True, text=True
    )
    assert process.stderr == ""


HOLDING = """
import os, signal, sys
from discerna import console
def work():
    with console.heavy_imports():
        os.kill(os.getpid(), int(sys.argv[1]))
        print("imported", flush=True)
    print("never", flush=True)
sys.exit(console.guard(work))
"""


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_waits_for_an_import_and_is_not_lost(number, code):
    done = subprocess.run([sys.executable, "-c", HOLDING, str(int(number))], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (code, "imported\n")


@pytest.mark.parametrize(
    ("shell", "message"),
    [
        ("--help >/dev/full", "No space left on device"),
        ("score model=m data=d >&-", "the standard output is closed"),
        ("--version 2>&-", ""),
    ],
)
def test_streams_that_are_full_or_closed(shell, message):
    done = subprocess.run(f"{sys.executable} -m discerna {shell}", shell=True, capture_output=True, text=True)
    assert message in done.stderr and "Traceback" not in done.stderr
    assert done.returncode == (1 if message else 0)


def test_a_working_folder_that_is_gone(tmp_path):
    script = f"mkdir gone && cd gone && rmdir ../gone && {sys.executable} -m discerna env"
    done = subprocess.run(script, shell=True, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 1 and "cd to another" in done.stderr and "bug" not in done.stderr


def test_bars_are_drawn_on_a_terminal_only(tmp_path):
    script = tmp_path / "bars.py"
    script.write_text(
        "from discerna import console\nimport logging, time\nconsole.configure()\n"
        "with console.progress().task('counting', 3) as advance:\n"
        "    for n in range(3):\n"
        "        advance(1, 'note')\n"
        "        logging.getLogger('discerna').info('line %d', n)\n"
        "        time.sleep(0.15)\n"
    )
    plain = subprocess.run([sys.executable, script], capture_output=True, text=True)
    assert plain.stderr == "line 0\nline 1\nline 2\n"
    leader, follower = os.openpty()
    process = subprocess.Popen(
        [sys.executable, script], stderr=follower, env={**os.environ, "TERM": "xterm", "COLUMNS": "80"}
    )
    os.close(follower)
    seen = b""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            chunk = os.read(leader, 4096)
        except OSError:
            break
        if not chunk:
            break
        seen += chunk
    assert process.wait() == 0
    assert b"counting" in seen and b"3/3" in seen and b"line 2" in seen


def test_python_dash_m_is_the_command():
    done = subprocess.run(
        [sys.executable, "-m", "discerna", "--version"], capture_output=True, text=True, cwd=Path("/")
    )
    assert done.stdout == f"discerna {__version__}\n"
