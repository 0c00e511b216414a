"""Untrained networks, networks for some labels, trained networks; each by way of a model directory."""

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torchvision import models

from discerna.directories import model_files
from discerna.directories.model_dir import ModelDirectory, ModelSpec, write_model_directory
from discerna.errors import InvalidModelDirectoryError, SettingsError
from discerna.networks import register
from discerna.networks.assembly import (
    check_tensors,
    has_batch_norm,
    logits,
    network_for_labels,
    trained_network,
)

Create = Callable[..., tuple[ModelSpec, dict[str, Tensor]]]
LABELS = ["cat", "dog", "frog"]


def one_step(network: nn.Module, size: int) -> None:
    """One step of training on two pictures."""
    network.train()
    optimizer = torch.optim.SGD(
        network.parameters(), lr=1e-6
    )  # batch norms of two pictures make steep slopes
    scores, heads = logits(network(torch.rand(2, 3, size, size)))
    target = torch.tensor([0, 2])
    loss = cross_entropy(scores, target) + sum(weight * cross_entropy(head, target) for weight, head in heads)
    loss.backward()
    assert all(p.grad is not None for p in network.parameters() if p.requires_grad), "every weight is trained"
    optimizer.step()


def answers(network: nn.Module, size: int) -> Tensor:
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        return network.eval()(torch.rand(1, 3, size, size, generator=generator))


FAMILIES = {
    "densenet121": 64,
    "googlenet": 64,
    "inception_v3": 299,
    "maxvit_t": 224,
    "resnet18": 64,
    "vit_b_32": 32,
}
"""The usual two, and those with auxiliary heads or a fixed size; the slow test has all families."""


def trains(name: str, size: int, create: Create, directory: Path) -> None:
    torch.manual_seed(0)
    spec, weights = create(name, image_size=size)
    network, spec = network_for_labels(spec, weights, LABELS, random_seed=2)
    assert (spec.state, spec.labels, spec.preprocessing.size) == ("trained", LABELS, size)
    kept = [key for key, tensor in network.state_dict().items() if torch.equal(tensor, weights[key])]
    del weights
    assert len(network.state_dict()) - len(kept) <= 6, "all but the head is as it was"
    one_step(network, size)
    expected = answers(network, size)
    assert expected.shape == (1, 3)
    assert expected.isfinite().all()
    write_model_directory(directory, spec, network.state_dict(), training={}, overwrite=False)
    loaded = trained_network(ModelDirectory.open(directory))
    assert not loaded.training
    written, read = network.state_dict(), loaded.state_dict()
    assert written.keys() == read.keys() and all(torch.equal(written[key], read[key]) for key in read)
    # Some processors round otherwise where the same weights lie otherwise in memory.
    torch.testing.assert_close(answers(loaded, size), expected, rtol=1e-4, atol=1e-6)
    assert all(parameter.requires_grad for parameter in loaded.parameters())


@pytest.mark.parametrize("name", FAMILIES)
def test_each_family_trains_and_is_loaded_again(name: str, create: Create, tmp_path: Path):
    trains(name, FAMILIES[name], create, tmp_path / "model")


def parameters(name: str) -> int:
    return int(models.get_model_weights(name).DEFAULT.meta["num_params"])


TRAINED = [n for n in models.list_models(module=models) if parameters(n) < 45e6 or n in ("alexnet", "vgg11")]
"""All families; the larger members differ in depth and width only, and test_skeletons.py builds all 80."""


@pytest.mark.slow
@pytest.mark.parametrize("name", TRAINED)
def test_every_network_trains_and_is_loaded_again(name: str, create: Create, tmp_path: Path):
    size = {"inception_v3": 299, "maxvit_t": 224}.get(name, 64)
    trains(name, size, create, tmp_path / "model")
    (tmp_path / "model" / "weights.safetensors").unlink()  # up to 1.2 GB each


# create


def test_creation_is_the_same_again(create: Create):
    (spec, one), (_, other), (_, third) = (
        create("resnet18"),
        create("resnet18"),
        create("resnet18", random_seed=2),
    )
    assert all(torch.equal(one[name], other[name]) for name in one)
    assert not torch.equal(one["conv1.weight"], third["conv1.weight"])
    assert (spec.state, spec.labels, spec.weights_from, spec.arguments) == ("untrained", [], None, {})
    assert one["fc.weight"].shape == (1000, 512)


@pytest.mark.parametrize(
    "seed", [0, -1, 2**64, -(2**200), 10**5000], ids=["zero", "negative", "65 bits", "200 bits", "huge"]
)
def test_any_whole_number_is_a_seed(create: Create, small_net: str, seed: int):
    (_, one), (_, other) = create(small_net, random_seed=seed), create(small_net, random_seed=seed)
    assert all(torch.equal(one[name], other[name]) for name in one)
    _, near = create(small_net, random_seed=seed + 1)
    assert not torch.equal(one["head.weight"], near["head.weight"])


