"""The worst mistakes of a model: pictures for which it is most sure of a wrong label."""

from __future__ import annotations

import heapq
from typing import NamedTuple

import numpy as np
from PIL import Image

from discerna.directories.image_dir import ImageDirectory
from discerna.errors import UnreadablePictureError
from discerna.images.captioned_grid import Captioned, captioned_grid
from discerna.images.decode import decode
from discerna.images.preprocessing import fit_picture
from discerna.results.predictor import ScoredBatch
from discerna.settings.preprocessing import Preprocessing

KEPT = 24


class Mistake(NamedTuple):
    """One picture and what the model says of it."""

    probability: float
    """That of the wrong label."""
    place: int
    """Of the picture, in the image directory."""
    predicted: str


class Mistakes:
    """Sees scored batches, and keeps the worst mistakes."""

    def __init__(self, data: ImageDirectory, labels: list[str]) -> None:
        self._data = data
        self._labels = labels
        self._worst: list[Mistake] = []

    def see(self, batch: ScoredBatch) -> None:
        """Look at a batch."""
        if not batch.indices:
            return
        best = batch.probabilities.argmax(1)
        highest = batch.probabilities[np.arange(len(best)), best]
        for i, label, probability in zip(batch.indices, best.tolist(), highest.tolist(), strict=True):
            if self._labels[label] != self._data.label(i):
                heapq.heappush(self._worst, Mistake(probability, i, self._labels[label]))
                if len(self._worst) > KEPT:
                    heapq.heappop(self._worst)

    def worst(self) -> list[Mistake]:
        """The surest mistake first."""
        return sorted(self._worst, key=lambda mistake: (-mistake.probability, mistake.place))

    def page(self, spec: Preprocessing) -> Image.Image | None:
        """They, as the network sees them; None where there is none."""
        pictures = []
        for mistake in self.worst():
            try:
                seen = fit_picture(decode(self._data.path(mistake.place)), spec)
            except UnreadablePictureError:  # it could be read a moment ago
                continue
            true = self._data.label(mistake.place) or ""
            told = f"{mistake.predicted}, {mistake.probability:.0%}"
            pictures.append(Captioned(seen, f"is {true}", f"not {told}"))
        return captioned_grid("worst mistakes on the validation pictures", pictures) if pictures else None
