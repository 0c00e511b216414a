"""The registry of plain files, through the commands: versions, aliases, lineage; nothing half, nothing lost."""

import json
import multiprocessing
import os
import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import discerna
from discerna import composition
from discerna.commands import register as registering
from discerna.directories.model_dir import ModelDirectory
from discerna.errors import InvalidModelDirectoryError, OutputError, RegistryError, SettingsError
from discerna.overrides import PACKAGED
from discerna.registry.description import differences
from discerna.registry.folder_registry import FolderRegistry
from discerna.registry.lineage import lineage_of
from discerna.registry.references import Reference
from discerna.registry.resolution import resolved
from discerna.sweeps.multirun import plan
from hostile_models import edit


@pytest.fixture(scope="module")
def trained(pictures, tmp_path_factory):
    """Two models, the second better."""
    room = tmp_path_factory.mktemp("trained")
    given = {"model": "tiny", "train_data": pictures / "train", "valid_data": pictures / "valid", "batch_size": 8,
             "trainer": {"precision": "32-true"}}  # fmt: skip
    discerna.train(**given, output=room / "poor", epochs=1, learning_rate=1e-6, experiment_name="garden")
    discerna.train(**given, output=room / "good", epochs=4, learning_rate=0.02, augmentation="none")
    return room


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def versions(name="flowers"):
    return [str(v) for v in FolderRegistry(Path("registry").absolute()).versions(name)]


def test_a_model_gets_versions_and_works_by_name(trained, pictures, here):
    first = discerna.register(model=trained / "poor", name="flowers", alias="production", note="a start")
    second = discerna.register(model=trained / "good", name="flowers")
    assert (str(first.version), str(second.version)) == ("flowers:1", "flowers:2")
    assert versions() == ["flowers:1", "flowers:2"]
    picture = next((pictures / "valid").rglob("*.png"))
    by_name = {
        text: discerna.load(text).predict(picture)[0].probabilities
        for text in (
            "registry:flowers@production",
            "registry:flowers:1",
            "registry:flowers",
            "registry:flowers@latest",
        )
    }
    poor, good = (discerna.load(trained / n).predict(picture)[0].probabilities for n in ("poor", "good"))
    assert by_name["registry:flowers@production"] == by_name["registry:flowers:1"] == poor
    assert by_name["registry:flowers"] == by_name["registry:flowers@latest"] == good
    scored = discerna.score(model="registry:flowers", data=pictures / "valid", output="scores.csv")
    assert (
        scored.accuracy
        == discerna.evaluate(model="registry:flowers:2", data=pictures / "valid").evaluation.accuracy
    )


def test_where_a_model_comes_from(trained, pictures, here):
    discerna.register(model=trained / "poor", name="flowers")
    version = FolderRegistry(here / "registry").find(Reference.parse("flowers"))
    run = discerna.list_runs(trained / "poor.run")[0]
    lineage = version.lineage
    assert (here / "registry" / "flowers" / lineage.run).resolve() == run.path
    assert lineage.experiment_name == "garden" and lineage.began == run.value("began")
    assert lineage.figures == run.result["figures"]
    assert lineage.train_data["fingerprint"] == run.pictures["train_data"]["fingerprint"]
    assert lineage.settings["learning_rate"] == 1e-6 and lineage.packages["torch"]
    assert version.network == "tiny" and version.labels == 3
    # A model that training began from a registered one names it.
    tuned = discerna.train(
        model="registry:flowers", train_data=pictures / "train", valid_data=pictures / "valid", output="tuned",
        epochs=1, batch_size=8, trainer={"precision": "32-true"},
    )  # fmt: skip
    assert discerna.register(model=tuned.output, name="tuned").version.lineage.parent == "flowers:1"
    assert discerna.list_runs("tuned.run")[0].value("model") == "flowers-1"
    training = json.loads((here / "tuned" / "training.json").read_text())
    assert training["settings"]["model"] == "flowers-1" and "registry" not in training["settings"]
    # A folder that another model has taken since tells of nothing.
    shutil.copytree(trained / "good", here / "moved")
    shutil.copytree(trained / "poor.run", here / "moved.run")
    assert lineage_of(ModelDirectory.open(here / "moved"), None).run is None


