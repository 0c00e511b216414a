"""What each network wants to see."""

import pytest
from torchvision import models

from discerna.errors import SettingsError
from discerna.networks import register
from discerna.networks.architectures import find
from discerna.networks.input_sizes import default_preprocessing, with_size
from discerna.settings.preprocessing import Preprocessing, changed

RESNET = Preprocessing(
    size=224,
    fit="crop",
    resize=256,
    interpolation="bilinear",
    mean=[0.485, 0.456, 0.406],
    std=[0.229, 0.224, 0.225],
)


def test_defaults():
    assert default_preprocessing(find("resnet18")) == RESNET
    assert default_preprocessing(find("inception_v3")).size == 299
    assert default_preprocessing(find("efficientnet_b4")).interpolation == "bicubic"
    assert default_preprocessing(find("efficientnet_v2_l")).mean == [0.5, 0.5, 0.5]


def test_random_weights_take_the_smallest_size_that_torchvision_used():
    assert default_preprocessing(find("vit_h_14")).size == 224
    assert default_preprocessing(find("regnet_y_128gf")).size == 224


def test_weights_bring_their_own():
    weights = models.ResNet50_Weights
    assert default_preprocessing(find("resnet50"), weights.IMAGENET1K_V1).resize == 256
    assert default_preprocessing(find("resnet50"), weights.IMAGENET1K_V2).resize == 232
    assert default_preprocessing(find("vit_b_16"), models.ViT_B_16_Weights.IMAGENET1K_SWAG_E2E_V1).size == 384


@pytest.mark.parametrize("name", models.list_models(module=models))
def test_every_network_has_one(name: str):
    architecture = find(name)
    found = default_preprocessing(architecture)
    assert found.fit == "crop"
    with_size(architecture, {}, found.size)


def test_own_networks():
    register("own_net", lambda num_labels: None, image_size=64)
    found = default_preprocessing(find("own_net"))
    assert (found.size, found.resize, found.mean) == (64, 73, RESNET.mean)


def test_another_size_scales_resize():
    assert (RESNET.scaled(64).size, RESNET.scaled(64).resize) == (64, 73)
    assert RESNET.scaled(1).resize == 1
    assert RESNET.scaled(224) == RESNET
    assert changed(RESNET, image_size=448).resize == 512
    assert changed(RESNET, image_size=448, resize=450).resize == 450
    assert changed(RESNET) == RESNET


def test_what_a_user_types_stands():
    typed = changed(RESNET, fit="pad", interpolation="lanczos", mean=[0.0] * 3, std=[1.0] * 3)
    assert (typed.fit, typed.interpolation, typed.mean, typed.std) == ("pad", "lanczos", [0.0] * 3, [1.0] * 3)
    assert (typed.size, typed.resize) == (224, 256)


def test_what_a_user_may_not_type():
    with pytest.raises(SettingsError, match="smaller than its crop: resize=100; size=224 or more"):
        changed(RESNET, resize=100)
    with pytest.raises(SettingsError, match="without effect with fit=pad: resize=300"):
        changed(RESNET, fit="pad", resize=300)
    with pytest.raises(SettingsError, match="three numbers"):
        changed(RESNET, mean=[])


def test_networks_made_for_one_size():
    assert with_size(find("resnet18"), {"groups": 1}, 64) == {"groups": 1}
    assert with_size(find("vit_b_16"), {}, 64) == {"image_size": 64}
    assert with_size(find("maxvit_t"), {}, 448) == {"input_size": [448, 448]}


@pytest.mark.parametrize(
    ("name", "size", "step"),
    [("vit_b_16", 100, 16), ("vit_b_32", 16, 32), ("vit_h_14", 512, 14), ("maxvit_t", 64, 224)],
)
def test_sizes_that_they_do_not_take(name: str, size: int, step: int):
    words = f"{name} cannot take pictures of {size} pixels: image_size={size}; multiples of {step}; use image_size=224"
    with pytest.raises(SettingsError, match=words):
        with_size(find(name), {}, size)


def test_arguments_are_not_taken_for_a_wrong_size():
    with pytest.raises(SettingsError, match="vit_b_16 cannot be built: arguments="):
        with_size(find("vit_b_16"), {"representation_size": -3}, 224)
