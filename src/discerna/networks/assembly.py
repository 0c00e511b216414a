"""Networks put together: untrained ones, ones to train on some labels, and trained ones."""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from itertools import chain
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from discerna.directories.model_dir import ModelDirectory, ModelSpec, first_not_finite
from discerna.directories.model_files import in_one_phrase
from discerna.errors import InvalidModelDirectoryError, SettingsError
from discerna.images.keys import mix
from discerna.networks import azure_networks
from discerna.networks import pretrained as weights_of_others
from discerna.networks.architectures import Architecture, check_arguments, find
from discerna.networks.input_sizes import default_preprocessing, with_size
from discerna.networks.skeletons import built, check_runs, head_names, shapes, skeleton
from discerna.networks.skeletons import logits as logits
from discerna.networks.timm_networks import PREFIX
from discerna.networks.timm_weights import Adapt, conversion, tagged
from discerna.progress import SILENT, Progress
from discerna.settings.preprocessing import Fit, Interpolation, changed
from discerna.wording import short, shown

LOG = logging.getLogger("discerna")

UNTRAINED_LABELS = 1000
"""Outputs of an untrained network, as ImageNet has; training makes the head afresh."""


def create_untrained(
    network: str,
    *,
    pretrained: bool | str,
    arguments: dict[str, Any],
    random_seed: int,
    image_size: int | None,
    fit: Fit | None,
    resize: int | None,
    interpolation: Interpolation | None,
    mean: list[float] | None,
    std: list[float] | None,
    grayscale: bool | None = None,
    border: int | None = None,
    setting: str = "network",
    progress: Progress = SILENT,
) -> tuple[ModelSpec, dict[str, Tensor]]:
    """The spec and the weights of a network, which the user named as `setting`; None leaves its own value."""
    architecture = find(network, setting)
    if architecture.timm and pretrained and not weights_of_others.is_file(pretrained):
        architecture = find(f"{PREFIX}{tagged(architecture.timm, pretrained)}", setting)
    network = architecture.name
    check_arguments(architecture, arguments)
    source = weights_of_others.choose(architecture, pretrained)
    own = default_preprocessing(architecture, source.entry if source else None)
    preprocessing = changed(
        own,
        image_size=image_size,
        fit=fit,
        resize=resize,
        interpolation=interpolation,
        mean=mean,
        std=std,
        grayscale=grayscale,
        border=border,
    )
    # timm fits its tables of positions to another size; torchvision does not.
    fixed = architecture.size_argument and not architecture.timm
    if source and source.entry and fixed and preprocessing.size != own.size:
        raise SettingsError(
            "the weights are for another picture size",
            where=f"image_size={preprocessing.size}",
            accepted=f"{source.entry.name} of {network} takes {own.size}",
            remedy="leave out image_size, or use pretrained=false",
        )
    if source and network in ("googlenet", "inception_v3"):
        # Their weights were trained on other means than ImageNet's; so torchvision lets them convert.
        arguments = {"transform_input": True, **arguments}
    arguments = with_size(architecture, arguments, preprocessing.size)
    head = head_names(architecture, arguments)
    _refuse_size(architecture, arguments, preprocessing.size)
    path = source.fetched(progress) if source else None
    with seeded(random_seed):
        made = built(architecture, UNTRAINED_LABELS, arguments)
    if path:
        adapt: Adapt | None = azure_networks.adapt if architecture.below else None
        if architecture.timm:
            adapt = conversion(architecture.timm, arguments)
        weights_of_others.fill(made, path, head, adapt)
    spec = ModelSpec(
        state="untrained",
        network=network,
        arguments=arguments,
        labels=[],
        preprocessing=preprocessing,
        weights_from=source.described() if source else None,
    )
    if spec.weights_from:
        LOG.info(
            "weights %s of %s, licence: %s", spec.weights_from["name"], network, spec.weights_from["licence"]
        )
    return spec, dict(made.state_dict())


