"""Points that Optuna proposes after what the ones before came to."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Mapping
from pathlib import Path

from discerna.settings.sweep import OptunaSettings
from discerna.sweeps.points import Ending, Point
from discerna.sweeps.space import Space, bare
from discerna.sweeps.study import Mode, Study, study_name

LOG = logging.getLogger("discerna")


class OptunaPoints:
    """At most `total` points of `space`, the ones known from before a restart first.

    `storage` is an SQLite file, made where it is missing. Searches with another `identity` (a name for what is fixed,
    and the data), space, seed or sampler stand beside one another in it.
    """

    def __init__(
        self,
        space: Space,
        settings: OptunaSettings,
        *,
        total: int,
        mode: Mode,
        storage: Path,
        identity: str,
    ) -> None:
        self._space = space
        axes = {bare(key): axis for key, axis in space.axes.items()}
        sampler, seed = settings.sampler, settings.seed
        self._study = Study(
            axes,
            sampler=sampler,
            seed=seed,
            mode=mode,
            storage=storage,
            name=study_name(identity, axes, sampler, seed, mode),
        )
        self._known = deque(self._study.trials)
        self._asked = 0
        self._ended = False
        self.known = len(self._known)
        self._limit = max(self.known, total if space.size is None else min(total, space.size))
        self.total: int | None = self._limit

    def ask(self) -> Point | None:
        """The next point; None where there are as many as `total`, or all of the space have been tried."""
        if self._known:
            trial = self._known.popleft()
        elif self._asked >= self._limit or (proposed := self._study.propose()) is None:
            self._tell_end()
            return None
        else:
            trial = proposed
        self._asked += 1
        return self._space.point(trial.number, trial.values)

    def _tell_end(self) -> None:
        if self._asked == self._space.size and not self._ended:
            LOG.info("the search ends: all %d points of the space have been tried", self._asked)
        self._ended = True

    def tell(self, point: Point, ending: Ending, value: float | None, curve: Mapping[int, float]) -> None:
        """Hear how a point came out; of one that was heard of before, nothing changes."""
        self._study.finish(point.number, ending, value, curve)
