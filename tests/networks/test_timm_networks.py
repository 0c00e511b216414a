"""timm's networks: names, arguments, preprocessing, sizes, and what a model directory may say of them."""

import subprocess
import sys
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from discerna.directories.model_dir import ModelDirectory, ModelSpec, write_model_directory
from discerna.errors import InvalidModelDirectoryError, MissingExtraError, SettingsError
from discerna.networks import timm_networks
from discerna.networks.architectures import accepted_arguments, check_arguments, find
from discerna.networks.assembly import logits, network_for_labels, trained_network
from discerna.networks.input_sizes import default_preprocessing
from discerna.networks.skeletons import check_runs, head_names

Create = Callable[..., tuple[ModelSpec, dict[str, Tensor]]]
LABELS = ["cat", "dog", "frog"]


# Names


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("timm/test_resnet", "timm/test_resnet"),
        ("timm/resnet18.a1_in1k", "timm/resnet18.a1_in1k"),
        ("timm/tf_efficientnet_b0_ns", "timm/tf_efficientnet_b0.ns_jft_in1k"),
        ("timm/tf_efficientnet_b0_ns.aa_in1k", "timm/tf_efficientnet_b0.aa_in1k"),
    ],
)
def test_names_as_timm_writes_them(name: str, found: str):
    assert find(name).name == found


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("timm/resnet81", r"unknown network: network=timm/resnet81; .*did you mean timm/resnet18 or "),
        ("timm/xyzzyxyzzy", r"has \d+ others; timm\.list_models\(\)"),
        ("timm/", "unknown network"),
        ("timm/resnet18.a9_in1k", r"unknown weights: .*timm has a1_in1k, .* of resnet18; did you mean a"),
        ("timm/resnet18.", None),
        ("timm/hf-hub:timm/resnet18", "unknown network"),
        ("timm/hf_hub:someone/theirs", "unknown network"),
        ("timm/local-dir:/tmp", "unknown network"),
        ("timm/../resnet18", "unknown network"),
        ("timm/timm/resnet18", "unknown network"),
    ],
)
def test_names_that_there_are_not(name: str, words: str | None):
    if words is None:
        assert find(name).name == "timm/resnet18"
        return
    with pytest.raises(SettingsError, match=words):
        find(name)


def test_without_the_extra(create: Create, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    network, spec = network_for_labels(*create("timm/test_resnet", image_size=32), LABELS, random_seed=1)
    write_model_directory(tmp_path / "m", spec, network.state_dict(), training={}, overwrite=False)
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(MissingExtraError, match=r"network=timm/x needs .* timm; .*'discerna\[timm\]'"):
        find("timm/x")
    with pytest.raises(MissingExtraError, match=r"pip install 'discerna\[timm\]'"):
        trained_network(ModelDirectory.open(tmp_path / "m"))


@pytest.mark.slow
def test_other_names_do_not_load_timm():
    code = (
        "import sys, discerna.networks.assembly as a; from discerna.networks.architectures import find\n"
        "find('resnet18'); print('timm' in sys.modules, 'huggingface_hub' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]


# Arguments


def test_arguments_that_are_taken():
    assert {"drop_rate", "drop_path_rate", "global_pool"} <= set(accepted_arguments(find("timm/resnet18")))
    lite = accepted_arguments(find("timm/tf_efficientnet_lite0"))
    assert "drop_path_rate" in lite
    assert not {"stem_size", "block_args", "fix_stem", "act_layer"} & set(lite), "fixed by the name, or code"
    distilled = accepted_arguments(find("timm/deit_tiny_distilled_patch16_224"))
    assert "drop_path_rate" in distilled, "its class hands them on to another"


@pytest.mark.parametrize(
    "name", ["test_vit", "test_resnet", "test_efficientnet", "test_byobnet", "levit_128s"]
)
def test_arguments_are_plain(name: str):
    taken = accepted_arguments(find(f"timm/{name}"))
    assert not set(taken) & timm_networks.NEVER_ARGUMENTS
    assert not {"norm_layer", "block", "cfg", "block_fn", "embed_layer", "act_layer"} & set(taken)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"num_classes": 3}, "number of labels cannot be set"),
        ({"pretrained": True}, "use pretrained=True"),
        ({"img_size": 64}, "use image_size=64"),
        ({"drop_path_rat": 0.1}, "did you mean drop_path_rate"),
        ({"drop_path_rate": "0.1"}, "it is a number"),
        ({"global_pool": "no"}, "wrong value: .*it is '' or 'avg' or "),
        *(({name: "x"}, "unknown argument") for name in ("checkpoint_path", "cache_dir", "pretrained_cfg")),
        *(
            ({name: "x"}, "unknown argument")
            for name in ("features_only", "scriptable", "device", "in_chans")
        ),
        ({"norm_layer": "torch.nn.LayerNorm"}, "unknown argument"),
    ],
    ids=str,
)
def test_arguments_that_are_refused(arguments: dict[str, Any], words: str):
    with pytest.raises(SettingsError, match=words):
        check_arguments(find("timm/test_vit"), arguments)