def network_for_labels(
    spec: ModelSpec,
    weights: Mapping[str, Tensor],
    labels: list[str],
    *,
    random_seed: int,
    image_size: int | None = None,
    where: str = "model",
) -> tuple[nn.Module, ModelSpec]:
    """The network to train, with the spec it will have when trained; `where` names the model in messages.

    All weights are those given, but the head, which is made afresh; a model that was trained on the very
    same labels keeps its head too.
    """
    architecture, head = _known(spec, where)
    if image_size not in (None, spec.preprocessing.size) and architecture.size_argument:
        raise SettingsError(
            "the model is made for one picture size",
            where=f"image_size={image_size}",
            accepted=f"this {spec.network} takes {spec.preprocessing.size}",
            remedy=f"make another with discerna create network={spec.network} image_size={image_size}",
        )
    preprocessing = spec.preprocessing.scaled(image_size) if image_size else spec.preprocessing
    _refuse_size(architecture, spec.arguments, preprocessing.size)
    keeps_head = spec.labels == list(labels)
    if spec.labels and not keeps_head:
        LOG.info("the labels are not those of the model, so its head is made afresh")
    fresh = frozenset[str]() if keeps_head else head
    given = {name: tuple(tensor.shape) for name, tensor in weights.items()}
    compare(given, _shapes(architecture, len(labels), spec, where), fresh, where)
    with seeded(random_seed):
        network = built(architecture, len(labels), spec.arguments)
    own = network.state_dict()
    _load(network, {name: own[name] if name in fresh else weights[name] for name in own}, where)
    return network, replace(spec, state="trained", labels=list(labels), preprocessing=preprocessing)


def _refuse_size(architecture: Architecture, arguments: Mapping[str, Any], size: int) -> None:
    """Refuse a picture size that the network cannot take; torchvision's are known to take their own."""
    as_it_is = all(key == architecture.size_argument and value == size for key, value in arguments.items())
    if not (architecture.cls and as_it_is and size == default_preprocessing(architecture).size):
        check_runs(architecture, dict(arguments), size)


def head_of(spec: ModelSpec) -> frozenset[str]:
    """The names of the tensors that follow the number of labels."""
    return head_names(find(spec.network), spec.arguments)


def check_tensors(directory: ModelDirectory) -> None:
    """Compare the tensors of a directory with the network it names, before any is loaded."""
    spec = directory.spec
    architecture, head = _known(spec, directory.where)
    count, free = (len(spec.labels), frozenset[str]()) if spec.labels else (UNTRAINED_LABELS, head)
    compare(
        directory.tensor_shapes(), _shapes(architecture, count, spec, directory.where), free, directory.where
    )


def trained_network(directory: ModelDirectory) -> nn.Module:
    """The network of a trained model directory, with all its weights, ready to be asked."""
    spec = directory.spec
    refuse_untrained(directory)
    check_tensors(directory)
    weights = directory.load_weights()
    architecture = find(spec.network)
    if architecture.cls is not None:  # torchvision's keep no tensors but those of their state
        network = skeleton(architecture, len(spec.labels), spec.arguments)
        _load(network, weights, directory.where, assign=True)
        if not any(tensor.is_meta for tensor in chain(network.parameters(), network.buffers())):
            return network.eval()
    # Others may keep tensors that are no parameters, which a skeleton has without values.
    with torch.random.fork_rng(devices=[]):
        network = built(architecture, len(spec.labels), spec.arguments)
    _load(network, weights, directory.where)
    return network.eval()


def refuse_untrained(directory: ModelDirectory) -> None:
    """Refuse a model that has not been trained, where one is to be asked."""
    if directory.spec.state == "untrained":
        raise directory.invalid(
            "the model is untrained",
            "it has no labels yet",
            f"train it: discerna train model={shown(str(directory.path))} train_data=... valid_data=...",
        )


