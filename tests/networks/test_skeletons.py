"""Networks without storage: the same tensors as in full, the head among them, and what sizes they take."""

import pytest
import torch
from torch import nn
from torchvision import models

from discerna.errors import SettingsError
from discerna.networks import register
from discerna.networks.architectures import Architecture, build, find
from discerna.networks.input_sizes import default_preprocessing, with_size
from discerna.networks.skeletons import check_runs, head_names, logits, shapes, skeleton

HEADS = {
    "AlexNet": {"classifier.6"},
    "ConvNeXt": {"classifier.2"},
    "DenseNet": {"classifier"},
    "EfficientNet": {"classifier.1"},
    "GoogLeNet": {"fc", "aux1.fc2", "aux2.fc2"},
    "Inception3": {"fc", "AuxLogits.fc"},
    "MNASNet": {"classifier.1"},
    "MaxVit": {"classifier.5"},
    "MobileNetV2": {"classifier.1"},
    "MobileNetV3": {"classifier.3"},
    "RegNet": {"fc"},
    "ResNet": {"fc"},
    "ShuffleNetV2": {"fc"},
    "SqueezeNet": {"classifier.1"},
    "SwinTransformer": {"head"},
    "VGG": {"classifier.6"},
    "VisionTransformer": {"heads.head"},
}


def own_arguments(architecture: Architecture) -> dict:
    return with_size(architecture, {}, default_preprocessing(architecture).size)


@pytest.mark.parametrize("name", models.list_models(module=models))
def test_every_network_has_a_head_and_needs_no_storage(name: str):
    architecture = find(name)
    arguments = own_arguments(architecture)
    head = head_names(architecture, arguments)
    assert {tensor.rpartition(".")[0] for tensor in head} == HEADS[architecture.cls.__name__]
    assert {tensor.rpartition(".")[2] for tensor in head} <= {"weight", "bias"}
    network = skeleton(architecture, 5, arguments)
    stored = sum(tensor.nbytes for tensor in network.state_dict().values() if not tensor.is_meta)
    assert stored < 5e6, "only small tables of positions"
    assert all(tensor.shape[0] == 5 for name, tensor in network.state_dict().items() if name in head)


@pytest.mark.slow
@pytest.mark.parametrize("name", models.list_models(module=models))
def test_a_skeleton_has_the_tensors_of_the_network(name: str):
    architecture = find(name)
    arguments = own_arguments(architecture)
    network = build(architecture, 3, arguments)
    bones = skeleton(architecture, 3, arguments)
    assert shapes(bones) == shapes(network)
    assert {n: t.dtype for n, t in bones.state_dict().items()} == {
        n: t.dtype for n, t in network.state_dict().items()
    }
    assert {n for n, _ in bones.named_buffers()} == {n for n, _ in network.named_buffers()}
    check_runs(architecture, arguments, default_preprocessing(architecture).size)


def test_a_skeleton_leaves_the_random_numbers_alone():
    torch.manual_seed(3)
    before = torch.get_rng_state()
    head_names(find("resnet18"), {})
    check_runs(find("googlenet"), {}, 64)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(
    ("name", "arguments", "words"),
    [
        ("resnet18", {"groups": 2}, "BasicBlock only supports groups=1"),
        ("resnet18", {"replace_stride_with_dilation": [True]}, "replace_stride_with_dilation should be None"),
        ("densenet121", {"bn_size": -1}, "densenet121 cannot be built"),
        ("mobilenet_v2", {"inverted_residual_setting": [[1, 8, 10**9, 1]]}, "more than 5000 tensors"),
        ("mobilenet_v2", {"width_mult": 1e30}, "mobilenet_v2 cannot be built"),
    ],
)
def test_arguments_with_which_nothing_can_be_built(name: str, arguments: dict, words: str):
    with pytest.raises(SettingsError, match=words):
        skeleton(find(name), 3, arguments)


@pytest.mark.parametrize(
    ("name", "size", "words"),
    [
        ("inception_v3", 128, r"it takes 299 or more; use another image_size or arguments\.aux_logits=false"),
        (
            "densenet121",
            16,
            "densenet121 cannot take pictures of 16 pixels: image_size=16; it takes 29 or more",
        ),
        ("vgg11", 16, "it takes 32 or more"),
        ("alexnet", 62, "it takes 63 or more"),
    ],
)
def test_sizes_that_are_too_small(name: str, size: int, words: str):
    with pytest.raises(SettingsError, match=words):
        check_runs(find(name), {}, size)


