"""The designer's model directories as a stranger may have made them: one error in one line, and nothing runs."""

import io
import json
import os
import pickle
import zipfile
from collections import OrderedDict
from pathlib import Path

import pytest
import torch
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import nn

from discerna.directories.model_dir import ModelSpec, write_model_directory
from discerna.directories.old_model_dir import OldModelDirectory
from discerna.errors import InvalidModelDirectoryError
from discerna.settings.preprocessing import Preprocessing
from old_model_dirs import edit_spec, write_old_model
from picture_sets import write_pictures

LABELS = ["cat", "dog", "frog"]


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """A trained directory; its tensors are those of a tiny layer, since nobody builds the network here."""
    return write_old_model(
        tmp_path / "old", "resnet18", pretrained=True, labels=LABELS, network=nn.Linear(2, 3)
    )


def refused(path: Path, *words: str) -> str:
    """The one line that refuses the directory, or its weights."""
    with pytest.raises(InvalidModelDirectoryError) as caught:
        OldModelDirectory.open(path).load_weights()
    told = str(caught.value)
    assert "\n" not in told and f"from={path}"[:50] in told, told
    for word in words:
        assert word in told, told
    return told


def test_what_was_written_is_read(old: Path):
    directory = OldModelDirectory.open(old)
    spec = directory.spec
    assert (spec.cls, spec.labels, spec.mean, spec.std) == ("ResNet", LABELS, [0.5] * 3, [0.5] * 3)
    assert spec.init_params["model_name"] == "resnet18"
    assert set(directory.load_weights()) == {"weight", "bias"}
    assert directory.left_out() == ["_samples.json", "_schema.json", "conda_env.yaml", "score.py"]
    assert directory.sample_pictures() == []


def test_an_untrained_one(tmp_path: Path):
    path = write_old_model(tmp_path / "old", "densenet121", pretrained=True, network=nn.Linear(2, 3))
    directory = OldModelDirectory.open(path)
    assert (directory.spec.labels, directory.spec.mean, directory.left_out()) == ([], [0.5] * 3, [])


# other things than a model of the designer's


def test_missing_a_file_and_empty(tmp_path: Path):
    refused(tmp_path / "x", "no such model directory", "there is nothing at this path")
    (tmp_path / "file").write_text("")
    refused(tmp_path / "file", "it is a file", "give the directory with _meta.yaml")
    (tmp_path / "empty").mkdir()
    refused(tmp_path / "empty", "it has no _meta.yaml", "give a model directory of the Azure ML designer")


def test_a_directory_of_pictures(tmp_path: Path):
    write_pictures(tmp_path / "data", {"red": 1, "blue": 1})
    refused(tmp_path / "data", "this is an image directory", "there are pictures in blue, red")
    (tmp_path / "_meta.yaml").write_text("type: ImageDirectory\n")
    refused(tmp_path, "this is an image directory", "_meta.yaml says type: ImageDirectory")


def test_other_directories_of_the_designer(tmp_path: Path):
    (tmp_path / "_meta.yaml").write_text("type: TransformationDirectory\n")
    refused(tmp_path, "an image transformation", f"give it to discerna train as transforms={tmp_path}")
    (tmp_path / "_meta.yaml").write_text("type: DataFrameDirectory\n")
    refused(tmp_path, "not a model directory", "_meta.yaml says type: DataFrameDirectory")


def test_a_directory_of_ours(tmp_path: Path):
    seen = Preprocessing(
        size=8, fit="crop", resize=8, interpolation="bilinear", mean=[0.5] * 3, std=[0.5] * 3
    )
    spec = ModelSpec(
        state="untrained", network="tiny", arguments={}, labels=[], preprocessing=seen, weights_from=None
    )
    write_model_directory(tmp_path / "ours", spec, {"a": torch.ones(1)}, overwrite=False)
    refused(tmp_path / "ours", "of discerna's own already", f"use it as it is: model={tmp_path}/ours")


def test_the_folder_above_and_a_part_of_one(old: Path):
    refused(old.parent, "it holds one, old", f"give {old}")
    (old / "_meta.yaml").unlink()
    refused(old, "_meta.yaml is missing")


