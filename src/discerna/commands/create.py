"""`discerna create`: a network's name in, an untrained model directory out."""

from __future__ import annotations

import logging
import secrets
import shlex
from dataclasses import dataclass
from pathlib import Path

from discerna.directories.model_dir import refuse_existing_output, write_model_directory
from discerna.networks.architectures import find
from discerna.networks.assembly import UNTRAINED_LABELS, create_untrained
from discerna.networks.registration import import_user_modules
from discerna.networks.skeletons import skeleton
from discerna.progress import SILENT, Progress
from discerna.settings.create import CreateSettings
from discerna.settings.preprocessing import Preprocessing
from discerna.wording import as_typed, shown

LOG = logging.getLogger("discerna")


@dataclass(frozen=True, kw_only=True)
class CreateResult:
    """The untrained model directory that was written."""

    output: Path
    network: str
    parameters: int
    """How many numbers training will move, with a head for 1000 labels."""
    preprocessing: Preprocessing
    weights_from: dict[str, str] | None
    random_seed: int

    def summary(self) -> str:
        """The result for people."""
        seen = self.preprocessing
        place = shlex.quote(as_typed(self.output))
        if self.weights_from:
            weights = f"{self.weights_from['name']}, licence: {self.weights_from['licence']}"
        else:
            weights = f"random, random_seed={self.random_seed}"
        return "\n".join(
            (
                f"wrote the untrained model {shown(place)}",
                f"  network       {self.network}, {self.parameters:,} parameters",
                f"  picture size  {seen.size}, {seen.fit}",
                f"  weights       {weights}",
                f"next  discerna train model={place} train_data=... valid_data=... output=...",
            )
        )


def run(settings: CreateSettings, progress: Progress = SILENT) -> CreateResult:
    """Write an untrained model directory."""
    import_user_modules(settings.networks.modules)
    refuse_existing_output(settings.output, settings.overwrite)
    seed = secrets.randbits(32) if settings.random_seed is None else settings.random_seed
    if settings.random_seed is None:
        LOG.info("random_seed=%d was drawn", seed)
    spec, weights = create_untrained(
        settings.network,
        pretrained=settings.pretrained,
        arguments=settings.arguments,
        random_seed=seed,
        image_size=settings.image_size,
        fit=settings.fit,
        resize=settings.resize,
        interpolation=settings.interpolation,
        mean=settings.mean,
        std=settings.std,
        grayscale=settings.grayscale,
        border=settings.border,
        progress=progress,
    )
    write_model_directory(settings.output, spec, weights, overwrite=settings.overwrite)
    made = skeleton(find(spec.network), UNTRAINED_LABELS, spec.arguments)
    return CreateResult(
        output=settings.output,
        network=spec.network,
        parameters=sum(parameter.numel() for parameter in made.parameters()),
        preprocessing=spec.preprocessing,
        weights_from=spec.weights_from,
        random_seed=seed,
    )