@pytest.mark.parametrize(
    ("name", "size"), [("resnet18", 8), ("densenet121", 29), ("inception_v3", 299), ("swin_t", 32)]
)
def test_sizes_that_will_do(name: str, size: int):
    check_runs(find(name), {}, size)


def test_inception_without_its_auxiliary_head_takes_small_pictures():
    check_runs(find("inception_v3"), {"aux_logits": False}, 75)
    with pytest.raises(SettingsError, match=r"image_size=74; it takes 75 or more; use another image_size$"):
        check_runs(find("inception_v3"), {"aux_logits": False}, 74)


# Networks of a user's own


def own(name: str, builder) -> Architecture:
    register(name, builder)
    return find(name)


def test_a_builder_that_ignores_the_labels():
    def deaf(num_labels: int) -> nn.Module:
        return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 10))

    with pytest.raises(SettingsError, match="head does not follow the number of labels: deaf"):
        head_names(own("deaf", deaf), {})


def test_a_builder_with_a_tensor_for_each_label():
    class Many(nn.Module):
        def __init__(self, num_labels: int) -> None:
            super().__init__()
            self.heads = nn.ModuleList(nn.Linear(3, 1) for _ in range(num_labels))

    with pytest.raises(SettingsError, match="gives the same tensors"):
        head_names(own("many", Many), {})


def test_a_builder_that_needs_values():
    class Looks(nn.Module):
        def __init__(self, num_labels: int) -> None:
            super().__init__()
            self.head = nn.Linear(3, num_labels)
            self.mean = float(torch.rand(3).mean())

        def forward(self, pictures: torch.Tensor) -> torch.Tensor:
            seen = pictures.mean((2, 3))
            return self.head(seen if seen.sum().item() >= 0 else -seen)

    looks = own("looks", Looks)
    assert head_names(looks, {}) == {"head.weight", "head.bias"}
    check_runs(looks, {}, 8)


def test_a_builder_that_fails():
    def failing(num_labels: int) -> nn.Module:
        raise KeyError("my\nbug")

    with pytest.raises(
        SettingsError, match=r"failing cannot be built: arguments=\{\}; KeyError: .*builder"
    ) as caught:
        head_names(own("failing", failing), {})
    assert isinstance(caught.value.__cause__, KeyError), "the traceback helps who wrote it"
    with pytest.raises(SettingsError, match="gave a int, not a torch"):
        head_names(own("number", lambda num_labels: 5), {})


def test_outputs_that_are_no_scores():
    class Wrong(nn.Module):
        def __init__(self, num_labels: int, kind: str = "dict") -> None:
            super().__init__()
            self.head = nn.Linear(3, num_labels)
            self.kind = kind

        def forward(self, pictures: torch.Tensor):
            scores = self.head(pictures.mean((2, 3)))
            return {"dict": {"scores": scores}, "turned": scores.T, "flat": scores.flatten()}[self.kind]

    wrong = own("wrong", Wrong)
    with pytest.raises(SettingsError, match="a network's output is no tensor: dict"):
        check_runs(wrong, {}, 8)
    for kind in ("turned", "flat"):
        with pytest.raises(SettingsError, match=r"wrong shape: .* for 2 pictures and 7 labels"):
            check_runs(wrong, {"kind": kind}, 8)


def test_a_size_that_an_own_network_cannot_take():
    pool = own(
        "pool", lambda num_labels: nn.Sequential(nn.AvgPool2d(8), nn.Flatten(), nn.Linear(3, num_labels))
    )
    check_runs(pool, {}, 8)
    with pytest.raises(SettingsError, match="pool cannot take pictures of 4 pixels"):
        check_runs(pool, {}, 4)


def test_logits():
    plain = torch.ones(2, 3)
    assert logits(plain)[0] is plain
    assert logits(plain)[1] == []
    scores, heads = logits(models.InceptionOutputs(plain, plain * 2))
    assert (scores is plain, [weight for weight, _ in heads]) == (True, [0.4])
    assert logits(models.InceptionOutputs(plain, None))[1] == []
    scores, heads = logits(models.GoogLeNetOutputs(plain, plain * 2, plain * 3))
    assert [weight for weight, _ in heads] == [0.3, 0.3]
    assert logits(models.GoogLeNetOutputs(plain, None, None)) == (plain, [])
