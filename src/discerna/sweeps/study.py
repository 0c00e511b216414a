"""What Optuna keeps of a search and proposes next: the one importer of Optuna.

A trial is stored in one step, with all its values, and begins as running; so a kill leaves a trial or none. The sampler
is made anew for each of them, from the seed and the trial's number, and proposes on a copy in memory: the same results
give the same proposal, whoever died in between, and what is not taken leaves no trace.
"""

from __future__ import annotations

import hashlib
import json
import math
import random
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Literal, cast

from discerna.errors import MissingExtraError, OutputError, SettingsError
from discerna.settings.secrets import masked
from discerna.sweeps.points import Ending
from discerna.sweeps.space import Axis, Choices, Interval, Value, size

try:
    import optuna
    from sqlalchemy.exc import SQLAlchemyError
except ModuleNotFoundError:
    raise MissingExtraError.of("optuna", "sweep", "sweep=optuna") from None

Mode = Literal["min", "max"]
Sampler = Literal["tpe", "random"]

ATTEMPTS = 5
"""So often a sampler may propose again in place of what is known already."""


@dataclass(frozen=True)
class Trial:
    """One proposal, and how it came out."""

    number: int
    values: Mapping[str, Value]
    finished: bool


class Study:
    """The trials of one search, in the order in which they were proposed.

    `axes` are by name. `storage` is an SQLite file, an address that Optuna takes, or None for the memory.
    """

    def __init__(
        self,
        axes: Mapping[str, Axis],
        *,
        sampler: Sampler,
        seed: int,
        mode: Mode,
        storage: Path | str | None,
        name: str,
    ) -> None:
        self._axes = dict(sorted(axes.items()))  # the order in which they are typed decides nothing
        self._distributions = {name: _distribution(axis) for name, axis in self._axes.items()}
        self._sampler = sampler
        self._seed = seed
        self._direction: Literal["minimize", "maximize"] = "minimize" if mode == "min" else "maximize"
        self._place = str(masked(str(storage)))
        self._heard: dict[int, optuna.trial.FrozenTrial] = {}
        """Trials that have come out well after they were stored as failed or pruned."""
        with self._told(), _quiet():
            self._storage = _storage(storage)
            self._study = optuna.create_study(
                storage=self._storage, study_name=name, direction=self._direction, load_if_exists=True
            )
        self._refuse_another_search(name)

    @contextmanager
    def _told(self) -> Iterator[None]:
        """A database that is damaged, or has no room, in our words."""
        try:
            yield
        except (SQLAlchemyError, optuna.exceptions.StorageInternalError) as error:
            cause = error.__cause__ or error
            raise OutputError(
                "what the search knows cannot be read or written",
                where=self._place,
                accepted=str(cause).splitlines()[0],
                remedy="make room; if it is damaged, remove it: jobs that are done are known again",
            ) from None

    def _refuse_another_search(self, name: str) -> None:
        same = self._study.direction.name.lower() == self._direction and all(
            trial.distributions == self._distributions for trial in self._study.get_trials(deepcopy=False)
        )
        if not same:
            raise SettingsError(
                "the study is one of another search",
                where=name,
                accepted="its direction, settings and their ranges are the same as before",
                remedy="choose another name or storage",
            )

    @property
    def trials(self) -> list[Trial]:
        """All of them."""
        return [
            Trial(trial.number, trial.params, trial.state.is_finished())
            for trial in self._study.get_trials(deepcopy=False)
        ]

    @property
    def best(self) -> tuple[Trial, float] | None:
        """The trial with the best value, if one was finished well."""
        done = self._study.get_trials(deepcopy=False, states=[optuna.trial.TrialState.COMPLETE])
        if not done:
            return None
        best = self._study.best_trial
        assert best.value is not None
        return Trial(best.number, best.params, True), best.value

    def propose(self) -> Trial | None:
        """A new trial at values that no other one has; None where all have been tried."""
        with self._told():
            trials = [self._heard.get(trial.number, trial) for trial in self._study.get_trials()]
        values = self._new_values(trials)
        if values is None:
            return None
        running = optuna.trial.create_trial(
            state=optuna.trial.TrialState.RUNNING, params=values, distributions=self._distributions
        )
        with self._told():
            self._study.add_trial(running)
        return Trial(len(trials), values, False)

    def _new_values(self, trials: list[optuna.trial.FrozenTrial]) -> dict[str, Value] | None:
        known = {self._texts(trial.params) for trial in trials}
        points = size(self._axes)
        if points is not None and len(known) >= points:
            return None
        for attempt in range(ATTEMPTS):
            values = self._draft(trials, attempt)
            if self._texts(values) not in known:
                return values
        return values if points is None else self._untried(known, points)

    def _draft(self, trials: list[optuna.trial.FrozenTrial], attempt: int) -> dict[str, Value]:
        seed = _number(self._seed, len(trials), attempt) % 2**32
        sampler = (
            optuna.samplers.TPESampler(seed=seed, constant_liar=True)  # several may be running
            if self._sampler == "tpe"
            else optuna.samplers.RandomSampler(seed=seed)
        )
        with _quiet():
            draft = optuna.create_study(sampler=sampler, direction=self._direction)
        draft.add_trials(trials)
        return dict(draft.ask(self._distributions).params)

    def _texts(self, values: Mapping[str, Value]) -> tuple[str, ...]:
        """What decides whether two points are the same; Optuna's 0.30000000000000004 is our 0.3."""
        return tuple(axis.text(values[name]) for name, axis in self._axes.items())

    def _untried(self, known: set[tuple[str, ...]], points: int) -> dict[str, Value]:
        """The first one that is not known, from anywhere in the space on."""
        index = random.Random(_number(self._seed, len(known), ATTEMPTS)).randrange(points)
        while True:
            values: dict[str, Value] = {}
            rest = index
            for name, axis in self._axes.items():
                assert axis.size is not None
                rest, place = divmod(rest, axis.size)
                values[name] = axis.at(place)
            if self._texts(values) not in known:
                return values
            index = (index + 1) % points

    def finish(self, number: int, ending: Ending, value: float | None, curve: Mapping[int, float]) -> None:
        """Note how a trial came out. NaN counts as failed.

        What is stored as finished stays so; but one that had failed, or was ended early, and has come out well since,
        counts so in what is proposed from now on.
        """
        with self._told():
            self._finish(number, ending, value, curve)

    def _finish(self, number: int, ending: Ending, value: float | None, curve: Mapping[int, float]) -> None:
        stored = self._study.get_trials(deepcopy=False)[number]
        well = ending == "done" and value is not None and math.isfinite(value)
        if stored.state.is_finished():
            if well and stored.state != optuna.trial.TrialState.COMPLETE:
                self._heard[number] = optuna.trial.create_trial(
                    value=value, params=stored.params, distributions=stored.distributions
                )
            return
        study_id = self._storage.get_study_id_from_name(self._study.study_name)
        trial_id = self._storage.get_trial_id_from_study_id_trial_number(study_id, number)
        for epoch, measured in curve.items():
            if math.isfinite(measured):
                self._storage.set_trial_intermediate_value(trial_id, epoch, measured)
        if well:
            self._study.tell(number, value)
        else:
            states = optuna.trial.TrialState
            self._study.tell(number, state=states.PRUNED if ending == "pruned" else states.FAIL)


