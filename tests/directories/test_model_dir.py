"""The model directory: written whole or not at all, read as if a stranger had written it."""

import ctypes
import errno
import json
import os
import pickle
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from discerna.directories import write_aside
from discerna.directories.model_dir import (
    FORMAT_VERSION,
    ModelDirectory,
    ModelSpec,
    refuse_existing_output,
    write_model_directory,
)
from discerna.errors import DivergedError, InvalidModelDirectoryError, OutputError
from discerna.settings.preprocessing import Preprocessing
from hostile_models import edit, header_of, seal, with_header
from picture_sets import TESTS

SEEN = Preprocessing(size=16, fit="crop", resize=18, interpolation="bilinear", mean=[0.5] * 3, std=[0.25] * 3)
UNTRAINED = ModelSpec(
    state="untrained",
    network="tiny",
    arguments={"width": 4},
    labels=[],
    preprocessing=SEEN,
    weights_from=None,
)
LABELS = ["007", "NA", "猫", "b\udcff"]
TRAINED = replace(UNTRAINED, state="trained", labels=LABELS, weights_from={"name": "x"})
TRAINING = {"settings": {"random_seed": -(10**60)}, "epochs": [{"train_loss": 0.5, "valid_loss": torch.nan}]}


def weights() -> dict[str, torch.Tensor]:
    return {
        "a.weight": torch.arange(12, dtype=torch.float32).reshape(3, 4),
        "b.count": torch.tensor(7),
        "c.half": torch.ones(5, dtype=torch.bfloat16),
        "empty": torch.empty(0, 3),
    }


@pytest.fixture
def trained(tmp_path: Path) -> Path:
    write_model_directory(tmp_path / "model", TRAINED, weights(), training=TRAINING, overwrite=False)
    return tmp_path / "model"


def refused(path: Path, *words: str) -> str:
    with pytest.raises(InvalidModelDirectoryError) as caught:
        ModelDirectory.open(path, setting="model").load_weights()
    message = str(caught.value)
    assert "\n" not in message
    assert message.count("; ") == 2, message
    for word in words:
        assert word in message, message
    return message


def test_what_is_written_is_read_again(trained: Path):
    directory = ModelDirectory.open(trained)
    assert directory.spec == TRAINED
    assert directory.path == trained
    assert directory.training == {
        "settings": {"random_seed": -(10**60)},
        "epochs": [{"train_loss": 0.5, "valid_loss": None}],
    }
    assert directory.tensor_shapes() == {"a.weight": (3, 4), "b.count": (), "c.half": (5,), "empty": (0, 3)}
    loaded = directory.load_weights()
    assert list(sorted(loaded)) == sorted(weights())
    for name, tensor in weights().items():
        assert loaded[name].dtype == tensor.dtype
        assert torch.equal(loaded[name], tensor)


def test_the_files_of_a_directory(trained: Path, tmp_path: Path):
    described = ["manifest.json", "model.json", "training.json", "weights.safetensors"]
    assert sorted(os.listdir(trained)) == described
    write_model_directory(tmp_path / "raw", UNTRAINED, weights(), overwrite=False)
    assert sorted(os.listdir(tmp_path / "raw")) == ["manifest.json", "model.json", "weights.safetensors"]
    assert ModelDirectory.open(tmp_path / "raw").training is None
    modes = {file.stat().st_mode for file in trained.iterdir()}
    (tmp_path / "plain").touch()
    assert modes == {(tmp_path / "plain").stat().st_mode}, "as readable as any new file"
    assert sorted(os.listdir(tmp_path)) == ["model", "plain", "raw"], "nothing else is left"


def test_equal_content_is_equal_bytes(trained: Path, tmp_path: Path):
    shuffled = dict(reversed(weights().items()))
    write_model_directory(tmp_path / "again", TRAINED, shuffled, training=TRAINING, overwrite=False)
    for file in trained.iterdir():
        assert file.read_bytes() == (tmp_path / "again" / file.name).read_bytes()


