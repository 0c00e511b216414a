"""README and docs tell the truth: every command composes, and every one that a machine can run is run."""

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from discerna import composition, resumption
from discerna.cli import split_verb, with_positional
from discerna.overrides import Source, check_source
from discerna.settings.build import plain
from discerna.settings.verbs import VERBS
from discerna.sweeps.multirun import plan
from listed_pictures import old_image_directory
from old_model_dirs import write_old_model
from picture_sets import write_pictures

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"^```(?P<language>\w+)(?P<info>[^\n]*)\n(?P<body>.*?)^```", re.MULTILINE | re.DOTALL)


def blocks(page: Path, language: str) -> list[tuple[str, str]]:
    found = BLOCK.finditer(page.read_text("utf-8"))
    return [(match["info"].strip(), match["body"]) for match in found if match["language"] == language]


def commands(body: str) -> list[list[str]]:
    lines = body.replace("\\\n", " ").splitlines()
    split = [shlex.split(line, comments=True) for line in lines]
    return [words[1:] for words in split if words and words[0] == "discerna"]


COMMANDS = [
    (page.name, words) for page in PAGES for _, body in blocks(page, "bash") for words in commands(body)
]


@pytest.mark.parametrize(
    ("page", "words"), COMMANDS, ids=lambda value: " ".join(value)[:60] if isinstance(value, list) else value
)
def test_every_command_composes(page, words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(
        composition, "resolved", lambda model, registry: tmp_path
    )  # no model is registered here
    monkeypatch.setattr(resumption, "run_of", lambda resume: tmp_path)  # nor was anything trained
    monkeypatch.setattr(resumption, "stored_settings", lambda run: _of_any_run())
    write_own_config(tmp_path)
    verb, rest = split_verb(words)
    assert verb in VERBS
    rest = [word for word in rest if word not in ("-m", "--help")]
    if "--help" in words or "--cfg" in words:
        return
    source = Source()
    while rest and rest[0].startswith("--config"):
        flag, value, *rest = rest
        source = (
            Source(Path(value), source.config_name)
            if flag == "--config-dir"
            else Source(source.config_dir, value)
        )
    source = check_source(source, verb)
    if "-m" in words:
        found = plan(rest, source)
        assert len(found.grid) > 1 or found.space is not None
    else:
        composition.compose(verb, with_positional(verb, rest), source)


def _of_any_run() -> dict[str, object]:
    return {
        **plain(composition.compose("train", ["model=resnet18", "train_data=t", "valid_data=v", "output=m"]))
    }


def write_own_config(room: Path) -> None:
    own = room / "my_conf"
    (own / "optimizer").mkdir(parents=True, exist_ok=True)
    (own / "optimizer" / "slow.yaml").write_text("defaults: [sgd]\nmomentum: 0.1\n")
    (own / "my_train.yaml").write_text("defaults: [train, _self_]\nepochs: 9\n")
    old = room / "OldTransformation"  # of the designer
    old.mkdir(exist_ok=True)
    (old / "_transforms.json").write_text('[["Resize", 36], ["CenterCrop", 32], ["ColorJitter", {}]]')


@pytest.fixture
def room(tmp_path):
    counts = {"daisy": 10, "rose": 9, "tulip": 9}
    for part, number in (("train", 1), ("valid", 2), ("test", 3)):
        write_pictures(tmp_path / "data" / part, counts, seed=number)
    write_pictures(tmp_path / "pictures", counts, seed=5)
    write_pictures(tmp_path / "data" / "new", {".": 3}, seed=4)
    for letter, number in (("a", 0), ("b", 1), ("c", 2)):
        (tmp_path / "data" / "new" / f"{number}.png").rename(tmp_path / "data" / "new" / f"{letter}.png")
    (tmp_path / "models").mkdir()
    write_own_config(tmp_path)
    return tmp_path


def write_old_directories(room: Path) -> None:
    """What a user has from the designer: an archive, image directories, an untrained and a trained model."""
    shutil.make_archive(str(room / "flowers"), "zip", room / "pictures")
    labels = ["daisy", "rose", "tulip"]
    for name, part in (("OldImages", "train"), ("OldValidImages", "valid")):
        found = sorted((room / "data" / part).rglob("*.png"))
        places = [f"image/{labels.index(path.parent.name)}_{n}.png" for n, path in enumerate(found)]
        pairs = {place: path.parent.name for place, path in zip(places, found, strict=True)}
        old_image_directory(room / name, pairs)
        for path, place in zip(found, places, strict=True):
            Image.open(path).resize((32, 32)).save(room / name / place)  # the designer's had one size
    write_old_model(room / "OldUntrained", "resnet18", pretrained=True)
    samples = sorted((room / "OldImages" / "image").iterdir())[:3]
    write_old_model(room / "OldModel", "resnet18", pretrained=True, labels=labels, samples=samples)


RUNNABLE = [
    page for page in PAGES if any(not info for info, _ in blocks(page, "bash") + blocks(page, "python"))
]


@pytest.mark.slow
@pytest.mark.parametrize("page", RUNNABLE, ids=lambda page: page.name)
def test_every_page_runs(page, room, discerna):
    if page.name == "from-azure-designer.md":
        write_old_directories(room)
    if page.name in (
        "scoring.md",
        "model-directory.md",
        "registry.md",
    ):  # they speak of a model that README makes
        for words in commands(next(body for info, body in blocks(ROOT / "README.md", "bash") if not info))[
            :2
        ]:
            discerna(*words, "epochs=1") if words[0] == "train" else discerna(*words, "image_size=32")
    scripts = [body for info, body in blocks(page, "python") if not info]
    for body in scripts:
        if named := re.match(r"# (\w+\.py)\n", body):  # a file that the commands need
            (room / named[1]).write_text(body)
    for info, body in blocks(page, "bash"):
        if not info:
            for words in commands(body):
                discerna(*words)
    for body in scripts:
        if not re.match(r"# \w+\.py\n", body):
            done = subprocess.run([sys.executable, "-c", body], cwd=room, capture_output=True, text=True)
            assert done.returncode == 0, f"{body}\n{done.stderr}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_somewhere(page):
    for target in re.findall(r"\]\(([^)#]+)\)", page.read_text("utf-8")):
        if not target.startswith("https://"):  # other people's pages are theirs
            assert (page.parent / target).exists(), target


def test_the_readme_is_short():
    assert len((ROOT / "README.md").read_text("utf-8").splitlines()) < 120
