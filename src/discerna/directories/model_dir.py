"""The model directory: untrained or trained, the thing that goes into and comes out of every command."""

from __future__ import annotations

import dataclasses
import json
import math
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from discerna.directories import model_files as files
from discerna.directories.designer_meta import OLD_MODELS, meta_fields
from discerna.directories.model_files import Fault
from discerna.directories.picture_files import PICTURE_EXTENSIONS
from discerna.directories.publishing import publish
from discerna.directories.publishing import refuse_existing_output as refuse_existing_output
from discerna.errors import DivergedError, InvalidModelDirectoryError, SettingsError
from discerna.settings.build import build, plain
from discerna.settings.preprocessing import Preprocessing
from discerna.wording import short, shown

if TYPE_CHECKING:
    import torch

FORMAT_VERSION = 2

_SINCE_2 = {"grayscale": False, "border": 0}
"""What a preprocessing may have since version 2, with the values of models that lack it.

A model without any of these is written as version 1, which older readers know.
"""


@dataclass(frozen=True, kw_only=True)
class ModelSpec:
    """What model.json holds: all that is needed to build the network and to feed it."""

    state: Literal["untrained", "trained"]
    network: str
    arguments: dict[str, Any]
    labels: list[str]
    """In the order of the network's outputs; empty while untrained."""
    preprocessing: Preprocessing
    weights_from: dict[str, str] | None
    """Name, file and licence of the pretrained weights that training began from; None: random ones."""


class ModelDirectory:
    """A model directory whose every file has been checked; its tensors are not loaded yet."""

    def __init__(
        self,
        path: Path,
        spec: ModelSpec,
        training: dict[str, Any] | None,
        shapes: dict[str, tuple[int, ...]],
        setting: str = "model",
    ) -> None:
        self.path = path
        self.spec = spec
        self.training = training
        """What training.json holds; None while untrained."""
        self.where = f"{setting}={shown(str(path))}"
        """How messages name the directory."""
        self._shapes = shapes

    @classmethod
    def open(cls, path: Path | str, *, setting: str = "model") -> ModelDirectory:
        """Check the directory `path`, which the user gave as `setting`, and read its descriptions."""
        path = Path(path)
        with files.told_of(f"{setting}={shown(str(path))}"):
            return cls._checked(path, setting)

    @classmethod
    def _checked(cls, path: Path, setting: str) -> ModelDirectory:
        _refuse_other_things(path)
        names = files.check_plain_files(path)
        _refuse_newer(path)
        listed = files.read_manifest(path)
        files.check_names(names, listed)
        files.check_content(path, listed)
        spec = _spec(files.read_json(path / files.MODEL))
        training = None
        if files.TRAINING in listed:
            if spec.state == "untrained":
                raise files.altered(f"it is untrained and has {files.TRAINING}")
            training = files.read_json(path / files.TRAINING)
        return cls(path, spec, training, files.read_header(path / files.WEIGHTS), setting)

    def tensor_shapes(self) -> dict[str, tuple[int, ...]]:
        """The shape of every tensor, from the header of the weights."""
        return dict(self._shapes)

    def load_weights(self) -> dict[str, torch.Tensor]:
        """All tensors, on the CPU; refuses NaN and infinite ones."""
        import safetensors
        from safetensors.torch import load_file

        try:
            weights = load_file(self.path / files.WEIGHTS)
        except (OSError, safetensors.SafetensorError) as error:
            raise self.invalid(
                "a damaged model directory", f"{files.WEIGHTS}: {files.in_one_phrase(error)}"
            ) from None
        broken = first_not_finite(weights)
        if broken is not None:
            raise self.invalid(
                "a model that cannot work", f"{files.WEIGHTS} has NaN or infinity in {short(broken)}"
            )
        return weights

    def digest(self, name: str) -> str:
        """The SHA-256 of one of its files, as the manifest has it."""
        return files.read_manifest(self.path)[name][0]

    def invalid(
        self, problem: str, found: str, remedy: str = "copy the directory again, or make it anew"
    ) -> InvalidModelDirectoryError:
        """An error about this directory."""
        return InvalidModelDirectoryError(problem, where=self.where, accepted=found, remedy=remedy)


