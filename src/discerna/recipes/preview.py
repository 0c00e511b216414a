"""What a training would see of its pictures, as a contact sheet, before any network is there."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from discerna.directories.image_dir import ImageDirectory
from discerna.errors import OutputError
from discerna.images.contact_sheet import sheet
from discerna.machine import Choice
from discerna.recipes.auto import OFF, choose_augmentation, choose_view
from discerna.recipes.facts import Facts
from discerna.recipes.pictures import look
from discerna.recipes.resolution import AUTO, resolve_group
from discerna.settings.augmentation import AugmentationSettings
from discerna.settings.build import build, plain
from discerna.settings.preprocessing import IMAGENET_MEAN, IMAGENET_STD, Preprocessing, changed
from discerna.wording import shown

USUAL = Preprocessing(
    size=224, fit="crop", resize=256, interpolation="bilinear", mean=IMAGENET_MEAN, std=IMAGENET_STD
)
"""What most networks see, where a network's name is all that will be given."""


def write_preview(
    train: ImageDirectory,
    output: Path,
    *,
    augmentation: AugmentationSettings,
    seen: Mapping[str, Any],
    own: Preprocessing | None = None,
    pretrained: bool = False,
    seed: int = 1,
) -> dict[str, Choice]:
    """Write the contact sheet of the training pictures as a PNG; returns what was chosen for `auto`.

    `seen` holds what the user typed of image_size, fit, resize, interpolation, mean, std, grayscale and border;
    what is `auto` or left out is chosen as for a training. `own` is the preprocessing of a model directory,
    which is kept; without it the sheet shows what a network given by its name would see.
    """
    found = look(train)
    chosen = choose_augmentation(found)
    values, used = resolve_group("augmentation", plain(augmentation), chosen)
    typed = {key: value for key, value in seen.items() if value not in (AUTO, None)}
    if own is None:
        facts = Facts(
            counts=train.counts(),
            valid_counts=train.counts(),
            look=found,
            pretrained=pretrained,
            by_name=True,
            own_size=USUAL.size,
            fixed_size=False,
        )
        view = {key: choice for key, choice in choose_view(facts).items() if key not in typed}
        typed |= {key: choice.value for key, choice in view.items()}
        used |= view
    spec = changed(own or USUAL, **typed)
    notes = [_told(key, choice) for key, choice in used.items() if _telling(choice)]
    page = sheet(train, spec, build(AugmentationSettings, values), seed, notes=notes)
    try:
        page.save(output, "PNG")
    except OSError as error:
        raise OutputError(
            "the preview cannot be written",
            where=shown(str(output)),
            accepted=error.strerror or shown(str(error)),
            remedy="choose another place",
        ) from None
    return used


def _told(key: str, choice: Choice) -> str:
    value = f"{choice.value:g}" if isinstance(choice.value, float) else choice.value
    return f"{key}={value}, as {choice.reason}"


def _telling(choice: Choice) -> bool:
    return choice.reason != OFF and not choice.reason.startswith("as ")
