"""`discerna demo`: scikit-learn's handwritten digits as labelled pictures, to try things on."""

from __future__ import annotations

import re
import shlex
import shutil
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from discerna.directories.publishing import refuse_existing_output
from discerna.errors import MissingExtraError, OutputError
from discerna.progress import SILENT, Progress
from discerna.settings.demo import DemoSettings
from discerna.wording import as_typed

SIDE = 32
"""The digits are 8x8; enlarged, a person can see them in a folder view."""

NEW = 10
"""Pictures without a label, to be scored."""


@dataclass(frozen=True)
class DemoResult:
    """What was written."""

    output: Path
    train: int
    valid: int

    def summary(self) -> str:
        """What to tell a person."""
        place = shlex.quote(as_typed(self.output))
        return "\n".join(
            [
                f"wrote {self.train} training, {self.valid} validation and {NEW} unlabelled pictures into {place}",
                f"next  discerna train model=resnet18 train_data={place}/train valid_data={place}/valid",
            ]
        )


def run(settings: DemoSettings, progress: Progress = SILENT) -> DemoResult:
    """Write train/<digit>/, valid/<digit>/ and new/: every fifth picture validates."""
    try:
        from sklearn.datasets import load_digits
    except ModuleNotFoundError:
        raise MissingExtraError.of("scikit-learn", "demo", "discerna demo") from None
    output = settings.output
    if output.exists():
        replaceable = _is_ours(output)
        if not settings.overwrite or not replaceable:
            raise OutputError(
                "the output exists",
                where=f"output={output}",
                remedy="add overwrite=true to replace it" if replaceable else "choose another output",
            )
        shutil.rmtree(output)
    else:
        refuse_existing_output(output, overwrite=False)
    digits = load_digits()
    counts = {"train": 0, "valid": 0}
    with progress.task("writing digits", len(digits.images)) as advance:
        for number, (grey, label) in enumerate(zip(digits.images, digits.target, strict=True)):
            # 16 grey levels on black -> 8 bits
            picture = Image.fromarray((grey * (255 / 16)).round().astype("uint8")).resize(
                (SIDE, SIDE), Image.Resampling.BICUBIC
            )
            part = "valid" if number % 5 == 4 else "train"
            if part == "valid" and counts[part] < NEW:  # never seen in training
                _save(picture, output / "new" / f"picture{number}.png")
            _save(picture, output / part / str(label) / f"digit{number:04}.png")
            counts[part] += 1
            advance(1, "")
    return DemoResult(output, counts["train"], counts["valid"])


def _is_ours(output: Path) -> bool:
    """Whether the folder holds nothing but what a demo writes: people's own pictures lie in train/ and valid/ too."""
    if output.is_symlink() or not output.is_dir():
        return False
    files = [path for path in output.rglob("*") if not path.is_dir()]
    written = re.compile(r"((train|valid)/\d/digit\d{4}|new/picture\d+)\.png")
    return all(written.fullmatch(path.relative_to(output).as_posix()) for path in files)


def _save(picture: Image.Image, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    picture.save(path)