def test_an_alias_moves_only_to_what_is_better(trained, pictures, here):
    better = {"alias": "production", "better_on": pictures / "valid", "metric": "loss"}
    assert discerna.register(model=trained / "poor", name="flowers", **better).promoted, (
        "the first has no rival"
    )
    moved = discerna.register(model=trained / "good", name="flowers", **better)
    assert moved.promoted and moved.contest.new < moved.contest.old
    stays = discerna.register(model=trained / "poor", name="flowers", **better)
    assert not stays.promoted and str(stays.version) == "flowers:3", "it is kept all the same"
    with pytest.raises(RegistryError, match=r"production stays where it is: flowers:3; loss .* not better"):
        stays.raise_failures()
    registry = FolderRegistry(here / "registry")
    assert str(registry.find(Reference.parse("flowers@production"))) == "flowers:2"
    told = json.loads((here / "registry" / "flowers" / "aliases.json").read_text())["production"]
    assert told["version"] == 2 and told["value"] == moved.contest.new and told["before"] == moved.contest.old
    same = discerna.register(model=trained / "good", name="flowers", **better)
    assert not same.promoted, "equal is not better"
    near = discerna.register(model=trained / "good", name="other", **better, margin=10)
    assert (
        near.promoted
        and not discerna.register(model=trained / "good", name="other", **better, margin=10).promoted
    )
    with pytest.raises(SettingsError, match="without effect: better_on"):
        discerna.register(model=trained / "good", name="flowers", better_on=pictures / "valid")


@pytest.mark.slow
def test_the_commands(discerna_here, trained, pictures, here):
    run = discerna_here
    assert run("register", str(trained / "poor"), "name=flowers", "alias=production").stdout.startswith(
        "flowers:1\n"
    )
    assert run("register", f"model={trained / 'good'}", "name=flowers", "note=more, of it").stdout.startswith(
        "flowers:2\n"
    )
    lines = run("registry", "list", "flowers").stdout.splitlines()
    assert [line.split()[:2] for line in lines[1:]] == [["flowers:1", "production"], ["flowers:2", "-"]]
    assert lines[2].endswith("more, of it")
    assert [one["name"] for one in json.loads(run("registry", "list", "format=json").stdout)] == ["flowers"]
    assert "sha256" in run("registry", "show", "flowers@production").stdout
    differ = json.loads(run("registry", "diff", "flowers:1", "flowers", "format=json").stdout)["differences"]
    assert (
        differ["setting learning_rate"] == [1e-06, 0.02] and "weights" in differ and "network" not in differ
    )
    assert "are the same model" in run("registry", "diff", "flowers:1", "flowers@production").stdout
    (model,) = json.loads(run("registry", "list", "format=json").stdout)
    assert model["aliases"] == {"production": 1} and model["versions"] == 2 and model["newest"]["number"] == 2
    told = run("registry", "list").stdout.splitlines()
    assert told[1].split()[:4] == ["flowers", "flowers:2", "2", "production:1"]
    assert "points at it" not in run("registry", "promote", "flowers:2", "alias=staging").stdout
    assert (
        "flowers@production points at flowers:2, before at flowers:1"
        in run("registry", "promote", "flowers", "alias=production").stdout
    )
    refused = run("registry", "promote", "flowers:1", "alias=production", f"better_on={pictures / 'valid'}",
                  "networks.modules=[tiny_networks]", "metric=loss", code=1)  # fmt: skip
    assert "production stays at flowers:2" in refused.stderr
    assert "an alias points at the version" in run("registry", "delete", "flowers:2", code=1).stderr
    assert "by its number" in run("registry", "delete", "flowers", code=1).stderr
    assert (
        run("registry", "delete", "flowers@production").stdout
        == "flowers@production is deleted; flowers:2 stays\n"
    )
    assert "no such alias" in run("registry", "show", "flowers@production", code=1).stderr
    assert run("registry", "delete", "flowers:1").stdout.startswith("flowers:1 is deleted")
    assert "flowers:1" not in run("registry", "list", "flowers").stdout
    assert "no such version: flowers:1 in registry" in run("registry", "show", "flowers:1", code=1).stderr
    assert run("register", str(trained / "poor"), "name=flowers").stdout.startswith("flowers:3\n"), (
        "never again 1"
    )
    run("registry", "download", "flowers:3", "output=copy")
    for path in (trained / "poor").iterdir():
        assert (here / "copy" / path.name).read_bytes() == path.read_bytes()
    assert "the output exists" in run("registry", "download", "flowers:3", "output=copy", code=1).stderr
    told = run("register", str(trained / "poor"), "name=elsewhere", "registry=another place").stdout
    assert (
        "model=registry:elsewhere:1 registry='another place' networks.modules=[tiny_networks] data=PICTURES"
        in told
    )
    assert "flowers:3" in run("registry", "show", "registry:flowers:3").stdout, "the prefix does no harm"
    inside = run(
        "registry",
        "download",
        "flowers:3",
        "output=registry/flowers/versions/2/flowers-2",
        "overwrite=true",
        code=1,
    )
    assert "input directory" in inside.stderr
    assert "elsewhere:1" in run("registry", "list", DISCERNA_REGISTRY="another place").stdout


