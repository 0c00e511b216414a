"""A sweeper of Hydra's that searches with Optuna, by the same spaces and studies as `discerna train sweep=optuna`.

Hydra imports this at each start of any program, so everything that it has not loaded itself is imported in `sweep`.
"""

# No `from __future__ import annotations`: Hydra runs this file before it is in sys.modules, where dataclasses look up
# annotations that are text.

import logging
import math
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from hydra.core.config_store import ConfigStore
from hydra.core.object_type import ObjectType
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.plugins import Plugins
from hydra.core.utils import JobReturn
from hydra.errors import CompactHydraException, HydraException
from hydra.plugins.launcher import Launcher
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf

if TYPE_CHECKING:
    from discerna.sweeps.space import Space
    from discerna.sweeps.study import Study, Trial

LOG = logging.getLogger(__name__)


class Direction(Enum):
    """Which values the task function should return."""

    minimize = "min"
    maximize = "max"


class Sampler(Enum):
    """How values are chosen."""

    tpe = "tpe"
    random = "random"


@dataclass
class DiscernaOptunaConf:
    """The settings, named as hydra-optuna-sweeper's; docs/sweeps.md describes them."""

    _target_: str = "hydra_plugins.discerna_sweeper.optuna_sweeper.DiscernaOptunaSweeper"
    n_trials: int = 20
    n_jobs: int = 1
    direction: Direction = Direction.minimize
    sampler: Sampler = Sampler.tpe
    seed: int = 1
    storage: str | None = None
    study_name: str | None = None
    max_failure_rate: float = 1.0
    params: dict[str, Any] = field(default_factory=dict)


ConfigStore.instance().store("discerna_optuna", DiscernaOptunaConf, "hydra/sweeper", provider="discerna")


class DiscernaOptunaSweeper(Sweeper):
    """Launches jobs in batches of `n_jobs`, by whatever launcher is configured."""

    hydra_context: HydraContext
    config: DictConfig
    launcher: Launcher

    def __init__(
        self,
        n_trials: int,
        n_jobs: int,
        direction: Direction,
        sampler: Sampler,
        seed: int,
        storage: str | None,
        study_name: str | None,
        max_failure_rate: float,
        params: DictConfig,
    ) -> None:
        self.n_trials = n_trials
        self.n_jobs = n_jobs
        self.mode: Literal["min", "max"] = direction.value
        self.sampler: Literal["tpe", "random"] = sampler.value
        self.seed = seed
        self.storage = storage
        self.study_name = study_name
        self.max_failure_rate = max_failure_rate
        self.params = params

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Called by Hydra."""
        self.hydra_context = hydra_context
        self.config = config
        self.launcher = Plugins.instance().instantiate_launcher(hydra_context, task_function, config)

    def sweep(self, arguments: list[str]) -> None:
        """Launch until the study has `n_trials` trials, or all of the space has been tried."""
        from discerna.errors import DiscernaError

        try:
            overrides = _lines(self.params) + arguments
            removed = [text for text in overrides if text.startswith("~")]
            space = self._space([text for text in overrides if not text.startswith("~")])
            self.validate_batch_is_legal([removed + _lines(point.overrides) for point in space.probes()])
            study = self._study(space, removed)
        except DiscernaError as error:
            raise CompactHydraException(str(error)) from None  # Hydra tells this kind without a traceback
        waiting = deque(trial for trial in study.trials if not trial.finished)
        while batch := self._batch(study, waiting):
            jobs = [removed + _lines(space.overrides(trial.values)) for trial in batch]
            returned = self.launcher.launch(jobs, initial_job_idx=batch[0].number)
            self._note(study, batch, returned)
        self._write_results(space, study)

    def _space(self, overrides: Sequence[str]) -> "Space":
        from discerna.sweeps.space import split_space

        loader = self.hydra_context.config_loader
        groups = {
            override.key_or_group
            for override in OverridesParser.create().parse_overrides(list(overrides))
            if override.is_choice_sweep()
        }
        space = split_space(overrides, {g: loader.get_group_options(g, ObjectType.CONFIG) for g in groups})
        if not space.axes:
            raise CompactHydraException(
                "nothing to search; write NAME=A,B or NAME=interval(A,B), or set hydra.sweeper.params"
            )
        return space

    def _study(self, space: "Space", removed: Sequence[str]) -> "Study":
        import hashlib

        from discerna.sweeps.space import bare
        from discerna.sweeps.study import Study, study_name

        axes = {bare(key): axis for key, axis in space.axes.items()}
        fixed = hashlib.sha256(repr([*removed, *sorted(space.fixed.items())]).encode()).hexdigest()[:8]
        identity = f"{self.config.hydra.job.name}-{fixed}"
        name = self.study_name or study_name(identity, axes, self.sampler, self.seed, self.mode)
        LOG.info("study %s in %s", name, self.storage or "memory")
        return Study(
            axes,
            sampler=self.sampler,
            seed=self.seed,
            mode=self.mode,
            storage=self.storage,
            name=name,
        )

    def _batch(self, study: "Study", waiting: "deque[Trial]") -> "list[Trial]":
        """The next trials, those that a kill has left first; in a row, since launchers number their jobs so."""
        batch: list[Trial] = []
        while len(batch) < self.n_jobs:
            if not waiting and len(study.trials) < self.n_trials and (new := study.propose()) is not None:
                waiting.append(new)
            if not waiting or (batch and waiting[0].number != batch[-1].number + 1):
                break
            batch.append(waiting.popleft())
        return batch

    def _note(self, study: "Study", batch: "Sequence[Trial]", returned: Sequence[JobReturn]) -> None:
        failures: list[Exception] = []
        for trial, job in zip(batch, returned, strict=True):
            try:
                value = _number(job)
            except Exception as error:
                LOG.warning("job %d failed: %s", trial.number, error)
                failures.append(error)
                study.finish(trial.number, "failed", None, {})
            else:
                study.finish(trial.number, "done", value, {})
        if len(failures) / len(batch) > self.max_failure_rate:
            raise failures[0]

    def _write_results(self, space: "Space", study: "Study") -> None:
        if study.best is None:
            raise CompactHydraException("every job failed; the log tells why of each")
        trial, value = study.best
        texts = space.point(trial.number, trial.values).overrides
        parse = OverridesParser.create().parse_override
        best = {key.lstrip("+"): parse(f"{key}={texts[key]}").value() for key in space.axes}
        LOG.info("best value %s: job %d, %s", value, trial.number, best)
        folder = Path(self.config.hydra.sweep.dir)
        folder.mkdir(parents=True, exist_ok=True)  # nothing may have been left to launch
        results = {"name": "optuna", "best_params": best, "best_value": value}
        OmegaConf.save(OmegaConf.create(results), folder / "optimization_results.yaml")


def _lines(overrides: Mapping[str, Any]) -> list[str]:
    return [f"{key}={value}" for key, value in overrides.items()]


def _number(job: JobReturn) -> float:
    """What the task function returned; raises what it raised."""
    returned = job.return_value
    try:
        value = float(returned)
    except (TypeError, ValueError):
        value = math.nan
    if not math.isfinite(value):
        raise HydraException(f"the task function must return a finite number, and returned {returned!r}")
    return value
