"""What a recipe looks at before it chooses: the labels, the pictures, the network."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from discerna.directories.image_dir import ImageDirectory
from discerna.directories.model_dir import ModelSpec
from discerna.recipes.pictures import Look, look
from discerna.settings.train import TrainSettings


@dataclass(frozen=True, kw_only=True)
class Facts:
    """All that the choices depend on."""

    counts: Mapping[str, int]
    """Training pictures of each label."""
    valid_counts: Mapping[str, int]
    """Validation pictures of each label."""
    look: Look
    pretrained: bool
    """Whether the weights to begin with have learned something."""
    by_name: bool
    """Whether the model is a network's name, whose picture size nobody has chosen yet."""
    own_size: int
    """The network's own picture size."""
    fixed_size: bool
    """Whether the network is made for one picture size."""

    @property
    def imbalance(self) -> float:
        """How many times as many training pictures the most frequent label has as the rarest."""
        return max(self.counts.values()) / min(self.counts.values())

    @property
    def drift(self) -> float:
        """How much rarer one label is than another in training, compared with validation; 1: as rare."""
        ratios = [self.counts[label] / max(1, count) for label, count in self.valid_counts.items()]
        return max(ratios) / min(ratios)


def gather(
    settings: TrainSettings,
    train: ImageDirectory,
    valid: ImageDirectory,
    spec: ModelSpec | None,
    own_size: int,
    fixed_size: bool,
) -> Facts:
    """The facts of a training; `spec` is that of a model directory, None for a network's name."""
    if spec is None:
        pretrained = settings.pretrained is not False
    else:
        pretrained = spec.state == "trained" or spec.weights_from is not None
    return Facts(
        counts=train.counts(),
        valid_counts=valid.counts(),
        look=look(train),
        pretrained=pretrained,
        by_name=spec is None,
        own_size=own_size,
        fixed_size=fixed_size,
    )