def write_model_directory(
    path: Path,
    spec: ModelSpec,
    weights: Mapping[str, torch.Tensor],
    *,
    training: dict[str, Any] | None = None,
    overwrite: bool,
    aside: Path | None = None,
    before: Callable[[Path], None] = lambda whole: None,
) -> None:
    """Write a model directory whole; equal spec, weights and training give equal bytes.

    For `aside` and `before` see `publishing.publish`.
    """
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    broken = first_not_finite(weights)
    if broken is not None:
        raise DivergedError(
            "the weights became NaN or infinite",
            where=broken,
            accepted="no model is written",
            remedy="use a smaller learning_rate",
        )
    description = _described(spec)
    _spec(files.parse_object(_json(description), files.MODEL))  # never write what could not be read

    def fill(folder: Path) -> None:
        (folder / files.MODEL).write_bytes(_json(description))
        if training is not None:
            (folder / files.TRAINING).write_bytes(_json(_without_nan(training)))
        try:
            save_file(_separate(weights), folder / files.WEIGHTS)
        except SafetensorError as error:  # a full disk comes as one
            raise OSError(str(error)) from None
        (folder / files.WEIGHTS).chmod((folder / files.MODEL).stat().st_mode)  # it comes for its owner only
        entries = {
            file.name: {"sha256": files.file_digest(file), "size": file.stat().st_size}
            for file in folder.iterdir()
        }
        (folder / files.MANIFEST).write_bytes(_json({"files": entries}))

    publish(path, fill, overwrite=overwrite, aside=aside, before=before)


def first_not_finite(weights: Mapping[str, torch.Tensor]) -> str | None:
    """The name of the first tensor with a NaN or an infinity in it, None where all are finite."""
    import torch

    for name, tensor in weights.items():
        tensor = tensor.detach()
        if tensor.is_complex():
            tensor = torch.view_as_real(tensor.resolve_conj())
        # A sum takes no memory, as a mask does; one of doubles may overflow, so a mask decides.
        suspect = tensor.is_floating_point() and not math.isfinite(tensor.sum(dtype=torch.float64))
        if suspect and not torch.isfinite(tensor).all():
            return name
    return None


