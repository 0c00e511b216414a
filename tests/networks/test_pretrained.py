"""Pretrained weights from files: what is taken, what is refused."""

import logging
import pickle
import re
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torchvision import models

from discerna.directories.model_files import file_digest
from discerna.errors import SettingsError
from discerna.networks import register

Create = Callable[..., Any]
NETWORK = "squeezenet1_1"
WEIGHTS = models.SqueezeNet1_1_Weights.IMAGENET1K_V1


@pytest.fixture
def trained() -> nn.Module:
    """A network as torchvision would have trained it."""
    torch.manual_seed(11)
    return models.get_model(NETWORK, weights=None)


def taken(weights: dict[str, Tensor], network: nn.Module, head: str = "classifier.1") -> bool:
    """Whether all is from the network but the head, and the head is not."""
    state = network.state_dict()
    body = [name for name in weights if not name.startswith(head)]
    assert len(body) < len(weights)
    return all(torch.equal(weights[name], state[name]) for name in body) and not torch.equal(
        weights[f"{head}.weight"], state[f"{head}.weight"]
    )


def theirs(path: Path, entry: Any, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make torchvision believe that the file is its own."""
    name = f"{path.stem}-{file_digest(path)[:8]}{path.suffix}"
    monkeypatch.setattr(entry.value, "url", f"http://127.0.0.1:9/{name}")
    return path


@pytest.mark.parametrize("suffix", [".pth", ".pt", ".safetensors"])
def test_a_file(create: Create, trained: nn.Module, tmp_path: Path, suffix: str):
    file = tmp_path / f"my weights{suffix}"
    save_file(trained.state_dict(), file) if suffix == ".safetensors" else torch.save(
        trained.state_dict(), file
    )
    spec, weights = create(NETWORK, pretrained=str(file))
    assert taken(weights, trained)
    assert spec.weights_from == {"name": file.name, "sha256": file_digest(file), "licence": "not known"}
    _, again = create(NETWORK, pretrained=str(file))
    assert all(torch.equal(weights[name], again[name]) for name in weights)


def test_a_path_from_the_home_or_current_folder(
    create: Create, trained: nn.Module, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    torch.save(trained.state_dict(), tmp_path / "w.pth")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    for path in ("w.pth", "./w.pth", "~/w.pth"):
        assert taken(create(NETWORK, pretrained=path)[1], trained)


@pytest.mark.parametrize("key", ["state_dict", "model"])
def test_weights_inside_a_checkpoint(create: Create, trained: nn.Module, tmp_path: Path, key: str):
    parallel = OrderedDict((f"module.{name}", tensor) for name, tensor in trained.state_dict().items())
    torch.save({key: parallel, "epoch": 3}, tmp_path / "w.pth")
    assert taken(create(NETWORK, pretrained=str(tmp_path / "w.pth"))[1], trained)


def test_any_head_is_dropped(create: Create, trained: nn.Module, tmp_path: Path):
    state = trained.state_dict()
    for head in (
        {},
        {"classifier.1.weight": torch.ones(7, 512, 1, 1), "classifier.1.bias": torch.ones(7)},
        {"classifier.1.0.weight": torch.ones(4)},
    ):
        body = {name: tensor for name, tensor in state.items() if not name.startswith("classifier.1.")}
        torch.save({**body, **head}, tmp_path / "w.pth")
        assert taken(create(NETWORK, pretrained=str(tmp_path / "w.pth"))[1], trained)


def test_half_precision_becomes_single(create: Create, trained: nn.Module, tmp_path: Path):
    save_file({n: t.half() for n, t in trained.state_dict().items()}, tmp_path / "w.safetensors")
    _, weights = create(NETWORK, pretrained=str(tmp_path / "w.safetensors"))
    assert {tensor.dtype for tensor in weights.values()} == {torch.float32}


def test_old_densenet_files(create: Create, tmp_path: Path):
    """Torchvision's own: names as norm.1, no count of batches, and no versions by which layers know."""
    torch.manual_seed(5)
    network = models.densenet121(weights=None)
    old = {
        re.sub(r"(denselayer\d+\.(?:norm|relu|conv))([12])\.", r"\1.\2.", name): tensor
        for name, tensor in network.state_dict().items()
        if not name.endswith("num_batches_tracked")
    }
    assert "features.denseblock1.denselayer1.norm.1.weight" in old
    torch.save(old, tmp_path / "densenet.pth")
    _, weights = create("densenet121", pretrained=str(tmp_path / "densenet.pth"))
    assert taken(weights, network, "classifier")


@pytest.mark.slow
def test_old_vision_transformer_files(create: Create, tmp_path: Path):
    torch.manual_seed(5)
    network = models.vit_b_32(weights=None, image_size=32)
    network.heads.head.weight.data.fill_(1)  # a new one is all zeros
    old = {
        name.replace("mlp.0.", "mlp.linear_1.").replace("mlp.3.", "mlp.linear_2."): tensor
        for name, tensor in network.state_dict().items()
    }
    save_file(old, tmp_path / "vit.safetensors")
    _, weights = create("vit_b_32", pretrained=str(tmp_path / "vit.safetensors"), image_size=32)
    assert taken(weights, network, "heads.head")
    old["encoder.layers.encoder_layer_0.mlp.linear_1.bias"] = torch.ones(2)
    save_file(old, tmp_path / "vit.safetensors")
    with pytest.raises(SettingsError, match=r"do not fit the network: .*size mismatch for encoder\.layers"):
        create("vit_b_32", pretrained=str(tmp_path / "vit.safetensors"), image_size=32)


def test_mnasnet_insists_on_a_version(create: Create, tmp_path: Path):
    torch.manual_seed(5)
    network = models.mnasnet0_5(weights=None)
    save_file(network.state_dict(), tmp_path / "mnasnet.safetensors")
    _, weights = create("mnasnet0_5", pretrained=str(tmp_path / "mnasnet.safetensors"))
    assert taken(weights, network, "classifier.1")


@pytest.mark.parametrize("arguments", [{}, {"aux_logits": False}, {"transform_input": False}], ids=str)
@pytest.mark.parametrize("with_auxiliary", [True, False])
def test_googlenet(create: Create, tmp_path: Path, arguments: dict, with_auxiliary: bool):
    torch.manual_seed(5)
    network = models.googlenet(weights=None, init_weights=False)
    state = {n: t for n, t in network.state_dict().items() if with_auxiliary or not n.startswith("aux")}
    torch.save(state, tmp_path / "google.pth")
    spec, weights = create("googlenet", pretrained=str(tmp_path / "google.pth"), arguments=arguments)
    assert spec.arguments == {"transform_input": True, **arguments}
    body = {n: t for n, t in weights.items() if not n.startswith(("aux", "fc"))}
    assert all(torch.equal(tensor, state[name]) for name, tensor in body.items())
    assert any(name.startswith("aux") for name in weights) == arguments.get("aux_logits", True)


def test_own_networks(create: Create, small_net: str, tmp_path: Path):
    _, weights = create(small_net, random_seed=9)
    save_file(weights, tmp_path / "w.safetensors")
    _, loaded = create(small_net, pretrained=str(tmp_path / "w.safetensors"))
    assert torch.equal(loaded["body.0.weight"], weights["body.0.weight"])
    assert not torch.equal(loaded["head.weight"], weights["head.weight"])
    for pretrained, typed in ((True, "true"), ("IMAGENET1K_V1", "IMAGENET1K_V1")):
        with pytest.raises(
            SettingsError, match=rf"no pretrained weights of its own: pretrained={typed}; small is not"
        ):
            create(small_net, pretrained=pretrained)


def test_a_head_at_the_top_level(create: Create, tmp_path: Path):
    class Flat(nn.Module):
        def __init__(self, num_labels: int) -> None:
            super().__init__()
            self.scale = nn.Parameter(torch.rand(3))
            self.rows = nn.Parameter(torch.rand(num_labels, 3))

        def forward(self, pictures: Tensor) -> Tensor:
            return (pictures.mean((2, 3)) * self.scale) @ self.rows.T

    register("flat_net", Flat)
    save_file({"scale": torch.ones(3), "rows": torch.ones(2, 3)}, tmp_path / "w.safetensors")
    _, weights = create("flat_net", pretrained=str(tmp_path / "w.safetensors"))
    assert torch.equal(weights["scale"], torch.ones(3))
    assert weights["rows"].shape == (1000, 3)


# Files that are torchvision's own


def test_torchvisions_file_is_known_by_its_hash(
    create: Create,
    trained: nn.Module,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
):
    torch.save(trained.state_dict(), tmp_path / "renamed.pth")
    file = theirs(tmp_path / "renamed.pth", WEIGHTS, monkeypatch)
    with caplog.at_level(logging.INFO, "discerna"):
        spec, _ = create(NETWORK, pretrained=str(file))
    assert spec.weights_from["name"] == "IMAGENET1K_V1"
    assert spec.weights_from["licence"].startswith("BSD-3-Clause (torchvision); trained on ImageNet-1K")
    assert "weights IMAGENET1K_V1 of squeezenet1_1, licence: BSD-3-Clause" in caplog.text


def test_weights_bring_preprocessing_and_licence(
    create: Create, trained: nn.Module, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    swag = models.ViT_B_16_Weights.IMAGENET1K_SWAG_E2E_V1
    torch.save(trained.state_dict(), tmp_path / "w.pth")
    file = theirs(tmp_path / "w.pth", WEIGHTS, monkeypatch)
    monkeypatch.setattr(WEIGHTS.value, "transforms", swag.transforms)
    monkeypatch.setitem(WEIGHTS.value.meta, "license", swag.meta["license"])
    spec, _ = create(NETWORK, pretrained=str(file))
    assert (spec.preprocessing.size, spec.preprocessing.interpolation) == (384, "bicubic")
    assert "SWAG" in spec.weights_from["licence"]
    spec, _ = create(NETWORK, pretrained=str(file), image_size=96)
    assert (spec.preprocessing.size, spec.preprocessing.resize) == (96, 96)


def test_weights_of_a_network_made_for_one_size(
    create: Create, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "w.pth").write_bytes(b"never read")
    file = theirs(tmp_path / "w.pth", models.ViT_B_16_Weights.IMAGENET1K_SWAG_E2E_V1, monkeypatch)
    words = "another picture size: image_size=224; IMAGENET1K_SWAG_E2E_V1 of vit_b_16 takes 384"
    with pytest.raises(SettingsError, match=words):
        create("vit_b_16", pretrained=str(file), image_size=224)
    with pytest.raises(SettingsError, match="cannot be read"):
        create("vit_b_16", pretrained=str(file))


@pytest.mark.parametrize("pretrained", [True, "IMAGENET1K_V1"])
def test_the_cache_of_torch_is_used(
    create: Create,
    trained: nn.Module,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    pretrained: bool | str,
):
    cache = tmp_path / "hub"
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(cache))
    (cache / "checkpoints").mkdir(parents=True)
    torch.save(trained.state_dict(), tmp_path / "w.pth")
    theirs(tmp_path / "w.pth", WEIGHTS, monkeypatch).rename(
        cache / "checkpoints" / WEIGHTS.url.rpartition("/")[2]
    )
    spec, weights = create(NETWORK, pretrained=pretrained)
    assert taken(weights, trained)
    assert spec.weights_from["file"] == WEIGHTS.url.rpartition("/")[2]


# What is refused


def refused(create: Create, pretrained: Any, *words: str, network: str = NETWORK, **settings: Any) -> None:
    with pytest.raises(SettingsError) as caught:
        create(network, pretrained=pretrained, **settings)
    message = str(caught.value)
    assert "\n" not in message
    for word in words:
        assert word in message, message


def test_names_of_weights_that_there_are_not(create: Create):
    refused(
        create,
        "IMAGENET1K_V2",
        "unknown weights",
        "squeezenet1_1 has IMAGENET1K_V1",
        "did you mean IMAGENET1K_V1",
    )
    refused(create, "mine", "unknown weights", "or give the path of a .safetensors or .pth file")
    refused(create, "IMAGENET1K_FEATURES", "vgg16 has IMAGENET1K_V1", network="vgg16")


def test_paths_that_lead_nowhere(create: Create, tmp_path: Path):
    refused(create, str(tmp_path / "none.pth"), "no such file of weights", "there is nothing at this path")
    refused(create, "none.pth", "no such file of weights: pretrained=none.pth")
    refused(create, str(tmp_path), "it is a directory", "weights.safetensors")
    (tmp_path / "w.bin").touch()
    refused(create, str(tmp_path / "w.bin"), "names that end with .safetensors, .pth, .pt")


class Payload:
    """Touches a file when it is unpickled."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self):
        return Path.touch, (self.marker,)


@pytest.mark.parametrize("style", ["zip", "legacy", "bare"])
def test_a_pickle_that_runs_code(create: Create, trained: nn.Module, tmp_path: Path, style: str):
    marker, file = tmp_path / "marker", tmp_path / "w.pth"
    content = {"state_dict": trained.state_dict(), "arguments": Payload(marker)}
    if style == "bare":
        file.write_bytes(pickle.dumps(Payload(marker)))
    else:
        torch.save(content, file, _use_new_zipfile_serialization=style == "zip")
    refused(create, str(file), "cannot be read", "are not unpickled", "state_dict alone")
    assert not marker.exists()


def test_damaged_files(create: Create, trained: nn.Module, tmp_path: Path):
    torch.save(trained.state_dict(), tmp_path / "w.pth")
    whole = (tmp_path / "w.pth").read_bytes()
    for suffix in (".pth", ".pt", ".safetensors"):
        for data in (b"", b"x", whole[:1000], b"\x80\x02.", b"\xff" * 64):
            (tmp_path / f"d{suffix}").write_bytes(data)
            refused(create, str(tmp_path / f"d{suffix}"))


@pytest.mark.parametrize(
    "content", [[], {}, torch.ones(3), 5, {"state_dict": {}}, {"epoch": 3}, {"model": {"a": "text"}}], ids=str
)
def test_files_without_weights(create: Create, tmp_path: Path, content: object):
    torch.save(content, tmp_path / "w.pth")
    refused(create, str(tmp_path / "w.pth"), "the file holds")


def test_weights_of_another_network(create: Create, trained: nn.Module, tmp_path: Path):
    file = tmp_path / "w.pth"
    state = trained.state_dict()
    torch.save(models.squeezenet1_0(weights=None).state_dict(), file)
    refused(
        create,
        str(file),
        "do not fit the network",
        "wrong shapes: features.0.weight is 96×3×7×7, not 64×3×3×3",
    )
    lacking = {name: tensor for name, tensor in state.items() if not name.startswith("features.12")}
    torch.save({**lacking, "extra.weight": torch.ones(1)}, file)
    refused(
        create,
        str(file),
        "missing: features.12.squeeze.weight, features.12.squeeze.bias, features.12.expand1x1.weight and 3 more",
        "unexpected: extra.weight",
    )


def test_weights_that_are_not_finite(create: Create, trained: nn.Module, tmp_path: Path):
    state = trained.state_dict()
    state["features.0.bias"][3] = float("nan")
    torch.save(state, tmp_path / "w.pth")
    refused(create, str(tmp_path / "w.pth"), "NaN or infinity", "features.0.bias")


def test_settings_are_checked_before_anything_is_fetched(create: Create):
    refused(create, True, "cannot take pictures of 4 pixels", image_size=4)
