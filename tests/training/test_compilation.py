"""When a network is compiled, and what of it."""

import copy
import json

import pytest
import torch
from torch import nn
from torch._dynamo.exc import Unsupported
from torch._dynamo.utils import counters

import discerna
from discerna.errors import OutOfMemoryError, SettingsError
from discerna.training.compilation import CompiledNetwork, Steps, decide, mode_for


def taking(plain, compiled, tried=None):
    """Trials that take so long."""

    def take(mode):
        if tried is not None:
            tried.append(mode)
        found = plain if mode == "off" else compiled
        if isinstance(found, Exception):
            raise found
        return found

    return take


PLAIN = Steps(first=0.5, each=0.1)


def test_a_long_training_is_compiled_and_the_reason_has_the_figures():
    found = decide(taking(PLAIN, Steps(first=50.08, each=0.08)), batches=50_000, kinds=1)
    assert found.value == "default"
    assert found.reason == "a step takes 80 ms instead of 100, compiling 50 s"


@pytest.mark.parametrize(
    ("compiled", "batches", "kinds"),
    [
        (Steps(50, 0.098), 40_000, 1),  # saves 80 s, costs 50
        (Steps(50, 0.08), 15_000, 4),  # pictures grow over four sizes
        (Steps(50, 0.12), 10**9, 1),  # slower
    ],
)
def test_what_does_not_pay_is_not_compiled(compiled, batches, kinds):
    found = decide(taking(PLAIN, compiled), batches, kinds)
    assert found.value == "off" and "instead of 100" in found.reason


def test_a_short_training_does_not_even_try():
    tried = []
    found = decide(taking(PLAIN, PLAIN, tried), batches=10_000, kinds=1)
    assert tried == ["off"]
    assert found.reason == "about 17 min of computing: compiling would take a good part of it"


def test_memory_that_runs_out_in_the_trial_is_left_to_the_training():
    found = decide(taking(OutOfMemoryError("out of memory"), PLAIN), batches=10**6, kinds=1)
    assert (found.value, found.reason) == ("off", "memory ran out in the trial")


def test_graphs_that_are_replayed_do_without_pieces():
    assert mode_for("reduce-overhead", 1) == "reduce-overhead"
    assert mode_for("reduce-overhead", 2) == mode_for("default", 2) == "default"
    assert mode_for("max-autotune", 4) == "max-autotune-no-cudagraphs"


def test_a_compiler_that_fails_stops_nothing():
    found = decide(taking(PLAIN, RuntimeError("no triton\nhere")), batches=10**6, kinds=1)
    assert (found.value, found.reason) == ("off", "it was tried and fails: no triton here")


@pytest.fixture
def train(pictures, tmp_path):
    def run(name="m", **settings):
        data = {f"{side}_data": pictures / side for side in ("train", "valid")}
        given = {"model": "tiny", "epochs": 2, "batch_size": 8, **settings}
        return discerna.train(**data, **given, output=tmp_path / name)

    return run


def weights(result):
    return (result.output / "weights.safetensors").read_bytes()


@pytest.fixture
def compiled(monkeypatch):
    """The sizes of the batches that went through a compiler which changes nothing."""
    seen = []

    def compile_(network, **how):
        def run(pictures):
            seen.append((len(pictures), how["mode"]))
            return network(pictures)

        return run

    monkeypatch.setattr(torch, "compile", compile_)
    return seen


def test_only_training_on_whole_batches_is_compiled(train, compiled):
    done = train("compiled", ema=0.9, trainer={"compile": "reduce-overhead"})
    # 27 pictures: the last 3 of each epoch are computed as ever.
    assert compiled == [(8, "reduce-overhead")] * 6
    assert weights(done) == weights(train("plain", ema=0.9))
    told = json.loads((done.output / "training.json").read_text())
    assert told["machine"]["compile"] == {"value": "reduce-overhead", "reason": "trainer.compile"}


def test_pieces_are_batches(train, compiled):
    train(model="plain", epochs=1, trainer={"compile": True, "accumulate_grad_batches": 2})
    assert compiled == [(4, "default")] * 6  # and pieces of 2 and 1 at the end


@pytest.fixture
def worth_trying(monkeypatch):
    """A machine on which a trial decides, and decides for it."""
    from discerna import machine
    from discerna.machine import Choice
    from discerna.training import compilation, tried

    monkeypatch.setattr(machine, "_compile", lambda *given: Choice("auto", "a trial will tell"))
    monkeypatch.setattr(tried, "FEW", 1)
    monkeypatch.setattr(compilation, "LONG", 0.0)
    monkeypatch.setattr(compilation, "WORTH", -1e9)


def test_what_a_trial_has_told_holds_for_a_restart(train, compiled, worth_trying, capsys):
    done = train(epochs=1)
    assert " ms instead of " in capsys.readouterr().err
    assert compiled, "it was tried"
    kept = done.run / "decisions.json"
    decided = json.loads(kept.read_text())
    assert decided["compile"] in ("default", "off")  # as the clock has it
    kept.write_text(json.dumps({**decided, "compile": "max-autotune", "compile_reason": "as before"}))
    compiled.clear()
    discerna.resume(done.run, epochs=2)
    assert compiled == [(8, "max-autotune")] * 3


def test_a_trial_changes_nothing_of_what_is_learned(train, compiled, worth_trying, monkeypatch):
    tried = train("tried", epochs=1)
    assert compiled
    monkeypatch.undo()
    assert weights(tried) == weights(train("plain", epochs=1))


def test_a_copy_is_compiled_for_itself(compiled):
    holder = nn.Module()
    holder.network = nn.Linear(2, 2)
    holder.fast = CompiledNetwork(holder.network, "default", {1})
    other = copy.deepcopy(holder)
    assert other.fast._network is other.network
    assert set(holder.state_dict()) == {"network.weight", "network.bias"}


def test_a_network_that_cannot_be_compiled_is_told(train, monkeypatch):
    def refuse(network, **how):
        raise Unsupported("a call of print\nin your forward")

    monkeypatch.setattr(torch, "compile", refuse)
    with pytest.raises(SettingsError, match=r"cannot be compiled: trainer\.compile=True; a call of print in"):
        train(trainer={"compile": True})


@pytest.mark.slow
def test_the_compiler_itself(train):
    before = counters["stats"]["unique_graphs"]
    own = {"model": "plain", "trainer": {"precision": "32-true"}}
    plain = train("plain", **own)
    assert counters["stats"]["unique_graphs"] == before
    done = train("compiled", **{**own, "trainer": {"compile": True, "precision": "32-true"}})
    assert counters["stats"]["unique_graphs"] > before
    assert done.epochs[-1]["train_loss"] == pytest.approx(plain.epochs[-1]["train_loss"], rel=1e-3)