@pytest.fixture
def discerna_here(discerna):
    def run(*words, **more):
        if words[0] == "register":
            words = (*words, "networks.modules=[tiny_networks]")
        return discerna(*words, **more)

    return run


@pytest.mark.parametrize(
    "text",
    ["../x", "latest/../..", "a/b", "a:0", "a:-1", "a:1.5", "a:latest", "a@", "a:", "", "@x", ":3", "a@b@c", "a:1@b",
     ".hidden", "a b", "a\0b", "a\nb", "a@../..", "a@v3", "a@7", "a@3.x/..", "x" * 101],
)  # fmt: skip
def test_what_is_no_name_is_refused(here, text):
    with pytest.raises(RegistryError):
        resolved(f"registry:{text}", None)
    assert list(here.iterdir()) == []


@given(st.text(max_size=40))
def test_any_text_is_a_reference_or_refused(text):
    try:
        reference = Reference.parse(text)
    except RegistryError:
        return
    assert Reference.parse(str(reference)) == reference
    assert Path("root", reference.name).resolve().parent == Path("root").resolve(), "never out of its folder"


def test_what_is_missing_is_told(trained, here):
    with pytest.raises(RegistryError, match="no such registry: registry; there is no such folder here"):
        discerna.load("registry:flowers")
    with pytest.raises(RegistryError, match="did you mean mlflow"):
        discerna.load("registry:flowers", registry="mlfow")
    discerna.register(model=trained / "poor", name="flowers", alias="production")
    with pytest.raises(
        RegistryError, match=r"no such registered model: flower in registry.*did you mean flowers"
    ):
        discerna.load("registry:flower")
    with pytest.raises(RegistryError, match=r"no such version: flowers:7 in registry; flowers has 1"):
        discerna.load("registry:flowers:7")
    with pytest.raises(
        RegistryError, match=r"no such alias: flowers@prod in registry; flowers has production, latest"
    ):
        discerna.load("registry:flowers@prod")


def test_only_trained_models_of_known_form_are_kept(trained, here):
    discerna.create("tiny", here / "untrained")
    with pytest.raises(InvalidModelDirectoryError, match="untrained"):
        discerna.register(model=here / "untrained", name="flowers")
    shutil.copytree(trained / "poor", here / "broken")
    weights = here / "broken" / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\1")
    with pytest.raises(InvalidModelDirectoryError):
        discerna.register(model=here / "broken", name="flowers")
    with pytest.raises(RegistryError, match="not a name"):
        discerna.register(model=trained / "poor", name="../flowers")
    with pytest.raises(RegistryError, match="not an alias"):
        discerna.register(model=trained / "poor", name="flowers", alias="latest")
    assert not (here / "registry").exists()


