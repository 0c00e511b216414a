"""The command line of a sweep -> its folder, its points and what each is composed to; nothing is written here."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from discerna import overrides
from discerna.composition import compose_prepared
from discerna.directories.sweep_folder import SweepFolder
from discerna.errors import OutputError, SettingsError
from discerna.overrides import Source
from discerna.settings.sweep import OptunaSettings
from discerna.settings.train import METRIC_MODES, TrainSettings
from discerna.sweeps.expansion import expand, sample, varies
from discerna.sweeps.grid import GridPoints
from discerna.sweeps.inputs import Inputs
from discerna.sweeps.job import key_of_job
from discerna.sweeps.launchers import Launcher, split_off
from discerna.sweeps.points import Point, Points

COMMON = ("output", "monitor", "resume", "overwrite", "force", "sweep", "space", "early_termination")
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
    points: Points
    compose: Callable[[Point], TrainSettings]
    inputs: Inputs
    command_output: str
    """What `output=` has to be for the same command to find this sweep again, if it was not typed."""


def plan(typed: Sequence[str], source: Source) -> SweepPlan:
    """Compose and check every job of a grid; of a search, what does not vary."""
    launcher, others = split_off(typed)
    prepared = overrides.prepare_overrides("train", others, source, multirun=True)
    choices = overrides.available_groups(source)
    registered: dict[tuple[str, str | None], Path] = {}  # an alias may move while jobs are composed

    def composed(values: Mapping[str, str]) -> TrainSettings:
        settings: TrainSettings = compose_prepared("train", values, source, registered, of_sweep=True)
        return replace(settings, resume=None)

    first = composed(sample(prepared, choices))
    _refuse_varying(prepared)
    _refuse_single(first)
    folder, output = _places(first)
    inputs = Inputs()
    settled: dict[int, TrainSettings] = {}
    points: Points
    if isinstance(first.sweep, OptunaSettings):
        points = _search(prepared, choices, source, first, folder, inputs)
    else:
        if first.space:
            raise SettingsError(
                "a search space needs a search", where="space=...", remedy="add sweep=optuna, or leave it out"
            )
        found = _grid(expand(prepared, choices))
        settled = {point.number: composed(point.overrides) for point in found}
        first = settled[0]
        if first.sweep.max_jobs is not None:
            found = found[: first.sweep.max_jobs // first.sweep.repeats]
        points = GridPoints(found)

    def compose(point: Point) -> TrainSettings:
        return settled.get(point.number) or composed(point.overrides)

    for settings in settled.values():
        inputs.facts(settings)
    typed_output = str(output.with_name(folder.path.stem)) if first.output is None else ""
    return SweepPlan(folder, output, first, launcher, points, compose, inputs, typed_output)


def _grid(expanded: Sequence[dict[str, str]]) -> list[Point]:
    varying = [key for key in expanded[0] if len({job[key] for job in expanded}) > 1]
    return [
        Point(number, job, {key.lstrip("+"): overrides.unquoted(job[key]) for key in varying})
        for number, job in enumerate(expanded)
    ]


def _search(
    prepared: Sequence[str],
    choices: dict[str, list[str]],
    source: Source,
    first: TrainSettings,
    folder: SweepFolder,
    inputs: Inputs,
) -> Points:
    """What Optuna is asked; its study is found again by what does not vary."""
    from discerna.sweeps import space

    typed = {text.partition("=")[0].lstrip("+") for text in prepared}
    found = space.split_space([*space.from_mapping(first.space, typed, source), *prepared], choices)
    if not found.axes:
        raise SettingsError(
            "nothing varies",
            where="sweep=optuna",
            accepted="a range or choices of at least one setting",
            remedy="add space=module, or for example 'learning_rate=tag(log,interval(1e-4,1e-1))'",
        )
    settings = first.sweep
    assert isinstance(settings, OptunaSettings)
    from discerna.sweeps.search import OptunaPoints

    return OptunaPoints(
        found,
        settings,
        total=settings.max_jobs // settings.repeats,
        mode=METRIC_MODES[first.monitor],
        storage=folder.study,
        identity=key_of_job(first, (), inputs.facts(first), 0),
    )


def _refuse_varying(prepared: Sequence[str]) -> None:
    for text in prepared:
        key = text.partition("=")[0].lstrip("+")
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


def _refuse_single(first: TrainSettings) -> None:
    """Refuse what only a single training can be told."""
    if first.resume not in (None, "auto"):
        raise SettingsError(
            "a sweep goes on by the same command",
            where=f"-m resume={first.resume}",
            accepted="jobs that are done are skipped, one that was cut goes on",
            remedy="leave it out; a single job goes on by discerna train resume=SWEEP/0.run",
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
    if folder.exists() and (not folder.is_dir() or not found.holds_only_ours()):
        raise OutputError(
            "the sweep's folder exists and is not one of discerna's",
            where=str(folder),
            accepted="a folder and a run folder for each job go there",
            remedy="choose another output, or move that folder away",
        )
    return found, output
