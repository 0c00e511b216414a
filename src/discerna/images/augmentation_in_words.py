"""Preprocessing and augmentation, told in words."""

from __future__ import annotations

from collections.abc import Iterator

from discerna.settings.augmentation import AugmentationSettings
from discerna.settings.preprocessing import Preprocessing

_FITS = {
    "crop": "the middle of the picture",
    "pad": "the whole picture on the mean colour",
    "stretch": "deformed",
}


def fit_in_words(spec: Preprocessing) -> str:
    """What scoring sees of each picture."""
    parts = [f"{spec.size} x {spec.size} pixels", _FITS[spec.fit]]
    parts += [f"a border of {spec.border}"] if spec.border else []
    parts += ["without colours"] if spec.grayscale else []
    return ", ".join(parts)


def augmentation_in_words(settings: AugmentationSettings) -> str:
    """What training does to each picture, beside what scoring does."""
    return ", ".join(_parts(settings)) or "nothing: training sees what scoring sees"


def _parts(settings: AugmentationSettings) -> Iterator[str]:
    """A phrase for each part that is switched on; nothing may be `auto` any more."""
    low, high = (float(share) for share in settings.crop_scale)
    if (low, high) != (1, 1):
        yield f"parts of {_percent(low)[:-2]} to {_percent(high)} of the area"
    if settings.random_crop:
        yield "cut at any place"
    phrases = {
        "padding": "shifted by up to {}",
        "flip": "mirrored ({})",
        "vertical_flip": "upside down ({})",
        "affine": "shifted, zoomed and slanted by up to {}",
        "perspective": "seen from an angle ({})",
        "jitter": "brightness, contrast and saturation changed by up to {}",
        "grayscale": "without colours ({})",
        "erasing": "a part painted over ({})",
    }
    for name, phrase in phrases.items():
        value = float(getattr(settings, name))
        if name == "affine" and settings.rotation:
            yield f"turned by up to {float(settings.rotation):g} degrees"
        if name == "erasing" and settings.trivial:
            yield "one random operation (TrivialAugment)"
        if value:
            yield phrase.format(_percent(value))
    mixed = [word for word, value in (("MixUp", settings.mixup), ("CutMix", settings.cutmix)) if value]
    if mixed:
        yield f"and whole batches mixed ({' and '.join(mixed)}: not shown)"


def _percent(share: float) -> str:
    return f"{100 * share:.4g} %"