@pytest.mark.parametrize("what", ["weights", "whole", "link", "version"])
def test_a_registered_model_that_was_altered_is_refused(trained, here, what):
    discerna.register(model=trained / "poor", name="flowers")
    place = here / "registry" / "flowers" / "versions" / "1"
    model = place / "flowers-1"
    if what == "weights":
        data = (model / "weights.safetensors").read_bytes()
        (model / "weights.safetensors").write_bytes(data[:-4] + b"\0\0\1\0")
    elif what == "whole":  # a good model directory, but another
        shutil.rmtree(model)
        shutil.copytree(trained / "good", model)
    elif what == "link":
        model.rename(here / "away")
        model.symlink_to(here / "away")
    else:
        told = json.loads((place / "version.json").read_text())
        (place / "version.json").write_text(json.dumps({**told, "number": 2, "_target_": "os.system"}))
    with pytest.raises(
        (InvalidModelDirectoryError, RegistryError), match=r"altered|damaged|differs|cannot be read"
    ):
        discerna.load("registry:flowers:1")


def test_other_things_in_the_folder_do_no_harm(discerna_here, trained, here):
    discerna.register(model=trained / "poor", name="flowers", alias="production")
    root = here / "registry"
    (root / "README.md").write_text("mine")
    (root / "lost+found").mkdir()
    (root / "My Models").mkdir()
    (root / "g").write_text("a file")
    (root / "flowers" / "versions" / "007").mkdir()
    (root / "flowers" / "versions" / "notes").write_text("x")
    (root / "flowers" / "versions" / "9").write_text("x")
    assert [one.split()[0] for one in discerna_here("registry", "list").stdout.splitlines()[1:2]] == [
        "flowers"
    ]
    assert "there are flowers" in discerna_here("registry", "show", "g", code=1).stderr
    for text in ("[" * 200_000, "[1]", "{", None):
        (root / "flowers" / "aliases.json").unlink(missing_ok=True)
        if text is None:
            os.mkfifo(root / "flowers" / "aliases.json")
        else:
            (root / "flowers" / "aliases.json").write_text(text)
        with pytest.raises(RegistryError, match="the aliases cannot be read"):
            discerna.register(model=trained / "poor", name="flowers", alias="production")


def test_a_version_with_numbers_beyond_all_bounds(trained, here):
    discerna.register(model=trained / "poor", name="flowers")
    file = here / "registry" / "flowers" / "versions" / "1" / "version.json"
    told = json.loads(file.read_text())
    told["lineage"]["figures"]["accuracy"] = "HERE"
    file.write_text(json.dumps(told).replace('"HERE"', "1" + "0" * 400))
    with pytest.raises(RegistryError, match="cannot be read"):
        versions()


@pytest.mark.parametrize(
    ("file", "change"),
    [
        ("environment.json", {"git": "abc"}),
        ("status.json", {"experiment_name": 5}),
        ("result.json", {"figures": [1]}),
    ],
)
def test_what_is_registered_can_be_read_again(trained, here, file, change):
    for name in ("poor", "poor.run"):
        shutil.copytree(trained / name, here / name)
    told = json.loads((here / "poor.run" / file).read_text())
    (here / "poor.run" / file).write_text(json.dumps({**told, **change}))
    discerna.register(model="poor", name="flowers")
    assert versions() == ["flowers:1"]


def test_an_alias_that_moves_while_models_are_measured_stays(trained, pictures, here, monkeypatch):
    better = {"alias": "production", "better_on": pictures / "valid", "metric": "loss"}
    discerna.register(model=trained / "poor", name="flowers", **better)
    real = registering.contest

    def slow(*arguments):
        found = real(*arguments)
        discerna.register(model=trained / "good", name="flowers", alias="production")
        return found

    monkeypatch.setattr(registering, "contest", slow)
    with pytest.raises(RegistryError, match="production has moved while the models were measured"):
        discerna.register(model=trained / "good", name="flowers", **better)
    assert FolderRegistry(here / "registry").find(Reference.parse("flowers@production")).number == 2


def test_a_sweep_sees_one_version(trained, pictures, here, monkeypatch):
    discerna.register(model=trained / "poor", name="flowers", alias="production")
    asked = []
    real = composition.resolved
    monkeypatch.setattr(composition, "resolved", lambda *named: asked.append(named) or real(*named))
    data = [f"train_data={pictures / 'train'}", f"valid_data={pictures / 'valid'}"]
    jobs = plan(["model=registry:flowers@production", *data, "epochs=1,2,3"], PACKAGED).grid
    assert len(jobs) == 3 and len(asked) == 1


