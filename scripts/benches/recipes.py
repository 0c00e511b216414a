"""`scripts/bench recipes`: train by several recipes on several picture sets and compare what comes of it.

To add a recipe, write a function below and put it into RECIPES. What is trained already is not trained again: results
are lines of a file, a job whose settings are the same is skipped, and a bench that was stopped goes on where it was.
"""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType
from typing import Any

import yaml

from benches import jobs, picture_sets, table
from benches.places import PICTURES, RESULTS

Overrides = dict[str, Any]
"""Settings as `discerna.train` takes them, other than model, data, epochs and seed."""

Recipe = Callable[[int, int], Overrides]
"""(number of labels, epochs) -> overrides."""


def default(labels: int, epochs: int) -> Overrides:
    """Discerna's, with nothing set."""
    return {}


def azure(labels: int, epochs: int) -> Overrides:
    """The original component's (docs/from-azure-designer.md)."""
    return {"recipe": "azure"}


def fastai(labels: int, epochs: int) -> Overrides:
    """fastai's published defaults, emulated by our settings.

    `fit_one_cycle` with lr_max 0.001, div 25, div_final 1e5, pct_start 0.25, moms 0.95 to 0.85; Adam with decoupled wd
    0.01, sqr_mom 0.99, eps 1e-5; `aug_transforms()`: flip, zoom up to 1.1, lighting 0.2. Its warp and its turn by 10
    degrees are not emulated.
    """
    return {
        "optimizer": {"name": "adamw", "beta1": 0.95, "beta2": 0.99, "eps": 1e-5, "weight_decay": 0.01},
        "scheduler": {"name": "one_cycle", "warmup": 0.25, "start": 0.04, "end": 1e-5},
        "augmentation": {**FLIPPED, "crop_scale": [0.82, 1.0], "jitter": 0.2},
        **NOTHING_ELSE,
    }


def ultralytics(labels: int, epochs: int) -> Overrides:
    """The published defaults of `yolo classify train`, emulated by our settings.

    optimizer=auto, which for short runs is AdamW of rate 0.002 * 5 / (4 + labels), betas 0.9 and 0.999, weight_decay
    0.0005; warmup_epochs 3, then a line down to a hundredth; crops of half the area or more, fliplr 0.5, hsv, erasing
    0.4, an average of the weights. RandAugment is TrivialAugment here.
    """
    return {
        "learning_rate": round(0.002 * 5 / (4 + labels), 6),
        "optimizer": {"name": "adamw", "weight_decay": 0.0005},
        "scheduler": {"name": "polynomial", "warmup": min(0.9, 3 / epochs), "power": 1.0, "end": 0.01},
        "augmentation": {**FLIPPED, "crop_scale": [0.5, 1.0], "jitter": 0.4, "trivial": True, "erasing": 0.4},
        **NOTHING_ELSE,
        "ema": 0.9999,
    }


def torchvision(labels: int, epochs: int) -> Overrides:
    """The published defaults of torchvision's references/classification, emulated by our settings.

    SGD of rate 0.1 for 256 pictures a batch, scaled down to 16; momentum 0.9, weight_decay 0.0001 on every parameter;
    crops from 0.08 of the area, flip 0.5. The rate's fall by ten after each third of the epochs is a cosine here.
    """
    return {
        "learning_rate": 0.1 * 16 / 256,
        "optimizer": {"name": "sgd", "nesterov": False, "decay_norm_and_bias": True},
        "scheduler": {"name": "cosine", "warmup": 0.0},
        "augmentation": {**FLIPPED, "crop_scale": [0.08, 1.0], "jitter": 0.0},
        **NOTHING_ELSE,
    }


FLIPPED: Overrides = {"name": "none", "flip": 0.5, "vertical_flip": 0.0}

NOTHING_ELSE: Overrides = {
    "early_stopping": "none",
    "label_smoothing": 0.0,
    "label_weights": "none",
    "sampler": "shuffle",
    "freeze_epochs": 0,
    "ema": 0.0,
    "start_size": None,
}
"""No part of another program's recipe is left to ours, but the size of the pictures, which is the same for all."""

PROGRAMS: dict[str, Recipe] = {
    "default": default,
    "azure": azure,
    "fastai": fastai,
    "ultralytics": ultralytics,
    "torchvision": torchvision,
}


def _but(**changed: Any) -> Recipe:
    """The default with something changed."""
    return lambda labels, epochs: changed


