"""What each network wants to see of a picture, and what follows from another size."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torchvision import models

from discerna.errors import SettingsError
from discerna.networks import timm_networks
from discerna.networks.architectures import Architecture
from discerna.networks.registration import DEFAULT_IMAGE_SIZE
from discerna.networks.skeletons import skeleton
from discerna.settings.preprocessing import IMAGENET_MEAN, IMAGENET_STD, Preprocessing


def default_preprocessing(architecture: Architecture, weights: Any = None) -> Preprocessing:
    """What was used for `weights`; for random ones, what torchvision's weights of the smallest pictures got."""
    if architecture.timm:
        return timm_networks.preprocessing(architecture.timm)
    if architecture.cls is None:
        size = architecture.image_size or DEFAULT_IMAGE_SIZE
        return Preprocessing(
            size=size,
            fit="crop",
            resize=round(size * 256 / 224),
            interpolation="bilinear",
            mean=list(IMAGENET_MEAN),
            std=list(IMAGENET_STD),
        )
    if weights is None:
        # vit_h_14's default weights want 518 pixels, a size that nobody trains at from scratch.
        entries = models.get_model_weights(architecture.torchvision_name)
        weights = min([entries.DEFAULT, *entries], key=lambda entry: entry.transforms().crop_size[0])
    transforms = weights.transforms()
    return Preprocessing(
        size=transforms.crop_size[0],
        fit="crop",
        resize=transforms.resize_size[0],
        interpolation=transforms.interpolation.value,
        mean=list(transforms.mean),
        std=list(transforms.std),
    )


def with_size(architecture: Architecture, arguments: Mapping[str, Any], size: int) -> dict[str, Any]:
    """The arguments with the picture size in them, for the networks that are made for one size."""
    argument = architecture.size_argument
    if argument is None:
        return dict(arguments)
    try:
        sized = _sized(arguments, argument, size)
        skeleton(architecture, 2, sized)
    except SettingsError:
        own = default_preprocessing(architecture).size
        network = skeleton(
            architecture, 2, _sized(arguments, argument, own)
        )  # or are other arguments to blame?
        raise SettingsError(
            f"{architecture.name} cannot take pictures of {size} pixels",
            where=f"image_size={size}",
            accepted=f"multiples of {getattr(network, 'patch_size', own)}",
            remedy=f"use image_size={own}",
        ) from None
    return sized


def _sized(arguments: Mapping[str, Any], argument: str, size: int) -> dict[str, Any]:
    return {**arguments, argument: [size, size] if argument == "input_size" else size}
