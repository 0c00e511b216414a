"""Weights in parts on several processes: what is built, what is refused, and that it computes what DDP does."""

import os
import subprocess
import sys
from dataclasses import replace
from datetime import timedelta

import pytest
import torch
from lightning.pytorch.strategies import DDPStrategy
from safetensors.torch import load_file
from torch import nn

from discerna import launch, machine
from discerna.composition import compose
from discerna.errors import SettingsError
from discerna.machine import Choice, Machine
from discerna.settings.recipe import Recipe
from discerna.settings.train import TrainSettings
from discerna.training.optimization import build_optimizer
from discerna.training.sharding import Sharded, _Blocks, build_strategy, refuse_what_cannot_be_sharded
from picture_sets import TESTS

BARE = ["model=resnet18", "train_data=a", "valid_data=b", "recipe=azure"]


def settings_of(*overrides: str) -> TrainSettings:
    settings = compose("train", [*BARE, *overrides])
    assert isinstance(settings, TrainSettings)
    return settings


def machine_of(strategy: str) -> Machine:
    settings = settings_of("trainer=cpu")
    alone = machine.choose(settings.trainer, settings.loading, machine.processes(settings.trainer))
    return replace(alone, processes=Choice(2, "a test"), strategy=Choice(strategy, "a test"))


@pytest.mark.parametrize("freeze_epochs", [0, 1])
def test_processes_wait_as_long_as_the_settings_say(freeze_epochs):
    settings = settings_of(f"freeze_epochs={freeze_epochs}", "launch.hang_timeout=3")
    built = build_strategy(settings, machine_of("ddp"), Recipe.of(settings))
    assert isinstance(built, DDPStrategy)
    assert built._timeout == timedelta(minutes=3)
    assert built._ddp_kwargs["find_unused_parameters"] is bool(freeze_epochs)
    assert build_strategy(settings, machine_of("single"), Recipe.of(settings)) == "auto"


def test_sharded_checkpoints_are_whole_and_precision_is_that_of_autocast():
    built = build_strategy(settings_of(), machine_of("fsdp"), Recipe.of(settings_of()))
    assert isinstance(built, Sharded)
    assert built.mixed_precision_config is None
    assert built._state_dict_type == "full" and built.kwargs["use_orig_params"] is True


@pytest.mark.parametrize(
    ("own", "message"),
    [
        (["ema=0.9"], "ema=0.9; an average is made of whole weights; leave it out"),
        (["freeze_epochs=1", "ema=0.9"], "ema=0.9, freeze_epochs=1; "),
        (["trainer.sync_batchnorm=false"], "trainer.sync_batchnorm=false; each process would validate"),
    ],
)
def test_what_needs_whole_weights_is_refused(own, message):
    settings = settings_of(*own)
    refuse_what_cannot_be_sharded(settings, machine_of("ddp"))
    with pytest.raises(SettingsError, match="do not go with") as caught:
        refuse_what_cannot_be_sharded(settings, machine_of("fsdp"))
    assert message in str(caught.value) and "use trainer.strategy=ddp" in str(caught.value)
    refuse_what_cannot_be_sharded(settings_of(), machine_of("fsdp"))


def test_large_children_of_a_sequence_are_gathered_by_themselves():
    attention = nn.MultiheadAttention(64, 1)
    large, small = nn.Linear(100, 100), nn.Linear(5, 5)
    network = nn.ModuleDict({"attention": attention, "body": nn.Sequential(large, small)})
    policy = _Blocks(1000)
    wrapped = []

    def walk(module: nn.Module) -> None:
        assert policy(module, recurse=True, nonwrapped_numel=0)
        for child in module.children():
            walk(child)
        if policy(module, recurse=False, nonwrapped_numel=sum(p.numel() for p in module.parameters())):
            wrapped.append(module)

    walk(network)
    assert wrapped == [large]


class _Flat(nn.Module):
    """As FSDP leaves a layer: its weights flat, below a module of its own."""

    def __init__(self, layer: nn.Linear) -> None:
        super().__init__()
        for weight in layer.parameters():
            weight.data = weight.data.flatten()
        self._fsdp_wrapped_module = layer


def test_what_decays_does_not_depend_on_sharding():
    recipe = Recipe.of(settings_of("optimizer.weight_decay=0.1", "optimizer.decay_norm_and_bias=false"))
    whole = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2))
    vectors = {name for name, weight in whole.named_parameters() if weight.ndim < 2}
    sharded = nn.Sequential(_Flat(nn.Linear(3, 4)), _Flat(nn.Linear(4, 2)))
    given = {"fused": False, "head": {"1.weight", "1.bias"}}
    groups = [
        build_optimizer(recipe.optimizer, whole, 0.1, **given).param_groups,
        build_optimizer(recipe.optimizer, sharded, 0.1, vectors=vectors, **given).param_groups,
    ]
    assert [(g["weight_decay"], [p.numel() for p in g["params"]]) for g in groups[0]] == [
        (g["weight_decay"], [p.numel() for p in g["params"]]) for g in groups[1]
    ]


@pytest.mark.slow
def test_sharded_weights_learn_what_whole_ones_do(pictures, tmp_path):
    """On CPUs, where torch can be made to shard: rates by layer, decay, clipping, pieces, a trial, the last weights."""
    common = [
        "model=plain", "networks.modules=[tiny_networks]", "batch_size=6", "trainer.precision=32-true", "epochs=2",
        "optimizer=adamw", "optimizer.weight_decay=0.1", "optimizer.layer_decay=0.5", "augmentation=none",
        f"train_data={pictures / 'train'}", f"valid_data={pictures / 'valid'}", "trainer=cpu", "trainer.devices=2",
        "trainer.threads=1", "trainer.gradient_clip_val=0.1",
    ]  # fmt: skip
    kinds = {
        "whole": ["learning_rate=find", "trainer.accumulate_grad_batches=2"],
        "cut_short": ["learning_rate=0.01", "trainer.max_steps=2", "early_stopping=none"],
    }
    files = []
    for kind, own in kinds.items():
        for strategy in ("ddp", "fsdp"):
            output = tmp_path / f"{kind}_{strategy}"
            settings = compose("train", [*common, *own, f"output={output}"])
            settings = replace(settings, trainer=replace(settings.trainer, strategy=strategy))
            run, _, _ = launch.prepare(settings)
            assert run.lock is not None
            run.lock.release()
            files.append(str(run.settings))
    done = subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2",
         str(TESTS / "sharded_on_cpus.py"), *files],
        env={**os.environ, "PYTHONPATH": str(TESTS)}, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    for kind in kinds:
        whole, sharded = (
            load_file(tmp_path / f"{kind}_{strategy}" / "weights.safetensors") for strategy in ("ddp", "fsdp")
        )
        for name in whole:
            torch.testing.assert_close(whole[name], sharded[name], rtol=1e-4, atol=1e-6)