def test_arguments_reach_the_network(create: Create):
    spec, weights = create("timm/test_vit", arguments={"depth": 2, "drop_path_rate": 0.2})
    assert spec.arguments == {"depth": 2, "drop_path_rate": 0.2, "img_size": 160}
    assert {name.split(".")[1] for name in weights if name.startswith("blocks.")} == {"0", "1"}
    network, _ = network_for_labels(spec, weights, LABELS, random_seed=1)
    assert network.blocks[1].drop_path1.drop_prob == pytest.approx(0.2)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"network": "timm/nobodys"}, "network is not known here"),
        ({"network": "timm/hf-hub:someone/theirs"}, "network is not known here"),
        ({"arguments": {"checkpoint_path": "/etc/passwd"}}, "does not take checkpoint_path"),
        ({"arguments": {"pretrained_cfg": {"url": "http://localhost/"}}}, "does not take pretrained_cfg"),
        ({"arguments": {"pretrained_cfg_overlay": {"file": "x"}}}, "does not take pretrained_cfg_overlay"),
        ({"arguments": {"cache_dir": "/tmp"}}, "does not take cache_dir"),
        ({"arguments": {"features_only": True}}, "does not take features_only"),
        ({"arguments": {"model_name": "x"}}, "does not take model_name"),
        ({"arguments": {"norm_layer": "builtins.open"}}, "does not take norm_layer"),
        ({"arguments": {"pretrained": True}}, "does not take pretrained"),
        ({"arguments": {"layers": [10**12]}}, "layers cannot be"),
        ({"arguments": {"drop_path_rate": "much"}}, "drop_path_rate cannot be 'much'"),
        ({"arguments": {"layers": [9000, 1, 1, 1]}}, "more than 5000 tensors"),
        ({"network": "timm/test_vit"}, "not those of the model's network"),
    ],
    ids=str,
)
def test_specs_that_a_stranger_wrote(create: Create, tmp_path: Path, changes: dict[str, Any], words: str):
    network, spec = network_for_labels(*create("timm/test_resnet", image_size=32), LABELS, random_seed=1)
    spec = replace(spec, **changes)
    write_model_directory(tmp_path / "m", spec, network.state_dict(), training={}, overwrite=False)
    with pytest.raises(InvalidModelDirectoryError, match=words) as caught:
        trained_network(ModelDirectory.open(tmp_path / "m"))
    assert "\n" not in str(caught.value)


# Preprocessing and sizes


@pytest.mark.parametrize(
    ("name", "seen"),
    [
        ("resnet18.a1_in1k", (224, "crop", 235, "bicubic", 0.485)),
        ("resnet18.tv_in1k", (224, "crop", 256, "bilinear", 0.485)),
        ("tf_efficientnet_lite0", (224, "crop", 256, "bicubic", 0.5)),
        ("vit_base_patch16_clip_384.openai_ft_in12k_in1k", (384, "stretch", 404, "bicubic", 0.4815)),
        ("deepseek_vit_412m", (546, "pad", 546, "bicubic", 0.5)),
        ("volo_d5_512", (512, "crop", 512, "bicubic", 0.485)),
        ("vit_base_patch16_sapiens2", (768, "stretch", 768, "bilinear", 0.485)),
    ],
)
def test_preprocessing_is_timms(name: str, seen: tuple[Any, ...]):
    found = default_preprocessing(find(f"timm/{name}"))
    mean = round(found.mean[0], 4)
    assert (found.size, found.fit, found.resize, found.interpolation, mean) == seen


@pytest.mark.slow
def test_every_set_of_weights_has_preprocessing():
    import timm

    for name in timm.list_pretrained():
        assert len(default_preprocessing(find(f"timm/{name}")).mean) == 3