def test_the_callers_random_numbers_are_left_alone(create: Create, small_net: str, tmp_path: Path):
    torch.manual_seed(3)
    before = torch.get_rng_state()
    for network in ("resnet18", small_net):
        spec, weights = create(network)
        made, spec = network_for_labels(spec, weights, LABELS, random_seed=9)
        write_model_directory(tmp_path / network, spec, made.state_dict(), overwrite=False)
        trained_network(ModelDirectory.open(tmp_path / network))
    assert torch.equal(torch.get_rng_state(), before)


def test_other_devices_are_not_seeded(create: Create, small_net: str, monkeypatch: pytest.MonkeyPatch):
    def refuse(*_: object) -> None:
        raise AssertionError

    monkeypatch.setattr(torch.cuda, "manual_seed_all", refuse)
    create(small_net)


def test_settings_reach_the_spec(create: Create):
    spec, weights = create("vit_b_32", image_size=64, fit="pad", arguments={"dropout": 0.5}, mean=[0.0] * 3)
    assert spec.arguments == {"dropout": 0.5, "image_size": 64}
    assert (spec.preprocessing.size, spec.preprocessing.resize, spec.preprocessing.fit) == (64, 73, "pad")
    assert spec.preprocessing.mean == [0.0] * 3
    assert weights["encoder.pos_embedding"].shape == (1, 5, 768)


@pytest.mark.parametrize(
    ("network", "settings", "words"),
    [
        ("resnet81", {"setting": "model"}, "unknown network: model=resnet81"),
        ("resnet18", {"arguments": {"num_classes": 3}}, "number of labels cannot be set"),
        ("resnet18", {"arguments": {"groups": 2}}, "resnet18 cannot be built"),
        ("squeezenet1_1", {"image_size": 16}, "cannot take pictures of 16 pixels: .*it takes 17 or more"),
        ("resnet18", {"resize": 10}, "smaller than its crop"),
    ],
)
def test_creation_refuses(create: Create, network: str, settings: dict[str, Any], words: str):
    with pytest.raises(SettingsError, match=words):
        create(network, **settings)


# for labels


def test_weights_edited_in_the_directory_are_used(create: Create, tmp_path: Path):
    spec, weights = create("resnet18", image_size=32)
    weights["layer1.0.conv1.weight"] = torch.full_like(weights["layer1.0.conv1.weight"], 0.125)
    weights["bn1.running_mean"] += 7
    write_model_directory(tmp_path / "m", spec, weights, overwrite=False)
    directory = ModelDirectory.open(tmp_path / "m")
    check_tensors(directory)
    loaded = directory.load_weights()
    network, _ = network_for_labels(directory.spec, loaded, LABELS, random_seed=1)
    assert (network.layer1[0].conv1.weight == 0.125).all()
    assert torch.equal(network.bn1.running_mean, weights["bn1.running_mean"])
    one_step(network, 32)
    assert (loaded["layer1.0.conv1.weight"] == 0.125).all(), "what was given is not trained in place"


def test_the_head_is_made_afresh_by_the_seed(create: Create, small_net: str):
    spec, weights = create(small_net)
    made = [network_for_labels(spec, weights, LABELS, random_seed=seed)[0].head.weight for seed in (1, 1, 2)]
    assert torch.equal(made[0], made[1])
    assert not torch.equal(made[0], made[2])
    spec, weights = create("resnet18")
    thousand, _ = network_for_labels(spec, weights, [f"label {n}" for n in range(1000)], random_seed=5)
    assert not torch.equal(thousand.fc.weight, weights["fc.weight"]), "the same number is not the same labels"


def test_a_trained_head_is_kept_for_the_same_labels_only(create: Create, small_net: str):
    network, spec = network_for_labels(*create(small_net), LABELS, random_seed=1)
    weights = network.state_dict()
    again, _ = network_for_labels(spec, weights, LABELS, random_seed=2)
    assert torch.equal(again.head.weight, network.head.weight)
    for labels in (["cat", "dog", "newt"], ["dog", "cat", "frog"], ["cat", "dog"]):
        other, changed = network_for_labels(spec, weights, labels, random_seed=2)
        assert changed.labels == labels
        assert torch.equal(other.body[0].weight, network.body[0].weight)
        assert other.head.weight.shape[0] == len(labels)
        assert not torch.equal(other.head.weight[:2], network.head.weight[:2])


