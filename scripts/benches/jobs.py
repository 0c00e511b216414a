"""Trainings of a bench: what each is, the file of those that are done, the processes that do the others.

A worker process imports torch once and trains many jobs, one thread each: two such give more than one of two threads.
"""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

from benches.picture_sets import OnDisk
from benches.places import ROOT

Line = dict[str, Any]
"""A job that is done, as the results file keeps it."""

KEY = ("set", "fingerprint", "recipe", "settings_hash", "epochs", "seed", "network", "image_size")
"""What makes two jobs the same; the version of the code is noted, and told by the table, but starts nothing anew."""


@dataclass(frozen=True)
class Job:
    """One training."""

    set: str
    fingerprint: str
    recipe: str
    settings_hash: str
    epochs: int
    seed: int
    network: str
    """The network's name, or the model directory's with a hash of its content."""
    image_size: int | None
    model: str
    """The network's name, or the path of a model directory."""
    train_data: str
    valid_data: str
    pictures: int
    overrides: dict[str, Any]
    trainer: str

    @property
    def key(self) -> tuple[Any, ...]:
        """By this a job is found in the results."""
        return tuple(getattr(self, name) for name in KEY)

    @property
    def work(self) -> int:
        """How many pictures go through the network, about."""
        return self.pictures * self.epochs

    def settings(self, output: Path) -> dict[str, Any]:
        """The settings as `discerna.train` takes them."""
        return _given(self.overrides, self.epochs, self.trainer) | {
            "model": self.model,
            "train_data": self.train_data,
            "valid_data": self.valid_data,
            "output": output,
            "random_seed": self.seed,
            **({} if self.image_size is None else {"image_size": self.image_size}),
        }


def job(
    pictures: OnDisk,
    recipe: str,
    overrides: dict[str, Any],
    *,
    epochs: int,
    seed: int,
    model: str,
    image_size: int | None,
    trainer: str,
) -> Job:
    """The training of a recipe on a set."""
    given = _given(overrides, epochs, trainer) | ({} if image_size is None else {"image_size": image_size})
    path = Path(model).absolute()
    is_directory = (path / "manifest.json").is_file()
    return Job(
        set=pictures.name,
        fingerprint=pictures.fingerprint,
        recipe=recipe,
        settings_hash=_settings_hash(pictures, {**given, "model": model}),
        epochs=epochs,
        seed=seed,
        network=f"{path.name}#{_hash((path / 'manifest.json').read_bytes())}" if is_directory else model,
        image_size=image_size,
        model=str(path) if is_directory else model,
        train_data=str(pictures.train_data),
        valid_data=str(pictures.valid_data),
        pictures=pictures.train,
        overrides=overrides,
        trainer=trainer,
    )


def _given(overrides: dict[str, Any], epochs: int, trainer: str) -> dict[str, Any]:
    own = overrides.get("trainer", {})
    return {**overrides, "epochs": epochs, "trainer": {"name": trainer, "threads": 1, **own}}


def _settings_hash(pictures: OnDisk, given: dict[str, Any]) -> str:
    """Of all settings that the given ones lead to on the pictures, what the recipe chooses included.

    So another default or another rule means another job too. How it is trained counts, where it is trained does not.
    """
    from discerna.composition import compose
    from discerna.overrides import overrides_from
    from discerna.settings.build import plain
    from discerna.training.preparation import given_directory, resolved

    places = {"train_data": str(pictures.train_data), "valid_data": str(pictures.valid_data)}
    typed = compose("train", overrides_from({**places, **given}, "train"))
    settings = plain(resolved(typed, _opened(pictures), given_directory(typed))[0])
    for name in ("model", "train_data", "valid_data", "output", "random_seed", "loading", "logger"):
        del settings[name]
    for name in ("accelerator", "devices", "threads"):
        del settings["trainer"][name]
    return _hash(json.dumps(settings, sort_keys=True, default=str).encode())


@cache
def _opened(pictures: OnDisk) -> Any:
    from discerna.directories.image_dir import ImageDirectory
    from discerna.training.data_module import PictureData

    return PictureData(ImageDirectory.open(pictures.train_data), ImageDirectory.open(pictures.valid_data))


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:8]


def version() -> str:
    """The commit that last touched the package, and a hash of what has changed since, if anything."""
    from discerna.version import __version__

    def git(*words: str) -> str:
        command = ["git", "-C", str(ROOT), *words, "--", "src", "conf"]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    try:
        commit, changed = git("log", "-1", "--format=%h").strip(), git("diff", "HEAD")
        changed += git("ls-files", "--others", "--exclude-standard")
    except (subprocess.CalledProcessError, FileNotFoundError):  # not a git checkout
        return __version__
    return f"{__version__} {commit}" + (f" changed {_hash(changed.encode())}" if changed else "")


