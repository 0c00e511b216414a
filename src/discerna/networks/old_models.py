"""A model directory of the Azure ML designer -> one of ours, with the same scores."""

from __future__ import annotations

import io
import logging
from typing import Any, NamedTuple

from torch import Tensor, nn

from discerna.directories.model_dir import ModelSpec, first_not_finite
from discerna.directories.old_model_dir import OldModelDirectory
from discerna.errors import InvalidModelDirectoryError, UnreadablePictureError
from discerna.images.decode import header
from discerna.networks import azure_networks
from discerna.networks.architectures import find
from discerna.networks.assembly import UNTRAINED_LABELS, compare, seeded
from discerna.networks.pretrained import TORCHVISION_LICENCE
from discerna.networks.skeletons import check_runs, skeleton
from discerna.settings.build import nearest
from discerna.settings.preprocessing import LARGEST_SIZE, Fit, Interpolation, Preprocessing, changed
from discerna.wording import counted, listed, short, shown

LOG = logging.getLogger("discerna")

USUAL_SIZE = 224
"""What the designer's example pipelines crop pictures to."""

WEIGHTS = "IMAGENET1K_V1"
"""What the designer called pretrained: always torchvision's first weights."""


class _Family(NamedTuple):
    """A class that a `model_spec.yaml` may name."""

    networks: tuple[str, ...]
    option: str
    """The one argument of torchvision's that the designer's form had."""


_FAMILIES = {
    ("resnet", "ResNet"): _Family(azure_networks.RESNETS, "zero_init_residual"),
    ("densenet", "DenseNet"): _Family(azure_networks.DENSENETS, "memory_efficient"),
}
"""By the last part of the module and the class; a table of ours, so that no file makes anything be imported."""

_PACKAGE = "azureml."


class _Network(NamedTuple):
    """What the designer's `init_params` come to."""

    name: str
    pretrained: bool
    arguments: dict[str, Any]


def convert(
    old: OldModelDirectory,
    *,
    image_size: int | None,
    fit: Fit | None,
    resize: int | None,
    interpolation: Interpolation | None,
    mean: list[float] | None,
    std: list[float] | None,
    grayscale: bool | None,
    border: int | None,
) -> tuple[ModelSpec, dict[str, Tensor]]:
    """The spec and the weights of an old model; None leaves the value that gives the old scores."""
    network = _network(old)
    size = image_size or _size(old)
    preprocessing = changed(
        # A picture of that size passes untouched, as all did in the designer.
        Preprocessing(
            size=size,
            fit="crop",
            resize=size,
            interpolation="bilinear",
            mean=old.spec.mean,
            std=old.spec.std,
        ),
        fit=fit,
        resize=resize,
        interpolation=interpolation,
        mean=mean,
        std=std,
        grayscale=grayscale,
        border=border,
    )
    check_runs(find(network.name), network.arguments, preprocessing.size)
    weights = _weights(old, network)
    if names := old.left_out():
        LOG.info(
            "from: left out, as discerna has no use for it: %s; sample pictures are not copied", listed(names)
        )
    return (
        ModelSpec(
            state="trained" if old.spec.labels else "untrained",
            network=network.name,
            arguments=network.arguments,
            labels=old.spec.labels,
            preprocessing=preprocessing,
            weights_from={"name": WEIGHTS, "licence": TORCHVISION_LICENCE} if network.pretrained else None,
        ),
        weights,
    )


def _network(old: OldModelDirectory) -> _Network:
    """Our name for the network, with its arguments."""
    spec, params = old.spec, dict(old.spec.init_params)
    family = _FAMILIES.get((spec.module.rpartition(".")[2], spec.cls))
    if family is None or not spec.module.startswith(_PACKAGE):
        raise _unknown(
            old,
            "the class of the model's network is not known",
            f"it is {short(f'{spec.module}.{spec.cls}')}, and only the designer's ResNet and DenseNet are read",
        )
    name = params.pop("model_name", None)
    if name not in family.networks:
        near = nearest(name, family.networks) if isinstance(name, str) else ""
        told = short(name) if isinstance(name, str) else "no name"
        raise _unknown(
            old,
            "the model's network is not known",
            f"model_name is {told}, and {spec.cls} has {', '.join(family.networks)}",
            near,
        )
    params.pop("num_classes", None)
    pretrained, option = params.pop("pretrained", None), params.pop(family.option, False)
    if params or type(pretrained) is not bool or type(option) is not bool:
        wrong = next(iter(params), "pretrained" if type(pretrained) is not bool else family.option)
        told = (
            short(wrong) if isinstance(wrong, str) else "a name that is no text"
        )  # nor fit to be one: 5,000 digits
        raise _unknown(
            old,
            "the arguments of the model's network are not understood",
            f"{told} of init_params, where pretrained and {family.option} are true or false",
        )
    return _Network(
        name=azure_networks.PREFIX + name if pretrained else name,
        pretrained=pretrained,
        arguments={family.option: True} if option else {},
    )


def _unknown(
    old: OldModelDirectory, problem: str, found: str, remedy: str = ""
) -> InvalidModelDirectoryError:
    return InvalidModelDirectoryError(
        problem,
        where=old.where,
        accepted=found,
        remedy=remedy or "give what the designer's ResNet, DenseNet or Train PyTorch Model wrote",
    )


def _size(old: OldModelDirectory) -> int:
    """The side of the pictures that the model saw, as far as its samples tell; the reason is told."""
    told, sizes = "there are no sample pictures that could tell", set()
    try:
        for data in old.sample_pictures():
            seen = header(io.BytesIO(data))
            sizes.add((seen.width, seen.height))
    except UnreadablePictureError:
        told, sizes = "the sample pictures cannot be read", set()
    if len(sizes) == 1:
        width, height = sizes.pop()
        if width == height <= LARGEST_SIZE:
            LOG.info("from: image_size is %d, as its sample pictures have it", width)
            return width
        told = f"the sample pictures have {width}x{height} pixels"
        LOG.warning(
            "from: %s, and the middle square is cut out of such pictures now; scores differ from the old ones",
            told,
        )
    elif sizes:
        told = f"the sample pictures have {counted(len(sizes), 'size')}"
    LOG.info("from: image_size is %d: %s; type image_size= if the model saw another", USUAL_SIZE, told)
    return USUAL_SIZE


def _weights(old: OldModelDirectory, network: _Network) -> dict[str, Tensor]:
    """The tensors under our names, compared with those of the network before any is looked into."""
    architecture, outputs = find(network.name), len(old.spec.labels) or UNTRAINED_LABELS
    given = old.load_weights()
    if architecture.below and not old.spec.labels:
        with seeded(0):  # the layer came with the labels, and training makes it afresh; till then any will do
            given = {**azure_networks.WithExtraLayer(nn.Identity(), outputs).state_dict(), **given}
    own = skeleton(architecture, outputs, network.arguments).state_dict()
    prefix = "" if architecture.below else azure_networks.BELOW
    compare(
        {name: tuple(tensor.shape) for name, tensor in given.items()},
        {prefix + name: tuple(tensor.shape) for name, tensor in own.items()},
        frozenset(),
        old.where,
    )
    weights = {name: given[prefix + name].to(own[name].dtype) for name in own}
    broken = first_not_finite(weights)
    if broken is not None:
        raise InvalidModelDirectoryError(
            "a model that cannot work",
            where=old.where,
            accepted=f"{shown(old.spec.model_file)} has NaN or infinity in {prefix}{broken}",
            remedy="train it anew",
        )
    return weights
