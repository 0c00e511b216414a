"""When a network is compiled, and what of it."""

import json

import pytest
import torch
from torch import nn

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


def test_only_training_on_whole_batches_is_compiled(pictures, tmp_path, compiled):
    given = {
        "model": "tiny",
        "train_data": pictures / "train",
        "valid_data": pictures / "valid",
        "epochs": 2,
        "batch_size": 8,
        "ema": 0.9,
    }
    discerna.train(**given, output=tmp_path / "compiled", trainer={"compile": "reduce-overhead"})
    assert (
        compiled == [(8, "reduce-overhead")] * 6
    )  # 27 pictures: the last 3 of each epoch are computed as ever
    discerna.train(**given, output=tmp_path / "plain")
    one, other = ((tmp_path / name / "weights.safetensors").read_bytes() for name in ("compiled", "plain"))
    assert one == other
    told = json.loads((tmp_path / "compiled" / "training.json").read_text())
    assert told["machine"]["compile"] == {"value": "reduce-overhead", "reason": "trainer.compile"}


def test_pieces_are_batches(pictures, tmp_path, compiled):
    discerna.train(
        model="plain",
        train_data=pictures / "train",
        valid_data=pictures / "valid",
        output=tmp_path / "m",
        epochs=1,
        batch_size=8,
        trainer={"compile": True, "accumulate_grad_batches": 2},
    )
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


def test_what_a_trial_has_told_holds_for_a_restart(pictures, tmp_path, compiled, worth_trying, capsys):
    given = {
        "model": "tiny",
        "train_data": pictures / "train",
        "valid_data": pictures / "valid",
        "batch_size": 8,
    }
    discerna.train(**given, output=tmp_path / "m", epochs=1)
    told = capsys.readouterr().err
    assert "compile" in told and " ms instead of " in told
    decided = json.loads((tmp_path / "m.run" / "decisions.json").read_text())
    assert decided["compile"] in ("default", "off")
    decided.update(compile="max-autotune", compile_reason="as before")
    (tmp_path / "m.run" / "decisions.json").write_text(json.dumps(decided))
    compiled.clear()
    discerna.resume(tmp_path / "m.run", epochs=2)
    assert compiled == [(8, "max-autotune")] * 3


def test_a_trial_changes_nothing_of_what_is_learned(pictures, tmp_path, compiled, worth_trying, monkeypatch):
    given = {"model": "tiny", "train_data": pictures / "train", "valid_data": pictures / "valid", "epochs": 1}
    discerna.train(**given, output=tmp_path / "tried")
    monkeypatch.undo()
    discerna.train(**given, output=tmp_path / "plain")
    one, other = ((tmp_path / name / "weights.safetensors").read_bytes() for name in ("tried", "plain"))
    assert one == other


def test_a_copy_is_compiled_for_itself(compiled):
    import copy

    holder = nn.Module()
    holder.network = nn.Linear(2, 2)
    holder.fast = CompiledNetwork(holder.network, "default", {1})
    other = copy.deepcopy(holder)
    assert other.fast._network is other.network
    assert set(holder.state_dict()) == {"network.weight", "network.bias"}


def test_a_network_that_cannot_be_compiled_is_told(pictures, tmp_path, monkeypatch):
    from torch._dynamo.exc import Unsupported

    def refuse(network, **how):
        raise Unsupported("a call of print\nin your forward")

    monkeypatch.setattr(torch, "compile", refuse)
    with pytest.raises(
        SettingsError, match=r"cannot be compiled: trainer\.compile=True; a call of print in your"
    ):
        discerna.train(
            model="tiny",
            train_data=pictures / "train",
            valid_data=pictures / "valid",
            output=tmp_path / "m",
            batch_size=8,
            trainer={"compile": True},
        )


@pytest.mark.slow
def test_the_compiler_itself(pictures, tmp_path):
    done = discerna.train(
        model="plain",
        train_data=pictures / "train",
        valid_data=pictures / "valid",
        output=tmp_path / "m",
        batch_size=8,
        epochs=2,
        trainer={"compile": True, "precision": "32-true"},
    )
    plain = discerna.train(
        model="plain",
        train_data=pictures / "train",
        valid_data=pictures / "valid",
        output=tmp_path / "plain",
        batch_size=8,
        epochs=2,
        trainer={"precision": "32-true"},
    )
    assert done.epochs[-1]["train_loss"] == pytest.approx(plain.epochs[-1]["train_loss"], rel=1e-3)
