"""The command line of a sweep: what it makes, and what it refuses before anything is written."""

import re
import shutil

import pytest

from discerna.composition import compose
from discerna.errors import DiscernaError, InvalidDatasetError, OutputError, SettingsError
from discerna.overrides import PACKAGED, overrides_from, varying_from
from discerna.progress import SILENT
from discerna.sweeps.expansion import expand
from discerna.sweeps.inputs import Inputs
from discerna.sweeps.job import key_of_job
from discerna.sweeps.multirun import plan, run
from picture_sets import write_pictures

BASE = ["model=tiny", "train_data=a", "valid_data=b"]


def jobs(*overrides):
    return [dict(point.varying) for point, _ in plan([*BASE, *overrides], PACKAGED).grid.values()]


def test_combinations():
    assert jobs("learning_rate=0.1,0.2", "optimizer=sgd,adamw") == [
        {"learning_rate": "0.1", "optimizer": "sgd"},
        {"learning_rate": "0.1", "optimizer": "adamw"},
        {"learning_rate": "0.2", "optimizer": "sgd"},
        {"learning_rate": "0.2", "optimizer": "adamw"},
    ]
    assert jobs("epochs=range(1,4)") == [{"epochs": "1"}, {"epochs": "2"}, {"epochs": "3"}]
    assert [job["scheduler"] for job in jobs("scheduler=glob(co*)")] == ["constant", "cosine"]
    assert jobs("random_seed=choice(1,2)") == [{"random_seed": "1"}, {"random_seed": "2"}]
    assert expand(["a=1"], {}) == [{"a": "1"}]


def test_paths_with_commas_are_jobs_unless_quoted():
    assert jobs("train_data=x y,'b,c'") == [{"train_data": "x y"}, {"train_data": "b,c"}]


def test_all_jobs_are_checked_before_the_first_starts(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for wrong in ("epochs=2,0", "optimizer=sgd,adm", "epochz=1,2", "scheduler=glob(x*)", "output=a,b"):
        with pytest.raises(SettingsError):
            plan([*BASE, wrong], PACKAGED)
    assert list(tmp_path.iterdir()) == []


def test_an_existing_sweep_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "s.sweep").mkdir()
    (tmp_path / "s.sweep" / "mine.txt").write_text("x")
    with pytest.raises(OutputError):
        plan([*BASE, "output=s", "epochs=1,2", "overwrite=true"], PACKAGED)
    assert (tmp_path / "s.sweep" / "mine.txt").exists()


def test_a_note_in_the_folder_of_a_sweep_keeps_nobody_from_going_on(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "s.sweep").mkdir()
    (tmp_path / "s.sweep" / "ledger.json").write_text('{"jobs": []}')
    note = tmp_path / "s.sweep" / "note.txt"
    note.write_text("x")
    command = [*BASE, "output=s", "epochs=1,2"]
    assert len(plan(command, PACKAGED).grid) == 2
    with pytest.raises(OutputError, match=r"holds what is not of the sweep: .*note.txt lies there"):
        plan([*command, "overwrite=true"], PACKAGED)
    assert note.exists()


