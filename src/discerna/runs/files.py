"""The files of a run, its model among them, wherever that lies."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from discerna.directories.publishing import refuse_inside
from discerna.directories.run_folder import write_json
from discerna.directories.write_aside import hidden_sibling, put, unwritable
from discerna.errors import OutputError, SettingsError
from discerna.progress import Progress
from discerna.runs.run import COPY, Run
from discerna.settings.build import nearest
from discerna.wording import align, as_typed, shown

MODEL = "model"
"""The folder of the trained model among a run's files."""

_OWN = {"run.lock", COPY}


@dataclass(frozen=True)
class RunFile:
    """One file of a run."""

    name: str
    path: Path
    size: int


def run_files(run: Run) -> list[RunFile]:
    """All of them: those of the run folder, and the model's as `model/...`."""
    found = _below(run.path, "")
    if run.output is not None and run.output.parent != run.path:
        found += _below(run.output, f"{MODEL}/")
    return sorted(found, key=lambda file: file.name)


def _below(folder: Path, prefix: str) -> list[RunFile]:
    files = []
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if not path.is_symlink() and path.is_file() and name not in _OWN and not path.name.startswith("."):
            files.append(RunFile(f"{prefix}{name}", path, path.stat().st_size))
    return files


def file_table(files: Sequence[RunFile]) -> str:
    """A line for each file: its size and its name."""
    return align([(f"{file.size:,}", shown(file.name)) for file in files], ">")


def download(
    run: Run, output: Path, wanted: Sequence[str], overwrite: bool, progress: Progress
) -> list[RunFile]:
    """Copy files of a run, all unless some are named, into the folder `output`, which appears whole."""
    files = _wanted(run_files(run), wanted)
    refuse_inside(output, [run.path, *([run.output] if run.output else [])])
    if os.path.lexists(output) and not (overwrite and (output / COPY).is_file() and not output.is_symlink()):
        raise OutputError(
            "the output exists",
            where=f"output={shown(as_typed(output))}",
            accepted="overwrite=true replaces an earlier download only",
            remedy="choose another output",
        )
    whole = hidden_sibling(output)
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        with progress.task("copying", len(files)) as advance:
            for file in files:
                place = whole / file.name
                place.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(file.path, place)
                advance(1, "")
        write_json(whole / COPY, {"run": run.name, "files": [file.name for file in files]})
        put(whole, output, overwrite)
    except OSError as error:
        raise unwritable(output, error) from None
    finally:
        shutil.rmtree(whole, ignore_errors=True)
    return files


def _wanted(files: list[RunFile], wanted: Sequence[str]) -> list[RunFile]:
    if not wanted:
        return files
    picked = []
    for name in wanted:
        some = [file for file in files if file.name == name or file.name.startswith(f"{name.rstrip('/')}/")]
        if not some:
            raise SettingsError(
                "the run has no such file",
                where=f"files=[{shown(name)}]",
                accepted=", ".join(shown(file.name) for file in files),
                remedy=nearest(name, [file.name for file in files]) or "see discerna runs files",
            )
        picked += some
    return list(dict.fromkeys(picked))
