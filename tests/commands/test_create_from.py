"""`discerna create from=OLD`: the Azure ML designer's models give their scores again."""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import discerna as package
from discerna.commands import create as command
from discerna.commands.create import CreateResult
from discerna.composition import compose
from discerna.directories.model_dir import ModelDirectory
from discerna.errors import InvalidModelDirectoryError, OutputError, SettingsError
from discerna.networks.assembly import network_for_labels
from discerna.networks.azure_networks import DENSENETS, RESNETS
from discerna.networks.skeletons import shapes
from discerna.networks.storage import WithoutStorage
from old_model_dirs import OldNetwork, edit_spec, old_network, old_scores, write_old_model
from picture_sets import write_pictures

SIZE = 40
LABELS = ["blue", "green", "red"]


@pytest.fixture(scope="module")
def squares(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Pictures of the size that the old models saw."""
    root = tmp_path_factory.mktemp("squares")
    write_pictures(root, dict.fromkeys(LABELS, 2), size=(SIZE, SIZE), seed=4)
    return sorted(root.rglob("*.png"))


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, squares: list[Path]) -> Path:
    """A trained old directory; only what lies in it is changed by tests, in copies."""
    folder = tmp_path_factory.mktemp("designer") / "trained"
    return write_old_model(folder, "resnet18", pretrained=True, labels=LABELS, samples=squares[:3])


@pytest.fixture(scope="module")
def untrained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_old_model(tmp_path_factory.mktemp("designer") / "untrained", "resnet18", pretrained=True)


@pytest.fixture
def convert(tmp_path: Path) -> Callable[..., CreateResult]:
    """Run the command on an old directory, with settings as typed."""
    return lambda old, *typed: command.run(
        compose("create", [f"from={old}", f"output={tmp_path}/new", *typed])
    )


def copy_of(old: Path, place: Path) -> Path:
    """The directory with files of its own; the weights, which no test writes to, are the same."""
    place.mkdir()
    for file in old.iterdir():
        if file.name == "model":
            (place / file.name).hardlink_to(file)
        else:
            (place / file.name).write_bytes(file.read_bytes())
    return place


@pytest.mark.parametrize(
    ("name", "prefix", "pretrained"),
    [
        ("resnet18", "module.", False),
        pytest.param("resnet18", "", True, marks=pytest.mark.slow),
        ("densenet121", "", True),
        pytest.param("densenet121", "module.", False, marks=pytest.mark.slow),
    ],
)
def test_the_scores_are_the_old_ones(
    convert: Callable[..., CreateResult],
    squares: list[Path],
    tmp_path: Path,
    name: str,
    prefix: str,
    pretrained: bool,
):
    network = old_network(name, pretrained=pretrained, labels=LABELS, seed=7)
    old = write_old_model(
        tmp_path / "old",
        name,
        pretrained=pretrained,
        labels=LABELS,
        network=network,
        samples=squares[:3],
        prefix=prefix,
    )
    made = convert(old)
    assert made.network == (f"azure/{name}" if pretrained else name)
    model = package.load(made.output, device="cpu")
    found = [list(prediction.probabilities.values()) for prediction in model.predict(squares)]
    wanted = old_scores(network, squares)
    assert len({round(float(row[0]), 4) for row in wanted}) > 1  # pictures make a difference
    assert torch.allclose(torch.tensor(found), wanted, rtol=0, atol=1e-6)
    assert list(model.predict(squares[0])[0].probabilities) == LABELS


@pytest.mark.slow
@pytest.mark.parametrize("labels", [LABELS, []], ids=["trained", "untrained"])
@pytest.mark.parametrize("pretrained", [True, False])
@pytest.mark.parametrize("name", [*RESNETS, *DENSENETS])
def test_every_network_of_the_designer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, pretrained: bool, labels: list[str]
):
    """Without the weights of each, which would be gigabytes: tensors without storage stand for them."""
    with WithoutStorage():
        tensors = OldNetwork(name, pretrained, len(labels) or None).state_dict()
    old = write_old_model(
        tmp_path / "old", name, pretrained=pretrained, labels=labels, network=nn.Linear(1, 1), option=True
    )
    found: dict[str, Any] = {}

    def keep(path: Path, spec: Any, weights: Any, **_: Any) -> None:
        found.update(spec=spec, shapes={name: tuple(tensor.shape) for name, tensor in weights.items()})

    with monkeypatch.context() as patched:
        patched.setattr("discerna.directories.old_model_dir.read_old_weights", lambda _: tensors)
        patched.setattr("discerna.networks.old_models.first_not_finite", lambda _: None)
        patched.setattr(command, "write_model_directory", keep)
        result = command.run(compose("create", [f"from={old}", f"output={tmp_path}/new", "image_size=32"]))
    option = "memory_efficient" if name in DENSENETS else "zero_init_residual"
    assert found["spec"].arguments == {option: True}
    assert found["spec"].labels == labels
    assert result.network == (f"azure/{name}" if pretrained else name)
    outputs = [shape for tensor, shape in found["shapes"].items() if tensor.endswith("bias")][-1]
    assert outputs == (len(labels) or 1000,)


def test_a_trained_one(
    trained: Path, convert: Callable[..., CreateResult], tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    with caplog.at_level(logging.INFO, "discerna"):
        result = convert(trained)
    directory = ModelDirectory.open(result.output)
    spec = directory.spec
    assert (spec.state, spec.network, spec.labels) == ("trained", "azure/resnet18", LABELS)
    assert (spec.preprocessing.size, spec.preprocessing.resize, spec.preprocessing.fit) == (
        SIZE,
        SIZE,
        "crop",
    )
    assert (spec.preprocessing.mean, spec.preprocessing.std) == ([0.5] * 3, [0.5] * 3)
    assert spec.weights_from is not None and spec.weights_from["name"] == "IMAGENET1K_V1"
    assert {file.name for file in result.output.iterdir()} == {
        "model.json",
        "manifest.json",
        "weights.safetensors",
    }
    assert "from: image_size is 40, as its sample pictures have it" in caplog.text
    assert "'conda_env.yaml', 'score.py'; sample pictures are not copied" in caplog.text
    told = result.summary()
    assert told.startswith(
        f"wrote the trained model {tmp_path}/new\n"
        "  network       azure/resnet18, 11,692,515 parameters\n"
        "  labels        3: 'blue', 'green', 'red'\n"
        "  picture size  40, crop\n"
        f"  weights       those of {trained}, which began as IMAGENET1K_V1, licence: BSD-3-Clause"
    )
    assert told.endswith(f"next  discerna score model={tmp_path}/new data=... output=scores.csv")


def test_an_untrained_one(
    untrained: Path, convert: Callable[..., CreateResult], caplog: pytest.LogCaptureFixture
):
    with caplog.at_level(logging.INFO, "discerna"):
        result = convert(untrained)
    assert not result.trained and result.random_seed is None
    assert "from: image_size is 224: there are no sample pictures" in caplog.text
    assert "\nnext  discerna train model=" in result.summary()
    directory = ModelDirectory.open(result.output)
    weights = directory.load_weights()
    old = torch.load(untrained / "model", weights_only=True)
    assert all(torch.equal(weights[name], tensor) for name, tensor in old.items())
    network, _ = network_for_labels(directory.spec, weights, LABELS, random_seed=1)
    assert network.out_linear_model.out_features == 3
    assert torch.equal(network.model.fc.weight, old["model.fc.weight"])


def test_the_same_directory_gives_the_same_bytes(
    untrained: Path, convert: Callable[..., CreateResult], tmp_path
):
    convert(untrained)
    convert(untrained, f"output={tmp_path}/again")
    for file in (tmp_path / "new").iterdir():
        assert file.read_bytes() == (tmp_path / "again" / file.name).read_bytes()


def test_labels_that_are_the_same_keep_the_head(trained: Path, convert: Callable[..., CreateResult]):
    directory = ModelDirectory.open(convert(trained).output)
    weights = directory.load_weights()
    kept, _ = network_for_labels(directory.spec, weights, LABELS, random_seed=1)
    assert torch.equal(kept.out_linear_model.weight, weights["out_linear_model.weight"])
    fresh, _ = network_for_labels(directory.spec, weights, ["a", "b", "c"], random_seed=1)
    assert not torch.equal(fresh.out_linear_model.weight, weights["out_linear_model.weight"])
    assert shapes(fresh) == shapes(kept)


# preprocessing


def test_what_is_typed_wins(
    trained: Path, convert: Callable[..., CreateResult], caplog: pytest.LogCaptureFixture
):
    with caplog.at_level(logging.INFO, "discerna"):
        seen = convert(
            trained,
            "image_size=48",
            "resize=60",
            "interpolation=bicubic",
            "mean=[0.1,0.2,0.3]",
            "std=[1,2,3]",
            "grayscale=true",
            "border=2",
        ).preprocessing
    assert "image_size is" not in caplog.text
    assert (seen.size, seen.resize, seen.interpolation, seen.grayscale, seen.border) == (
        48,
        60,
        "bicubic",
        True,
        2,
    )
    assert (seen.mean, seen.std) == ([0.1, 0.2, 0.3], [1.0, 2.0, 3.0])


def test_a_fit_is_kept(trained: Path, convert: Callable[..., CreateResult]):
    assert convert(trained, "fit=pad").preprocessing.fit == "pad"


@pytest.mark.parametrize(
    ("sizes", "words"),
    [
        ([(60, 40), (60, 40)], "the sample pictures have 60x40 pixels, and the middle square is cut"),
        ([(40, 40), (50, 50)], "image_size is 224: the sample pictures have 2 sizes; type image_size="),
        ([], "image_size is 224: there are no sample pictures that could tell"),
        (None, "image_size is 224: the sample pictures cannot be read"),
    ],
)
def test_samples_that_tell_no_size(
    convert: Callable[..., CreateResult], tmp_path: Path, caplog: pytest.LogCaptureFixture, sizes, words
):
    samples = []
    for number, size in enumerate(sizes or []):
        write_pictures(tmp_path / str(number), {"x": 1}, size=size)
        samples.append(tmp_path / str(number) / "x" / "0.png")
    if sizes is None:
        (tmp_path / "no.png").write_bytes(b"no picture")
        samples = [tmp_path / "no.png"]
    network = old_network("resnet18", pretrained=False, labels=LABELS)
    old = write_old_model(
        tmp_path / "old", "resnet18", pretrained=False, labels=LABELS, network=network, samples=samples
    )
    with caplog.at_level(logging.INFO, "discerna"):
        assert convert(old).preprocessing.size == 224
    assert words in caplog.text


# what is refused


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (
            {"flavor_extras__module": "os.system"},
            "class of the model's network is not known.*os.system.ResNet",
        ),
        ({"flavor_extras__module": "os", "flavor_extras__class": "system"}, "it is os.system, and only"),
        ({"flavor_extras__module": "evil.resnet"}, "it is evil.resnet.ResNet"),
        ({"flavor_extras__class": "UNet"}, "only the designer's ResNet and DenseNet are read"),
        ({"flavor_extras__init_params__model_name": "resnet19"}, "did you mean resnet18"),
        ({"flavor_extras__init_params__model_name": "densenet121"}, "ResNet has resnet18, resnet34"),
        ({"flavor_extras__init_params__model_name": 18}, "model_name is no name"),
        ({"flavor_extras__init_params__pretrained": "yes"}, "pretrained of init_params"),
        ({"flavor_extras__init_params__zero_init_residual": 1}, "zero_init_residual of init_params"),
        ({"flavor_extras__init_params__progress": True}, "progress of init_params"),
        ({"flavor_extras__init_params__pretrained": False}, "out_linear_model.weight is unexpected"),
        ({"flavor_extras__init_params__model_name": "resnet34"}, "model.layer1.2.conv1.weight is missing"),
    ],
)
def test_descriptions_that_are_refused(
    trained: Path, convert: Callable[..., CreateResult], tmp_path: Path, changes, words
):
    old = copy_of(trained, tmp_path / "old")
    edit_spec(old, **changes)
    with pytest.raises(InvalidModelDirectoryError, match=words) as caught:
        convert(old)
    assert f"from={old}" in str(caught.value) and "\n" not in str(caught.value)
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            lambda state: state.update({"model.fc.bias": torch.ones(7)}),
            r"model.fc.bias is \[7\], not \[1000\]",
        ),
        (lambda state: state.pop("out_linear_model.bias"), "out_linear_model.bias is missing"),
        (
            lambda state: state["model.conv1.weight"].fill_(float("nan")),
            "NaN or infinity in model.conv1.weight",
        ),
        (lambda state: state.update({"more": torch.ones(1)}), "more is unexpected"),
    ],
)
def test_weights_that_are_refused(
    trained: Path, convert: Callable[..., CreateResult], tmp_path: Path, change, words
):
    old = copy_of(trained, tmp_path / "old")
    state = torch.load(old / "model", weights_only=True)
    change(state)
    (old / "model").unlink()  # the other name of the file keeps what it had
    torch.save(state, old / "model")
    with pytest.raises(InvalidModelDirectoryError, match=words):
        convert(old)


def test_settings_that_contradict(trained: Path, convert: Callable[..., CreateResult]):
    for typed, words in (
        ("network=resnet18", "exclude one another: network=resnet18 from="),
        ("pretrained=true", "without effect with from=: pretrained"),
        ("arguments.memory_efficient=true", "without effect with from=: arguments"),
        ("random_seed=3", "without effect with from=: random_seed=3"),
    ):
        with pytest.raises(SettingsError, match=words):
            convert(trained, typed)
    with pytest.raises(
        SettingsError, match=r"a setting is missing: network; .* pass network=VALUE or from=DIR"
    ):
        compose("create", ["output=x"])


def test_outputs_that_are_refused(trained: Path, convert: Callable[..., CreateResult]):
    with pytest.raises(OutputError, match="the output lies in an input directory"):
        convert(trained, f"output={trained}/new")
    with pytest.raises(OutputError, match="the output exists"):
        convert(trained, f"output={trained.parent}", "overwrite=true")


def test_a_picture_size_that_the_network_cannot_take(
    convert: Callable[..., CreateResult], tmp_path: Path, squares: list[Path]
):
    old = write_old_model(
        tmp_path / "old", "densenet121", pretrained=False, labels=LABELS, network=nn.Linear(1, 1)
    )
    with pytest.raises(SettingsError, match="densenet121 cannot take pictures of 8 pixels"):
        convert(old, "image_size=8")


# the two doors


def test_from_python(trained: Path, tmp_path: Path):
    made = package.create(output=tmp_path / "one", from_=trained)
    package.create(output=tmp_path / "two", **{"from": str(trained)})
    assert made.trained and made.from_ == trained
    weights = [(tmp_path / name / "weights.safetensors").read_bytes() for name in ("one", "two")]
    assert weights[0] == weights[1]


@pytest.mark.slow
def test_on_the_command_line(discerna, trained: Path, tmp_path: Path):
    strange = copy_of(trained, tmp_path / "old (1), v=2")
    done = discerna("create", f"from={strange}", "output=models/old")
    assert "wrote the trained model models/old" in done.stdout
    assert "from: image_size is 40" in done.stderr
    write_pictures(tmp_path / "data", {"blue": 2, "red": 1})
    discerna("score", "model=models/old", "data=data", "output=scores.csv")
    header = (tmp_path / "scores.csv").read_text().splitlines()[0]
    assert [name for name in header.split(",") if "Probabilities" in name] == [
        f"Scored Probabilities_{label}" for label in LABELS
    ]
    refused = discerna("create", "from=data", "output=models/more", code=1)
    assert "error: this is an image directory" in refused.stderr and "Traceback" not in refused.stderr


@pytest.mark.slow
def test_training_goes_on_from_an_untrained_one(
    untrained: Path, convert: Callable[..., CreateResult], pictures: Path, tmp_path: Path
):
    made = convert(untrained, "image_size=32")
    result = package.train(
        model=made.output,
        train_data=pictures / "train",
        valid_data=pictures / "valid",
        output=tmp_path / "model",
        epochs=1,
        batch_size=9,
    )
    spec = ModelDirectory.open(result.output).spec
    assert (spec.network, spec.state, len(spec.labels)) == ("azure/resnet18", "trained", 3)
    assert (
        package.evaluate(model=result.output, data=pictures / "valid").evaluation.accuracy == result.accuracy
    )
