"""The Azure ML designer's image transformation -> our settings, each with its reason.

    [["Resize", 256], ["CenterCrop", 224], ["RandomHorizontalFlip", {}]]

Such a `_transforms.json` lies in a TransformationDirectory. Read as if a stranger had written it.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from discerna.directories.designer_meta import META, meta_fields
from discerna.errors import DiscernaError, InvalidTransformationDirectoryError, combined
from discerna.settings.build import nearest
from discerna.wording import shown

FILE = "_transforms.json"

LARGEST_SIZE = 16384
LARGEST_FILE = 1 << 20
WHOLE_CIRCLE = 180


class Argument(NamedTuple):
    """The number that an operation takes."""

    name: str
    low: int
    high: int


_SIZE = Argument("size", 1, LARGEST_SIZE)
_DEGREES = Argument("degrees", 0, WHOLE_CIRCLE)

OPERATIONS: dict[str, Argument | None] = {
    "Resize": _SIZE,
    "CenterCrop": _SIZE,
    "Pad": Argument("padding", 0, LARGEST_SIZE),
    "ColorJitter": None,
    "Grayscale": None,
    "RandomResizedCrop": _SIZE,
    "RandomCrop": _SIZE,
    "RandomHorizontalFlip": None,
    "RandomVerticalFlip": None,
    "RandomRotation": _DEGREES,
    "RandomAffine": _DEGREES,
    "RandomGrayscale": None,
    "RandomPerspective": None,
    "RandomErasing": None,
}
"""What the designer's form could switch on."""

_SIZED = ("Resize", "CenterCrop", "Pad", "RandomResizedCrop", "RandomCrop")
"""The operations whose order decides what comes out; the designer knew this one only."""

_RULED_OUT = {
    "image_size": ("resize", "border"),
    "fit": ("resize", "augmentation.random_crop"),
    "augmentation.crop_scale": ("augmentation.random_crop",),
    "augmentation.random_crop": ("augmentation.crop_scale",),
}
"""What a typed setting makes pointless, or contradicts."""


class Translated(NamedTuple):
    """A value for one of our settings, and which operation it comes from."""

    value: Any
    reason: str


@dataclass(frozen=True)
class OldTransforms:
    """An old transformation in our words."""

    settings: dict[str, Translated]
    """By dotted name; `augmentation` itself comes first, as the choice that the others change."""
    notes: list[str]
    """What is not as it was, a line each."""

    def besides(self, typed: Collection[str]) -> dict[str, Any]:
        """The values for all but what the user typed himself, or chose by typing `augmentation=`."""
        out = {other for key in typed for other in _RULED_OUT.get(key, ())}
        return {
            key: translated.value
            for key, translated in self.settings.items()
            if key not in typed
            and key not in out
            and not ("augmentation" in typed and key.startswith("augmentation."))
        }


def read_old_transforms(path: Path, *, setting: str = "transforms") -> OldTransforms:
    """The transformation in a TransformationDirectory, or in the JSON file itself; tells every fault at once."""
    where = f"{setting}={shown(str(path))}"
    operations, faults = _checked(_entries(path, where), where)
    faults += _contradictions(operations, where)
    if faults:
        raise combined(faults)
    return _translated(operations)


def _entries(path: Path, where: str) -> list[Any]:
    """The content of the JSON file: a list of anything."""
    try:
        if not path.exists():
            raise _fault("no such file or directory", where, "", "check the path")
        file = _file_in(path, where) if path.is_dir() else path
        with file.open("rb") as stream:
            data = stream.read(LARGEST_FILE + 1)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        raise _fault(
            "the transformation cannot be read", where, shown(str(error)), "check the path"
        ) from None
    wanted = 'it is a list such as [["Resize", 256], ["RandomHorizontalFlip", {}]]'
    if len(data) > LARGEST_FILE:
        raise _fault("not an image transformation", where, f"{wanted}, and shorter than 1 MB", "")
    try:
        entries = json.loads(data)
    except (ValueError, RecursionError):
        raise _fault("not readable as JSON", where, wanted, f"give the directory that has {FILE}") from None
    if not isinstance(entries, list):
        raise _fault("not an image transformation", where, wanted, f"give the directory that has {FILE}")
    return entries


def _file_in(folder: Path, where: str) -> Path:
    meta = meta_fields(folder)
    kind, subject = meta.get("type", "TransformationDirectory"), meta.get("transform_type", "Image")
    if kind != "TransformationDirectory":
        told = f"{META} says type: {shown(kind)}"
        raise _fault(
            "not a transformation directory", where, told, "give the output of Init Image Transformation"
        )
    if subject != "Image":
        told = f"{META} says transform_type: {shown(subject)}"
        raise _fault("not a transformation of images", where, told, "give one whose transform_type is Image")
    if not (folder / FILE).is_file():
        raise _fault(
            "not a transformation directory",
            where,
            f"it has no {FILE}",
            "give the output of Init Image Transformation",
        )
    return folder / FILE