def test_another_picture_size(create: Create):
    spec, weights = create("resnet18")
    _, changed = network_for_labels(spec, weights, LABELS, random_seed=1, image_size=64)
    assert (changed.preprocessing.size, changed.preprocessing.resize) == (64, 73)
    spec, weights = create("vit_b_32", image_size=64)
    network_for_labels(spec, weights, LABELS, random_seed=1, image_size=64)
    with pytest.raises(
        SettingsError, match=r"image_size=96; this vit_b_32 takes 64; .*create network=vit_b_32 image"
    ):
        network_for_labels(spec, weights, LABELS, random_seed=1, image_size=96)
    spec, weights = create("squeezenet1_1")
    with pytest.raises(SettingsError, match="squeezenet1_1 cannot take pictures of 8 pixels"):
        network_for_labels(spec, weights, LABELS, random_seed=1, image_size=8)


def test_weights_that_are_not_the_networks(create: Create, small_net: str):
    spec, weights = create(small_net)
    lacking = {name: tensor for name, tensor in weights.items() if name != "body.0.weight"}
    wrong = {**weights, "body.0.weight": torch.ones(1, 2)}
    for given, words in (
        (lacking, r"body\.0\.weight is missing"),
        ({**weights, "more\n": torch.ones(1)}, r"more\\n is unexpected"),
        (wrong, r"body\.0\.weight is \[1, 2\], not \[4, 3, 3, 3\]"),
        ({}, r"and \d+ more"),
    ):
        with pytest.raises(InvalidModelDirectoryError, match=words) as caught:
            network_for_labels(spec, given, LABELS, random_seed=1, where="model=/x")
        assert "model=/x" in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"network": "nobodys"}, r"network is not known here: .*it is nobodys; .*networks\.modules=\["),
        ({"network": "timm/x"}, "not known here"),
        ({"arguments": {"groups": 2}}, "cannot be built: model=m; resnet18 cannot be built: "),
        ({"arguments": {"weights": "DEFAULT"}}, "cannot be built"),
        ({"arguments": {"pretrained": True}}, "cannot be built"),
        ({"arguments": {"norm_layer": "builtins.open"}}, "cannot be built"),
        ({"arguments": {"width_per_group": 10**12}}, "cannot be built|not those"),
        (
            {"network": "mobilenet_v2", "arguments": {"inverted_residual_setting": [[1, 8, 10**9, 1]]}},
            "more than 5000 tensors",
        ),
        ({"network": "maxvit_t"}, "cannot be built"),
        ({"network": "resnet34"}, "not those of the model's network"),
    ],
    ids=str,
)
def test_specs_that_a_stranger_wrote(create: Create, tmp_path: Path, changes: dict[str, Any], words: str):
    spec, weights = create("resnet18")
    spec = replace(spec, **changes)
    with pytest.raises(InvalidModelDirectoryError, match=words):
        network_for_labels(spec, weights, LABELS, random_seed=1, where="model=m")
    trained = replace(spec, state="trained", labels=LABELS)
    weights = {**weights, "fc.weight": torch.zeros(3, 512), "fc.bias": torch.zeros(3)}
    write_model_directory(tmp_path / "m", trained, weights, overwrite=False)
    directory = ModelDirectory.open(tmp_path / "m")
    with pytest.raises(InvalidModelDirectoryError, match=words.replace("model=m", r"model=\S+")) as caught:
        trained_network(directory)
    assert "\n" not in str(caught.value)
    assert str(tmp_path / "m") in str(caught.value)


# trained


def test_an_untrained_model_cannot_be_asked(create: Create, small_net: str, tmp_path: Path):
    write_model_directory(tmp_path / "m", *create(small_net), overwrite=False)
    with pytest.raises(
        InvalidModelDirectoryError, match=r"the model is untrained: .*; train it: discerna train model="
    ):
        trained_network(ModelDirectory.open(tmp_path / "m"))


