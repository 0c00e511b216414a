"""The model directory of the Azure ML designer, untrained or trained, read as if a stranger had written it.

`_meta.yaml` says what it is, `model_spec.yaml` of what class and arguments the network was made, `model` holds its
state dict; a trained one has `index_to_label.csv` and `_samples.json` too. Nothing is imported because a file names it.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any

from discerna.directories import old_samples
from discerna.directories.designer_meta import META, OLD_MODELS, meta_fields
from discerna.directories.inner_files import inner_bytes, inner_file
from discerna.directories.model_dir import pictures_in
from discerna.directories.model_files import MANIFEST, MODEL, Fault, damaged, told_of
from discerna.directories.old_labels import parse_label_map
from discerna.directories.old_weights import read_old_weights
from discerna.directories.plain_yaml import parse_plain_yaml
from discerna.wording import short, shown

if TYPE_CHECKING:
    import torch

SPEC = "model_spec.yaml"

SPEC_LIMIT = 1 << 16
"""Theirs have about a thousand bytes."""

LABELS_LIMIT = 1 << 22

LARGEST = 1e6
"""No mean or deviation of a colour comes near; infinity and NaN are none either."""

NORMALIZER = "ImageNormalizer"


@dataclass(frozen=True, kw_only=True)
class OldModelSpec:
    """What a `model_spec.yaml` says, checked for its types only."""

    module: str
    """The Python module of the network's class; a name, which nobody imports."""
    cls: str
    init_params: dict[str, Any]
    labels: list[str]
    """In the order of the outputs; empty while untrained."""
    mean: list[float]
    std: list[float]
    model_file: str
    files: tuple[str, ...]
    """All files that the description was read from, or that it names."""


class OldModelDirectory:
    """A model directory of the designer's whose description has been read; its tensors are not loaded yet."""

    def __init__(self, path: Path, spec: OldModelSpec, setting: str) -> None:
        self.path = path
        self.spec = spec
        self.where = f"{setting}={shown(str(path))}"
        """How messages name the directory."""

    @classmethod
    def open(cls, path: Path, *, setting: str = "from") -> OldModelDirectory:
        """Read the descriptions in the directory `path`, which the user gave as `setting`."""
        with told_of(f"{setting}={shown(str(path))}"):
            _refuse_other_things(path)
            file = meta_fields(path).get("model") or SPEC
            values = parse_plain_yaml(inner_bytes(path, file, SPEC_LIMIT), file)
            return cls(path, _spec(path, values, file), setting)

    def load_weights(self) -> dict[str, torch.Tensor]:
        """All tensors, on the CPU, under their old names."""
        with told_of(self.where):
            return read_old_weights(inner_file(self.path, self.spec.model_file))

    def sample_pictures(self) -> list[bytes]:
        """The files of the pictures that lie in it as samples, still encoded; perhaps none."""
        return old_samples.sample_pictures(self.path)

    def left_out(self) -> list[str]:
        """The names in it that say nothing of the model: code, environments, samples."""
        used = {PurePath(name).parts[0] for name in (META, *self.spec.files)}
        with told_of(self.where):
            return sorted(entry.name for entry in self.path.iterdir() if entry.name not in used)


def _refuse_other_things(path: Path) -> None:
    """Tell apart what people pass by mistake."""
    give = "give a model directory of the Azure ML designer"
    if not path.exists():
        raise Fault("no such model directory", "there is nothing at this path", f"check the path, or {give}")
    if not path.is_dir():
        raise Fault("not a model directory", "it is a file", f"give the directory with {META}")
    if (path / MANIFEST).exists() and (path / MODEL).exists():
        raise Fault(
            "this is a model directory of discerna's own already",
            f"it has {MODEL} and {MANIFEST}",
            f"use it as it is: model={shlex.quote(str(path))}",
        )
    kind = meta_fields(path).get("type")
    if kind in OLD_MODELS:
        return
    if kind == "TransformationDirectory":
        raise Fault(
            "this is an image transformation, not a model directory",
            f"{META} says type: {kind}",
            f"give it to discerna train as transforms={shlex.quote(str(path))}",
        )
    pictures = f"{META} says type: {kind}" if kind == "ImageDirectory" else pictures_in(path)
    if pictures:
        raise Fault("this is an image directory, not a model directory", pictures, f"{give} as from=")
    if kind:
        raise Fault("not a model directory", f"{META} says type: {short(kind)}", give)
    if (path / SPEC).exists():
        raise damaged(f"{META} is missing")
    inside = next(
        (entry for entry in sorted(path.iterdir()) if meta_fields(entry).get("type") in OLD_MODELS), None
    )
    if inside:
        raise Fault(
            "not a model directory", f"it holds one, {shown(inside.name)}", f"give {shlex.quote(str(inside))}"
        )
    raise Fault("not a model directory", f"it has no {META}", give)


