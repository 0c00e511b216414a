"""timm's weights: chosen by tag, from the hub's cache or the hub, and a quick word when there is neither."""

import http.server
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from huggingface_hub import constants
from safetensors.torch import save, save_file
from torch import Tensor, nn

from discerna.directories.model_dir import ModelSpec
from discerna.errors import DownloadError, SettingsError
from discerna.networks import downloads, timm_weights
from discerna.networks.architectures import find

Create = Callable[..., tuple[ModelSpec, dict[str, Tensor]]]
NETWORK, TAG = "timm/test_resnet", "r160_in1k"
HUB = f"timm/test_resnet.{TAG}"
COMMIT = "0123456789" * 4


@pytest.fixture(autouse=True)
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The hub's cache is empty, and nothing of this machine's environment tells otherwise."""
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    return tmp_path / "hub"


def network_of(name: str, **arguments: Any) -> nn.Module:
    torch.manual_seed(5)
    network = timm.create_model(name, num_classes=7, **arguments)
    for tensor in network.state_dict().values():
        if tensor.is_floating_point():
            tensor.add_(torch.rand(tensor.shape))
    return network


@pytest.fixture
def trained() -> nn.Module:
    return network_of("test_resnet")


def put(cache: Path, hub: str, file: str, network: nn.Module) -> Path:
    """The weights where the hub's client would have put them."""
    folder = cache / f"models--{hub.replace('/', '--')}"
    (folder / "refs").mkdir(parents=True)
    (folder / "refs" / "main").write_text(COMMIT)
    path = folder / "snapshots" / COMMIT / file
    path.parent.mkdir(parents=True)
    save_file(network.state_dict(), path) if file.endswith("safetensors") else torch.save(
        network.state_dict(), path
    )
    return path


def taken(weights: dict[str, Tensor], network: nn.Module, head: str = "fc") -> bool:
    state = network.state_dict()
    assert weights.keys() == state.keys()
    return all(torch.equal(weights[name], state[name]) for name in state if not name.startswith(f"{head}."))


@pytest.mark.parametrize(
    ("network", "pretrained"),
    [
        (NETWORK, True),
        (NETWORK, TAG),
        (NETWORK, f"test_resnet.{TAG}"),
        (f"{NETWORK}.{TAG}", True),
        (f"{NETWORK}.{TAG}", TAG),
    ],
)
def test_the_cache_of_the_hub_is_used(
    create: Create, trained: nn.Module, empty_cache: Path, network: str, pretrained: Any
):
    put(empty_cache, HUB, "model.safetensors", trained)
    spec, weights = create(network, pretrained=pretrained)
    assert taken(weights, trained)
    assert weights["fc.weight"].shape[0] == 1000
    assert spec.network == f"{NETWORK}.{TAG}"
    assert spec.weights_from == {"name": f"test_resnet.{TAG}", "file": HUB, "licence": "apache-2.0"}
    assert (spec.preprocessing.size, spec.preprocessing.resize) == (160, 168)


def test_an_older_file_of_the_hub(create: Create, trained: nn.Module, empty_cache: Path):
    put(empty_cache, HUB, "pytorch_model.bin", trained)
    assert taken(create(NETWORK, pretrained=True)[1], trained)


def test_a_licence_that_is_not_told(create: Create, trained: nn.Module, monkeypatch: pytest.MonkeyPatch):
    for licence, told in (("unknown", "not known: see the model card"), ("cc-by-nc-4.0", "cc-by-nc-4.0")):
        config = timm.get_pretrained_cfg(f"test_resnet.{TAG}")
        config.license = licence
        monkeypatch.setattr(timm, "get_pretrained_cfg", lambda *_, config=config: config)
        assert timm_weights.described(find(f"{NETWORK}.{TAG}").timm).licence == told


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
def test_a_file_of_the_users(create: Create, trained: nn.Module, tmp_path: Path, suffix: str):
    file = tmp_path / f"mine{suffix}"
    save_file(trained.state_dict(), file) if suffix == ".safetensors" else torch.save(
        {"state_dict": trained.state_dict()}, file
    )
    spec, weights = create(NETWORK, pretrained=str(file), image_size=32)
    assert taken(weights, trained)
    assert (spec.network, spec.weights_from["licence"]) == (NETWORK, "not known")
    with pytest.raises(SettingsError, match="the weights do not fit the network"):
        create("timm/test_efficientnet", pretrained=str(file))
    with pytest.raises(SettingsError, match="the weights do not fit the network"):
        create("timm/test_vit", pretrained=str(file))


