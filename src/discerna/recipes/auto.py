"""What is chosen where the user left `auto`: each choice a value with its reason.

The measurements behind each are in docs/recipes.md; `scripts/bench recipes` repeats them.
"""

from __future__ import annotations

import math

from discerna.machine import Choice
from discerna.recipes.facts import Facts
from discerna.recipes.pictures import Look
from discerna.recipes.presets import preset
from discerna.settings.train import TrainSettings

OFF = "off"
"""The reason of what is switched off; the start of a run does not tell these."""

ENLARGED = 1.5
"""Networks shrink the picture at once, so they see more of a small one when it is larger than it is."""
SMALLEST_SIZE = 64
STEP = 32
"""Most networks halve the sides five times."""

LONG = 1.5
"""From this ratio of the sides, the middle square shows too little of a picture."""

FIXED = 0.1
"""From this agreement of what mirroring changes, left and right (or up and down) matter."""

RARE = 2.0
"""From this ratio of label shares between training and validation, what is learned is not what is asked."""


def choose(facts: Facts, settings: TrainSettings) -> dict[str, Choice]:
    """A choice for every setting that may be `auto`, by its dotted name."""
    return {
        **choose_augmentation(facts.look),
        **_of_preset("optimizer", "adamw"),
        **_of_preset("scheduler", "cosine"),
        **(choose_view(facts) if facts.by_name else {}),
        "start_size": Choice(None, OFF),
        "optimizer": Choice("adamw", "it learns fast at the usual rates"),
        "optimizer.body_rate": Choice(1.0, OFF),
        "optimizer.layer_decay": Choice(1.0, OFF),
        "scheduler": Choice("cosine", "the rate falls to 0 at the last step"),
        "trainer.gradient_clip_val": Choice(None, OFF),
        "label_smoothing": Choice(0.0, OFF),
        "label_weights": Choice("none", OFF),
        "sampler": _sampler(facts, settings),
        "freeze_epochs": Choice(0, OFF),
        "ema": Choice(0.0, OFF),
    }


def choose_augmentation(look: Look) -> dict[str, Choice]:
    """The part of `choose` that decides how pictures are varied."""
    return {
        **_of_preset("augmentation", "light"),
        "augmentation": Choice("light", "more of it loses in short trainings"),
        "augmentation.flip": _flip(look.mirror, "left and right"),
        "augmentation.vertical_flip": _flip(look.upside, "up and down"),
    }


def _of_preset(group: str, choice: str) -> dict[str, Choice]:
    """The values of a file, for parts that the user left open in another."""
    return {
        f"{group}.{key}": Choice(value, f"as {group}={choice}")
        for key, value in preset(group, choice).items()
    }


def choose_view(facts: Facts) -> dict[str, Choice]:
    """The part of `choose` that decides size and fit, where the network's own would not do."""
    chosen = {}
    size, aspect = _size(facts), facts.look.aspect
    if size < facts.own_size:
        chosen["image_size"] = Choice(size, f"the pictures are small: {facts.look.short_side} pixels")
    if aspect > LONG:
        reason = f"some pictures are {aspect:.1f} times as long as wide: a crop would lose their ends"
        chosen["fit"] = Choice("pad", reason)
    return chosen


def _size(facts: Facts) -> int:
    """The picture side: the network's own, or in steps what small pictures need."""
    if facts.fixed_size or facts.pretrained or not facts.look.short_side:
        return facts.own_size
    steps = math.ceil(facts.look.short_side * ENLARGED / STEP)
    return min(facts.own_size, max(SMALLEST_SIZE, steps * STEP))


def waste(facts: Facts) -> str:
    """What to say where a model directory's picture size, which is kept, is far beyond the pictures."""
    size = _size(facts)
    if facts.by_name or facts.own_size < 2 * size:
        return ""
    times = (facts.own_size / size) ** 2
    return (
        f"the pictures are {facts.look.short_side} pixels, the model directory asks for {facts.own_size}:"
        f" image_size={size} needs about {times:.0f} times less computing"
    )


def _flip(fixed: float | None, what: str) -> Choice:
    if fixed is None:
        return Choice(0.0, f"too few pictures to tell whether {what} matter")
    if fixed >= FIXED:
        return Choice(0.0, f"{what} matter in these pictures ({fixed:.2f})")
    return Choice(0.5, f"{what} are arbitrary in these pictures ({fixed:.2f})")


def _sampler(facts: Facts, settings: TrainSettings) -> Choice:
    if settings.label_weights in ("balanced", "sqrt"):
        return Choice("shuffle", "label_weights balance the labels")
    if facts.drift < RARE or facts.imbalance < RARE:
        return Choice("shuffle", OFF)
    reason = f"some labels are up to {facts.drift:.0f} times rarer in training than in validation"
    return Choice("balanced", reason)
