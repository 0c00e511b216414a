"""`discerna create`: a network's name, or a model of the Azure ML designer, in; a model directory out."""

from __future__ import annotations

import logging
import secrets
import shlex
from dataclasses import dataclass
from pathlib import Path

from discerna.directories.model_dir import ModelSpec, refuse_existing_output, write_model_directory
from discerna.directories.old_model_dir import OldModelDirectory
from discerna.directories.publishing import refuse_inside
from discerna.networks.architectures import find
from discerna.networks.assembly import UNTRAINED_LABELS, create_untrained
from discerna.networks.old_models import convert
from discerna.networks.registration import import_user_modules
from discerna.networks.skeletons import skeleton
from discerna.progress import SILENT, Progress
from discerna.settings.create import CreateSettings
from discerna.settings.preprocessing import Preprocessing
from discerna.wording import as_typed, listed, shown

LOG = logging.getLogger("discerna")


@dataclass(frozen=True, kw_only=True)
class CreateResult:
    """The model directory that was written."""

    output: Path
    from_: Path | None
    """The designer's directory that was converted; None where a network was named."""
    network: str
    parameters: int
    """How many numbers the network learns, of an untrained one with a head for 1000 labels."""
    labels: list[str]
    """In the order of the outputs; empty while untrained."""
    preprocessing: Preprocessing
    weights_from: dict[str, str] | None
    random_seed: int | None
    """What decided random weights; None where all weights are those of a converted model."""

    @property
    def trained(self) -> bool:
        """Whether the model can score pictures as it is."""
        return bool(self.labels)

    def summary(self) -> str:
        """The result for people."""
        seen = self.preprocessing
        place = shlex.quote(as_typed(self.output))
        lines = [
            f"wrote the {'trained' if self.trained else 'untrained'} model {shown(place)}",
            f"  network       {self.network}, {self.parameters:,} parameters",
            f"  picture size  {seen.size}, {seen.fit}",
            f"  weights       {self._weights()}",
        ]
        if self.trained:
            lines.insert(2, f"  labels        {len(self.labels)}: {listed(self.labels, 5)}")
            lines.append(f"next  discerna score model={place} data=... output=scores.csv")
        else:
            lines.append(f"next  discerna train model={place} train_data=... valid_data=... output=...")
        return "\n".join(lines)

    def _weights(self) -> str:
        began = (
            f"{self.weights_from['name']}, licence: {self.weights_from['licence']}"
            if self.weights_from
            else ""
        )
        if self.from_ is None:
            return began or f"random, random_seed={self.random_seed}"
        own = f"those of {shown(as_typed(self.from_))}"
        return f"{own}, which began as {began}" if began else own


def run(settings: CreateSettings, progress: Progress = SILENT) -> CreateResult:
    """Write a model directory."""
    if settings.from_ is not None:
        return _convert(settings, settings.from_)
    assert settings.network is not None
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
    return _result(settings, spec, seed)


def _convert(settings: CreateSettings, source: Path) -> CreateResult:
    """Write a model of the designer's as one of ours."""
    old = OldModelDirectory.open(source)  # first, so that a wrong `from` is told as such
    refuse_inside(settings.output, [source])
    refuse_existing_output(settings.output, settings.overwrite)
    spec, weights = convert(
        old,
        image_size=settings.image_size,
        fit=settings.fit,
        resize=settings.resize,
        interpolation=settings.interpolation,
        mean=settings.mean,
        std=settings.std,
        grayscale=settings.grayscale,
        border=settings.border,
    )
    write_model_directory(settings.output, spec, weights, overwrite=settings.overwrite)
    return _result(settings, spec, None)


def _result(settings: CreateSettings, spec: ModelSpec, random_seed: int | None) -> CreateResult:
    made = skeleton(find(spec.network), len(spec.labels) or UNTRAINED_LABELS, spec.arguments)
    return CreateResult(
        output=settings.output,
        from_=settings.from_,
        network=spec.network,
        parameters=sum(parameter.numel() for parameter in made.parameters()),
        labels=spec.labels,
        preprocessing=spec.preprocessing,
        weights_from=spec.weights_from,
        random_seed=random_seed,
    )