def test_positions_are_fitted_to_another_size(create: Create, tmp_path: Path):
    network = network_of("test_vit")
    save_file(network.state_dict(), tmp_path / "vit.safetensors")
    _, weights = create("timm/test_vit", pretrained=str(tmp_path / "vit.safetensors"), image_size=96)
    assert weights["pos_embed"].shape == (1, 37, 64)
    del weights["pos_embed"]
    assert all(
        torch.equal(weights[name], tensor)
        for name, tensor in network.state_dict().items()
        if name in weights and not name.startswith("head.")
    )


def test_files_as_their_authors_wrote_them(create: Create, tmp_path: Path):
    """timm's converter of ConvNeXt takes two arguments, that of RegNet has a name and a shape of its own."""
    network = network_of("test_convnext")
    theirs = {
        "model." + name.replace("conv_dw", "dwconv").replace("mlp.fc", "pwconv"): tensor
        for name, tensor in network.state_dict().items()
    }
    assert any("dwconv" in name for name in theirs)
    theirs = {name.removeprefix("model."): tensor for name, tensor in theirs.items()}
    stem = {"stem.0": "downsample_layers.0.0", "stem.1": "downsample_layers.0.1"}
    for ours, original in stem.items():
        for end in ("weight", "bias"):
            theirs[f"{original}.{end}"] = theirs.pop(f"{ours}.{end}")
    for stage in (1, 2, 3):
        for part in ("0", "1"):
            for end in ("weight", "bias"):
                theirs[f"downsample_layers.{stage}.{part}.{end}"] = theirs.pop(
                    f"stages.{stage}.downsample.{part}.{end}"
                )
    for stage in range(4):
        for name in [name for name in theirs if name.startswith(f"stages.{stage}.blocks.")]:
            theirs[name.replace(".blocks.", ".")] = theirs.pop(name)
    for end in ("weight", "bias"):
        theirs[f"norm.{end}"] = theirs.pop(f"head.norm.{end}")
        theirs[f"head.{end}"] = theirs.pop(f"head.fc.{end}")
    save_file(theirs, tmp_path / "theirs.safetensors")
    _, weights = create("timm/test_convnext", pretrained=str(tmp_path / "theirs.safetensors"))
    assert taken(weights, network, "head.fc")


# What is refused


@pytest.mark.parametrize(
    ("network", "pretrained", "words"),
    [
        (
            NETWORK,
            "r160_in2k",
            "unknown weights: pretrained=r160_in2k; timm has r160_in1k of test_resnet; did",
        ),
        ("timm/resnet18.a1_in1k", "a2_in1k", "two names of weights: pretrained=a2_in1k"),
        ("timm/vit_huge_patch14_gap_224.in1k_ijepa", True, "cannot be checked: .*no digits of a SHA-256"),
        ("timm/vit_medium_patch16_clip_224.tinyclip_yfcc15m", "no.pth", "no such file of weights"),
        ("timm/efficientnet_b8", True, "there are no pretrained weights: .*timm has none of efficientnet_b8"),
    ],
)
def test_weights_that_there_are_not(create: Create, network: str, pretrained: Any, words: str):
    with pytest.raises(SettingsError, match=words):
        create(network, pretrained=pretrained)


def test_weights_at_an_address_of_their_own():
    weights = timm_weights.described(find("timm/legacy_seresnet18.in1k").timm)
    assert weights.described()["file"] == "seresnet18-4bb0ce65.pth"


