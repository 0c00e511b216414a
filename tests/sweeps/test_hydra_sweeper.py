"""hydra/sweeper=discerna_optuna in an application that knows nothing of discerna."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import optuna
import pytest
import yaml

import hydra_search_app
from discerna.sweeps.space import Interval
from discerna.sweeps.study import Study

SEARCH = ["-m", "hydra/sweeper=discerna_optuna", "x=interval(-2,2)", "n=int(interval(1,5))"]


@pytest.fixture
def app(tmp_path):
    def run(*arguments, code=0, **environment):
        done = subprocess.run(
            [sys.executable, "-W", "error", hydra_search_app.__file__, *arguments, "hydra.sweep.dir=sweep"],
            cwd=tmp_path,
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert done.returncode == code, f"exit {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done

    return run


def jobs(folder):
    return [line.split(" ", 3) for line in (folder / "jobs.txt").read_text().splitlines()]


def test_a_search_with_failures(app, tmp_path):
    kinds = "kind='plain','it\\'s broken, isn\\'t it'"
    done = app(*SEARCH[:2], "+hydra.sweeper.params={x:'interval(-2,2)',n:'1,3',kind:5}", kinds,
               "hydra.sweeper.n_jobs=3", "hydra.sweeper.n_trials=8")  # fmt: skip
    found = jobs(tmp_path)
    assert [int(job[0]) for job in found] == list(range(8))
    assert {job[2] for job in found} == {"1", "3"}
    assert {job[3] for job in found} == {"plain", "it's broken, isn't it"}
    assert sum("failed: broken" in line for line in done.stdout.splitlines()) == sum(
        job[3] != "plain" for job in found
    )
    results = yaml.safe_load((tmp_path / "sweep" / "optimization_results.yaml").read_text())
    good = [
        ((float(x) - 1) ** 2 + (int(n) - 3) ** 2, float(x), int(n))
        for _, x, n, kind in found
        if kind == "plain"
    ]
    value, x, n = min(good)
    assert results == {
        "name": "optuna",
        "best_params": {"kind": "plain", "n": n, "x": x},
        "best_value": value,
    }
    assert (tmp_path / "sweep" / "7" / ".hydra" / "overrides.yaml").is_file()


def test_a_search_that_was_killed_goes_on(app, tmp_path):
    stored = [*SEARCH, "hydra.sweeper.storage=sqlite:///study.db", "hydra.sweeper.n_trials=6"]
    app(*stored, code=-signal.SIGKILL, KILL_AT="3")
    app(*stored)
    found = jobs(tmp_path)
    assert [int(job[0]) for job in found] == [*range(4), *range(3, 6)]
    assert found[3] == found[4]
    axes = {"x": Interval(-2.0, 2.0), "n": Interval(1, 5)}
    study = Study(axes, sampler="tpe", seed=1, mode="min", storage=None, name="s")
    for number, x, n, _ in found[:3] + found[4:]:
        values = study.propose().values
        assert (repr(values["x"]), str(values["n"])) == (x, n)
        study.finish(int(number), "done", (values["x"] - 1) ** 2 + (values["n"] - 3) ** 2, {})
    (name,) = optuna.get_all_study_names(f"sqlite:///{tmp_path / 'study.db'}")
    assert name.startswith("hydra_search_app-")


def test_what_makes_no_sense_is_told_in_a_line(app, tmp_path):
    done = app(*SEARCH[:2], "x=interval(2,-2)", code=1)
    assert done.stderr.startswith("not an interval: x=interval(2,-2)") and "Traceback" not in done.stderr
    assert not (tmp_path / "jobs.txt").exists()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["x=1"], "nothing to search"),
        (["x=interval(0,1)", "+y=1", "z=2"], "z"),
        (
            ["x=interval(0,1)", "hydra.sweeper.max_failure_rate=0", "kind='it\\'s broken, isn\\'t it'"],
            "broken",
        ),
        (
            ["x=interval(0,1)", "kind='it\\'s broken, isn\\'t it'", "hydra.sweeper.n_trials=2"],
            "every job failed",
        ),
    ],
)
def test_searches_that_end_badly(app, arguments, told):
    assert told in app(*SEARCH[:2], *arguments, code=1).stderr


def test_hydra_finds_it_and_loads_nothing_for_it():
    script = (
        "import sys; from hydra.core.plugins import Plugins; found = Plugins.instance();"
        "print([name for name in found.class_name_to_class if 'discerna' in name]);"
        "print(sum(t for name, t in found.get_stats().modules_import_time.items() if 'discerna' in name));"
        "print(*{name.split('.')[0] for name in sys.modules})"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", script], capture_output=True, text=True, check=True
    )
    found, seconds, loaded = done.stdout.splitlines()
    assert found == "['hydra_plugins.discerna_sweeper.optuna_sweeper.DiscernaOptunaSweeper']"
    assert float(seconds) < 0.1  # 0.004 when it was written
    assert not set(loaded.split()) & {"optuna", "torch", "discerna", "numpy", "sqlalchemy"}


def test_the_namespace_belongs_to_nobody():
    import hydra_plugins

    assert hydra_plugins.__file__ is None
    assert not [Path(p) for p in hydra_plugins.__path__ if (Path(p) / "__init__.py").exists()]
