"""The table of verbs: what each does in a line, and the settings it takes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from discerna.settings.check import CheckSettings
from discerna.settings.convert import ConvertSettings
from discerna.settings.create import CreateSettings
from discerna.settings.demo import DemoSettings
from discerna.settings.env import EnvSettings
from discerna.settings.registry import (
    RegisterSettings,
    RegistryDeleteSettings,
    RegistryDiffSettings,
    RegistryDownloadSettings,
    RegistryListSettings,
    RegistryPromoteSettings,
    RegistryShowSettings,
)
from discerna.settings.runs import (
    RunsBestSettings,
    RunsCompareSettings,
    RunsDownloadSettings,
    RunsFilesSettings,
    RunsListSettings,
    RunsLogsSettings,
    RunsShowSettings,
)
from discerna.settings.score import EvaluateSettings, ScoreSettings
from discerna.settings.split import SplitSettings
from discerna.settings.train import TrainSettings


@dataclass(frozen=True)
class Verb:
    """One command of `discerna`."""

    name: str
    """One word, or two: `runs list`."""
    summary: str
    settings: type[Any]
    example: str
    positional: str = ""
    """The setting that a word without NAME= is the value of."""

    @property
    def module(self) -> str:
        """The name of its file in commands/ and in conf/."""
        return self.name.replace(" ", "_")


VERBS = {
    verb.name: verb
    for verb in (
        Verb(
            "create",
            "make an untrained model directory, or convert one of the Azure ML designer",
            CreateSettings,
            "network=resnet18 output=models/resnet18",
        ),
        Verb(
            "split",
            "divide labelled pictures into parts to train, validate and test on",
            SplitSettings,
            "data=pictures output=data fractions=[0.8,0.1,0.1]",
        ),
        Verb(
            "check",
            "say whether pictures are fit to train on, and what is wrong with them",
            CheckSettings,
            "train_data=data/train valid_data=data/valid",
        ),
        Verb(
            "train",
            "train a model on labelled pictures",
            TrainSettings,
            "model=models/resnet18 train_data=data/train valid_data=data/valid output=models/flowers",
        ),
        Verb(
            "score",
            "score pictures with a trained model",
            ScoreSettings,
            "model=models/flowers data=data/new",
        ),
        Verb(
            "evaluate",
            "measure a trained model on labelled pictures",
            EvaluateSettings,
            "model=models/flowers data=data/test output=evaluation",
        ),
        Verb(
            "convert",
            "make a labelled directory from an archive or another layout",
            ConvertSettings,
            "input=flowers.zip output=data/flowers",
        ),
        Verb(
            "register",
            "keep a trained model under a name, as its next version",
            RegisterSettings,
            "model=models/flowers name=flowers alias=production",
            "model",
        ),
        Verb("registry list", "the models, or the versions of one", RegistryListSettings, "flowers", "name"),
        Verb("registry show", "all about a version", RegistryShowSettings, "flowers@production", "model"),
        Verb(
            "registry diff",
            "in what two versions differ",
            RegistryDiffSettings,
            "flowers:2 flowers:3",
            "models",
        ),
        Verb(
            "registry promote",
            "let an alias point at a version",
            RegistryPromoteSettings,
            "flowers:3 alias=production better_on=data/test",
            "model",
        ),
        Verb(
            "registry download",
            "copy a version to a model directory",
            RegistryDownloadSettings,
            "flowers:3 output=models/flowers-3",
            "model",
        ),
        Verb(
            "registry delete", "remove a version, or an alias", RegistryDeleteSettings, "flowers:2", "model"
        ),
        Verb(
            "runs list", "the trainings below a folder", RunsListSettings, "models sort=-accuracy", "folder"
        ),
        Verb("runs show", "all about one", RunsShowSettings, "models/flowers", "run"),
        Verb(
            "runs logs",
            "what one has told, or tells now",
            RunsLogsSettings,
            "models/flowers follow=true",
            "run",
        ),
        Verb("runs files", "what one has left", RunsFilesSettings, "models/flowers", "run"),
        Verb(
            "runs download",
            "copy that, all or some of it",
            RunsDownloadSettings,
            "models/flowers output=copy files=[metrics.csv,model]",
            "run",
        ),
        Verb(
            "runs compare", "several side by side", RunsCompareSettings, "models/flowers models/roses", "runs"
        ),
        Verb(
            "runs best", "the best one", RunsBestSettings, "models where=epochs>=5 metric=accuracy", "folder"
        ),
        Verb("env", "describe this machine and what is installed", EnvSettings, ""),
        Verb("demo", "write a small labelled picture set to try things on", DemoSettings, "output=demo"),
    )
}

FAMILIES = {
    "runs": "trainings and what became of them",
    "registry": "models under names, with versions and aliases",
}
"""First words of commands of two words."""


def family(name: str) -> dict[str, Verb]:
    """The commands whose first word is `name`, by the second."""
    return {verb.name.partition(" ")[2]: verb for verb in VERBS.values() if verb.name.startswith(f"{name} ")}
