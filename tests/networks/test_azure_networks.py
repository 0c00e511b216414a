"""The designer's networks: torchvision's with a layer on top of its 1000 outputs."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from discerna.errors import SettingsError
from discerna.networks.architectures import accepted_arguments, check_arguments, find
from discerna.networks.assembly import head_of, network_for_labels
from discerna.networks.azure_networks import DENSENETS, RESNETS
from discerna.networks.input_sizes import default_preprocessing
from discerna.networks.skeletons import built, check_runs, head_names, shapes, skeleton

HEAD = {"out_linear_model.weight", "out_linear_model.bias"}


@pytest.mark.parametrize("name", [*RESNETS, *DENSENETS])
def test_a_layer_on_top_of_torchvisions_network(name: str):
    above, below = find(f"azure/{name}"), find(name)
    found = shapes(skeleton(above, 3, {}))
    assert {name.removeprefix("model.") for name in found if name not in HEAD} == set(
        shapes(skeleton(below, 1000, {}))
    )
    assert found["out_linear_model.weight"] == (3, 1000)
    assert default_preprocessing(above) == default_preprocessing(below)


def test_only_the_layer_follows_the_labels():
    architecture = find("azure/densenet121")
    assert head_names(architecture, {}) == HEAD
    check_runs(architecture, {}, 32)


def test_arguments_are_torchvisions():
    assert accepted_arguments(find("azure/densenet161")) == accepted_arguments(find("densenet161"))
    check_arguments(find("azure/resnet18"), {"zero_init_residual": True})
    with pytest.raises(SettingsError, match="azure/resnet18 takes zero_init_residual, groups"):
        check_arguments(find("azure/resnet18"), {"memory_efficient": True})
    network = built(find("azure/densenet121"), 3, {"memory_efficient": True})
    assert network.model.features.denseblock1.denselayer1.memory_efficient


@pytest.mark.parametrize(
    ("name", "words"),
    [
        (
            "azure/resnet81",
            "unknown network: model=azure/resnet81; .* 13 networks.* did you mean azure/resnet18",
        ),
        ("azure/vgg11", "unknown network"),
        ("azure/flowers", r"write \./azure/flowers for a directory"),
        ("azure/", "unknown network"),
    ],
)
def test_an_unknown_name(name: str, words: str):
    with pytest.raises(SettingsError, match=words):
        find(name, "model")


def test_weights_go_below_the_layer(create, tmp_path: Path):
    _, plain = create("resnet18", random_seed=5)
    save_file(plain, tmp_path / "plain.safetensors")
    spec, above = create("azure/resnet18", pretrained=f"{tmp_path}/plain.safetensors")
    assert all(torch.equal(above[f"model.{name}"], tensor) for name, tensor in plain.items())
    assert head_of(spec) == HEAD
    save_file(above, tmp_path / "above.safetensors")
    _, again = create("azure/resnet18", pretrained=f"{tmp_path}/above.safetensors", random_seed=9)
    same = {name for name in above if torch.equal(above[name], again[name])}
    assert set(above) - same == HEAD


def test_training_makes_the_layer_afresh(create):
    spec, weights = create("azure/resnet18")
    network, trained = network_for_labels(spec, weights, ["a", "b"], random_seed=1)
    assert trained.network == "azure/resnet18"
    assert network.out_linear_model.out_features == 2
    assert torch.equal(network.model.fc.weight, weights["model.fc.weight"])
    assert isinstance(network.model.fc, nn.Linear)


def test_weights_that_torchvision_has(create, tmp_path: Path):
    with pytest.raises(SettingsError, match=r"unknown weights: .*azure/resnet18 has IMAGENET1K_V1"):
        create("azure/resnet18", pretrained="IMAGENET1K_V9")
