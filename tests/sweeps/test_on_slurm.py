"""Jobs of a sweep on SLURM: its commands are stand-ins that keep each job as a file and run it as a process."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import submitit

from discerna.directories.run_folder import RunFolder
from discerna.sweeps.submitted_jobs import Submitted
from picture_sets import TESTS
from real_processes import alive, wait_for

SBATCH = """#!/bin/sh
for script in "$@"; do :; done
number=$(( $(ls {jobs} | grep -c job) + 1 ))
touch {jobs}/job$number
(
  while [ ! -e {jobs}/go ]; do
    [ -e {jobs}/cancelled$number ] && exit
    sleep 0.1
  done
  touch {jobs}/running$number
  SLURM_JOB_ID=$number SLURM_NTASKS=1 SLURM_PROCID=0 SLURM_LOCALID=0 SLURM_NODEID=0 SLURM_JOB_NUM_NODES=1 \\
    SLURM_JOB_NODELIST=here SLURM_STEP_ID=0 SLURM_STEP_NUM_TASKS=1 bash $script
  touch {jobs}/ended$number
) > {jobs}/out 2>&1 < /dev/null &
echo "Submitted batch job $number"
"""
SRUN = """#!/usr/bin/env python3
import os, sys
words = sys.argv[1:]
while words[0].startswith("-"):
    words = words[2 if words[0] in ("--output", "--error") else 1:]
os.execvp(words[0], words)
"""
SACCT = """#!/bin/sh
echo "JobID|State|NodeList"
for job in {jobs}/job*; do
  number=${{job##*/job}}
  state=PENDING
  [ -e {jobs}/running$number ] && state=RUNNING
  [ -e {jobs}/cancelled$number ] && state=CANCELLED
  [ -e {jobs}/ended$number ] && state=COMPLETED
  echo "$number|$state|here"
done
"""
SCANCEL = """#!/bin/sh
for number in "$@"; do :; done
touch {jobs}/cancelled$number
"""


@pytest.fixture
def cluster(tmp_path, monkeypatch):
    """The folder of its jobs; they wait until there is a file `go`."""
    jobs, programs = tmp_path / "cluster", tmp_path / "bin"
    jobs.mkdir()
    programs.mkdir()
    for name, text in {"sbatch": SBATCH, "srun": SRUN, "sacct": SACCT, "scancel": SCANCEL}.items():
        (programs / name).write_text(text.format(jobs=jobs) if name != "srun" else text)
        (programs / name).chmod(0o755)
    (programs / "scontrol").write_text("#!/bin/sh\necho here\n")
    (programs / "scontrol").chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    return jobs


def start(pictures, folder):
    return subprocess.Popen(
        [sys.executable, "-m", "discerna", "train", "-m", "model=tiny", "networks.modules=[tiny_networks]",
         f"train_data={pictures / 'train'}", f"valid_data={pictures / 'valid'}", "output=s", "batch_size=8", "epochs=2",
         "trainer=cpu", "learning_rate=0.01,0.02", "hydra/launcher=submitit_slurm", "hydra.launcher.partition=gpu"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(TESTS)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )  # fmt: skip


@pytest.mark.slow
def test_jobs_in_the_queue_are_taken_over_by_the_same_command(pictures, tmp_path, cluster):
    work = tmp_path / "work"
    work.mkdir()
    first = start(pictures, work)
    wait_for(cluster / "job2")
    wait_for(work / "s.sweep" / "1.run" / "submitted.json")
    first.kill()
    told = first.communicate()[1]
    assert "2 jobs, all at once" in told
    second = start(pictures, work)
    time.sleep(3)  # it looks at them while they wait
    (cluster / "go").touch()
    _out, told = second.communicate(timeout=300)
    assert second.returncode == 0, told
    assert told.count("was submitted before this sweep was started") == 2
    assert sorted(path.name for path in cluster.glob("job*")) == ["job1", "job2"]
    table = json.loads((work / "s.sweep" / "sweep.json").read_text())
    assert [job["state"] for job in table["jobs"]] == ["finished"] * 2
    script = next((work / "s.sweep" / ".submitit").glob("*_submission.sh")).read_text()
    assert "#SBATCH --partition=gpu" in script and "#SBATCH --nodes=1" in script


@pytest.mark.slow
def test_ctrl_c_calls_off_what_waits(pictures, tmp_path, cluster):
    work = tmp_path / "work"
    work.mkdir()
    process = start(pictures, work)
    wait_for(work / "s.sweep" / "1.run" / "submitted.json")
    process.send_signal(signal.SIGINT)
    wait_for(cluster / "cancelled2")
    told = process.communicate(timeout=60)[1]
    assert process.returncode == 130, told
    assert "0 jobs done; to go on: the same command" in told and "warning" not in told
    assert RunFolder(work / "s.sweep" / "0.run").status().state == "prepared"


TRAINING = """
import os, pathlib, signal, sys, time
log = pathlib.Path(sys.argv[1])
if log.exists():
    log.write_text(log.read_text() + "goes on")
    sys.exit()
def end(number, frame):
    log.write_text("checkpoint, ")
    sys.exit(143)
signal.signal(signal.SIGTERM, end)
pathlib.Path(sys.argv[1] + ".begun").touch()
time.sleep(100)
"""


@pytest.mark.slow
def test_a_job_whose_time_is_nearly_over_writes_a_checkpoint_and_goes_on_in_the_next(tmp_path):
    log = tmp_path / "log"
    executor = submitit.LocalExecutor(tmp_path / "jobs")
    executor.update_parameters(timeout_min=5)
    job = executor.submit(Submitted([sys.executable, "-c", TRAINING, str(log)], tmp_path, {}, local=True))
    wait_for(Path(f"{log}.begun"))
    tasks = subprocess.run(["pgrep", "-f", f"_submit {tmp_path}/jobs"], capture_output=True, text=True).stdout
    for task in tasks.split():  # as SLURM does
        os.kill(int(task), signal.SIGUSR2)
    wait_for(lambda: log.exists() and log.read_text() == "checkpoint, goes on", 60)
    wait_for(job.done)
    assert alive(tmp_path) == []