@pytest.mark.parametrize("name", ["model", "model_spec.yaml", "index_to_label.csv"])
def test_a_file_is_missing(old: Path, name: str):
    (old / name).unlink()
    refused(old, f"{name} is missing", "copy the directory again")


# what the description says


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"flavor__name": "sklearn"}, "of another flavour"),
        ({"flavor__name": "onnx"}, "only pytorch holds networks for pictures"),
        ({"flavor__serialization_method": "cloudpickle"}, "a pickle, which is never opened"),
        ({"flavor__serialization_method": None}, "has no text flavor.serialization_method"),
        ({"flavor": 3}, "has no mapping flavor"),
        ({"flavor_extras__init_params": None}, "has no mapping flavor_extras.init_params"),
        ({"flavor_extras__init_params__num_classes": True}, "num_classes that is no whole number"),
        ({"flavor_extras__init_params__num_classes": 4}, "3 labels, and the model 4 outputs"),
        ({"flavor_extras__class": ["ResNet"]}, "has no text flavor_extras.class"),
        ({"label_map_file": None}, "has no text label_map_file"),
        ({"inputs": []}, "inputs that are not one picture"),
        ({"inputs": [{"pre_processor": {"class": "Other"}}]}, "prepares pictures by Other"),
        (
            {"inputs": [{"pre_processor": {"class": "ImageNormalizer", "init_params": {"std": [1, 0, 1]}}}]},
            "std that is not above 0",
        ),
        *[
            (
                {"inputs": [{"pre_processor": {"class": "ImageNormalizer", "init_params": {"mean": mean}}}]},
                "a mean that is not three numbers",
            )
            for mean in ([0.5], "0.5", [0.5, 0.5, True], [0.5, 0.5, float("nan")], [1, 1, 10**400])
        ],
    ],
)
def test_a_description_without_sense(old: Path, changes: dict[str, object], words: str):
    edit_spec(old, **changes)
    refused(old, words)


@pytest.mark.parametrize("key", ["model_file", "label_map_file"])
@pytest.mark.parametrize(
    "name", ["../secret", "/etc/passwd", "a/../../secret", "link", "inner/file", ".", "pipe"]
)
def test_files_elsewhere(old: Path, key: str, name: str):
    (old.parent / "secret").write_text("secret words")
    (old.parent / "inner").mkdir()
    (old.parent / "inner" / "file").write_text("secret words")
    (old / "link").symlink_to(old.parent / "secret")
    (old / "inner").symlink_to(old.parent / "inner")
    os.mkfifo(old / "pipe")
    edit_spec(old, **{key: name})
    assert "secret words" not in refused(old, "altered model directory")


def test_the_description_elsewhere(old: Path):
    (old / "model_spec.yaml").rename(old.parent / "elsewhere.yaml")
    (old / "_meta.yaml").write_text("type: ModelDirectory\nmodel: ../elsewhere.yaml\n")
    refused(old, "lies elsewhere")


def test_files_deeper_inside_and_of_other_names_are_fine(old: Path):
    (old / "weights").mkdir()
    (old / "model").rename(old / "weights" / "state")
    (old / "model_spec.yaml").rename(old / "about.yaml")
    (old / "_meta.yaml").write_text("type: UntrainedModelDirectory\nmodel: about.yaml\n")
    text = (old / "about.yaml").read_text().replace("model_file: model", "model_file: weights/state")
    (old / "about.yaml").write_text(text)
    directory = OldModelDirectory.open(old)
    assert directory.load_weights()
    assert "weights" not in directory.left_out() and "about.yaml" not in directory.left_out()


