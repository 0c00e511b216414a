"""Names of networks and what each takes as arguments."""

import re
from pathlib import Path

import pytest
from torch import nn
from torchvision import models

from discerna.errors import SettingsError
from discerna.networks import register
from discerna.networks.architectures import accepted_arguments, build, check_arguments, find, names


def test_all_of_torchvision():
    found = [name for name in names() if find(name).cls is not None]
    assert found == models.list_models(module=models)
    assert len(found) >= 80


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("resnet81", "resnet18"),
        ("ResNet18", "resnet18"),
        ("densnet121", "densenet121"),
        ("vit_b16", "vit_b_16"),
    ],
)
def test_an_unknown_name_lists_near_ones(name: str, near: str):
    with pytest.raises(SettingsError, match=rf"unknown network: network={name}; .*did you mean .*\b{near}\b"):
        find(name)


def test_an_unknown_name_without_near_ones():
    register("my_own", lambda num_labels: nn.Linear(3, num_labels))
    with pytest.raises(
        SettingsError, match=r"model=xyzzy; there are .* your own .*my_own.*; see docs/networks\.md"
    ):
        find("xyzzy", "model")


def test_reserved_prefixes():
    with pytest.raises(SettingsError, match="not available in this version"):
        find("registry:flowers")


def test_the_documentation_has_every_name_and_argument():
    text = (Path(__file__).parents[2] / "docs" / "networks.md").read_text("utf-8")
    rows = [line.split("|")[2:4] for line in text.partition("| family |")[2].splitlines()[2:] if "|" in line]
    listed = []
    for names_cell, arguments_cell in (row for row in rows if "`" in row[0]):
        family = re.findall("`(.+?)`", names_cell)
        if not set(family) <= set(models.list_models(module=models)):
            break  # the next table
        listed += family
        taken = [set(accepted_arguments(find(name))) for name in family]
        assert set().union(*taken) == set(re.findall("`([a-z_]+)`", arguments_cell)), names_cell
    assert sorted(listed) == models.list_models(module=models)


def test_arguments_that_networks_take():
    def taken(name: str) -> set[str]:
        return set(accepted_arguments(find(name)))

    assert taken("densenet121") == {"bn_size", "drop_rate", "memory_efficient"}
    assert {"zero_init_residual", "groups", "width_per_group"} <= taken("resnet50")
    assert taken("resnext50_32x4d") == {"zero_init_residual", "replace_stride_with_dilation"}
    assert taken("vit_b_16") == {"dropout", "attention_dropout", "representation_size"}
    assert taken("efficientnet_b0") == {"dropout", "stochastic_depth_prob"}
    assert "input_size" not in taken("maxvit_t")


@pytest.mark.parametrize("name", models.list_models(module=models))
def test_every_listed_argument_is_taken_and_no_object(name: str):
    for argument, hint in accepted_arguments(find(name)).items():
        assert argument not in ("num_classes", "weights", "progress", "norm_layer", "block", "kwargs"), hint


@pytest.mark.parametrize(
    ("name", "arguments", "words"),
    [
        (
            "resnet18",
            {"num_classes": 3},
            r"number of labels cannot be set: arguments\.num_classes=3; the head follows",
        ),
        ("resnet18", {"norm_layer": "x"}, "resnet18 takes zero_init_residual, groups, width_per_group"),
        ("resnet18", {"zero_init_residua": True}, "did you mean zero_init_residual"),
        ("resnet18", {"zero_init_residual": "yes"}, "wrong value: .*it is true or false"),
        ("resnet18", {"groups": True}, "it is a whole number"),
        ("resnet18", {"groups": 2.0}, "it is a whole number"),
        ("resnet18", {"replace_stride_with_dilation": [1]}, "it is a list .true or false. or null"),
        ("resnet18", {"weights": "DEFAULT"}, "use pretrained=DEFAULT"),
        ("densenet161", {"growth_rate": 4}, "densenet161 takes bn_size, drop_rate, memory_efficient"),
        ("densenet121", {"drop_rate": "0.1"}, "it is a number"),
        ("shufflenet_v2_x1_0", {"a": 1}, "shufflenet_v2_x1_0 takes none"),
        ("vit_b_16", {"image_size": 64}, "use image_size=64"),
        ("maxvit_t", {"input_size": [64, 64]}, "not an argument"),
    ],
)
def test_arguments_that_are_refused(name: str, arguments: dict, words: str):
    with pytest.raises(SettingsError, match=words):
        check_arguments(find(name), arguments)


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("densenet121", {"memory_efficient": True, "drop_rate": 0}),
        ("resnet50", {"zero_init_residual": True, "replace_stride_with_dilation": [False, True, False]}),
        ("googlenet", {"aux_logits": False, "init_weights": None}),
        ("mobilenet_v2", {"width_mult": 0.5, "inverted_residual_setting": [[1, 8, 1, 1]]}),
        ("vit_b_16", {"representation_size": None}),
    ],
)
def test_arguments_that_are_taken(name: str, arguments: dict):
    check_arguments(find(name), arguments)


def test_arguments_change_the_network():
    network = build(find("densenet121"), 3, {"memory_efficient": True, "bn_size": 1})
    assert network.features.denseblock1.denselayer1.memory_efficient
    assert network.classifier.out_features == 3


def test_arguments_of_own_networks():
    register("strict", lambda num_labels, width=3: nn.Linear(width, num_labels))
    register("free", lambda num_labels, **options: nn.Linear(options["width"], num_labels))
    with pytest.raises(SettingsError, match=r"strict takes width; did you mean width"):
        check_arguments(find("strict"), {"widht": 3})
    with pytest.raises(SettingsError, match="number of labels cannot be set"):
        check_arguments(find("strict"), {"num_labels": 3})
    check_arguments(find("strict"), {"width": 5})
    check_arguments(find("free"), {"anything": [1]})
    assert build(find("free"), 2, {"width": 7}).in_features == 7
