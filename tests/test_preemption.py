"""A signal lets the step end, a checkpoint is written, and the run goes on as if nothing had happened."""

import json
import signal

import pytest

import discerna
from discerna.runs.description import describe
from discerna.runs.run import Run
from run_folders import last_checkpoint

SIGNALS = {"signals": {"_target_": "own_extensions.Signals"}}
SELDOM = {"every_steps": None, "every_minutes": None}
# 27 pictures by 8 are 4 steps an epoch, 11 by 8 two batches of validation.
FIRST, MID_EPOCH, LAST_STEP, VALIDATION, LAST_VALIDATION = 1, 3, 4, 6, 18


@pytest.fixture
def train(pictures, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def run(name="m", at=0, number=signal.SIGTERM, times=1, **settings):
        monkeypatch.setenv("SIGNAL_AT", str(at))
        monkeypatch.setenv("SIGNAL", str(int(number)))
        monkeypatch.setenv("SIGNAL_TIMES", str(times))
        given = {
            "model": "tiny",
            "train_data": pictures / "train",
            "valid_data": pictures / "valid",
            "output": tmp_path / name,
            "epochs": 3,
            "batch_size": 8,
            "ema": 0.9,
            "trainer": {"precision": "32-true"},
            "checkpoint": SELDOM,
            "callbacks": SIGNALS,
            **settings,
        }
        return discerna.train(**given)

    return run


@pytest.fixture
def handlers():
    """Signals have the handlers that a command gives them; after the test, those of pytest."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def raise_terminated(number, frame):
        raise discerna.errors.Terminated

    signal.signal(signal.SIGTERM, raise_terminated)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize(
    ("at", "step"), [(FIRST, 1), (MID_EPOCH, 3), (LAST_STEP, 4), (VALIDATION, 4), (LAST_VALIDATION, 12)]
)
def test_the_step_is_finished_and_kept(train, tmp_path, handlers, capsys, at, step):
    train("unharmed")
    with pytest.raises(SystemExit) as stopped:
        train(at=at)
    assert stopped.value.code == 143
    told = capsys.readouterr().err
    assert f"stopped by SIGTERM in epoch {-(-step // 4)}, after step {step}; a checkpoint was written" in told
    assert "to go on: discerna train resume=m.run" in told
    assert last_checkpoint(tmp_path / "m.run").name == f"step-{step:08d}.ckpt"
    status = json.loads((tmp_path / "m.run" / "status.json").read_text())
    assert status["state"] == "preempted" and status["reason"].startswith("SIGTERM in epoch")
    assert "to go on       discerna train resume=m.run" in describe(Run(tmp_path / "m.run"))
    assert not (tmp_path / "m").exists()
    train(resume="auto")
    one, other = (tmp_path / name / "weights.safetensors" for name in ("m", "unharmed"))
    assert one.read_bytes() == other.read_bytes()
    assert json.loads((tmp_path / "m.run" / "status.json").read_text())["state"] == "finished"
    assert not (tmp_path / "m.run" / "stopped.json").exists()


def test_a_second_ctrl_c_does_not_wait(train, tmp_path, handlers):
    with pytest.raises(KeyboardInterrupt):
        train(
            at=MID_EPOCH, number=signal.SIGINT, times=2, checkpoint={"every_steps": 1, "every_minutes": None}
        )
    assert last_checkpoint(tmp_path / "m.run").name == "step-00000002.ckpt", "the last whole step"
    assert json.loads((tmp_path / "m.run" / "status.json").read_text())["state"] == "killed"
    assert train(resume="auto", checkpoint={"every_steps": 1, "every_minutes": None}).epochs_trained == 3


def test_one_ctrl_c_is_an_interrupt_after_the_step(train, tmp_path, handlers, capsys):
    with pytest.raises(KeyboardInterrupt):
        train(at=MID_EPOCH, number=signal.SIGINT)
    assert last_checkpoint(tmp_path / "m.run").name == "step-00000003.ckpt"
    assert "SIGINT: stopping after this step; Ctrl-C again stops at once" in capsys.readouterr().err


def test_sigterm_may_be_said_several_times(train, tmp_path, handlers):
    with pytest.raises(SystemExit):
        train(at=MID_EPOCH, times=3)
    assert last_checkpoint(tmp_path / "m.run").name == "step-00000003.ckpt"


def test_handlers_are_given_back(train, handlers):
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    train()
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before
    with pytest.raises(SystemExit):
        train("n", at=MID_EPOCH)
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before