VARIANTS: dict[str, Recipe] = {
    "size-64": _but(image_size=64),
    "size-128": _but(image_size=128),
    "no-flips": _but(augmentation={"flip": 0.0, "vertical_flip": 0.0}),
    "flips": _but(augmentation={"flip": 0.5, "vertical_flip": 0.0}),
    "no-augmentation": _but(augmentation="none"),
    "medium": _but(augmentation="medium"),
    "strong": _but(augmentation="strong"),
    "patient": _but(early_stopping="none"),
    "at-once": _but(early_stopping={"cooldown": 0}),
    "cooldown-2": _but(early_stopping={"cooldown": 2}),
    "shuffle": _but(sampler="shuffle"),
    "sqrt-weights": _but(sampler="shuffle", label_weights="sqrt"),
    "balanced-weights": _but(sampler="shuffle", label_weights="balanced"),
    "one-cycle": _but(scheduler="one_cycle"),
    "smoothing": _but(label_smoothing=0.1),
    "ema": _but(ema=0.99),
    "clip": _but(trainer={"gradient_clip_val": 1.0}),
    "sgd": _but(optimizer="sgd"),
    "growing": _but(start_size=64),
    "body-1": _but(optimizer={"body_rate": 1.0}),
    "body-0.3": _but(optimizer={"body_rate": 0.3}),
    "body-0.1": _but(optimizer={"body_rate": 0.1}),
    "frozen-1": _but(freeze_epochs=1),
    "frozen": _but(freeze_epochs=1000),
    "pad": _but(fit="pad"),
    "crop": _but(fit="crop"),
}
"""The default with one thing changed: what each part of it is worth."""

RECIPES = PROGRAMS | VARIANTS


def main() -> int:
    """Train what is missing, then print the tables."""
    given = _arguments()
    signal.signal(signal.SIGTERM, _leave)  # so that run folders are deleted
    if not given.table:
        wanted = [
            jobs.job(
                pictures,
                name,
                with_all(RECIPES[name](pictures.labels, epochs), given.all),
                epochs=epochs,
                seed=seed,
                model=given.model,
                image_size=given.image_size,
                trainer=given.trainer,
            )
            for pictures in [
                picture_sets.prepare(picture_sets.BY_NAME[name], PICTURES) for name in given.sets
            ]
            for seed in given.seeds
            for epochs in given.epochs
            for name in given.recipes
        ]
        # Seeds outermost: a bench that is stopped has compared all recipes on all sets, if only once.
        wanted.sort(key=lambda job: (given.seeds.index(job.seed), given.epochs.index(job.epochs)))
        todo = wanted if given.again else jobs.missing(wanted, jobs.read(given.out))
        print(f"{len(wanted) - len(todo)} of {len(wanted)} trainings are done already", file=sys.stderr)
        if todo and jobs.run(todo, given.out, given.jobs):
            return 1
    print(table.tables(jobs.read(given.out), given.recipes, given.sets))
    return 0


def with_all(overrides: Overrides, settings: Sequence[str]) -> Overrides:
    """The overrides of a recipe, and those of all."""
    merged = dict(overrides)
    for setting in settings:
        key, _, text = setting.partition("=")
        group, _, leaf = key.partition(".")
        value = yaml.safe_load(text)
        merged[group] = {**merged.get(group, {}), leaf: value} if leaf else value
    return merged


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="scripts/bench recipes",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    every = list(picture_sets.BY_NAME)
    drawn = list(picture_sets.DRAWN)
    parser.add_argument(
        "--sets",
        type=_some_of(every),
        default=drawn,
        help=f"of {','.join(every)}; default: those that are drawn",
    )
    parser.add_argument(
        "--recipes", type=_some_of(RECIPES), default=list(PROGRAMS), help=f"of {','.join(RECIPES)}"
    )
    parser.add_argument("--epochs", type=_numbers, default=[5], help="such as 3,5,15")
    parser.add_argument("--seeds", type=_numbers, default=[1, 2, 3], help="such as 1,2")
    parser.add_argument("--jobs", type=int, default=2, help="processes of one thread each (default: 2)")
    parser.add_argument("--model", default="resnet18", help="a network's name, or a model directory")
    parser.add_argument(
        "--image-size", type=int, help="side of the pictures, for all recipes; default: what discerna chooses"
    )
    parser.add_argument("--trainer", default="cpu", help="cpu (default) or gpu")
    parser.add_argument(
        "--all",
        action="append",
        default=[],
        metavar="GROUP.KEY=VALUE",
        help="a setting for all recipes, such as trainer.precision=32-true",
    )
    parser.add_argument("--out", type=Path, default=RESULTS, help="the results file")
    parser.add_argument(
        "--again", action="store_true", help="train also what is done; the newer result counts"
    )
    parser.add_argument("--table", action="store_true", help="train nothing, print the tables")
    given = parser.parse_args()
    return given


def _some_of(known: Sequence[str] | dict[str, Any]) -> Callable[[str], list[str]]:
    def names(text: str) -> list[str]:
        found = text.split(",")
        for name in found:
            if name not in known:
                raise argparse.ArgumentTypeError(f"{name} is none of {', '.join(known)}")
        return found

    return names


def _numbers(text: str) -> list[int]:
    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise argparse.ArgumentTypeError(f"whole numbers with commas between them, not {text}") from None


def _leave(number: int, frame: FrameType | None) -> None:
    sys.exit(128 + number)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        print("stopped; the same command goes on from here", file=sys.stderr)
        sys.exit(130)