def test_tied_and_sliced_tensors(tmp_path: Path):
    block = torch.arange(24.0).reshape(4, 6)
    given = {"a": block, "b": block, "t": block.T, "row": block[1], "odd": block[:, ::2]}
    given |= {"part": torch.ones(9)[3:], "p": torch.nn.Parameter(torch.ones(2))}
    write_model_directory(tmp_path / "m", UNTRAINED, given, overwrite=False)
    loaded = ModelDirectory.open(tmp_path / "m").load_weights()
    assert all(torch.equal(loaded[name], tensor) for name, tensor in given.items())


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_weights_that_are_not_finite(tmp_path: Path, value: float):
    given = {"ok": torch.ones(3), "bad.weight": torch.tensor([1.0, value])}
    with pytest.raises(DivergedError, match=r"bad\.weight"):
        write_model_directory(tmp_path / "m", UNTRAINED, given, overwrite=False)
    assert not list(tmp_path.iterdir())


def test_large_finite_weights_are_fine(tmp_path: Path):
    given = {"big": torch.full((4,), 3e38), "half": torch.full((9,), 6e4, dtype=torch.float16)}
    write_model_directory(tmp_path / "m", UNTRAINED, given, overwrite=False)
    assert ModelDirectory.open(tmp_path / "m").load_weights()["big"].max() == torch.tensor(3e38)


def test_nan_in_a_file_made_by_others(trained: Path):
    from safetensors.torch import save_file

    save_file({"a": torch.tensor([float("nan")])}, trained / "weights.safetensors")
    seal(trained)
    refused(trained, "NaN", "weights.safetensors has NaN or infinity in a")


def test_import_is_light():
    code = "import sys, discerna.directories.model_dir; print({'torch', 'safetensors'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


# What is not a model directory


def test_missing(tmp_path: Path):
    assert refused(tmp_path / "none", "no such model directory: model=") == str(
        "no such model directory: "
        f"model={tmp_path}/none; there is nothing at this path; "
        "check the path, or make one with discerna create, or give a network's name such as resnet18"
    )


def test_the_setting_is_named(tmp_path: Path):
    with pytest.raises(InvalidModelDirectoryError, match="start=/"):
        ModelDirectory.open(tmp_path / "none", setting="start")


def test_strange_paths(tmp_path: Path):
    refused(tmp_path / "a\0b", r"a\x00b")
    refused(tmp_path / "line\nbreak", r"line\nbreak")
    refused(tmp_path / ("x" * 300), "cannot be read")


def test_a_file(tmp_path: Path):
    (tmp_path / "m").write_text("x")
    refused(tmp_path / "m", "it is a file")


def test_empty(tmp_path: Path):
    refused(tmp_path, "it is empty", "discerna create")


def test_an_image_directory(tmp_path: Path):
    (tmp_path / "cat").mkdir()
    (tmp_path / "cat" / "1.JPG").write_bytes(b"")
    (tmp_path / "dog").mkdir()
    refused(tmp_path, "this is an image directory", "there are pictures in cat")
    shutil.rmtree(tmp_path / "cat")
    (tmp_path / "1.png").write_bytes(b"")
    refused(tmp_path, "this is an image directory", "it holds pictures")


def test_directories_of_the_designer(tmp_path: Path):
    (tmp_path / "_meta.yaml").write_text("type: ImageDirectory\nextension: {}\n")
    refused(tmp_path, "this is an image directory", "_meta.yaml")
    (tmp_path / "_meta.yaml").write_text("extension: {}\ntype: 'ModelDirectory'\nmodel: model_spec.yaml\n")
    told = refused(tmp_path, "the Azure ML designer's format")
    assert f"discerna create from={tmp_path} output=..." in told
    (tmp_path / "_meta.yaml").write_bytes(b"\xff\xfe\x00")
    refused(tmp_path, "it has no manifest.json")


def test_a_run_folder(trained: Path):
    refused(trained.parent, "it is a run folder", f"give {trained}")


def test_another_directory(tmp_path: Path):
    (tmp_path / "model.pt").write_bytes(b"")
    refused(tmp_path, "it has no manifest.json")


# What was altered