LAUGHS = "a0: &a0 [x, x]\n" + "".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 40)
)
MERGES = "a0: &a0 {x: 1}\n" + "".join(
    f"a{n}: &a{n}\n  <<: [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 40)
)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("!!python/object/apply:os.system ['touch canary']", "has the tag"),
        ("flavor: !!python/name:os.system", "has the tag"),
        ("flavor: !!set {a}", "has the tag"),
        (LAUGHS, "has no mapping flavor"),
        (MERGES, "merges mappings"),
        ("a: &a [*a]\nflavor: *a", "has no mapping flavor"),
        ("[" * 5000, "nested too deeply"),
        ("- " * 5000, "nested too deeply"),
        ("flavor: 2026-99-99", "is not YAML"),
        ("flavor: " + "9" * 9000, "is not YAML"),
        ("{[a]: b}", "is not YAML"),
        ("a: b: c", "is not YAML"),
        ("- a", "no YAML mapping"),
        ("", "no YAML mapping"),
        ("a: 1\n---\nb: 2", "is not YAML"),
        ("a: \0", "is not YAML"),
        ("# " + "x" * 70_000, "more than 65536 bytes"),
    ],
)
def test_yaml_of_strangers(old: Path, text: str, words: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(old.parent)
    (old / "model_spec.yaml").write_text(text)
    refused(old, words)
    assert not (old.parent / "canary").exists()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=200) | st.text("{}[]&*<:-?|>!%@\n '\"#a1", max_size=60).map(str.encode))
def test_any_description_is_refused_in_one_line(old: Path, data: bytes):
    (old / "model_spec.yaml").write_bytes(data)
    refused(old)


# labels


def test_labels_are_text(tmp_path: Path):
    labels = ["007", "NA", "null", "a,b", 'say "hi"', " x", "ü", "two\nlines", "1e3"]
    path = write_old_model(
        tmp_path / "old", "resnet18", pretrained=True, labels=labels, network=nn.Linear(1, 1)
    )
    assert OldModelDirectory.open(path).spec.labels == labels


def test_labels_stand_in_the_order_of_their_indices(old: Path):
    (old / "index_to_label.csv").write_bytes(b"\xef\xbb\xbf,label\r\n2,frog\r\n0,cat\r\n1,dog\r\n")
    assert OldModelDirectory.open(old).spec.labels == LABELS


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (",label\n0,cat\n1,dog\n", "has 2 labels, and the model 3 outputs"),
        (",label\n0,cat\n1,dog\n3,frog\n", "not numbered 0 to 2"),
        (",label\n0,cat\n1,dog\n1,frog\n", "row 3 of index_to_label.csv has no index of its own"),
        (",label\n0,cat\n1,dog\n²,frog\n", "row 3"),
        (",label\n0,cat\n1,dog\n-1,frog\n", "row 3"),
        (",label\n0,cat\n1\n2,frog\n", "row 2"),
        ("0,cat\n1,dog\n2,frog\n", "does not begin with the line"),
        ("", "does not begin with the line"),
        (",label\n0,cat\n1,cat\n2,frog\n", "has 'cat' more than once"),
        (",label\n0,cat\n1,a/b\n2,..\n", "has 'a/b', '..', which no folder can bear"),
        (",label\n0,cat\n1,\n2,frog\n", "has '', which no folder can bear"),
        (',label\n0,cat\n1,"dog\n2,frog\n', "is no CSV"),
        (",label\n0," + "x" * 200_000 + "\n", "is no CSV"),
        (",label\n" + "0,x\n" * 1_100_000, "more than 4194304 bytes"),
    ],
)
def test_label_maps_that_do_not_fit(old: Path, text: str, words: str):
    (old / "index_to_label.csv").write_text(text)
    refused(old, words)


def test_a_label_map_that_is_no_text(old: Path):
    (old / "index_to_label.csv").write_bytes(b",label\n0,\xff\n")
    refused(old, "is no CSV in UTF-8")


# weights