def failed(create: Create, *words: str) -> None:
    find(NETWORK)  # importing timm takes its time
    began = time.monotonic()
    with pytest.raises(DownloadError) as caught:
        create(NETWORK, pretrained=True)
    assert time.monotonic() - began < 3, "two seconds, and the network built"
    message = str(caught.value)
    for word in (
        *words,
        "pass pretrained=PATH/model.safetensors, or pretrained=false",
        f"{HUB}/resolve/main/",
    ):
        assert word in message, message


def test_a_hub_that_is_not_there(create: Create, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(downloads, "urlopen", urllib.request.urlopen)
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    failed(create, "http://127.0.0.1:9/", "refused")


def test_a_hub_that_never_answers(create: Create, monkeypatch: pytest.MonkeyPatch):
    released = threading.Event()
    monkeypatch.setattr(downloads, "urlopen", lambda *_, **__: released.wait())
    failed(create, "no answer within 1.5 seconds")
    released.set()


def test_a_hub_that_is_switched_off(create: Create, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    failed(create, "HF_HUB_OFFLINE is set")


class Hub:
    """Serves files in the way of the hub."""

    def __init__(self, files: dict[str, bytes]) -> None:
        self.requests: list[tuple[str, str]] = []
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def answer(self) -> None:
                outer.requests.append((self.command, self.path))
                content = files.get(self.path.rpartition("/")[2])
                self.send_response(200 if content is not None else 404)
                if content is None:
                    self.send_header("X-Error-Code", "EntryNotFound")
                self.send_header("X-Repo-Commit", COMMIT)
                self.send_header("ETag", '"' + "ab" * 20 + '"')
                self.send_header("Content-Length", str(len(content or b"")))
                self.end_headers()
                if self.command == "GET":
                    self.wfile.write(content or b"")

            do_HEAD = do_GET = answer

            def log_message(self, *_: object) -> None:
                pass

        self.http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[dict[str, bytes]], Hub]]:
    """Start a hub that serves what is given."""
    started: list[tuple[Hub, threading.Thread]] = []
    monkeypatch.setattr(downloads, "urlopen", urllib.request.urlopen)
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY", "HF_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("no_proxy", "127.0.0.1")

    def start(files: dict[str, bytes]) -> Hub:
        serving = Hub(files)
        thread = threading.Thread(target=serving.http.serve_forever)
        thread.start()
        address = f"http://127.0.0.1:{serving.http.server_port}"
        monkeypatch.setattr(constants, "ENDPOINT", address)
        template = f"{address}/{{repo_id}}/resolve/{{revision}}/{{filename}}"
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        started.append((serving, thread))
        return serving

    yield start
    for serving, thread in started:
        serving.http.shutdown()
        thread.join()
        serving.http.server_close()


@pytest.mark.parametrize("file", ["model.safetensors", "pytorch_model.bin"])
def test_a_download_is_kept(
    create: Create,
    trained: nn.Module,
    hub: Callable[[dict[str, bytes]], Hub],
    tmp_path: Path,
    file: str,
    capfd: pytest.CaptureFixture[str],
):
    torch.save(trained.state_dict(), tmp_path / "w.pth")
    content = save(trained.state_dict()) if file.endswith("s") else (tmp_path / "w.pth").read_bytes()
    serving = hub({file: content})
    assert taken(create(NETWORK, pretrained=True)[1], trained)
    asked = len(serving.requests)
    assert ("GET", f"/{HUB}/resolve/main/{file}") in serving.requests or asked
    assert taken(create(NETWORK, pretrained=True)[1], trained)
    assert len(serving.requests) == asked, "the second time it lies there"
    assert "%" not in capfd.readouterr().err, "no bar but our own"


def test_a_file_that_is_gone(create: Create, hub: Callable[[dict[str, bytes]], Hub]):
    hub({})
    failed(create, "model.safetensors")


def test_what_is_not_the_file(create: Create, hub: Callable[[dict[str, bytes]], Hub]):
    hub({"model.safetensors": b"<html>please log in</html>"})
    with pytest.raises(SettingsError, match="the weights cannot be read"):
        create(NETWORK, pretrained=True)