def read(results: Path) -> list[Line]:
    """All lines of the results file; the last may be cut short by a kill, and is then left out."""
    if not results.exists():
        return []
    lines = []
    for text in results.read_text("utf-8").splitlines():
        try:
            lines.append(json.loads(text))
        except json.JSONDecodeError:
            print(f"{results.name}: a line cannot be read and is left out: {text[:60]}", file=sys.stderr)
    return lines


def append(results: Path, line: Line) -> None:
    """Add a line, on a line of its own even after one that was cut short."""
    results.parent.mkdir(parents=True, exist_ok=True)
    with results.open("a+b") as file:
        if file.tell():
            file.seek(-1, os.SEEK_END)
            if file.read(1) != b"\n":
                file.write(b"\n")
        file.write(json.dumps(line).encode() + b"\n")


def missing(jobs: Iterable[Job], done: Iterable[Line]) -> list[Job]:
    """The jobs that are not among the done ones."""
    keys = {tuple(line.get(name) for name in KEY) for line in done}
    return [job for job in jobs if job.key not in keys]


def run(jobs: list[Job], results: Path, workers: int) -> int:
    """Train the jobs and append a line for each; how many failed."""
    began, work, failed = time.monotonic(), 0, 0
    for number, (job, line) in enumerate(_trained(jobs, workers), 1):
        work += job.work
        seconds = time.monotonic() - began
        left = (sum(each.work for each in jobs) - work) * seconds / work
        if isinstance(line, Exception):
            failed += 1
            told = f"FAILED {type(line).__name__}: {line}"
        else:
            append(results, line)
            told = (
                "diverged"
                if line["accuracy"] is None
                else f"{line['accuracy']:6.1%}  {line['seconds']:.0f} s"
            )
        print(
            f"{number}/{len(jobs)}  {job.set} {job.recipe} epochs={job.epochs} seed={job.seed}  {told}"
            f"  ({work / seconds:.0f} pictures/s, {left / 60:.0f} min left)",
            file=sys.stderr,
            flush=True,
        )
    return failed


def _trained(jobs: list[Job], workers: int) -> Iterator[tuple[Job, Line | Exception]]:
    """Each job with its line, or with what went wrong, as they end."""
    os.environ["OMP_NUM_THREADS"] = "1"  # workers inherit it, and torch reads it when it is imported
    told = version()
    with tempfile.TemporaryDirectory(prefix="discerna-bench-") as room:
        pool = ProcessPoolExecutor(
            workers, mp_context=multiprocessing.get_context("spawn"), initializer=_begin_worker
        )
        try:
            futures = {pool.submit(train, job, Path(room), told): job for job in jobs}
            for future in as_completed(futures):
                error = future.exception()
                if error is not None and not isinstance(error, Exception):
                    raise error
                yield futures[future], future.result() if error is None else error
        finally:
            for process in list((pool._processes or {}).values()):  # a training is not waited for
                process.kill()
            pool.shutdown(cancel_futures=True)


def _begin_worker() -> None:
    """Quiet, and gone when the bench is gone, however that came about."""
    import logging

    from discerna import console

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all; the bench ends its workers itself
    console.configure()
    for handler in console.LOG.handlers:
        handler.setLevel(logging.WARNING)
    parent = multiprocessing.parent_process()
    assert parent is not None

    def watch() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def train(job: Job, room: Path, version: str) -> Line:
    """Train a job, and put down what came of it; its run folder and its model are deleted."""
    import torch

    import discerna
    from discerna import launch
    from discerna.composition import compose
    from discerna.errors import DivergedError
    from discerna.overrides import overrides_from
    from discerna.progress import SILENT

    line: Line = {
        **{name: getattr(job, name) for name in KEY},
        "overrides": job.overrides,
        "pictures": job.pictures,
        "accuracy": None,
        "version": version,
        "torch": torch.__version__,
        "trainer": job.trainer,
        "when": datetime.now().isoformat(timespec="seconds"),
    }
    with tempfile.TemporaryDirectory(dir=room) as folder:
        output = Path(folder) / "model"
        try:
            result = launch.train(compose("train", overrides_from(job.settings(output), "train")), SILENT)
        except DivergedError:
            return line
        record = json.loads((output / "training.json").read_text("utf-8"))
        evaluated = discerna.evaluate(model=output, data=job.valid_data, output=None).evaluation
    return line | {
        "accuracy": result.figures["accuracy"],
        "balanced_accuracy": evaluated.macro.recall,
        "loss": result.figures["loss"],
        "best_epoch": result.best_epoch,
        "epochs_trained": result.epochs_trained,
        "seconds": round(result.seconds, 2),
        "machine": {name: choice["value"] for name, choice in record["machine"].items()},
    }
