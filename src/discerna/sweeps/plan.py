"""The command line of a sweep -> its folder, its points and what each is composed to; nothing is written here."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import ChoiceSweep

from discerna import overrides
from discerna.composition import compose_prepared
from discerna.directories.sweep_folder import SweepFolder
from discerna.errors import OutputError, SettingsError
from discerna.overrides import Source
from discerna.progress import SILENT, Progress
from discerna.settings.secrets import masked
from discerna.settings.sweep import OptunaSettings
from discerna.settings.train import METRIC_MODES, TrainSettings
from discerna.sweeps.expansion import expand, sample, varies
from discerna.sweeps.grid import GridPoints
from discerna.sweeps.inputs import Inputs
from discerna.sweeps.job import key_of_job
from discerna.sweeps.launchers import Launcher, split_off
from discerna.sweeps.points import Point, Points
from discerna.sweeps.space import Space, bare, from_mapping, split_space

COMMON = ("output", "monitor", "resume", "overwrite", "force", "plan", "sweep", "space", "early_termination")
"""Settings that all jobs share, with the group's own settings."""


@dataclass(frozen=True)
class SweepPlan:
    """What is to be done."""

    folder: SweepFolder
    output: Path
    """Where the best model goes."""
    first: TrainSettings
    """The settings of one of the jobs, for what all have in common."""
    launcher: Launcher
    inputs: Inputs
    grid: dict[int, tuple[Point, TrainSettings]]
    """Every point of a grid by its number; empty for a search."""
    left_out: int
    """Points of a grid beyond sweep.max_jobs."""
    space: Space | None
    """What a search chooses from; None for a grid."""
    composed: Callable[[Mapping[str, str]], TrainSettings]
    """The settings of a job from all that is typed for it."""

    def compose(self, point: Point) -> TrainSettings:
        """The settings of a point."""
        return self.grid[point.number][1] if self.grid else self.composed(point.overrides)

    def check_inputs(self) -> None:
        """Tell what is wrong with pictures or a model before the first job starts."""
        for _, settings in self.grid.values():
            self.inputs.facts(settings)
        for probe in self.space.probes() if self.space else []:
            self.inputs.facts(self.composed(probe.overrides))

    def points(self) -> Points:
        """Where the points come from; what a search knows is read from the sweep's folder, or begun there."""
        settings = self.first.sweep
        if not isinstance(settings, OptunaSettings):
            return GridPoints([point for point, _ in self.grid.values()])
        assert self.space is not None
        from discerna.sweeps.search import OptunaPoints

        return OptunaPoints(
            self.space,
            settings,
            total=settings.max_jobs // settings.repeats,
            mode="min" if METRIC_MODES[self.first.monitor] == "min" else "max",
            storage=self.folder.study,
            identity=key_of_job(self.first, (), self.inputs.facts(self.first), 0),
        )


def plan(typed: Sequence[str], source: Source, progress: Progress = SILENT) -> SweepPlan:
    """Compose and check every job of a grid; of a search, points that have each choice and each end."""
    launcher, others = split_off(typed)
    prepared = overrides.prepare_overrides("train", others, source, multirun=True)
    choices = overrides.available_groups(source)
    registered: dict[tuple[str, str | None], Path] = {}  # an alias may move while jobs are composed

    def composed(values: Mapping[str, str]) -> TrainSettings:
        settings: TrainSettings = compose_prepared("train", values, source, registered, of_sweep=True)
        return replace(settings, resume=None)

    _refuse_varying(prepared)
    try:
        first = composed(sample(prepared, choices))
    except SettingsError:
        if "sweep=optuna" not in prepared:
            expand(
                prepared, choices
            )  # that a grid has no intervals says more than what is wrong with one's end
        raise
    _refuse_single(first)
    grid: dict[int, tuple[Point, TrainSettings]] = {}
    space, left_out = None, 0
    if isinstance(first.sweep, OptunaSettings):
        typed_keys = {bare(text.partition("=")[0]) for text in prepared}
        spaced = from_mapping(first.space, typed_keys, source)
        _refuse_varying(spaced)
        space = split_space([*spaced, *prepared], choices)
        _refuse_nothing(space)
        probes = [composed(probe.overrides) for probe in space.probes()]  # all of them, to find mistakes
        first = probes[0]
    else:
        if first.space:
            raise SettingsError(
                "a search space needs a search", where="space=...", remedy="add sweep=optuna, or leave it out"
            )
        expanded = _grid(expand(prepared, choices))
        most = None if first.sweep.max_jobs is None else first.sweep.max_jobs // first.sweep.repeats
        known: set[str] = set()
        with progress.task("checking settings", min(len(expanded), most or len(expanded))) as advance:
            for position, point in enumerate(expanded):
                if len(grid) == most:
                    left_out = len(expanded) - position
                    break
                settings = composed(point.overrides)
                advance(1, "")
                if repr(settings) not in known:  # 0.01,1e-2 is one value
                    known.add(repr(settings))
                    grid[point.number] = (point, settings)
        first = grid[0][1]
    for settings in [first, *(settings for _, settings in grid.values())]:
        _refuse_blind(settings)
    folder, output = _places(first)
    return SweepPlan(folder, output, first, launcher, Inputs(), grid, left_out, space, composed)


