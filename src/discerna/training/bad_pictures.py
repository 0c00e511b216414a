"""Pictures that cannot be used: left out before a training, or met while it runs; each is told and written down."""

from __future__ import annotations

import json
import logging
import time
from pathlib import Path
from typing import Any

import torch.distributed
from lightning.pytorch import Callback, Trainer

from discerna import machine, ranks
from discerna.checks.examination import examine
from discerna.checks.findings import OF_FILES
from discerna.checks.preflight import Bad, find_bad, refuse_bad, refuse_lost_labels
from discerna.directories.image_dir import ImageDirectory
from discerna.directories.run_folder import RunFolder, write_json
from discerna.errors import InvalidDatasetError, ProcessError, UnreadablePictureError
from discerna.progress import Progress
from discerna.settings.check import Limits
from discerna.settings.train import TrainSettings
from discerna.wording import counted, shown

LOG = logging.getLogger("discerna")

BEFORE = "before training"

TOLD = 10
"""So many pictures that break are told one by one."""


class BadPictures:
    """The bad pictures of one training, which `pictures.json` in the run folder lists."""

    def __init__(self, settings: TrainSettings, folder: RunFolder) -> None:
        self._settings = settings
        self._folder = folder
        self._broken: dict[str, dict[int, UnreadablePictureError]] = {"train_data": {}, "valid_data": {}}
        self._used: dict[str, ImageDirectory] = {}

    def leave_out(
        self, train: ImageDirectory, valid: ImageDirectory, progress: Progress
    ) -> tuple[ImageDirectory, ImageDirectory]:
        """Both directories without the pictures that are known to be bad; every process leaves out the same."""
        directories = {"train_data": train, "valid_data": valid}
        # A process that trains alone is the first, whatever a cluster calls it.
        if machine.processes(self._settings.trainer).value == 1 or ranks.is_first_process():
            bad = self._find(directories, progress)
            report = {where: _report(directory, bad[where]) for where, directory in directories.items()}
            write_json(self._folder.pictures, report)
        else:
            report = self._await_report()
        for where, directory in directories.items():
            skipped = {one["file"] for one in report[where]["skipped"]}
            positions = {i for i in range(len(directory)) if skipped and directory.name(i) in skipped}
            self._used[where] = directory.without(positions) if positions else directory
            refuse_lost_labels(directory, self._used[where], where)
        self._remember()
        return self._used["train_data"], self._used["valid_data"]

    def _remember(self) -> None:
        """Pictures that broke before a restart count on."""
        lines = [json.loads(text) for part in self._folder.all_broken() for text in _whole_lines(part)]
        for where, directory in self._used.items() if lines else ():
            told = {line["file"]: line for line in lines if line["where"] == where}
            for i in range(len(directory)) if told else ():
                if (line := told.get(directory.name(i))) is not None:
                    self._broken[where][i] = UnreadablePictureError(
                        line["reason"], where=line["file"], accepted=line["detail"]
                    )

    def _find(self, directories: dict[str, ImageDirectory], progress: Progress) -> dict[str, Bad]:
        how = self._settings.check
        if how == "full":
            found = self._examine(directories, progress)
        else:
            found = {
                where: find_bad(directory, how, progress, f"checking {where}")
                for where, directory in directories.items()
            }
        for where, bad in found.items():
            self._refuse(bad, directories[where], where)
            if bad:
                self._tell(bad, directories[where], where, "left out")
        return found

    def _examine(self, directories: dict[str, ImageDirectory], progress: Progress) -> dict[str, Bad]:
        """All that `discerna check` does; what no training can mend stops it here."""
        verdict, surveys = examine(directories, Limits(), progress)
        write_json(self._folder.check, verdict.as_json())
        LOG.info("%s", verdict.table())
        faults = [f for f in verdict.findings if f.severity == "error" and f.code not in OF_FILES]
        if faults:
            told = "; ".join(f"{f.code}: {f.count} {f.text()}" for f in faults)
            raise InvalidDatasetError(
                "the pictures did not pass the check",
                where=", ".join(dict.fromkeys(f.where for f in faults)),
                accepted=told,
                remedy=f"mend what {self._folder.check.name} lists, or train with check=quick",
            )
        return {where: survey.bad for where, survey in surveys.items()}

    def broke(self, where: str, i: int, error: UnreadablePictureError, epoch: int) -> None:
        """Picture `i` could not be read in an epoch; its step goes on without it."""
        if self._settings.loading.on_bad == "error":
            self._refuse({i: error}, self._used[where], where)
        if i in self._broken[where]:
            return
        self._broken[where][i] = error
        directory = self._used[where]
        line = {"where": where, **_told(directory, i, error, f"epoch {epoch + 1}")}
        try:
            with self._folder.broken(ranks.rank()).open("a", encoding="ascii") as file:
                file.write(json.dumps(line) + "\n")
        except OSError as error_of_disk:  # no reason to lose the training
            LOG.warning("%s: not listed: %s", self._folder.pictures, error_of_disk.strerror)
        if len(self._broken[where]) <= TOLD:
            self._tell(
                {i: error}, directory, where, f"broke in epoch {epoch + 1}; the step went on without it"
            )
        elif len(self._broken[where]) == TOLD + 1:
            LOG.warning("%s: more bad pictures are only listed, in %s", where, self._folder.pictures)

    def refuse_many(self, processes: int) -> None:
        """Raise where more pictures broke than are allowed; asked when an epoch has ended, not in its midst.

        All processes ask, and count what broke in any of them, so that all decide alike.
        """
        everywhere = [self._broken]
        if processes > 1:
            everywhere = [{}] * processes
            torch.distributed.all_gather_object(everywhere, self._broken)
        for where, directory in self._used.items():
            broken = {i: error for found in everywhere for i, error in found[where].items()}
            if broken:
                self._refuse(broken, directory, where, " any more")

    def finish(self) -> None:
        """Write those that broke into `pictures.json`, once all processes have ended their last epoch."""
        try:
            parts = self._folder.all_broken()
            if parts:
                self._add(parts)
        except OSError as error:  # the model stands already
            LOG.warning("%s: not complete: %s", self._folder.pictures, error.strerror)

    def _add(self, parts: list[Path]) -> None:
        report = json.loads(self._folder.pictures.read_text("utf-8"))
        known = {where: {one["file"] for one in side["skipped"]} for where, side in report.items()}
        for line in (json.loads(text) for part in parts for text in _whole_lines(part)):
            where = line.pop("where")
            if line["file"] not in known[where]:
                known[where].add(line["file"])
                report[where]["skipped"].append(line)
                report[where]["used"] -= 1
        write_json(self._folder.pictures, report)
        for part in parts:
            part.unlink()

    def _refuse(self, bad: Bad, directory: ImageDirectory, where: str, found: str = "") -> None:
        loading = self._settings.loading
        refuse_bad(bad, directory, where, skip=loading.on_bad == "skip", limit=loading.max_bad, found=found)

    def _tell(self, bad: Bad, directory: ImageDirectory, where: str, what: str) -> None:
        first = ", ".join(f"{shown(directory.name(i))} ({e.reason})" for i, e in sorted(bad.items())[:5])
        more = f", … {len(bad) - 5} more" if len(bad) > 5 else ""
        LOG.warning("%s: %s %s: %s%s", where, counted(len(bad), "bad picture"), what, first, more)

    def _await_report(self) -> Any:
        """What the first process has found."""
        while not self._folder.pictures.exists():
            if self._folder.error.exists():
                raise ProcessError("another process of the training failed")
            time.sleep(0.05)
        return json.loads(self._folder.pictures.read_text("utf-8"))


