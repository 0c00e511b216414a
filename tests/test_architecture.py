"""Who may import whom, and what may be imported where: docs/architecture.md as a test."""

import ast
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import discerna

SOURCE = Path(discerna.__path__[0])
PLUGINS = SOURCE.parent / "hydra_plugins"
FILES = sorted([*SOURCE.rglob("*.py"), *PLUGINS.rglob("*.py")])

LIGHT = {"errors", "progress", "wording", "version", "own_process", "ranks"}
SETTINGS = LIGHT | {"settings"}
MACHINE = SETTINGS | {"machine"}
DIRECTORIES = SETTINGS | {"directories"}
ARCHIVES = DIRECTORIES | {"archives"}
CONVERSION = ARCHIVES | {"conversion"}
IMAGES = DIRECTORIES | {"images", "machine"}
CHECKS = IMAGES | {"checks"}
SPLITTING = CHECKS | {"splitting"}
NETWORKS = SETTINGS | {"directories", "images", "networks"}
RUNS = DIRECTORIES | {"runs", "resumption"}
REGISTRY = RUNS | {"registry", "tracking"}
RESULTS = IMAGES | NETWORKS | {"allocator", "memory", "metrics", "results"}
TRAINING = IMAGES | NETWORKS | {"allocator", "memory", "metrics", "training", "recipes", "checks", "slurm"}
ALLOWED = {
    "errors": set(),
    "progress": set(),
    "wording": set(),
    "version": set(),
    "own_process": set(),
    "ranks": {"errors"},
    "allocator": {"own_process"},
    "memory": set(),
    "settings": SETTINGS,
    "help_text": SETTINGS,
    "machine": MACHINE,
    "overrides": SETTINGS | {"conf"},
    "resumption": DIRECTORIES,
    "slurm": {"errors"},
    "composition": DIRECTORIES | {"overrides", "conf", "registry", "resumption"},
    "console": LIGHT,
    "directories": DIRECTORIES,
    "archives": ARCHIVES,
    "conversion": CONVERSION,
    "images": IMAGES,
    "checks": CHECKS,
    "splitting": SPLITTING,
    "networks": NETWORKS,
    "registry": REGISTRY,
    "mlflow_model": RESULTS,
    "environment": MACHINE,
    "runs": RUNS,
    "tracking": DIRECTORIES | {"tracking"},
    "metrics": SETTINGS,
    "training": TRAINING,
    "results": RESULTS,
    "recipes": IMAGES | {"recipes", "conf"},
    "commands": RESULTS | TRAINING | CONVERSION | SPLITTING | REGISTRY | {"commands", "environment"},
    "launch": DIRECTORIES | {"machine", "console", "commands", "resumption", "slurm"},
    "planning": DIRECTORIES | {"launch", "resumption", "slurm"},
    "worker": DIRECTORIES | {"machine", "console", "commands", "launch", "slurm"},
    "sweeps": DIRECTORIES
    | {"machine", "composition", "launch", "overrides", "resumption", "slurm", "sweeps", "tracking"},
    "hydra_plugins": {"errors", "sweeps"},
    "cli": SETTINGS
    | {"composition", "overrides", "console", "help_text", "launch", "planning", "sweeps", "commands"},
    "api": SETTINGS
    | {
        "composition",
        "overrides",
        "console",
        "launch",
        "planning",
        "commands",
        "directories",
        "results",
        "runs",
        "registry",
        "sweeps",
    },
    "__main__": {"cli"},
    "__init__": {"api", "errors", "version"},
}

LIGHTNING = {"lightning", "pytorch_lightning", "lightning_fabric"}
HYDRA = {"hydra", "omegaconf"}


def room(path: Path) -> str:
    if path.is_relative_to(PLUGINS):
        return PLUGINS.name
    return path.relative_to(SOURCE).parts[0].removesuffix(".py")


def imports(path: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            assert node.level == 0, f"{path}: relative import"
            names.add(node.module)
            if node.module == "discerna":
                names |= {f"discerna.{alias.name}" for alias in node.names}
    return names


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(SOURCE.parent)))
def test_imports_flow_one_way(path: Path):
    used = {name.split(".")[1] for name in imports(path) if name.startswith("discerna.")}
    used.discard("__version__")
    assert used <= ALLOWED[room(path)] | {room(path)}


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(SOURCE.parent)))
def test_banned_imports(path: Path):
    roots = {name.split(".")[0] for name in imports(path)}
    if room(path) != "training":
        assert not roots & LIGHTNING
    if room(path) not in ("composition", "overrides", "sweeps", "hydra_plugins"):
        assert not roots & HYDRA
    if room(path) != "metrics":
        assert "torchmetrics" not in roots
    if path != SOURCE / "sweeps" / "study.py":
        assert "optuna" not in roots


def test_commands_do_not_import_one_another():
    for path in (SOURCE / "commands").glob("*.py"):
        assert not [name for name in imports(path) if name.startswith("discerna.commands")], path


def test_every_room_is_described_in_the_architecture():
    text = (SOURCE.parents[1] / "docs" / "architecture.md").read_text("utf-8")
    for name in {room(path) for path in FILES} - {"__init__"}:
        assert f"`{name}`" in text or f"`{name}/`" in text or f"{name}.py" in text, name


def loaded(code: str) -> set[str]:
    script = f"import sys\n{code}\nprint(*{{name.split('.')[0] for name in sys.modules}})"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(done.stdout.splitlines()[-1].split())


def test_import_is_light():
    assert not loaded("import discerna") & {
        "torch",
        "lightning",
        "hydra",
        "omegaconf",
        "numpy",
        "PIL",
        "rich",
    }


@pytest.mark.parametrize(
    "verb",
    [
        "",
        "create ",
        "train ",
        "score ",
        "evaluate ",
        "check ",
        "convert ",
        "split ",
        "env ",
        "demo ",
        "runs ",
        "runs list ",
    ],
)
def test_help_is_light(verb):
    found = loaded(f"from discerna.cli import main; main({(verb + '--help').split()!r})")
    assert not found & {"torch", "lightning", "hydra", "numpy"}


def test_a_mistake_is_told_without_torch():
    found = loaded("from discerna.cli import main; assert main(['train', 'epochz=1']) == 1")
    assert not found & {"torch", "lightning"}


def test_every_package_is_in_the_wheel():
    project = tomllib.loads((SOURCE.parents[1] / "pyproject.toml").read_text("utf-8"))
    packages = {
        ".".join(path.parent.relative_to(SOURCE.parent).parts)
        for path in (*SOURCE.rglob("__init__.py"), *PLUGINS.rglob("__init__.py"))
    }
    # The namespace has no __init__.py: other packages put plugins into it too.
    assert set(project["tool"]["setuptools"]["packages"]) == packages | {"discerna.conf", "hydra_plugins"}