def test_wrong_shapes_are_refused_before_any_tensor_is_loaded(
    create: Create, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    network, spec = network_for_labels(*create("resnet18"), LABELS, random_seed=1)
    weights = network.state_dict()
    loads: list[Path] = []
    monkeypatch.setattr("safetensors.torch.load_file", loads.append)
    many = [f"label {n}" for n in range(4)]
    for n, (changed, tensors) in enumerate(
        [
            (replace(spec, labels=many), weights),
            (spec, {**weights, "conv1.weight": torch.zeros(64, 3, 7, 8)}),
            (spec, {**weights, "another": torch.zeros(1)}),
            (spec, {name: tensor for name, tensor in weights.items() if name != "fc.bias"}),
        ]
    ):
        write_model_directory(tmp_path / str(n), changed, tensors, overwrite=False)
        with pytest.raises(InvalidModelDirectoryError, match="not those of the model's network"):
            trained_network(ModelDirectory.open(tmp_path / str(n)))
    assert not loads


def test_check_tensors_of_an_untrained_directory(create: Create, tmp_path: Path):
    spec, weights = create("squeezenet1_1")
    write_model_directory(tmp_path / "m", replace(spec, network="squeezenet1_0"), weights, overwrite=False)
    with pytest.raises(InvalidModelDirectoryError, match="not those of the model's network"):
        check_tensors(ModelDirectory.open(tmp_path / "m"))


def test_tensors_of_another_type_become_the_networks_own(create: Create, small_net: str, tmp_path: Path):
    network, spec = network_for_labels(*create(small_net), LABELS, random_seed=1)
    half = {
        name: tensor.half() if tensor.is_floating_point() else tensor
        for name, tensor in network.state_dict().items()
    }
    write_model_directory(tmp_path / "m", spec, half, overwrite=False)
    loaded = trained_network(ModelDirectory.open(tmp_path / "m"))
    assert {parameter.dtype for parameter in loaded.parameters()} == {torch.float32}
    assert torch.allclose(answers(loaded, 8), answers(network, 8), atol=1e-2)


def test_own_networks_keep_what_is_not_stored(create: Create, small_net: str, tmp_path: Path):
    network, spec = network_for_labels(*create(small_net, arguments={"width": 6}), LABELS, random_seed=1)
    write_model_directory(tmp_path / "m", spec, network.state_dict(), overwrite=False)
    loaded = trained_network(ModelDirectory.open(tmp_path / "m"))
    assert torch.equal(answers(loaded, 8), answers(network, 8))
    assert loaded.body[0].out_channels == 6


def test_a_torchvision_network_with_a_buffer_that_is_not_stored(
    create: Create, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """None has one today; such a network is built in full."""
    network, spec = network_for_labels(*create("resnet18", image_size=32), LABELS, random_seed=1)
    write_model_directory(tmp_path / "m", spec, network.state_dict(), overwrite=False)
    original = models.ResNet.__init__

    def with_buffer(self, *arguments, **named):
        original(self, *arguments, **named)
        self.register_buffer("mask", torch.ones(3), persistent=False)

    monkeypatch.setattr(models.ResNet, "__init__", with_buffer)
    loaded = trained_network(ModelDirectory.open(tmp_path / "m"))
    assert torch.equal(loaded.mask, torch.ones(3))
    assert torch.equal(answers(loaded, 32), answers(network, 32))


def test_layers_that_refuse_their_tensors(create: Create, tmp_path: Path):
    class Picky(nn.Linear):
        def _load_from_state_dict(self, *arguments: Any) -> None:
            arguments[-1].append("not\nthese")

    register(
        "picky", lambda num_labels: nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), Picky(3, num_labels))
    )
    spec, weights = create("picky", image_size=8)
    with pytest.raises(InvalidModelDirectoryError, match="not these"):
        network_for_labels(spec, weights, LABELS, random_seed=1)


@pytest.mark.slow
def test_nothing_is_loaded_from_lightning_or_the_network(tmp_path: Path, create: Create):
    network, spec = network_for_labels(*create("resnet18", image_size=32), LABELS, random_seed=1)
    write_model_directory(
        tmp_path / "m",
        replace(spec, weights_from={"name": "IMAGENET1K_V1"}),
        network.state_dict(),
        overwrite=False,
    )
    code = """
import socket, sys
def refuse(*_): raise AssertionError("network")
socket.socket.connect = socket.getaddrinfo = refuse
from discerna.directories.model_dir import ModelDirectory
from discerna.networks.assembly import trained_network
trained_network(ModelDirectory.open(sys.argv[1]))
print({"lightning", "hydra", "omegaconf"} & set(sys.modules))
"""
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path / "m")], capture_output=True, text=True)
    assert done.stdout.strip() == "set()", done.stderr


def test_has_batch_norm(create: Create, small_net: str):
    assert has_batch_norm(network_for_labels(*create(small_net), LABELS, random_seed=1)[0])
    assert not has_batch_norm(nn.Sequential(nn.Linear(3, 3), nn.LayerNorm(3), nn.GroupNorm(1, 3)))
    assert has_batch_norm(nn.Sequential(nn.SyncBatchNorm(3)))


def test_the_description_of_a_real_model(create: Create, tmp_path: Path):
    """The format that docs/model-directory.md describes; a change needs a new version."""
    write_model_directory(tmp_path / "m", *create("resnet18"), overwrite=False)
    assert json.loads((tmp_path / "m" / model_files.MODEL).read_text()) == {
        "format_version": 1,
        "state": "untrained",
        "network": "resnet18",
        "arguments": {},
        "labels": [],
        "preprocessing": {
            "size": 224,
            "fit": "crop",
            "resize": 256,
            "interpolation": "bilinear",
            "mean": [0.485, 0.456, 0.406],
            "std": [0.229, 0.224, 0.225],
        },
        "weights_from": None,
    }