def test_another_size(create: Create):
    spec, weights = create("timm/test_vit", image_size=64)
    assert spec.arguments == {"img_size": 64}
    assert weights["pos_embed"].shape[1] == 17
    with pytest.raises(SettingsError, match="image_size=96; this timm/test_vit takes 64"):
        network_for_labels(spec, weights, LABELS, random_seed=1, image_size=96)
    with pytest.raises(SettingsError, match=r"image_size=95; .*\(95\) should be divisible by patch size"):
        create("timm/test_vit", image_size=95)
    spec, weights = create("timm/test_resnet", image_size=64)
    assert spec.arguments == {}, "it takes pictures of any size"
    network_for_labels(spec, weights, LABELS, random_seed=1, image_size=96)


@pytest.mark.parametrize("name", ["vit_small_patch16_rope_mixed_224"])
def test_networks_that_mix_tensors_with_and_without_storage(name: str):
    architecture = find(f"timm/{name}")
    assert head_names(architecture, {"img_size": 224}) == {"head.weight", "head.bias"}
    check_runs(architecture, {"img_size": 224}, 224)


def test_what_is_no_classifier(create: Create):
    with pytest.raises(SettingsError, match="the network is no classifier: timm/mobilenetv5_300m_enc"):
        create("timm/mobilenetv5_300m_enc")


# Training


def one_step(network: nn.Module, size: int) -> None:
    network.train()
    optimizer = torch.optim.SGD(network.parameters(), lr=1e-6)
    scores, _ = logits(network(torch.rand(2, 3, size, size)))
    torch.nn.functional.cross_entropy(scores, torch.tensor([0, 2])).backward()
    optimizer.step()


def answers(network: nn.Module, size: int) -> Tensor:
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        return network.eval()(torch.rand(2, 3, size, size, generator=generator))


def trains(name: str, size: int | None, create: Create, directory: Path) -> None:
    torch.manual_seed(0)
    spec, weights = create(name, image_size=size)
    size = spec.preprocessing.size
    network, spec = network_for_labels(spec, weights, LABELS, random_seed=2)
    kept = {key for key, tensor in network.state_dict().items() if torch.equal(tensor, weights[key])}
    assert set(weights) - kept <= head_names(find(name), spec.arguments), "all but the head is as it was"
    one_step(network, size)
    expected = answers(network, size)
    assert expected.isfinite().all()
    in_layout = answers(network.to(memory_format=torch.channels_last), size)
    assert torch.allclose(in_layout, expected, atol=1e-3, rtol=1e-3)
    write_model_directory(directory, spec, network.state_dict(), training={}, overwrite=False)
    loaded = trained_network(ModelDirectory.open(directory))
    assert ModelDirectory.open(directory).spec.network == name
    assert not loaded.training
    assert torch.allclose(answers(loaded, size), expected, atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize(
    ("name", "size"),
    [("test_vit", 64), ("test_resnet", 32), ("test_efficientnet", 32), ("test_convnext", 64)],
)
def test_a_network_trains_and_is_loaded_again(name: str, size: int, create: Create, tmp_path: Path):
    trains(f"timm/{name}", size, create, tmp_path / "model")


FAMILIES = [
    *("test_byobnet", "test_coatnet", "test_efficientnet_evos", "test_mambaout", "test_maxvit"),
    *("test_nfnet", "test_vit4", "test_vit_relpos"),
    *(
        "botnet26t_256",
        "cait_xxs24_224",
        "convit_tiny",
        "deit_tiny_distilled_patch16_224",
        "edgenext_xx_small",
    ),
    *("efficientformer_l1", "fastvit_t8", "ghostnet_050", "inception_v3", "lcnet_035", "levit_128s"),
    *(
        "mobilenetv3_small_050",
        "mobilevit_xxs",
        "pit_ti_224",
        "poolformer_s12",
        "regnetx_002",
        "resmlp_12_224",
    ),
    *("swin_tiny_patch4_window7_224", "tf_efficientnet_lite0", "tinynet_e", "vit_tiny_patch16_224"),
    *("vit_small_patch16_dinov3", "volo_d1_224", "xcit_nano_12_p16_224"),
]


@pytest.mark.slow
@pytest.mark.parametrize("name", FAMILIES)
def test_many_families_train_and_are_loaded_again(name: str, create: Create, tmp_path: Path):
    trains(f"timm/{name}", None, create, tmp_path / "model")


def test_names_of_old_raise_no_warning(create: Create):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        spec, _ = create("timm/vit_tiny_patch16_224_in21k", image_size=32)
    assert spec.network == "timm/vit_tiny_patch16_224.augreg_in21k"
