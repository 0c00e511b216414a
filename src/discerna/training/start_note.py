"""What a training says of itself before its first step."""

from __future__ import annotations

import logging
from typing import Any

from discerna.directories.model_dir import ModelSpec
from discerna.machine import Choice, Machine
from discerna.recipes.auto import OFF
from discerna.settings.train import TrainSettings
from discerna.training.batch_plan import BatchPlan
from discerna.training.data_module import PictureData
from discerna.wording import align

LOG = logging.getLogger("discerna")


def tell_start(
    settings: TrainSettings,
    data: PictureData,
    spec: ModelSpec,
    machine: Machine,
    plan: BatchPlan,
    choices: dict[str, Choice],
    cache: Choice,
) -> None:
    """What is trained on what, and each choice with its reason."""
    LOG.info(
        "%s, %d labels, %d training and %d validation pictures, %d steps an epoch, seed %s",
        spec.network,
        len(data.labels),
        len(data.train),
        len(data.valid),
        len(plan.steps()),
        settings.random_seed,
    )
    size = spec.preprocessing
    rows = [] if "image_size" in choices else [("image_size", str(size.size), f"{size.fit}, the model's own")]
    rows += [
        (name, shown_value(choice.value), choice.reason)
        for name, choice in choices.items()
        if choice.reason != OFF
    ]
    rows += [*machine.lines(), ("cache", cache.value, cache.reason)]
    LOG.info("%s", align(rows, indent="  "))
    if plan.processes > 1:
        own_statistics = plan.smallest > 1 and not machine.sync_batchnorm.value
        LOG.info(
            "%d processes share each batch of %d: same pictures and order as one; %s",
            plan.processes,
            settings.batch_size,
            "dropout and batch statistics differ" if own_statistics else "dropout differs",
        )


def shown_value(value: Any) -> str:
    """A value that was chosen, for people."""
    return "none" if value is None else f"{value:g}" if isinstance(value, float) else str(value)