def has_batch_norm(network: nn.Module) -> bool:
    """Whether the network cannot be trained on one picture at a time."""
    return any(isinstance(layer, _BatchNorm) for layer in network.modules())


@contextmanager
def seeded(random_seed: int) -> Iterator[None]:
    """Torch's CPU generator set by the seed, and afterwards as before; other devices are not touched."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(mix("weights", random_seed))
        yield


def _known(spec: ModelSpec, where: str) -> tuple[Architecture, frozenset[str]]:
    """The architecture and the head that a spec from a file names."""
    try:
        architecture = find(spec.network)
    except SettingsError as error:
        raise InvalidModelDirectoryError(
            "the model's network is not known here",
            where=where,
            accepted=f"it is {shown(spec.network)}",
            remedy="install the package that has it, or pass networks.modules=[the module that registers it]",
        ) from error
    try:
        return architecture, head_names(architecture, spec.arguments)
    except SettingsError as error:
        raise _unbuildable(where, error) from error


def _shapes(
    architecture: Architecture, count: int, spec: ModelSpec, where: str
) -> dict[str, tuple[int, ...]]:
    try:
        return shapes(skeleton(architecture, count, spec.arguments))
    except SettingsError as error:
        raise _unbuildable(where, error) from error


def _unbuildable(where: str, error: SettingsError) -> InvalidModelDirectoryError:
    return InvalidModelDirectoryError(
        "the model's network cannot be built",
        where=where,
        accepted=in_one_phrase(error),
        remedy="make the directory anew",
    )


def compare(
    given: Mapping[str, tuple[int, ...]],
    wanted: Mapping[str, tuple[int, ...]],
    free: frozenset[str],
    where: str,
) -> None:
    """Refuse tensors that are not those of the network; the shapes of those in `free` may differ."""
    missing = [f"{name} is missing" for name in wanted if name not in given]
    extra = [f"{short(name)} is unexpected" for name in given if name not in wanted]
    wrong = [
        f"{name} is {list(given[name])}, not {list(wanted[name])}"
        for name in wanted
        if name in given and name not in free and given[name] != wanted[name]
    ]
    faults = missing + extra + wrong
    if faults:
        more = f" and {len(faults) - 3} more" if len(faults) > 3 else ""
        raise InvalidModelDirectoryError(
            "the weights are not those of the model's network",
            where=where,
            accepted=", ".join(faults[:3]) + more,
            remedy="copy the directory again, or make it anew",
        )


def _load(network: nn.Module, weights: Mapping[str, Tensor], where: str, *, assign: bool = False) -> None:
    """Give the network its tensors; each becomes of the network's own type, since fp16 ones would not run."""
    own = network.state_dict()
    state = OrderedDict((name, _converted(weights[name], own[name], name, where)) for name in weights)
    # Ours are written by today's layers: without the versions of those, some would rename what they load.
    state._metadata = own._metadata  # type: ignore[attr-defined]
    try:
        network.load_state_dict(state, assign=assign)
    except RuntimeError as error:  # a user's own layers may refuse what has the right shape
        raise InvalidModelDirectoryError(
            "the weights are not those of the model's network",
            where=where,
            accepted=shown(" ".join(str(error).split())),
            remedy="copy the directory again, or make it anew",
        ) from error


def _converted(tensor: Tensor, own: Tensor, name: str, where: str) -> Tensor:
    """The tensor in the type of the network's own, which must hold its numbers."""
    if tensor.dtype == own.dtype:
        return tensor
    fits = own.is_complex() or not tensor.is_complex()
    converted = tensor.to(own.dtype) if fits else tensor
    if not fits or first_not_finite({name: converted}) is not None:
        raise InvalidModelDirectoryError(
            "the weights are not those of the model's network",
            where=where,
            accepted=f"{name} is of {tensor.dtype}, with numbers that {own.dtype} cannot hold",
            remedy="copy the directory again, or make it anew",
        )
    return converted