class Payload:
    """Touches a file when it is unpickled."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self):
        return Path.touch, (self.marker,)


@pytest.mark.parametrize("name", ["model.pt", "pytorch_model.bin", "last.ckpt", "archive.pt2", "weights.pkl"])
@pytest.mark.parametrize("listed", [False, True])
def test_a_pickle_in_the_directory(trained: Path, tmp_path: Path, name: str, listed: bool):
    marker = tmp_path / "marker"
    (trained / name).write_bytes(pickle.dumps(Payload(marker)))
    if listed:
        seal(trained)
    refused(trained, "an altered model directory", name)
    assert not marker.exists()


@pytest.mark.parametrize("name", ["weights.safetensors", "model.json", "training.json", "manifest.json"])
def test_a_pickle_under_an_honest_name(trained: Path, tmp_path: Path, name: str):
    marker = tmp_path / "marker"
    (trained / name).write_bytes(pickle.dumps(Payload(marker)))
    if name != "manifest.json":
        seal(trained)
    refused(trained, name)
    assert not marker.exists()


def test_links_and_other_entries(trained: Path, tmp_path: Path):
    real = tmp_path / "elsewhere"
    (trained / "model.json").rename(real)
    (trained / "model.json").symlink_to(real)
    refused(trained, "model.json is a link")
    (trained / "model.json").unlink()
    os.mkfifo(trained / "model.json")
    refused(trained, "model.json is no plain file")
    (trained / "model.json").unlink()
    (trained / "model.json").mkdir()
    refused(trained, "model.json is no plain file")


def test_a_link_to_the_whole_directory_is_fine(trained: Path, tmp_path: Path):
    (tmp_path / "latest").symlink_to(trained)
    assert ModelDirectory.open(tmp_path / "latest").spec == TRAINED


@pytest.mark.parametrize("name", ["ü.json", "a b", "x\ny", "~", "a:b"])
def test_strange_names(trained: Path, name: str):
    (trained / name).touch()
    refused(trained, "is no file name of a model directory")


@pytest.mark.parametrize("name", ["../elsewhere", "/etc/passwd", "sub/model.json", "..", "README.md", ""])
def test_strange_names_in_the_manifest(trained: Path, name: str):
    files = json.loads((trained / "manifest.json").read_text())["files"]
    files[name] = {"sha256": "0" * 64, "size": 0}
    (trained / "manifest.json").write_text(json.dumps({"files": files}))
    refused(trained, "which no model directory has")


@pytest.mark.parametrize(
    "entry", [None, [], {}, {"sha256": 1, "size": 1}, {"sha256": "0", "size": -1}, {"sha256": "0"}]
)
def test_a_manifest_without_sense(trained: Path, entry: object):
    (trained / "manifest.json").write_text(json.dumps({"files": {"model.json": entry}}))
    refused(trained, "no SHA-256 and size of model.json")
    (trained / "manifest.json").write_text(json.dumps({"files": entry}))
    refused(trained)


def test_the_manifest_leaves_a_file_out(trained: Path):
    files = json.loads((trained / "manifest.json").read_text())["files"]
    del files["weights.safetensors"]
    (trained / "manifest.json").write_text(json.dumps({"files": files}))
    refused(trained, "weights.safetensors is not in manifest.json")
    (trained / "weights.safetensors").unlink()
    refused(trained, "weights.safetensors is missing")


@pytest.mark.parametrize("name", ["model.json", "training.json", "weights.safetensors", "manifest.json"])
def test_a_file_is_missing(trained: Path, name: str):
    (trained / name).unlink()
    refused(trained, f"{name} is missing")


def test_truncated_and_longer(trained: Path):
    file = trained / "weights.safetensors"
    whole = file.read_bytes()
    for data in (whole[:-1], whole[:4], b"", whole + b"\0"):
        file.write_bytes(data)
        refused(trained, f"weights.safetensors has {len(data)} bytes")
    file.write_bytes(whole[:-1] + b"\1")
    refused(trained, "differs from its SHA-256")


@pytest.mark.parametrize("version", [FORMAT_VERSION + 1, 99, 10**30])
def test_a_newer_version(trained: Path, version: int):
    edit(trained, "model.json", format_version=version, something="new")
    (trained / "new_file.bin").touch()
    refused(trained, f"version {version}", f"reads up to {FORMAT_VERSION}", "upgrade discerna")


def test_an_older_version_is_written_where_it_can_hold_the_model(trained: Path, tmp_path: Path):
    content = json.loads((trained / "model.json").read_text())
    assert content["format_version"] == 1
    assert content["preprocessing"].keys() == vars(SEEN).keys() - {"grayscale", "border"}
    for changes in ({"grayscale": True}, {"border": 3}, {"grayscale": True, "border": 1}):
        spec = replace(TRAINED, preprocessing=replace(SEEN, **changes))
        place = tmp_path / "-".join(changes)
        write_model_directory(place, spec, weights(), overwrite=False)
        content = json.loads((place / "model.json").read_text())
        assert content["format_version"] == 2 and changes.items() <= content["preprocessing"].items()
        assert ModelDirectory.open(place).spec == spec


def test_a_version_holds_what_it_knows_and_no_more(trained: Path):
    seen = json.loads((trained / "model.json").read_text())["preprocessing"]
    edit(trained, "model.json", format_version=2)
    assert ModelDirectory.open(trained).spec == TRAINED
    edit(trained, "model.json", format_version=1, preprocessing={**seen, "grayscale": False})
    refused(trained, "is of version 1 and has grayscale")
    edit(trained, "model.json", format_version=2, preprocessing={**seen, "border": 8})
    refused(trained, "model.json", "would cover the picture")
    edit(trained, "model.json", format_version=2, preprocessing={**seen, "grayscale": 1})
    refused(trained, "model.json", "preprocessing.grayscale")


@pytest.mark.parametrize("version", [0, -1, "1", None, 1.0, True])
def test_no_version(trained: Path, version: object):
    edit(trained, "model.json", format_version=version)
    refused(trained, "format_version")


@pytest.mark.parametrize("place", ["model.json", "training.json"])
def test_nothing_is_imported_because_a_file_says_so(trained: Path, place: str):
    content = json.loads((trained / place).read_text())
    key = "arguments" if place == "model.json" else "settings"
    content[key] = {"deep": [{"er": {"_target_": "builtins.open", "file": "marker", "mode": "w"}}]}
    (trained / place).write_text(json.dumps(content))
    seal(trained)
    refused(trained, "_target_")


@pytest.mark.parametrize(
    "changes",
    [
        {"state": "half"},
        {"state": "untrained"},
        {"labels": []},
        {"labels": "abc"},
        {"labels": ["a", "a"]},
        {"labels": ["a", ""]},
        {"labels": ["a/b"]},
        {"labels": ["a\0b"]},
        {"labels": [".."]},
        {"labels": ["a", 1]},
        {"labels": {"0": "a"}},
        {"network": ""},
        {"network": "a" * 10**6},
        {"network": 5},
        {"network": None},
        {"arguments": []},
        {"weights_from": {"name": 1}},
        {"preprocessing": None},
        {"preprocessing": {"size": 16}},
        {"preprocessing": {**vars(SEEN), "size": 0}},
        {"preprocessing": {**vars(SEEN), "size": 10**9, "resize": 10**9}},
        {"preprocessing": {**vars(SEEN), "resize": 4}},
        {"preprocessing": {**vars(SEEN), "fit": "squeeze"}},
        {"preprocessing": {**vars(SEEN), "mean": [10**400, 0, 0]}},
        {"preprocessing": {**vars(SEEN), "std": [0, 0, 0]}},
        {"preprocessing": {**vars(SEEN), "extra": 1}},
        {"extra": 1},
    ],
    ids=lambda changes: str(changes)[:60],
)
def test_a_description_without_sense(trained: Path, changes: dict[str, object]):
    edit(trained, "model.json", **changes)
    refused(trained, "model.json")


def test_a_description_that_lacks_a_key(trained: Path):
    content = json.loads((trained / "model.json").read_text())
    del content["weights_from"]
    (trained / "model.json").write_text(json.dumps(content))
    seal(trained)
    refused(trained, "missing or unknown keys: weights_from")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "null",
        "{",
        '{"a": 1, "a": 2}',
        '{"a": NaN}',
        '{"a": Infinity}',
        '{"a": 1e999}',
        '{"a": ' + "9" * 5000 + "}",
        '{"a":' * 200 + "1" + "}" * 200,
        "[" * 100_000,
        '{"a":' * 100_000 + "1" + "}" * 100_000,
    ],
    ids=lambda text: text[:12],
)
@pytest.mark.parametrize("name", ["model.json", "training.json", "manifest.json"])
def test_json_without_sense(trained: Path, name: str, text: str):
    (trained / name).write_text(text)
    if name != "manifest.json":
        seal(trained)
    refused(trained, name)


def test_json_that_is_no_text(trained: Path):
    (trained / "model.json").write_bytes(b'{"a": "\xff"}')
    seal(trained)
    refused(trained, "model.json is not JSON")


def test_json_without_end(trained: Path):
    with (trained / "training.json").open("r+b") as stream:
        stream.truncate(65 << 20)  # takes no room on the disk
    seal(trained)
    refused(trained, "training.json has 68157440 bytes, 16777216 at most")


def test_an_untrained_model_with_a_record_of_training(trained: Path):
    edit(trained, "model.json", state="untrained", labels=[])
    refused(trained, "it is untrained and has training.json")


@pytest.mark.parametrize("length", [10**12, 2**63, 2**64 - 1, 100 << 20])
def test_a_huge_header(trained: Path, length: int):
    with_header(trained, "{}", b"", length)
    refused(trained, "the header of weights.safetensors does not fit")


def test_a_tensor_twice(trained: Path):
    entry = '{"dtype":"F32","shape":[1],"data_offsets":[0,4]}'
    with_header(trained, f'{{"a":{entry},"a":{entry}}}', b"\0" * 4)
    refused(trained, "the key 'a' stands twice")


@pytest.mark.parametrize(
    "entry",
    [
        {"dtype": "F32", "shape": [2], "data_offsets": [0, 4]},
        {"dtype": "F32", "shape": [10**12], "data_offsets": [0, 4]},
        {"dtype": "F32", "shape": [10**12, 10**12], "data_offsets": [0, 4 * 10**24]},
        {"dtype": "F32", "shape": [-1], "data_offsets": [4, 0]},
        {"dtype": "F32", "shape": [1], "data_offsets": [4, 8]},
        {"dtype": "F32", "shape": [1.0], "data_offsets": [0, 4]},
        {"dtype": "F32", "shape": [True], "data_offsets": [0, 4]},
        {"dtype": "F32", "shape": 1, "data_offsets": [0, 4]},
        {"dtype": "F32", "shape": [1], "data_offsets": [0]},
        {"dtype": "OBJ", "shape": [1], "data_offsets": [0, 4]},
        {"dtype": ["F32"], "shape": [1], "data_offsets": [0, 4]},
        {"dtype": "F32", "shape": [1], "data_offsets": [0, 4], "more": 1},
        {"dtype": "F32", "shape": [1]},
        {"dtype": "U8", "shape": [3], "data_offsets": [0, 3]},
        [],
        None,
    ],
    ids=str,
)
def test_a_header_without_sense(trained: Path, entry: object):
    with_header(trained, json.dumps({"a": entry}), b"\0" * 4)
    refused(trained, "weights.safetensors")


def test_tensors_that_overlap(trained: Path):
    header = {name: {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]} for name in "ab"}
    with_header(trained, json.dumps(header), b"\0" * 4)
    refused(trained, "overlap")


@pytest.mark.parametrize("metadata", [{"a": 1}, [], "x"])
def test_metadata_without_sense(trained: Path, metadata: object):
    header, data = header_of(trained)
    with_header(trained, json.dumps({"__metadata__": metadata, **header}), data)
    refused(trained, "metadata")


def test_an_unreadable_file(trained: Path, monkeypatch: pytest.MonkeyPatch):
    def forbidden(*_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "read_bytes", forbidden)
    refused(trained, "cannot be read", "Permission denied")


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_flipped_byte_anywhere(trained: Path, data: st.DataObject):
    file = trained / data.draw(st.sampled_from(sorted(os.listdir(trained))))
    manifest = trained / "manifest.json"
    whole, listed = file.read_bytes(), manifest.read_bytes()
    changed = bytearray(whole)
    for _ in range(data.draw(st.integers(1, 3))):
        changed[data.draw(st.integers(0, len(whole) - 1))] ^= data.draw(st.integers(1, 255))
    if changed == whole or json_equal(file.name, whole, bytes(changed)):
        return
    sealed = data.draw(st.booleans()) and file != manifest
    try:
        file.write_bytes(changed)
        if sealed:
            seal(trained)
        ModelDirectory.open(trained).load_weights()
        assert sealed, "what nobody vouches for is never read"
    except InvalidModelDirectoryError as error:
        assert "\n" not in str(error)
    finally:
        file.write_bytes(whole)
        manifest.write_bytes(listed)


def json_equal(name: str, one: bytes, other: bytes) -> bool:
    """A manifest may be spelled otherwise, a newline a blank, and say the same."""
    try:
        return name == "manifest.json" and json.loads(one) == json.loads(other)
    except ValueError:
        return False


# Written whole or not at all


def test_parents_are_made(tmp_path: Path):
    write_model_directory(tmp_path / "a" / "b" / "m", UNTRAINED, weights(), overwrite=False)
    assert ModelDirectory.open(tmp_path / "a" / "b" / "m").spec == UNTRAINED


def test_an_existing_output_is_refused(trained: Path):
    before = {file.name: file.read_bytes() for file in trained.iterdir()}
    with pytest.raises(OutputError, match=r"the output exists: output=.*overwrite=true"):
        write_model_directory(trained, UNTRAINED, weights(), overwrite=False)
    assert {file.name: file.read_bytes() for file in trained.iterdir()} == before


@pytest.mark.parametrize("swaps", [True, False])
def test_overwrite_replaces_a_model(trained: Path, monkeypatch: pytest.MonkeyPatch, swaps: bool):
    if not swaps:
        monkeypatch.setattr(ctypes, "CDLL", lambda _: object())
    write_model_directory(trained, UNTRAINED, weights(), overwrite=True)
    assert ModelDirectory.open(trained).spec == UNTRAINED
    assert os.listdir(trained.parent) == ["model"]


def test_overwrite_replaces_an_empty_directory_and_a_damaged_model(trained: Path, tmp_path: Path):
    (tmp_path / "empty").mkdir()
    write_model_directory(tmp_path / "empty", UNTRAINED, weights(), overwrite=True)
    assert ModelDirectory.open(tmp_path / "empty").spec == UNTRAINED
    (trained / "weights.safetensors").unlink()
    write_model_directory(trained, UNTRAINED, weights(), overwrite=True)
    assert ModelDirectory.open(trained).spec == UNTRAINED


def test_overwrite_replaces_nothing_else(trained: Path, tmp_path: Path):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "1.jpg").touch()
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to(trained)
    (tmp_path / "broken").symlink_to(tmp_path / "none")
    for name in ("photos", "file", "link", "broken"):
        with pytest.raises(OutputError, match="is no model directory"):
            write_model_directory(tmp_path / name, UNTRAINED, weights(), overwrite=True)
    assert (tmp_path / "photos" / "1.jpg").exists()
    assert ModelDirectory.open(trained).spec == TRAINED


def test_an_output_that_cannot_be_written(tmp_path: Path):
    (tmp_path / "file").touch()
    before = sorted(os.listdir(tmp_path))
    for output in (tmp_path / "file" / "m", tmp_path / ("x" * 300), tmp_path / ("x" * 300) / "m"):
        for refuse in (
            lambda path: refuse_existing_output(path, False),
            lambda path: write_model_directory(path, UNTRAINED, weights(), overwrite=False),
        ):
            with pytest.raises(OutputError, match="the output cannot be written"):
                refuse(output)
    refuse_existing_output(tmp_path / "new" / "deep" / "m", False)
    assert sorted(os.listdir(tmp_path)) == before


@pytest.mark.parametrize("swaps", [True, False])
@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize("step", range(12))
def test_a_full_disk_at_any_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int, overwrite: bool, swaps: bool
):
    output = tmp_path / "model"
    if overwrite:
        write_model_directory(output, TRAINED, weights(), training=TRAINING, overwrite=False)
    calls = 0

    def failing(original):
        def call(*arguments, **named):
            nonlocal calls
            calls += 1
            if calls == step + 1:
                raise OSError(errno.ENOSPC, "No space left on device")
            return original(*arguments, **named)

        return call

    with monkeypatch.context() as patched:
        if not swaps:
            patched.setattr(write_aside, "exchange", lambda one, other: False)
        patched.setattr(os, "rename", failing(os.rename))
        patched.setattr(os, "fsync", failing(os.fsync))
        patched.setattr(Path, "write_bytes", failing(Path.write_bytes))
        try:
            write_model_directory(output, UNTRAINED, weights(), overwrite=overwrite)
            failed = False
        except OutputError as error:
            failed = True
            assert "No space left on device" in str(error)
    if failed and overwrite:
        assert ModelDirectory.open(output).spec == TRAINED
    elif failed:
        assert not output.exists()
    else:
        assert ModelDirectory.open(output).spec == UNTRAINED
    assert sorted(os.listdir(tmp_path)) == (["model"] if output.exists() else []), "no remains"


def test_a_full_disk_while_the_tensors_are_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    import safetensors.torch

    def full(*_: object) -> None:
        raise safetensors.SafetensorError("No space left on device")

    monkeypatch.setattr(safetensors.torch, "save_file", full)
    with pytest.raises(OutputError, match="No space left on device"):
        write_model_directory(tmp_path / "m", UNTRAINED, weights(), overwrite=False)
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_a_kill_at_any_step(tmp_path: Path):
    """kill -9 before each write, fsync and rename: old or new, never half."""
    program = """