def _publish(model: str, root: str, barrier) -> str:
    opened = ModelDirectory.open(model)
    lineage = lineage_of(opened, None)
    barrier.wait()
    return str(FolderRegistry(Path(root)).publish("flowers", opened, lineage, ""))


def _publisher(model, root, barrier, queue):
    queue.put(_publish(model, root, barrier))


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")  # of Python 3.12
def test_fifty_publishers_at_once_give_fifty_versions(trained, here):
    context = multiprocessing.get_context("fork")
    barrier, queue = context.Barrier(50), context.Queue()
    root = str(here / "registry")
    all_of_them = [
        context.Process(target=_publisher, args=(str(trained / "poor"), root, barrier, queue))
        for _ in range(50)
    ]
    for one in all_of_them:
        one.start()
    made = [queue.get(timeout=120) for _ in all_of_them]
    for one in all_of_them:
        one.join()
    assert sorted(made) == sorted(f"flowers:{n}" for n in range(1, 51))
    registry = FolderRegistry(Path(root))
    assert [v.number for v in registry.versions("flowers")] == list(range(1, 51))
    for version in registry.versions("flowers"):
        registry.fetch(version)
    assert sorted(os.listdir(here / "registry" / "flowers")) == ["versions"]
    assert not [n for n in os.listdir(here / "registry" / "flowers" / "versions") if n.startswith(".")]


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")  # of Python 3.12
def test_a_publisher_that_is_killed_leaves_nothing_half(trained, here):
    """At each step on the way to the rename."""
    for fail_at in range(1, 400):
        child = os.fork()
        if child == 0:
            _die_at(fail_at)
            _publish(str(trained / "poor"), str(here / "registry"), _NoBarrier())
            os._exit(0)
        _, status = os.waitpid(child, 0)
        found = versions()
        if status == 0:
            assert found == ["flowers:1"]
            break
        assert found in ([], ["flowers:1"])
        if found:
            FolderRegistry(here / "registry").fetch(FolderRegistry(here / "registry").versions("flowers")[0])
            shutil.rmtree(here / "registry" / "flowers" / "versions" / "1")
    else:
        pytest.fail("it never came to its end")
    assert fail_at > 5


class _NoBarrier:
    def wait(self):
        pass


def _die_at(count: int) -> None:
    """End this process, without a word, at so many calls that change the disk."""
    import pathlib
    from unittest import mock

    left = [count]

    def dying(real):
        def call(*arguments, **more):
            left[0] -= 1
            if left[0] == 0:
                os._exit(9)
            return real(*arguments, **more)

        return call

    for name in ("mkdir", "rename", "replace", "fsync", "open", "utime", "chmod"):
        mock.patch.object(os, name, dying(getattr(os, name))).start()
    for name in ("mkdir", "write_text", "rename", "replace"):
        mock.patch.object(pathlib.Path, name, dying(getattr(pathlib.Path, name))).start()


def test_a_full_or_foreign_disk_is_told(trained, here, monkeypatch):
    def full(*arguments, **more):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(shutil, "copytree", full)
    with pytest.raises(OutputError, match="No space left"):
        discerna.register(model=trained / "poor", name="flowers")
    assert versions() == []
    (here / "file").write_text("x")
    with pytest.raises(OutputError):
        discerna.register(model=trained / "poor", name="flowers", registry=here / "file")


def test_a_record_of_training_that_a_stranger_wrote(trained, here):
    """It costs what it tells, neither the registration nor a comparison."""
    for number, values in enumerate(([1], "text", {"deep": [{"name": 1}]})):
        strange = shutil.copytree(trained / "good", here / f"strange-{number}")
        edit(strange, "training.json", settings=values, packages=values, data=values)
        discerna.register(model=strange, name="strange")
    registry = FolderRegistry(here / "registry")
    kept = [(version, registry.fetch(version)) for version in registry.versions("strange")]
    assert "setting deep" in differences(kept[0], kept[2])
    assert not any(key.startswith("setting") for key in differences(kept[0], kept[1]))
