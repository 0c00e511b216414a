"""`discerna env`: what this machine has, what is installed, and what would be chosen for a training."""

from __future__ import annotations

import json
import platform
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

from discerna import environment
from discerna import machine as machines
from discerna.machine import Machine
from discerna.progress import SILENT, Progress
from discerna.settings.env import EnvSettings
from discerna.wording import align

CORE = (
    "discerna",
    "torch",
    "torchvision",
    "lightning",
    "torchmetrics",
    "hydra-core",
    "pillow",
    "safetensors",
)
EXTRAS = {
    "demo": "scikit-learn",
    "heif": "pi-heif",
    "table": "pyarrow",
    "tensorboard": "tensorboard",
    "mlflow": "mlflow",
    "timm": "timm",
}


@dataclass(frozen=True)
class EnvResult:
    """The description."""

    format: str
    machine: dict[str, str]
    packages: dict[str, str]
    choices: Machine

    def summary(self) -> str:
        """As a table for people, or as JSON."""
        if self.format == "json":
            found = {"machine": self.machine, "packages": self.packages, "choices": self.choices.as_json()}
            return json.dumps(found, indent=2)
        chosen = [(f"  {name}", value, reason) for name, value, reason in self.choices.lines()]
        parts = [
            "machine",
            align([(f"  {name}", value) for name, value in self.machine.items()]),
            "packages",
            align([(f"  {name}", value) for name, value in self.packages.items()]),
            "chosen for a training",
            align(chosen),
        ]
        return "\n".join(parts)


def run(settings: EnvSettings, progress: Progress = SILENT) -> EnvResult:
    """Describe this machine."""
    packages = {"python": platform.python_version()}
    packages |= {name: _version(name) or "missing" for name in CORE}
    for extra, name in EXTRAS.items():
        packages[name] = _version(name) or f"not installed (pip install 'discerna[{extra}]')"
    count = machines.processes(settings.trainer)
    choices = machines.choose(settings.trainer, settings.loading, count)
    return EnvResult(settings.format, environment.describe_machine(), packages, choices)


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