def _checked(entries: list[Any], where: str) -> tuple[dict[str, float], list[DiscernaError]]:
    """The operations with their numbers, in the order of the file, and what is wrong with the others."""
    found: dict[str, float] = {}
    faults: list[DiscernaError] = []
    for number, entry in enumerate(entries):
        place = f"{where}, entry {number + 1}"
        if not isinstance(entry, list) or len(entry) != 2 or not isinstance(entry[0], str):
            faults.append(_fault("not an operation", place, 'it is ["NAME", ARGUMENT]', ""))
            continue
        name, given = entry
        if name not in OPERATIONS:
            known = f"the designer had {', '.join(OPERATIONS)}"
            remedy = nearest(name, OPERATIONS) or "take it out"
            faults.append(_fault("unknown operation", f"{place}: {shown(name)}", known, remedy))
            continue
        if name in found:
            faults.append(_fault("an operation twice", f"{place}: {name}", "", "take one out"))
            continue
        value = _number(OPERATIONS[name], given)
        if value is None:
            told = shown(json.dumps([name, given]))[:200]
            faults.append(_fault("wrong argument", f"{place}: {told}", _accepted(OPERATIONS[name]), ""))
        found[name] = value or 0
    order = [name for name in found if name in _SIZED]
    if order != sorted(order, key=_SIZED.index):
        told = f"the designer's order was {', '.join(_SIZED)}"
        faults.append(_fault("another order than the designer's", where, told, "mend the file"))
    return found, faults


def _number(argument: Argument | None, given: Any) -> float | None:
    """The number in an operation's argument, 0 where it takes none; None where it is wrong."""
    if argument is None:
        return 0 if given in ({}, None) else None
    if isinstance(given, dict) and set(given) == {argument.name}:
        given = given[argument.name]
    whole = argument is not _DEGREES
    if isinstance(given, bool) or not isinstance(given, int if whole else int | float):
        return None
    return given if argument.low <= given <= argument.high else None


def _accepted(argument: Argument | None) -> str:
    if argument is None:
        return "it takes {}"
    kind = "a number" if argument is _DEGREES else "a whole number"
    return f"it takes {kind}, {argument.low} to {argument.high}"


def _contradictions(operations: dict[str, float], where: str) -> list[DiscernaError]:
    """Crops that are larger than what they are cut from."""
    faults: list[DiscernaError] = []
    resize, crop, cut = (operations.get(name) for name in ("Resize", "CenterCrop", "RandomCrop"))
    if resize and crop and crop > resize:
        told = f"Resize makes the short side {resize} pixels long"
        faults.append(
            _fault("a crop larger than the picture", f"{where}: CenterCrop {crop}", told, "mend the file")
        )
    base = crop or resize
    made = operations.get("RandomResizedCrop") or (base + 2 * operations.get("Pad", 0) if base else None)
    if cut and made and cut > made:
        told = f"what comes before makes pictures of {made} pixels"
        faults.append(
            _fault("a crop larger than the picture", f"{where}: RandomCrop {cut}", told, "mend the file")
        )
    return faults


def _fault(problem: str, where: str, accepted: str, remedy: str) -> InvalidTransformationDirectoryError:
    return InvalidTransformationDirectoryError(problem, where=where, accepted=accepted, remedy=remedy)


class _Sheet:
    """Settings and notes as they come together."""

    def __init__(self) -> None:
        self.settings = {"augmentation": Translated("none", f"{FILE} tells all that is done")}
        self.notes: list[str] = []

    def set(self, key: str, value: Any, *names: str) -> None:
        self.settings[key] = Translated(value, f"{' and '.join(names)} in {FILE}")


def _translated(operations: dict[str, float]) -> OldTransforms:
    sheet = _Sheet()
    _translate_sizes({name: int(operations[name]) for name in _SIZED if name in operations}, sheet)
    _translate_colours(operations, sheet)
    if "RandomHorizontalFlip" in operations:
        sheet.set("augmentation.flip", 0.5, "RandomHorizontalFlip")
    if "RandomVerticalFlip" in operations:
        sheet.set("augmentation.vertical_flip", 0.5, "RandomVerticalFlip")
    _translate_turns(operations, sheet)
    if "RandomPerspective" in operations:
        sheet.set("augmentation.perspective", 0.5, "RandomPerspective")
    if "RandomErasing" in operations:
        sheet.set("augmentation.erasing", 0.5, "RandomErasing")
        sheet.notes.append(
            "RandomErasing: documented then, but never there; now a rectangle of every second picture"
        )
    if any(name.startswith("Random") for name in operations):
        sheet.notes.append(
            "random operations: drawn once and kept then, the same in every epoch; now afresh in each epoch, "
            "and never in validation or scoring"
        )
    return OldTransforms(sheet.settings, sheet.notes)