def _separate(weights: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The tensors as safetensors stores them: on the CPU, contiguous, no two in one block of memory."""
    taken: set[int] = set()
    separate = {}
    for name, tensor in weights.items():
        tensor = tensor.detach().cpu().contiguous()
        block = tensor.untyped_storage()
        if block.data_ptr() in taken or block.nbytes() != tensor.nbytes:
            tensor = tensor.clone()
        taken.add(tensor.untyped_storage().data_ptr())
        separate[name] = tensor
    return separate


def _json(value: dict[str, Any]) -> bytes:
    # ASCII, as a folder's name need not be valid UTF-8; keys sorted, so that equal content is equal bytes.
    return (json.dumps(value, indent=2, sort_keys=True, allow_nan=False) + "\n").encode()


def _without_nan(value: Any) -> Any:
    """The value with null for NaN and infinity: a metric without a value must not cost a model."""
    if isinstance(value, dict):
        return {key: _without_nan(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nan(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _refuse_other_things(path: Path) -> None:
    """Tell apart what people pass by mistake."""
    make = "make one with discerna create, or give a network's name such as resnet18"
    if not path.exists():
        raise Fault("no such model directory", "there is nothing at this path", f"check the path, or {make}")
    if not path.is_dir():
        raise Fault("not a model directory", "it is a file", f"give the directory, or {make}")
    if (path / files.MANIFEST).exists() or (path / files.MANIFEST).is_symlink():
        return
    found = sorted(path.iterdir())
    if not found:
        raise Fault("not a model directory", "it is empty", make)
    _refuse_designer(path)
    if (path / files.MODEL).exists():
        raise files.damaged(f"{files.MANIFEST} is missing")
    if (path / "model" / files.MANIFEST).exists():
        raise Fault("not a model directory", "it is a run folder", f"give {shown(str(path / 'model'))}")
    if pictures := pictures_in(path):
        raise Fault(
            "this is an image directory, not a model directory",
            pictures,
            f"give it as data, and as model {make}",
        )
    raise Fault("not a model directory", f"it has no {files.MANIFEST}", make)


def _refuse_designer(folder: Path) -> None:
    """The directories of the Azure ML designer tell their type in a small YAML file."""
    kind = meta_fields(folder).get("type")
    if kind == "ImageDirectory":
        raise Fault(
            "this is an image directory, not a model directory",
            "_meta.yaml says type: ImageDirectory",
            "give it as data, and make a model with discerna create",
        )
    if kind == "TransformationDirectory":
        raise Fault(
            "this is an image transformation, not a model directory",
            "_meta.yaml says type: TransformationDirectory",
            "give it as transforms, and make a model with discerna create",
        )
    if kind in OLD_MODELS:
        raise Fault(
            "this model directory has the Azure ML designer's format",
            f"_meta.yaml says type: {kind}",
            f"convert it: discerna create from={shlex.quote(str(folder))} output=...",
        )


def pictures_in(path: Path) -> str:
    """Where in a directory pictures lie, in words; nothing where there are none, or they lie deeper."""
    folders = sorted(entry for entry in path.iterdir() if entry.is_dir())
    if path.name.endswith(".run") and (path / "settings.json").exists():
        beside = path.with_name(path.name.removesuffix(".run"))
        raise Fault("not a model directory", "it is a run folder", f"give {shown(str(beside))}")
    pictured = [folder.name for folder in folders if _has_pictures(folder)]
    if pictured:
        return f"there are pictures in {', '.join(map(shown, pictured[:3]))}"
    return "it holds pictures" if _has_pictures(path) else ""


def _has_pictures(folder: Path) -> bool:
    return any(entry.suffix.lower() in PICTURE_EXTENSIONS for entry in folder.iterdir())


def can_be_label(text: str) -> bool:
    """Whether a folder can bear the label, so that image directories can have it."""
    try:
        text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:  # half of a pair, which stands for no byte
        return False
    return text not in ("", ".", "..") and "/" not in text and "\0" not in text


def _refuse_newer(path: Path) -> None:
    """Before anything that a newer version may have changed is judged."""
    if not (path / files.MODEL).exists():
        return
    version = files.read_json(path / files.MODEL).get("format_version")
    if type(version) is int and version > FORMAT_VERSION:
        raise Fault(
            "the model directory is of a newer discerna",
            f"its format is version {version}, this discerna reads up to {FORMAT_VERSION}",
            "upgrade discerna",
        )


def _described(spec: ModelSpec) -> dict[str, Any]:
    """The content of model.json, in the oldest version that can hold it."""
    values = plain(spec)
    seen = values["preprocessing"]
    values["preprocessing"] = {
        key: value for key, value in seen.items() if key not in _SINCE_2 or value != _SINCE_2[key]
    }
    newer = _SINCE_2.keys() & values["preprocessing"].keys()
    return {"format_version": 2 if newer else 1, **values}


def _spec(values: dict[str, Any]) -> ModelSpec:
    """The spec from the content of model.json."""
    values = dict(values)
    names = {field.name for field in dataclasses.fields(ModelSpec)}
    version = values.pop("format_version", None)
    if type(version) is not int or not 1 <= version <= FORMAT_VERSION:
        raise files.damaged(f"{files.MODEL} has no format_version from 1 to {FORMAT_VERSION}")
    _check_keys(set(values), names, files.MODEL)
    seen = values["preprocessing"]
    if isinstance(seen, dict):
        newer = sorted(_SINCE_2.keys() & seen.keys())
        if version == 1 and newer:
            raise files.damaged(f"{files.MODEL} is of version 1 and has {', '.join(newer)}")
        values["preprocessing"] = {**_SINCE_2, **seen}
        known = {field.name for field in dataclasses.fields(Preprocessing)}
        _check_keys(set(values["preprocessing"]), known, f"the preprocessing of {files.MODEL}")
        if any(isinstance(value, list) and len(value) != 3 for value in seen.values()):
            raise files.damaged(f"{files.MODEL} has a mean or std without three numbers")
    _check_texts(values["labels"], "labels")
    if isinstance(values["weights_from"], dict):
        _check_texts(list(values["weights_from"].values()), "weights_from")
    try:
        spec = build(ModelSpec, values)
    except (SettingsError, OverflowError) as error:  # OverflowError: a number beyond what a float holds
        raise files.damaged(f"{files.MODEL}: {files.in_one_phrase(error)}") from None
    _check_labels(spec)
    if not 0 < len(spec.network) <= 200:
        raise files.damaged(f"{files.MODEL} names no network")
    return spec


def _check_keys(found: set[str], known: set[str], where: str) -> None:
    if found != known:
        wrong = sorted(map(short, found ^ known))
        more = f" and {len(wrong) - 10} more" if len(wrong) > 10 else ""
        raise files.damaged(f"{where} has missing or unknown keys: {', '.join(wrong[:10])}{more}")


def _check_texts(values: Any, key: str) -> None:
    """Refuse at the first, as `build` would tell of each: a million faults fill a memory."""
    if not isinstance(values, list) or not all(isinstance(text, str) for text in values):
        raise files.damaged(f"{files.MODEL} has {key} that are not text")


def _check_labels(spec: ModelSpec) -> None:
    if bool(spec.labels) != (spec.state == "trained"):
        raise files.damaged(f"{files.MODEL} is {spec.state} and has {len(spec.labels)} labels")
    if len(set(spec.labels)) < len(spec.labels):
        raise files.damaged(f"{files.MODEL} has a label twice")
    for label in spec.labels:
        if not can_be_label(label):
            raise files.damaged(f"{files.MODEL} has the label {short(label)!r}, which no folder can bear")
