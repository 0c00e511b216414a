"""What a classifier is made of, for a training and for trials before it."""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace

from torch import nn

from discerna.directories.model_dir import ModelSpec
from discerna.machine import OFF, Choice, Machine
from discerna.networks.assembly import has_batch_norm, head_of
from discerna.settings.recipe import Recipe
from discerna.settings.train import TrainSettings
from discerna.training.batch_plan import BatchPlan
from discerna.training.classifier import Classifier
from discerna.training.data_module import PictureData
from discerna.training.keyed_loader import Readers
from discerna.training.rate_finder import USUAL
from discerna.training.time_budget import TimeBudget


@dataclass(frozen=True)
class Parts:
    """A network, what it will look at, and where."""

    network: nn.Module
    spec: ModelSpec
    data: PictureData
    machine: Machine

    @property
    def smallest(self) -> int:
        """The pictures that a process needs at once."""
        return 2 if has_batch_norm(self.network) else 1

    def plan(self, settings: TrainSettings) -> BatchPlan:
        """Which pictures make up which step."""
        return BatchPlan(
            pictures=len(self.data.train),
            batch_size=settings.batch_size,
            pieces=settings.trainer.accumulate_grad_batches,
            processes=self.machine.processes.value,
            smallest=self.smallest,
            balanced=self.data.train_labels() if settings.sampler == "balanced" else None,
        )

    def classifier(self, settings: TrainSettings, began: float) -> Classifier:
        """The classifier around the network, and the data ready for it; `began`: when the command did."""
        if settings.learning_rate == "find":
            settings = replace(settings, learning_rate=USUAL)
        recipe, seen = Recipe.of(settings), self.spec.preprocessing
        readers = Readers(self.machine.workers.value, self.machine.threads.value)
        self.data.prepare(settings, recipe, seen, self.plan(settings), readers)
        minutes, valid = settings.max_minutes, len(self.data.valid)
        budget = TimeBudget(minutes, began, valid) if minutes else None
        head = head_of(self.spec)
        return Classifier(
            self.network, seen, self.data.counts(), head, settings, recipe, self.machine, budget
        )

    def for_trial(self, compiled: str = OFF) -> Parts:
        """With a copy of the network, which may learn anything."""
        machine = replace(self.machine, compile=Choice(compiled, "a trial"))
        return replace(self, network=copy.deepcopy(self.network), machine=machine)
