"""The picture sets of the benches: what each stands for, and how they come onto the disk.

Each picture is drawn from a generator that its own name has seeded, so the same sets come about anywhere, and a
set that grows keeps the pictures it had.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.random import Generator
from PIL import Image

from benches import canvas, drawings, published_sets
from benches.published_sets import PublishedSet

Draw = Callable[[str, Generator], Image.Image]

MADE = "made.json"
"""Beside train/ and valid/: what the set was made by, and what it came to."""


@dataclass(frozen=True)
class PictureSet:
    """Labelled pictures that are drawn."""

    name: str
    about: str
    """What it stands for, in a few words."""
    draw: Draw
    train: Mapping[str, int]
    """Training pictures of each label."""
    valid: Mapping[str, int]
    suffix: str = ".png"

    def write(self, folder: Path) -> None:
        """Write train/<label>/ and valid/<label>/."""
        for part, counts in (("train", self.train), ("valid", self.valid)):
            for label, count in counts.items():
                (folder / part / label).mkdir(parents=True)
                for number in range(count):
                    name = f"{label}{number:03}{self.suffix}"
                    picture = self.draw(label, _generator(f"{self.name}/{part}/{name}"))
                    picture.save(folder / part / label / name, quality=85)


class Digits:
    """Scikit-learn's handwritten digits, as `discerna demo` writes them."""

    name = "digits"
    about = "real pictures, easy: scanned digits of many writers"

    def write(self, folder: Path) -> None:
        """Write train/<digit>/ and valid/<digit>/."""
        from discerna.commands import demo
        from discerna.settings.demo import DemoSettings

        demo.run(DemoSettings(output=folder, overwrite=False))
        shutil.rmtree(folder / "new")  # pictures without a label


def _even(labels: tuple[str, ...], count: int) -> dict[str, int]:
    return dict.fromkeys(labels, count)


SETS: tuple[PictureSet | Digits, ...] = (
    Digits(),
    PictureSet(
        "shapes",
        "fine detail: on which side a ring is open; a mirror image bears another label",
        drawings.shape,
        _even(drawings.GAPS, 63),
        _even(drawings.GAPS, 40),
    ),
    PictureSet(
        "colours",
        "colour alone: six hues, pale or vivid, under varying light",
        drawings.colour,
        _even(drawings.COLOURS, 42),
        _even(drawings.COLOURS, 30),
    ),
    PictureSet(
        "textures",
        "surfaces: grey, turned anyhow, no form",
        drawings.texture,
        _even(tuple(drawings.TEXTURES), 46),
        _even(tuple(drawings.TEXTURES), 30),
    ),
    PictureSet(
        "glyphs",
        "many labels, few pictures: 40 handwritten figures, ten of each",
        drawings.glyph,
        _even(drawings.GLYPHS, 10),
        _even(drawings.GLYPHS, 8),
    ),
    PictureSet(
        "rare",
        "imbalance: labels with 300 to 8 training pictures, measured on as many of each",
        drawings.rare,
        dict(zip(drawings.OBJECTS, (300, 120, 60, 30, 15, 8), strict=True)),
        _even(tuple(drawings.OBJECTS), 60),
    ),
    PictureSet(
        "scenes",
        "like photographs: things of any pose and many colours, partly hidden, in a landscape; JPEG of many sizes",
        drawings.scene,
        _even(tuple(drawings.SCENES), 63),
        _even(tuple(drawings.SCENES), 40),
        ".jpg",
    ),
)

AnySet = PictureSet | Digits | PublishedSet

DRAWN = tuple(pictures.name for pictures in SETS)
"""What the benches take unless they are told; nothing is downloaded for them."""

BY_NAME: dict[str, AnySet] = {pictures.name: pictures for pictures in (*SETS, *published_sets.PUBLISHED)}


@dataclass(frozen=True)
class OnDisk:
    """A set that was written."""

    name: str
    folder: Path
    labels: int
    train: int
    """How many training pictures it has."""
    fingerprint: str
    """Of the names and pixels: figures of a set that has changed since are not comparable."""

    @property
    def train_data(self) -> Path:
        """The labelled pictures to learn from."""
        return self.folder / "train"

    @property
    def valid_data(self) -> Path:
        """The labelled pictures to measure on."""
        return self.folder / "valid"


def prepare(pictures: AnySet, root: Path) -> OnDisk:
    """The set in `root`, written if it is not there or was made by other code."""
    folder = root / pictures.name
    maker = _maker(pictures)
    try:
        made = json.loads((folder / MADE).read_text("utf-8"))
    except FileNotFoundError:
        made = {}
    if made.get("maker") != maker:
        shutil.rmtree(folder, ignore_errors=True)
        folder.parent.mkdir(parents=True, exist_ok=True)
        pictures.write(folder)
        made = {"maker": maker, **_count(folder)}
        (folder / MADE).write_text(json.dumps(made, indent=2) + "\n", "utf-8")
    return OnDisk(pictures.name, folder, made["labels"], made["train"], made["fingerprint"])


def _generator(name: str) -> Generator:
    return np.random.default_rng(int.from_bytes(hashlib.sha256(name.encode()).digest()[:8]))


def _maker(pictures: AnySet) -> str:
    """What tells one state of the code that makes a set from another."""
    modules = (published_sets,) if isinstance(pictures, PublishedSet) else (canvas, drawings)
    sources = (Path(str(module.__file__)) for module in modules)
    return _digest(path.read_bytes() for path in (*sources, Path(__file__)))


def _count(folder: Path) -> dict[str, object]:
    files = sorted(path for part in ("train", "valid") for path in (folder / part).rglob("*.*"))
    return {
        "labels": sum(1 for _ in (folder / "train").iterdir()),
        "train": sum(1 for path in files if path.is_relative_to(folder / "train")),
        # Pixels, not bytes: the same picture is packed differently by another zlib.
        "fingerprint": _digest(
            b"%s %s" % (str(path.relative_to(folder)).encode(), Image.open(path).convert("RGB").tobytes())
            for path in files
        ),
    }


def _digest(parts: Iterable[bytes]) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part)
    return digest.hexdigest()[:12]


def contact_sheet(sets: list[OnDisk], columns: int, rows: int, side: int) -> Image.Image:
    """Some training pictures of each set: a block of `rows` lines a set, each label as often as the other."""
    gap = 4
    sheet = Image.new("RGB", (columns * (side + 1) + 1, len(sets) * (rows * (side + 1) + gap)), "white")
    for block, pictures in enumerate(sets):
        labels = sorted(pictures.train_data.iterdir())
        for place in range(columns * rows):
            label = labels[place % len(labels)]
            files = sorted(label.iterdir())
            with Image.open(files[place // len(labels) % len(files)]) as opened:
                picture = opened.convert("RGB")
            picture.thumbnail((side, side), Image.Resampling.LANCZOS)
            left = place % columns * (side + 1) + (side - picture.width) // 2
            top = block * (rows * (side + 1) + gap) + place // columns * (side + 1)
            sheet.paste(picture, (left, top + (side - picture.height) // 2))
    return sheet
