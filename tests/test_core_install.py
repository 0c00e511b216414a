"""Trackers, registries and the way out of Azure cost nothing where they are not used: no package and no module."""

import re
import subprocess
import sys
import tomllib
from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path

import pytest

from picture_sets import TESTS

CORE = {
    "torch", "torchvision", "lightning", "torchmetrics", "hydra-core", "omegaconf", "numpy", "pillow",
    "safetensors", "rich",
}  # fmt: skip
"""What the core has required since 0.1.0."""

EXTRAS = {
    "mlflow", "tensorboard", "sqlalchemy", "alembic", "pandas", "pyarrow", "requests", "fastapi", "flask",
    "sklearn", "timm", "pi_heif", "optuna",
}  # fmt: skip
"""What only extras bring, as modules."""


def name_of(requirement: str) -> str:
    match = re.match(r"[\w.-]+", requirement)
    assert match
    return re.sub(r"[-_.]+", "-", match[0]).lower()


def closure(names: set[str]) -> set[str]:
    """The packages that these bring, without extras."""
    found: set[str] = set()
    pending = list(names)
    while pending:
        name = pending.pop()
        if name in found:
            continue
        found.add(name)
        try:
            needed = requires(name) or []
        except PackageNotFoundError:  # for another system
            continue
        pending += [name_of(text) for text in needed if "extra ==" not in text]
    return found


def test_the_core_has_not_grown():
    project = tomllib.loads((TESTS.parent / "pyproject.toml").read_text("utf-8"))["project"]
    asked = {name_of(text) for text in project["dependencies"]}
    assert closure(asked) == closure(CORE), "a package more for everybody needs a good reason"


def loaded(room: Path, *commands: list[str]) -> tuple[set[str], set[str]]:
    """The modules, at the top and of ours, that these commands load in one process."""
    script = f"""
import sys
from discerna.cli import main
for words in {list(commands)!r}:
    assert main(words) == 0, words
print(*sorted({{name.split(".")[0] for name in sys.modules}}))
print(*sorted({{name.split(".")[1] for name in sys.modules if name.startswith("discerna.")}}))
"""
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=room, capture_output=True, text=True, check=False,
        env={"PYTHONPATH": str(TESTS), "PATH": "/usr/bin:/bin"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    *_, top, ours = done.stdout.splitlines()
    return set(top.split()), set(ours.split())


def test_what_is_not_asked_for_is_not_loaded(pictures, tmp_path):
    own = "networks.modules=[tiny_networks]"
    data = [f"train_data={pictures / 'train'}", f"valid_data={pictures / 'valid'}"]
    top, ours = loaded(
        tmp_path,
        ["train", "model=tiny", own, *data, "output=m", "epochs=1", "batch_size=8"],
        ["register", "m", "name=flowers", "alias=production", own],
        ["score", "model=registry:flowers@production", f"data={pictures / 'valid'}", "output=s.csv", own],
        ["evaluate", "model=m", f"data={pictures / 'valid'}", own],
    )
    assert not top & EXTRAS
    assert "mlflow_model" not in ours

    top, ours = loaded(
        tmp_path,
        ["runs", "list"],
        ["runs", "show", "m"],
        ["runs", "files", "m"],
        ["runs", "best"],
        ["registry", "list"],
        ["registry", "show", "flowers"],
        ["registry", "diff", "flowers:1", "flowers@production"],
        ["registry", "download", "flowers", "output=copy"],
    )
    assert not top & (EXTRAS | {"torch", "torchvision", "lightning"}), "lists need no torch"
    assert not ours & {"training", "networks", "tracking", "results"}


@pytest.mark.parametrize(
    "words", [["--help"], ["train", "--help"], ["runs", "--help"], ["registry", "list", "--help"]]
)
def test_help_loads_no_room_that_works(tmp_path, words):
    top, ours = loaded(tmp_path, words)
    assert not top & (EXTRAS | {"torch", "lightning", "hydra", "yaml"})
    assert not ours & {"runs", "registry", "tracking", "training", "results", "networks", "composition"}