def _whole_lines(part: Path) -> list[str]:
    """The lines of a file to which a process that was killed may have added half of one."""
    return [line for line in part.read_text("ascii").splitlines(keepends=True) if line.endswith("\n")]


class BadPictureWatch(Callback):
    """Ends a training, between two epochs, in which too many pictures broke."""

    def __init__(self, bad: BadPictures) -> None:
        self._bad = bad

    def on_train_epoch_end(self, trainer: Trainer, pl_module: Any) -> None:
        """Called after the validation."""
        self._bad.refuse_many(trainer.world_size)


def _report(directory: ImageDirectory, bad: Bad) -> dict[str, Any]:
    """What pictures.json says of a directory: used and skipped are all that was found."""
    used = directory.without(set(bad)) if bad else directory
    return {
        "fingerprint": used.fingerprint(),
        "found": len(directory),
        "used": len(directory) - len(bad),
        "skipped": [_told(directory, i, error, BEFORE) for i, error in sorted(bad.items())],
        "not_pictures": [{"file": shown(name), "reason": reason} for name, reason in directory.others],
        "hidden": directory.ignored,
    }


def _told(directory: ImageDirectory, i: int, error: UnreadablePictureError, when: str) -> dict[str, str]:
    return {"file": directory.name(i), "reason": error.reason, "detail": error.detail, "when": when}