def _grid(expanded: Sequence[dict[str, str]]) -> list[Point]:
    varying = [key for key in expanded[0] if len({job[key] for job in expanded}) > 1]
    return [
        Point(number, job, {key.lstrip("+"): overrides.unquoted(job[key]) for key in varying})
        for number, job in enumerate(expanded)
    ]


def _refuse_blind(settings: TrainSettings) -> None:
    """Jobs see one another by their metrics.csv."""
    rule = settings.early_termination.name
    if rule != "none" and not settings.logger.metrics_file:
        raise SettingsError(
            "jobs could not be compared with one another",
            where=f"early_termination={rule} logger={settings.logger.name}",
            accepted="they look at each other's metrics.csv",
            remedy="leave out one of the two",
        )


def _refuse_nothing(space: Space) -> None:
    if not space.axes:
        raise SettingsError(
            "nothing varies",
            where="sweep=optuna",
            accepted="a range or choices of at least one setting",
            remedy="add space=module, or for example 'learning_rate=tag(log,interval(1e-4,1e-1))'",
        )


def _refuse_varying(prepared: Sequence[str]) -> None:
    for text in prepared:
        key = bare(text.partition("=")[0])
        if varies(text):
            _refuse_secret(text)
        if not varies(text) or not any(key == name or key.startswith(f"{name}.") for name in COMMON):
            continue
        if key == "output":
            raise SettingsError(
                "the output cannot vary in a sweep",
                where=text.lstrip("+"),
                accepted="each job has a folder of its own in <output>.sweep",
                remedy="give one output",
            )
        raise SettingsError(
            "a setting that all jobs of a sweep share",
            where=text.lstrip("+"),
            accepted="jobs are compared by one monitor, under one set of rules",
            remedy=f"give {key} one value",
        )


def _refuse_secret(text: str) -> None:
    key, _, values = text.lstrip("+").partition("=")
    parsed = OverridesParser.create().parse_override(text).value()
    given = {key: [values, *(parsed.list if isinstance(parsed, ChoiceSweep) else [])]}
    if masked(given) != given:
        raise SettingsError(
            "a secret cannot vary in a sweep",
            where=key,
            accepted="what varies stands in the sweep's files",
            remedy="give one value",
        )


def _refuse_single(first: TrainSettings) -> None:
    """Refuse what only a single training can be told."""
    if first.resume not in (None, "auto"):
        raise SettingsError(
            "a sweep goes on by the same command",
            where=f"-m resume={first.resume}",
            accepted="jobs that are done are skipped, one that was cut goes on",
            remedy="leave it out; a single job goes on by discerna train resume=SWEEP/0.run",
        )
    if first.plan:
        raise SettingsError(
            "a plan is of one training",
            where="-m plan=true",
            accepted="jobs of a sweep may differ in all that it measures",
            remedy="leave out -m, and give each setting one value",
        )
    if not first.launch.start:
        raise SettingsError(
            "a sweep starts its jobs itself",
            where="-m launch.start=false",
            accepted="on this machine, or by hydra/launcher=submitit_slurm",
            remedy="leave it out",
        )


def _places(first: TrainSettings) -> tuple[SweepFolder, Path]:
    """The sweep's folder, and where its best model goes."""
    if first.output is None:
        folder = Path("runs").absolute() / (datetime.now().strftime("%Y-%m-%d_%H-%M-%S") + ".sweep")
        output = folder / "model"
    else:
        folder = first.output.with_name(f"{first.output.name}.sweep")
        output = first.output
    found = SweepFolder(folder)
    foreign = None if not folder.exists() else found.foreign() if folder.is_dir() else folder
    # A note in the folder of a sweep keeps nobody from going on; it is not removed with the rest.
    if foreign is not None and (first.overwrite or not found.ledger.is_file()):
        raise OutputError(
            "the sweep's folder exists and is not one of discerna's"
            if not found.ledger.is_file()
            else "the sweep's folder holds what is not of the sweep",
            where=str(folder),
            accepted=f"{foreign.name} lies there"
            if found.ledger.is_file()
            else "a folder and a run folder for each job go there",
            remedy="choose another output, or move that folder away",
        )
    return found, output