import os, shutil, sys, signal
from pathlib import Path
sys.path.insert(0, sys.argv[1])
import test_model_dir as t
import safetensors.torch
from discerna.directories import write_aside

calls = 0
def dying(original):
    def call(*arguments, **named):
        global calls
        calls += 1
        if calls == step:
            os._exit(9)
        return original(*arguments, **named)
    return call

output = Path(sys.argv[2])
os.rename, os.fsync = dying(os.rename), dying(os.fsync)
Path.write_bytes = dying(Path.write_bytes)
write_aside.exchange = dying(write_aside.exchange)
shutil.rmtree = dying(shutil.rmtree)
step = 0
for kind in ("fresh", "overwritten"):
    for trial in range(1, 30):
        place = output / kind / str(trial)
        if kind == "overwritten":
            t.write_model_directory(place, t.TRAINED, t.weights(), training=t.TRAINING, overwrite=False)
        child = os.fork()
        if child == 0:
            calls, step = 0, trial
            t.write_model_directory(place, t.UNTRAINED, t.weights(), overwrite=True)
            os._exit(0)
        if os.waitpid(child, 0)[1] == 0:
            break
    else:
        sys.exit("never ran to its end")
"""
    command = [sys.executable, "-c", program, str(Path(__file__).parent), str(tmp_path)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(TESTS)}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    for kind in ("fresh", "overwritten"):
        tried = [tmp_path / kind / str(trial) for trial in range(1, 30)]
        found = [path for path in tried if path.exists()]
        specs = [ModelDirectory.open(path).spec for path in found]
        assert UNTRAINED in specs
        if kind == "overwritten":
            assert found == tried[: len(found)], "an output was gone for an instant"
            assert TRAINED in specs


def test_a_model_directory_gets_no_other_directory_inside(tmp_path):
    from discerna.directories.publishing import refuse_existing_output
    from discerna.errors import OutputError

    (tmp_path / "m").mkdir()
    for name in ("manifest.json", "model.json"):
        (tmp_path / "m" / name).write_text("{}")
    with pytest.raises(OutputError, match="lies in a model directory"):
        refuse_existing_output(tmp_path / "m" / "new", overwrite=False)
