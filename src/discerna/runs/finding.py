"""Which run folders there are below a folder, and which of them a person means."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from discerna.directories.picture_files import PICTURE_EXTENSIONS
from discerna.errors import RunNotFoundError
from discerna.runs.run import COPY, SUFFIX, Run
from discerna.settings.build import nearest
from discerna.wording import as_typed, listed, shown

DEPTH = 5
"""So many folders deep runs are looked for."""

PICTURES = 1000
"""A folder with more pictures than that holds no runs: it is not read to its end."""


_PASSED_OVER = ("/node_modules", "/site-packages", "/mlartifacts", "/mlruns")
"""Installed packages, and what MLflow keeps: the files of runs that stand elsewhere."""


def find_runs(folder: Path) -> list[Run]:
    """The runs in `folder` and below, by their paths; a download counts only where its original is not among them."""
    found = sorted((Run(path) for path in _run_folders(folder)), key=lambda run: run.path)
    copies = {run for run in found if (run.path / COPY).is_file()}
    if not copies:
        return found
    originals = {run.identity for run in found if run not in copies}
    return [run for run in found if run not in copies or run.identity not in originals]


def _run_folders(root: Path) -> Iterator[Path]:
    if Run(root).folder.is_run():
        yield root
        return
    pending = [(root, 0)]
    while pending:
        folder, depth = pending.pop()
        for path in map(Path, _folders_in(str(folder))):
            if Run(path).folder.is_run():
                yield path
            elif depth < DEPTH:
                pending.append((path, depth + 1))


def _folders_in(folder: str) -> list[str]:
    """The folders in a folder that may be or hold runs: no links, nothing hidden, no installed packages."""
    found, pictures = [], 0
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.name.startswith("."):
                    continue
                if entry.is_dir(follow_symlinks=False):
                    found.append(entry.path)
                elif entry.name == "pyvenv.cfg":  # a virtual environment
                    return []
                elif os.path.splitext(entry.name)[1].lower() in PICTURE_EXTENSIONS:  # noqa: PTH122
                    pictures += 1
                    if pictures > PICTURES:
                        break
    except OSError:
        return []
    return [path for path in found if not path.endswith(_PASSED_OVER)]


def the_run(given: Path, folder: Path) -> Run:
    """The run that `given` names: its folder, its model directory, or a name that only one run in `folder` has."""
    if not given.name:  # the root
        raise RunNotFoundError("no such run", where=f"run={given}", remedy="see discerna runs list")
    for path in (given, given.with_name(f"{given.name}{SUFFIX}")):
        if Run(path).folder.is_run():
            return Run(path)
    if given.name == "model" and Run(given.parent).folder.is_run():
        return Run(given.parent)
    runs = find_runs(folder)
    bears = [run for run in runs if given.parent == Path.cwd() and given.name in (run.name, run.path.name)]
    if len(bears) == 1:
        return bears[0]
    if bears:
        raise RunNotFoundError(
            "several runs have this name",
            where=f"run={shown(given.name)}",
            accepted=listed([as_typed(run.path) for run in bears], limit=5),
            remedy="give the path of one",
        )
    names = {as_typed(run.path): run for run in runs}
    near = nearest(as_typed(given), [*names, *{run.name for run in runs}])
    raise RunNotFoundError(
        "no such run",
        where=f"run={shown(as_typed(given))}",
        accepted=f"{len(runs)} in {shown(as_typed(folder) if folder != Path.cwd() else '.')}",
        remedy=near or "see discerna runs list",
    )