def _spec(path: Path, values: dict[str, Any], file: str) -> OldModelSpec:
    _refuse_other_flavours(values, file)
    extras = _mapping(values, "flavor_extras", file)
    params = _mapping(extras, "init_params", file, "flavor_extras.")
    model_file = _text(values, "model_file", file)
    inner_file(path, model_file)  # better told now than after all else
    labels, files = [], [file, model_file]
    if (outputs := params.get("num_classes")) is not None:
        if type(outputs) is not int or outputs < 1:
            raise damaged(f"{file} has a num_classes that is no whole number, 1 or more")
        files.append(label_map := _text(values, "label_map_file", file))
        labels = parse_label_map(inner_bytes(path, label_map, LABELS_LIMIT), label_map, outputs)
    mean, std = _normalisation(values, file)
    return OldModelSpec(
        module=_text(extras, "module", file, "flavor_extras."),
        cls=_text(extras, "class", file, "flavor_extras."),
        init_params=params,
        labels=labels,
        mean=mean,
        std=std,
        model_file=model_file,
        files=tuple(files),
    )


def _refuse_other_flavours(values: dict[str, Any], file: str) -> None:
    flavour = _mapping(values, "flavor", file)
    name = _text(flavour, "name", file, "flavor.")
    if name != "pytorch":
        raise Fault(
            "the model is of another flavour",
            f"{file} says flavor.name: {short(name)}, and only pytorch holds networks for pictures",
            "give what the designer's ResNet, DenseNet or Train PyTorch Model wrote",
        )
    method = _text(flavour, "serialization_method", file, "flavor.")
    if method != "state_dict":
        raise Fault(
            "the model is a pickle, which is never opened",
            f"{file} says flavor.serialization_method: {short(method)}, and only state_dict is read",
            "save its state_dict where the model was made, or train it anew",
        )


def _normalisation(values: dict[str, Any], file: str) -> tuple[list[float], list[float]]:
    """Mean and standard deviation of each colour; the designer's own where the file has none, as while untrained."""
    params: dict[str, Any] = {}
    inputs = values.get("inputs")
    if inputs is not None:
        if not isinstance(inputs, list) or len(inputs) != 1 or not isinstance(inputs[0], dict):
            raise damaged(f"{file} has inputs that are not one picture")
        if inputs[0].get("pre_processor") is not None:
            processor = _mapping(inputs[0], "pre_processor", file, "inputs[0].")
            if (cls := processor.get("class")) != NORMALIZER:
                told = short(cls) if isinstance(cls, str) else "no name"
                raise damaged(f"{file} prepares pictures by {told}, and only {NORMALIZER} is known")
            params = _mapping(processor, "init_params", file, "inputs[0].pre_processor.")
    mean, std = (_three(params.get(key, [0.5] * 3), key, file) for key in ("mean", "std"))
    if min(std) <= 0:
        raise damaged(f"{file} has an std that is not above 0")
    return mean, std


def _three(value: Any, key: str, file: str) -> list[float]:
    if isinstance(value, list) and len(value) == 3:
        numbers = [
            float(number) for number in value if type(number) in (int, float) and abs(number) < LARGEST
        ]
        if len(numbers) == 3:
            return numbers
    raise damaged(f"{file} has a {key} that is not three numbers")


def _mapping(values: dict[str, Any], key: str, file: str, prefix: str = "") -> dict[str, Any]:
    found = values.get(key)
    if not isinstance(found, dict):
        raise damaged(f"{file} has no mapping {prefix}{key}")
    return found


def _text(values: dict[str, Any], key: str, file: str, prefix: str = "") -> str:
    found = values.get(key)
    if not isinstance(found, str) or not found:
        raise damaged(f"{file} has no text {prefix}{key}")
    return found
