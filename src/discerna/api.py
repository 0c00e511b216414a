"""The commands as Python functions, with the same settings, checks and errors."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from discerna import console
from discerna.errors import Preempted, SettingsError

if TYPE_CHECKING:
    from discerna.commands.check import CheckResult
    from discerna.commands.convert import ConvertResult
    from discerna.commands.create import CreateResult
    from discerna.commands.evaluate import EvaluateResult
    from discerna.commands.register import RegisterResult
    from discerna.commands.score import ScoreResult
    from discerna.commands.split import SplitResult
    from discerna.directories.plan_result import PlanResult
    from discerna.directories.run_result import RunResult
    from discerna.results.predictor import Predictor
    from discerna.runs.run import Run
    from discerna.sweeps.summary import SweepResult

PathLike = str | os.PathLike[str]


def train(*, model: PathLike, train_data: PathLike, valid_data: PathLike, **settings: Any) -> RunResult:
    """Train a model; settings as on the command line: `epochs=3, optimizer="sgd", trainer={"devices": 2}`."""
    return _trained({"model": model, "train_data": train_data, "valid_data": valid_data, **settings})


def plan(*, model: PathLike, train_data: PathLike, valid_data: PathLike, **settings: Any) -> PlanResult:
    """What such a training would take: time, memory and disk, from a few measured steps; nothing is trained."""
    from discerna import planning

    given = {"model": model, "train_data": train_data, "valid_data": valid_data, **settings, "plan": True}
    return planning.plan(_settings("train", given), console.progress())


def resume(run: PathLike, **settings: Any) -> RunResult:
    """Go on with a training whose run folder (or model directory) is `run`; its settings need not be given again."""
    return _trained({"resume": run, **settings})


def sweep(*, vary: Mapping[str, Any], **settings: Any) -> SweepResult:
    """Train every combination: `vary={"learning_rate": [0.01, 0.001], "model": ["resnet18", "densenet121"]}`.

    With `sweep="optuna"` values are searched: `vary={"learning_rate": "tag(log,interval(1e-4,1e-1))"}`. Called again
    with the same `output`, it goes on. Jobs that failed are in `failed` of the result, not raised.
    """
    from discerna.overrides import PACKAGED, overrides_from, varying_from
    from discerna.sweeps import multirun

    console.configure()
    typed = [*overrides_from(settings, "train", multirun=True), *varying_from(vary, "train")]
    return multirun.run(typed, PACKAGED, console.progress())


def _trained(given: dict[str, Any]) -> RunResult:
    from discerna import launch

    settings = _settings("train", given)
    if settings.plan:
        raise SettingsError("a plan is no training", where="plan=True", remedy="call discerna.plan(...)")
    try:
        return launch.train(settings, console.progress())
    except Preempted as stopped:
        console.LOG.info("stopped by %s; a checkpoint was written", stopped)
        if stopped.signal == "SIGINT":
            raise KeyboardInterrupt from None
        raise SystemExit(console.TERMINATED) from None


def split(*, data: PathLike, output: PathLike, **settings: Any) -> SplitResult:
    """Divide labelled pictures into parts: `fractions=[0.8, 0.1, 0.1]`."""
    composed = _settings("split", {"data": data, "output": output, **settings})
    from discerna.commands import split as command

    return command.run(composed, console.progress())


def check(
    *,
    train_data: PathLike | None = None,
    valid_data: PathLike | None = None,
    data: PathLike | None = None,
    **settings: Any,
) -> CheckResult:
    """Say whether pictures are fit to train on; what is wrong with them is in the result, not raised."""
    given = {"train_data": train_data, "valid_data": valid_data, "data": data}
    composed = _settings("check", {**{k: v for k, v in given.items() if v is not None}, **settings})
    from discerna.commands import check as command

    return command.run(composed, console.progress())


def create(
    network: str | None = None,
    output: PathLike | None = None,
    *,
    from_: PathLike | None = None,
    **settings: Any,
) -> CreateResult:
    """Make an untrained model directory of a network, or convert one `from_` the Azure ML designer."""
    given = {"network": network, "output": output, "from_": from_}
    composed = _settings("create", {**{k: v for k, v in given.items() if v is not None}, **settings})
    from discerna.commands import create as command

    return command.run(composed, console.progress())


def convert(*, input: PathLike, output: PathLike, **settings: Any) -> ConvertResult:
    """Make a labelled directory of an archive, or of a directory of another layout."""
    composed = _settings("convert", {"input": input, "output": output, **settings})
    from discerna.commands import convert as command

    return command.run(composed, console.progress())


def score(
    *, model: PathLike, data: PathLike | list[PathLike], output: PathLike, **settings: Any
) -> ScoreResult:
    """Score pictures into a file; for scores in memory see `load(...).predict(...)`."""
    composed = _settings("score", {"model": model, "data": data, "output": output, **settings})
    from discerna.commands import score as command

    return command.run(composed, console.progress())


def evaluate(*, model: PathLike, data: PathLike, **settings: Any) -> EvaluateResult:
    """Measure a trained model on labelled pictures."""
    composed = _settings("evaluate", {"model": model, "data": data, **settings})
    from discerna.commands import evaluate as command

    return command.run(composed, console.progress())


def register(*, model: PathLike, name: str, **settings: Any) -> RegisterResult:
    """Keep a trained model under a name: `alias="production"`, `better_on="data/test"`."""
    composed = _settings("register", {"model": model, "name": name, **settings})
    from discerna.commands import register as command

    return command.run(composed, console.progress())


def list_runs(
    folder: PathLike = ".", *, where: str | None = None, sort: str = "began", limit: int | None = None
) -> list[Run]:
    """The runs below a folder: `where="accuracy>0.9,optimizer=sgd"`, `sort="-accuracy"`."""
    from discerna.runs.listing import chosen
    from discerna.settings.build import absolute

    return chosen(absolute(folder), where, sort, limit)


def load(
    path: PathLike, *, device: str = "auto", views: str = "one", registry: str | None = None
) -> Predictor:
    """A trained model directory or `registry:NAME@ALIAS`, ready to predict; `views`: one, flip or crops."""
    from discerna.directories.model_dir import ModelDirectory
    from discerna.registry.resolution import is_reference, resolved
    from discerna.results.predictor import Predictor
    from discerna.settings.build import absolute

    text = os.fspath(path)
    place = resolved(text, registry) if is_reference(text) else absolute(path)
    return Predictor.of(ModelDirectory.open(place), device=device, views=views)


def _settings(verb: str, given: dict[str, Any]) -> Any:
    from discerna.composition import compose
    from discerna.overrides import overrides_from

    console.configure()
    return compose(verb, overrides_from(given, verb))