class Canary:
    """Leaves a file behind where it is unpickled."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, (str(self.marker),)


def test_a_pickle_never_runs(old: Path, tmp_path: Path):
    canary = Canary(tmp_path / "canary")
    pickle.loads(pickle.dumps(Canary(tmp_path / "it works")))
    assert (tmp_path / "it works").exists()
    for write in (
        lambda: torch.save({"a": canary}, old / "model"),
        lambda: torch.save({"a": canary}, old / "model", _use_new_zipfile_serialization=False),
        lambda: (old / "model").write_bytes(pickle.dumps(canary)),
    ):
        write()
        told = refused(old, "the model's weights cannot be read", "which are not unpickled")
        assert "weights_only" not in told
    assert not (tmp_path / "canary").exists()


def saved(value: object) -> bytes:
    stream = io.BytesIO()
    torch.save(value, stream)
    return stream.getvalue()


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ({}, "no state dict"),
        ([torch.ones(1)], "no state dict"),
        ({"a": 1}, "other things than plain tensors: a"),
        ({1: torch.ones(1)}, "other things than plain tensors: 1"),
        ({"a": {"b": torch.ones(1)}}, "other things than plain tensors"),
        ({"a": torch.ones(2, 2).to_sparse()}, "other things than plain tensors"),
        ({"a": torch.ones(2, device="meta")}, "other things than plain tensors"),
        ({"a": torch.ones(2, dtype=torch.complex64)}, "other things than plain tensors"),
    ],
)
def test_other_things_than_tensors(old: Path, value: object, words: str):
    (old / "model").write_bytes(saved(value))
    refused(old, words)


@pytest.mark.parametrize("data", [b"", b"x", b"PK\3\4", b"PK\3\4" + bytes(100), bytes(1000)])
def test_damaged_weights(old: Path, data: bytes):
    (old / "model").write_bytes(data)
    refused(old)


def test_truncated_weights(old: Path):
    whole = (old / "model").read_bytes()
    for length in range(1, len(whole), 97):
        (old / "model").write_bytes(whole[:length])
        refused(old)


def test_weights_packed_again(old: Path):
    """A bomb of zeros takes no memory, and honest files are not misread."""
    with zipfile.ZipFile(old / "model") as archive:
        members = {info.filename: archive.read(info) for info in archive.infolist()}
    with zipfile.ZipFile(old / "model", "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    refused(old, "packed again, with compression")


def test_a_tensor_larger_than_the_file(old: Path):
    """Were its storage believed, reading it would leave the file's memory."""
    with zipfile.ZipFile(io.BytesIO(saved({"a": torch.ones(2**16)}))) as archive:
        members = {info.filename: archive.read(info) for info in archive.infolist()}
    with zipfile.ZipFile(old / "model", "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data[:8] if "/data/" in name else data)
    refused(old, "the model's weights cannot be read")


def test_the_format_of_old_and_the_prefix_of_several_devices(old: Path):
    state = OrderedDict((f"module.{name}", torch.ones(2)) for name in "ab")
    torch.save(state, old / "model", _use_new_zipfile_serialization=False)
    assert set(OldModelDirectory.open(old).load_weights()) == {"a", "b"}


def test_torchscript_is_refused(old: Path):
    (old / "model").unlink()
    with zipfile.ZipFile(old / "model", "w") as archive:
        archive.writestr("model/constants.pkl", b"\x80\x02).")
        archive.writestr("model/version", b"3\n")
    refused(old, "the model's weights cannot be read")


# samples


@pytest.mark.parametrize(
    "content", [[], {}, [1], [{}], [{"image": 1}], [{"image": "?"}], None, "x", [[["a"]]], {"image": ["a"]}]
)
def test_samples_without_sense_cost_nothing(old: Path, content: object):
    (old / "_samples.json").write_text(json.dumps(content))
    assert OldModelDirectory.open(old).sample_pictures() == []


def test_samples_elsewhere_are_not_read(old: Path):
    secret = old.parent / "secret.json"
    secret.write_text('[{"image": "YQ=="}]')
    (old / "_samples.json").unlink()
    (old / "_samples.json").symlink_to(secret)
    assert OldModelDirectory.open(old).sample_pictures() == []
    (old / "_samples.json").unlink()
    (old / "_samples.json").write_text("[" * 100_000)
    assert OldModelDirectory.open(old).sample_pictures() == []


def test_samples_as_addresses_of_data(old: Path):
    (old / "_samples.json").write_text('[{"image": "data:image/png;base64,YQ=="}]')
    assert OldModelDirectory.open(old).sample_pictures() == [b"a"]


def test_the_directory_is_only_read(old: Path):
    before = {entry.name: entry.stat().st_mtime_ns for entry in old.iterdir()}
    OldModelDirectory.open(old).load_weights()
    assert {entry.name: entry.stat().st_mtime_ns for entry in old.iterdir()} == before
    assert yaml.safe_load((old / "model_spec.yaml").read_text())["model_file"] == "model"