def study_name(identity: str, axes: Mapping[str, Axis], sampler: Sampler, seed: int, mode: Mode) -> str:
    """A name that another search in the same storage does not have."""
    of_axes = {name: [type(axis).__name__, asdict(axis)] for name, axis in axes.items()}
    text = json.dumps([of_axes, sampler, seed, mode], sort_keys=True)
    return f"{identity}-{hashlib.sha256(text.encode()).hexdigest()[:16]}"


def _storage(storage: Path | str | None) -> optuna.storages.BaseStorage:
    if isinstance(storage, Path):
        # An address would give % ? { in the path another meaning.
        connect = partial(sqlite3.connect, storage, timeout=60)
        storage = cast(str, optuna.storages.RDBStorage("sqlite://", engine_kwargs={"creator": connect}))
    return optuna.storages.get_storage(storage)


def _distribution(axis: Axis) -> optuna.distributions.BaseDistribution:
    if isinstance(axis, Choices):
        return optuna.distributions.CategoricalDistribution(axis.values)
    low, high = axis.ends
    log, step = (axis.log, None) if isinstance(axis, Interval) else (False, axis.step)
    if isinstance(low, int) and isinstance(high, int):
        return optuna.distributions.IntDistribution(low, high, log, int(step or 1))
    return optuna.distributions.FloatDistribution(low, high, log, step)


def _number(*parts: int) -> int:
    return int.from_bytes(hashlib.sha256(repr(parts).encode()).digest()[:8])


@contextmanager
def _quiet() -> Iterator[None]:
    """Optuna does not tell that a study was made; how much else it tells stays as it is."""
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(max(before, optuna.logging.WARNING))
    try:
        yield
    finally:
        optuna.logging.set_verbosity(before)
