"""`discerna create`, as the command line and as Python call it."""

import logging
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from discerna.commands.create import CreateResult, run
from discerna.composition import compose
from discerna.directories.model_dir import ModelDirectory
from discerna.errors import OutputError, SettingsError


@pytest.fixture
def create(tmp_path: Path) -> Callable[..., CreateResult]:
    """Run the command with settings as typed."""
    return lambda *typed: run(compose("create", [f"output={tmp_path}/model", *typed]))


def test_a_model_is_written(create: Callable[..., CreateResult], tmp_path: Path):
    result = create("network=resnet18", "image_size=64", "arguments.zero_init_residual=true")
    directory = ModelDirectory.open(result.output)
    assert directory.path == tmp_path / "model"
    assert directory.spec.state == "untrained"
    assert directory.spec.arguments == {"zero_init_residual": True}
    assert directory.spec.preprocessing == result.preprocessing
    assert (result.preprocessing.size, result.preprocessing.resize) == (64, 73)
    assert result.parameters == 11_689_512
    assert result.summary() == (
        f"wrote the untrained model {tmp_path}/model\n"
        "  network       resnet18, 11,689,512 parameters\n"
        "  picture size  64, crop\n"
        "  weights       random, random_seed=1\n"
        f"next  discerna train model={tmp_path}/model train_data=... valid_data=... output=..."
    )


def test_the_same_command_gives_the_same_bytes(create: Callable[..., CreateResult], tmp_path: Path):
    for name in ("one", "two"):
        create("network=squeezenet1_1", f"output={tmp_path}/{name}", "random_seed=-7")
    assert sorted(os.listdir(tmp_path / "one")) == sorted(os.listdir(tmp_path / "two"))
    for file in (tmp_path / "one").iterdir():
        assert file.read_bytes() == (tmp_path / "two" / file.name).read_bytes()


def test_a_seed_is_drawn_and_told(
    create: Callable[..., CreateResult], tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    with caplog.at_level(logging.INFO, "discerna"):
        drawn = create("network=tiny", "random_seed=null")
    assert f"random_seed={drawn.random_seed} was drawn" in caplog.text
    again = create("network=tiny", f"random_seed={drawn.random_seed}", f"output={tmp_path}/again")
    weights = [(result.output / "weights.safetensors").read_bytes() for result in (drawn, again)]
    assert weights[0] == weights[1]
    other = create("network=tiny", "random_seed=null", f"output={tmp_path}/other")
    assert other.random_seed != drawn.random_seed


def test_weights_and_their_licence_are_told(create: Callable[..., CreateResult], tmp_path: Path):
    create("network=tiny", f"output={tmp_path}/first")
    result = create("network=tiny", f"pretrained={tmp_path}/first/weights.safetensors")
    assert "  weights       weights.safetensors, licence: not known\n" in result.summary()
    assert ModelDirectory.open(result.output).spec.weights_from == result.weights_from


def test_an_existing_output_costs_no_time(
    create: Callable[..., CreateResult], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    create("network=tiny")

    def never(*_: object, **__: object) -> Any:
        raise AssertionError("it was built first")

    with monkeypatch.context() as patched:
        patched.setattr("discerna.commands.create.create_untrained", never)
        with pytest.raises(OutputError, match="the output exists"):
            create("network=tiny")
    create("network=plain", "overwrite=true")
    assert ModelDirectory.open(tmp_path / "model").spec.network == "plain"


def test_a_mistake_leaves_nothing(create: Callable[..., CreateResult], tmp_path: Path):
    for typed in (
        ["network=resnet81"],
        ["network=resnet18", "arguments.a=1"],
        ["network=densenet121", "image_size=5"],
        ["network=resnet18", "image_size=20000"],
    ):
        with pytest.raises(SettingsError):
            create(*typed)
    assert not list(tmp_path.iterdir())


def test_own_modules(create: Callable[..., CreateResult], tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "nets_of_create.py").write_text(
        "from torch import nn\n"
        "from discerna.networks import register\n"
        "@register('net_of_create', image_size=12)\n"
        "def net(num_labels, width=3):\n"
        "    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, num_labels))\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    result = create("network=net_of_create", "networks.modules=[nets_of_create]")
    assert result.preprocessing.size == 12
    assert ModelDirectory.open(result.output).spec.network == "net_of_create"
