"""What a sweep does about jobs that end, are cut or had ended before: with jobs that are only written down."""

import json
import signal

import pytest

from discerna.directories.run_folder import RunFolder, write_json
from discerna.errors import ProcessError
from discerna.overrides import PACKAGED
from discerna.progress import SILENT
from discerna.sweeps.plan import plan
from discerna.sweeps.supervision import Supervision


class WrittenJobs:
    """Jobs that are over as soon as they are started, in the state that is next in `ends`."""

    def __init__(self, ends):
        self.ends = dict(ends)
        self.started = []
        self.signals = []
        self.submitted = set()
        self._gone = {}

    def start(self, number, process):
        self.started.append(number)
        how = self.ends.get(number, "done")
        if how == "refused":
            raise ProcessError("no")
        if how != "not begun":
            write_end(process.folder, how)
        self._gone[number] = "exit code 1"

    def adopt(self, number, run):
        if number in self.submitted:
            write_end(RunFolder(run), "done")
            self._gone[number] = "COMPLETED"
        return number in self.submitted

    def ended(self):
        return dict(self._gone)

    def forget(self, number):
        del self._gone[number]

    def signal(self, number):
        self.signals.append(number)

    def close(self):
        pass


def write_end(run, how):
    value = 1.0 / (1 + int(run.path.stem))
    run.metrics.write_text(f"epoch,valid_loss\n1,{value}\n")
    if how == "done":
        output = run.path.with_suffix("")
        output.mkdir(exist_ok=True)
        (output / "manifest.json").write_text(json.dumps({"of": run.path.stem}))
        run.publishes(output)
        row = {"epoch": 1, "valid_loss": value}
        write_json(run.result, {"output": str(output), "run": str(run.path), "best_epoch": 1, "epochs_trained": 1,
                                "stopped": "all epochs trained", "figures": {"accuracy": 0.5}, "epochs": [row],
                                "seconds": 1.0})  # fmt: skip
    run.end("finished" if how == "done" else how, "as it was told")


@pytest.fixture
def sweep(pictures, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def make(jobs, *typed, parallel=1):
        typed = typed or ("learning_rate=0.1,0.2,0.3",)
        found = plan(
            ["model=tiny", f"train_data={pictures / 'train'}", f"valid_data={pictures / 'valid'}", "output=s",
             "trainer=cpu", *typed],
            PACKAGED,
        )  # fmt: skip
        found.folder.path.mkdir(exist_ok=True)
        return Supervision(found, jobs, parallel, lambda settings: settings, SILENT)

    return make


def states(result):
    return [row.standing.state for row in result.rows]


def test_what_is_done_is_known_before_anything_starts(sweep):
    first = sweep(WrittenJobs({0: "preempted", 1: "done", 2: "done"})).run()
    assert states(first) == ["preempted", "finished", "finished"]
    # A budget that is over at once: nothing starts, and what was done is compared and published all the same.
    jobs = WrittenJobs({})
    second = sweep(jobs, "learning_rate=0.1,0.2,0.3", "sweep.max_hours=0.001")
    second._deadline = 0.0
    found = second.run()
    assert jobs.started == [] and found.best.job.number == 2 and found.stopped
    assert states(found) == ["preempted", "finished", "finished"]
    assert found.failed == []
    third = WrittenJobs({})
    assert states(sweep(third).run()) == ["finished"] * 3
    assert third.started == [0]


def test_a_job_that_ends_before_it_begins_has_failed(sweep, caplog):
    found = sweep(WrittenJobs({1: "not begun", 2: "refused"})).run()
    assert states(found) == ["finished", "failed", "failed"]
    assert "it ended before it began (exit code 1)" in found.rows[1].standing.reason
    with pytest.raises(ProcessError, match=r"2 of 3 jobs failed\n  - job 1: it ended"):
        found.raise_failures()


def test_a_job_that_waits_in_a_queue_is_taken_over_and_not_submitted_again(sweep):
    sweep(WrittenJobs({0: "not begun", 1: "not begun", 2: "not begun"})).run()
    for number in range(3):
        RunFolder(sweep(WrittenJobs({}))._plan.folder.run(number).path).end("prepared", "")
    jobs = WrittenJobs({})
    jobs.submitted = {0, 2}
    found = sweep(jobs, parallel=None).run()
    assert jobs.started == [1] and states(found) == ["finished"] * 3


def test_a_failed_table_stops_nothing(sweep, monkeypatch, caplog):
    monkeypatch.setattr(
        "discerna.sweeps.summary.SweepResult.write", lambda self: (_ for _ in ()).throw(OSError(28, "full"))
    )
    assert states(sweep(WrittenJobs({})).run()) == ["finished"] * 3
    assert caplog.text.count("not written") <= 1


def test_an_error_in_its_midst_lets_jobs_write_a_checkpoint(sweep, monkeypatch):
    jobs = WrittenJobs({})
    broken = sweep(jobs)
    monkeypatch.setattr(broken, "_loop", lambda: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        broken.run()
    assert jobs.signals == [signal.SIGTERM]


def test_a_cut_job_is_no_failure_to_a_search(sweep):
    pytest.importorskip("optuna")
    typed = ("sweep=optuna", "sweep.max_jobs=3", "learning_rate=tag(log,interval(1e-4,1e-1))")
    assert states(sweep(WrittenJobs({1: "killed"}), *typed).run()) == ["finished", "killed", "finished"]
    jobs = WrittenJobs({})
    again = sweep(jobs, *typed)
    assert states(again.run()) == ["finished"] * 3 and jobs.started == [1]
    trials = again._queue._points._study._study.get_trials()
    assert [trial.value for trial in trials] == [1.0, 0.5, pytest.approx(1 / 3)]