@pytest.fixture
def begun(tmp_path, monkeypatch, pictures):
    """Run a command in a folder where s.sweep has been begun."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(pictures / "train", tmp_path / "s.sweep" / "0")
    (tmp_path / "s.sweep" / "ledger.json").write_text('{"jobs": []}')

    def command(*typed):
        data = [f"train_data={pictures / 'train'}", f"valid_data={pictures / 'valid'}"]
        return run(["model=tiny", "output=s", *data, *typed], PACKAGED, SILENT)

    return command


def test_overwriting_never_removes_what_a_job_learns_from(begun, tmp_path, pictures):
    with pytest.raises(OutputError, match=r"an input lies in the sweep's folder: .*s.sweep/0; overwrite"):
        begun(f"train_data={pictures / 'train'},s.sweep/0", "overwrite=true")
    assert (tmp_path / "s.sweep" / "0" / "red").is_dir()


def test_no_job_may_learn_from_where_the_output_goes(begun, tmp_path, pictures):
    shutil.copytree(pictures / "train", tmp_path / "more")
    with pytest.raises(OutputError, match="the output lies in an input directory"):
        begun(f"train_data={pictures / 'train'},more", "output=more/s")
    assert not (tmp_path / "more" / "s.sweep").exists()


def test_an_output_of_somebody_elses_is_moved_away_rather_than_overwritten(begun, tmp_path):
    (tmp_path / "s").mkdir()
    with pytest.raises(OutputError, match="move it away, and the same command goes on"):
        begun("epochs=1,2")


@pytest.mark.parametrize(
    "jobs",
    ["{", "[]", '{"jobs": [3]}', '{"jobs": [{"number": "x", "key": "k"}]}', '{"jobs": [{"number": 0}]}'],
)
def test_a_list_of_jobs_that_is_damaged(begun, tmp_path, jobs):
    (tmp_path / "s.sweep" / "ledger.json").write_text(jobs)
    with pytest.raises(OutputError, match="the list of a sweep's jobs cannot be read"):
        begun("epochs=1,2")


def test_a_value_that_is_typed_in_two_ways_is_one_job():
    assert len(plan([*BASE, "learning_rate=0.01,1e-2,0.010", "train_data=a,./a,a/"], PACKAGED).grid) == 1


def test_what_is_wrong_for_all_jobs_is_told_before_anything_is_replaced(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    old = tmp_path / "s.sweep" / "0"
    old.mkdir(parents=True)
    with pytest.raises(InvalidDatasetError, match="train_data"):
        run([*BASE, "output=s", "epochs=1,2", "overwrite=true"], PACKAGED, SILENT)
    assert old.exists()


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        (["monitor=valid_loss,valid_accuracy"], "jobs are compared by one monitor"),
        (["sweep.parallel=1,2"], "a setting that all jobs of a sweep share: sweep.parallel=1,2"),
        (["early_termination=none,asha"], "a setting that all jobs of a sweep share"),
        (["overwrite=true,false"], "a setting that all jobs of a sweep share"),
        (["output=a,b"], "the output cannot vary"),
        (["launch.start=false", "epochs=1,2"], "a sweep starts its jobs itself"),
        (["space=module"], "a search space needs a search"),
        (["sweep=optuna"], "nothing varies: sweep=optuna"),
        (["sweep=optuna", "batch_size=0,8"], "batch_size=0"),
        (["learning_rate=interval(0.1,0.2)"], "add sweep=optuna"),
        (["learning_rate=interval(0,1)"], "add sweep=optuna"),
        (["sweep.repeats=3", "sweep.max_jobs=2"], "not one combination could be trained"),
        (["early_termination=asha", "logger=none", "epochs=1,2"], "jobs could not be compared"),
        (["hydra/sweeper=optuna", "epochs=1,2"], "use sweep=optuna or sweep=grid"),
        (["hydra.sweep.dir=x", "epochs=1,2"], "a setting without effect here"),
    ],
)
def test_what_a_sweep_refuses(tmp_path, monkeypatch, typed, told):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SettingsError, match=re.escape(told)):
        plan([*BASE, *typed], PACKAGED)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "typed",
    [
        "logger.tracking_uri=http://me:hunter2@host,http://me:hunter3@host",
        "logger.own.mine.api_key=hunter2,hunter3",
        "logger.own.mine={password:hunter2},{password:hunter3}",
    ],
)
def test_a_secret_does_not_vary(typed):
    with pytest.raises(SettingsError, match="a secret cannot vary in a sweep: logger") as refused:
        plan([*BASE, "logger=mlflow", typed], PACKAGED)
    assert "hunter" not in str(refused.value)


@pytest.mark.parametrize(
    "typed", ["sweep=optuna", "sweep.parallel=2", "space=module", "early_termination=asha"]
)
def test_settings_of_sweeps_need_a_sweep(typed):
    with pytest.raises(SettingsError, match="add -m for a sweep"):
        compose("train", [*BASE, typed])


def test_resume_auto_changes_nothing_and_a_run_is_refused(tmp_path):
    assert plan([*BASE, "resume=auto", "epochs=1,2"], PACKAGED).first.resume is None
    (tmp_path / "a.run").mkdir()
    with pytest.raises(DiscernaError, match="no run to go on with"):
        plan([*BASE, f"resume={tmp_path / 'a.run'}", "epochs=1,2"], PACKAGED)


def test_a_budget_of_jobs_leaves_out_the_last_combinations():
    found = plan([*BASE, "epochs=1,2,3,4,5", "sweep.repeats=2", "sweep.max_jobs=7"], PACKAGED)
    assert [point.varying["epochs"] for point, _ in found.grid.values()] == ["1", "2", "3"]
    assert found.left_out == 2
    many = plan([*BASE, "epochs=range(1,20000)", "sweep.max_jobs=2"], PACKAGED)
    assert len(many.grid) == 2 and many.left_out == 19997


def test_of_a_setting_that_is_typed_twice_the_last_counts():
    assert jobs("epochs=1,2", "epochs=3") == [{}]


def test_keys_of_mappings_vary_too():
    assert jobs("arguments.memory_efficient=true,false") == [
        {"arguments.memory_efficient": "true"},
        {"arguments.memory_efficient": "false"},
    ]


def key(settings, varying=(), data=("d",), repeat=0):
    return key_of_job(settings, varying, data, repeat)


def test_what_makes_another_job():
    def settings(*typed):
        return compose("train", [*BASE, *typed])

    same = key(settings())
    free = (
        "loading.workers=3",
        "trainer.devices=2",
        "output=elsewhere",
        "experiment_name=x",
        "checkpoint.keep=9",
    )
    for typed in free:
        assert key(settings(typed)) == same, typed
    for typed in (
        "epochs=9",
        "learning_rate=0.5",
        "optimizer=sgd",
        "max_minutes=3",
        "on_nan=rollback",
        "patience=2",
    ):
        assert key(settings(typed)) != same, typed
    assert key(settings(), data=("e",)) != same
    assert key(settings(), repeat=1) != same
    # What is free makes other jobs where the sweep varies it.
    assert len({key(settings(f"trainer.devices={n}"), ["trainer.devices"]) for n in (1, 2)}) == 2
    assert len({key(settings(f"checkpoint.keep={n}"), ["checkpoint"]) for n in (1, 2)}) == 2
    # The data stand for themselves, so that a sweep over more of them knows its first job again.
    assert key(settings(), ["model", "train_data"]) == same


def test_from_python_lists_vary_and_paths_are_meant_literally():
    given = {"model": "tiny", "train_data": "a,b", "valid_data": "v (1)", "trainer": {"devices": 2}}
    vary = {"learning_rate": [0.1, 0.01], "optimizer": ["sgd", "adamw"], "label_weights": ["none"],
            "transforms": [None], "arguments.odd": ["1", 1], "epochs": "range(1,3)"}  # fmt: skip
    typed = [*overrides_from(given, "train", multirun=True), *varying_from(vary, "train")]
    found = plan(typed, PACKAGED)
    assert len(found.grid) == 16
    _, settings = found.grid[0]
    assert settings.train_data.name == "a,b" and settings.valid_data.name == "v (1)"
    assert settings.trainer.devices == 2 and settings.learning_rate == 0.1 and settings.transforms is None
    assert {settings.arguments["odd"] for _, settings in found.grid.values()} == {"1", 1}
    for wrong in (0.1, [], {"a": 1}):
        with pytest.raises(SettingsError, match="a list of values, or text"):
            varying_from({"learning_rate": wrong}, "train")


def test_other_pictures_make_other_jobs(tmp_path):
    write_pictures(tmp_path / "a", {"red": 2, "blue": 2}, seed=1)
    write_pictures(tmp_path / "b", {"red": 2, "blue": 2}, seed=1)

    def facts():
        settings = compose(
            "train", ["model=tiny", f"train_data={tmp_path / 'a'}", f"valid_data={tmp_path / 'b'}"]
        )
        return Inputs().facts(settings)

    before = facts()
    assert facts() == before
    (tmp_path / "a" / "red").rename(tmp_path / "a" / "green")
    (tmp_path / "b" / "red").rename(tmp_path / "b" / "green")
    assert facts() != before