def _translate_sizes(sizes: dict[str, int], sheet: _Sheet) -> None:
    resize, crop, pad = sizes.get("Resize"), sizes.get("CenterCrop"), sizes.get("Pad", 0)
    part, cut = sizes.get("RandomResizedCrop"), sizes.get("RandomCrop")
    base, base_name = (crop, "CenterCrop") if crop else (resize, "Resize")
    if base:
        sheet.set("fit", "crop", base_name)
    if part:
        _translate_parts(part, cut, crop + 2 * pad if crop else None, sheet)
    if cut and not part:
        _translate_random_crop(cut, base, pad, sheet)
    elif base and (crop or not part):
        names = (base_name, "Pad") if pad else (base_name,)
        sheet.set("image_size", base + 2 * pad, *names)
    if pad and part and not crop:
        sheet.notes.append("Pad before RandomResizedCrop: left out, as its parts decide what is seen")
    elif pad and (part or not cut):
        sheet.set("border", pad, "Pad")
        sheet.notes.append("Pad: the border was black; now it has the mean colour")
    if resize and resize >= _inner(sheet):
        sheet.set("resize", resize, "Resize")
    if resize and not crop and not part and not cut:
        sheet.notes.append(
            "Resize without a crop: scaled the short side alone, so that training refused pictures that are not "
            "square; now their middle square is taken"
        )
    if crop and not resize:
        sheet.notes.append(
            f"CenterCrop without Resize: cut {crop} pixels of the picture as it was; now the short side is first "
            "scaled to `resize`"
        )


def _inner(sheet: _Sheet) -> int:
    size, border = sheet.settings.get("image_size"), sheet.settings.get("border")
    return (size.value if size else LARGEST_SIZE) - 2 * (border.value if border else 0)


def _translate_parts(part: int, cut: int | None, scored: int | None, sheet: _Sheet) -> None:
    """RandomResizedCrop, perhaps with a RandomCrop of what it makes."""
    share = (cut / part) ** 2 if cut else 1.0
    names = ("RandomResizedCrop", "RandomCrop") if cut else ("RandomResizedCrop",)
    sheet.set(
        "augmentation.crop_scale", [max(0.01, round(0.08 * share, 4)), max(0.01, round(share, 4))], *names
    )
    made = cut or part
    if scored is None:
        sheet.set("image_size", made, *names)
        return
    sheet.notes.append("RandomResizedCrop: took parts of what CenterCrop had left; now of the whole picture")
    if scored != made:
        sheet.notes.append(
            f"{names[-1]}: made training pictures of {made} pixels and left those to be scored at {scored}; now both "
            f"have {scored}"
        )


def _translate_random_crop(cut: int, base: int | None, pad: int, sheet: _Sheet) -> None:
    """A window anywhere in the picture, or in the picture with a border around it."""
    sheet.set("image_size", cut, "RandomCrop")
    border = -(-(cut - base) // 2) if base and cut > base else 0
    if border:
        sheet.set("border", border, "Pad", "RandomCrop")
    if pad > border:
        sheet.set("augmentation.padding", min(1.0, round((pad - border) / cut, 4)), "Pad", "RandomCrop")
    if pad:
        sheet.notes.append(
            "Pad and RandomCrop: the border was black, and all of it stayed in scoring; now training pictures are "
            "shifted, on the mean colour"
        )
    if base is None or cut < base:
        sheet.set("augmentation.random_crop", True, "RandomCrop")
    if base is None:
        sheet.notes.append(
            f"RandomCrop without Resize: cut {cut} pixels of the picture as it was; now the short side is first "
            "scaled to `resize`"
        )
    elif cut != base + 2 * pad:
        sheet.notes.append(
            f"RandomCrop: made training pictures of {cut} pixels and left those to be scored at {base + 2 * pad}; now "
            f"both have {cut}"
        )


def _translate_colours(operations: dict[str, float], sheet: _Sheet) -> None:
    if "ColorJitter" in operations:
        sheet.set("augmentation.jitter", 0.2, "ColorJitter")
        sheet.notes.append(
            "ColorJitter: changed nothing then; now brightness, contrast and saturation by up to 20 %"
        )
    if "Grayscale" in operations:
        sheet.set("grayscale", True, "Grayscale")
        sheet.notes.append("Grayscale: was ignored then; now every picture is grey, in scoring too")
    if "RandomGrayscale" in operations:
        sheet.set("augmentation.grayscale", 0.1, "RandomGrayscale")
        sheet.notes.append("RandomGrayscale: was ignored then; now one training picture in ten is grey")


def _translate_turns(operations: dict[str, float], sheet: _Sheet) -> None:
    """Both operations had degrees alone, which is a turn."""
    names = [name for name in ("RandomRotation", "RandomAffine") if name in operations]
    if not names:
        return
    for name in names:
        if operations[name] == 0:
            sheet.notes.append(f"{name}: turned by 0 degrees, which is nothing, and still is")
    turning = [name for name in names if operations[name]]
    degrees = sum(operations[name] for name in names)
    sheet.set("augmentation.rotation", float(min(degrees, WHOLE_CIRCLE)), *(turning or names))
    if "RandomAffine" in turning:
        sheet.notes.append(
            "RandomAffine: turned and did no more; augmentation.affine also shifts, zooms and slants"
        )
    if len(turning) == 2:
        sheet.notes.append(
            "RandomRotation and RandomAffine: two turns in a row then; now one of up to their sum"
        )
    if turning:
        sheet.notes.append("turned pictures: their bare corners were black; now they have the mean colour")
