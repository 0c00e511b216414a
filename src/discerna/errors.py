"""Every error that a user can meet, with its code, its cause and its remedy.

    DiscernaError
    ├── SettingsError                  D2000  a setting is unknown, mistyped, out of range or contradicts another
    ├── InvalidModelDirectoryError     D0159  model= or from= is not a model directory, or a damaged or foreign one
    ├── InvalidTransformationDirectoryError
    │                              D0158  transforms= is no transformation of the designer's, or contradicts itself
    ├── DatasetError                          (catch it for anything wrong with pictures)
    │   ├── NotLabeledDatasetError     D0024  the pictures lie in no label folders
    │   └── InvalidDatasetError        D0018  missing, empty, mismatching labels, ...
    │       └── UnreadablePictureError D0019  one picture cannot be decoded
    ├── RunNotFoundError               D2070  no run is meant by what was given, or several are
    ├── RegistryError                  D2060  a registered model is not there, or may not be changed so
    ├── OutputError                    D2010  an output exists, or cannot be written
    ├── MachineError                   D2020  the device, precision or strategy asked for is not there
    ├── MissingExtraError              D2030  an optional package is not installed
    ├── DownloadError                  D0162  pretrained weights could not be fetched
    ├── TrainingError                         (catch it for anything that goes wrong in mid-training)
    │   ├── DivergedError              D2040  the loss became NaN or infinite
    │   └── OutOfMemoryError           D0138  the device or the machine ran out of memory
    └── ProcessError                   D2050  one of several processes, or a job of a sweep, failed
        ├── ProcessKilledError         D2051  it was killed from outside, as by kill -9 or for want of memory
        └── ProcessHangError           D2052  it did not answer the others for launch.hang_timeout

The codes 0018, 0024, 0138, 0158, 0159 and 0162 are the numbers that the Azure ML designer used for the same faults.
A message reads `<what is wrong>: <where>; <what is accepted or present>; <what to do>`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar


class DiscernaError(Exception):
    """A mistake that the user can mend; never a bug of ours."""

    code: ClassVar[str] = "D2999"

    def __init__(self, problem: str, *, where: str = "", accepted: str = "", remedy: str = "") -> None:
        # All four travel in args, so that an error survives pickling between processes.
        super().__init__(problem, where, accepted, remedy)
        self.problem = problem
        self.where = where
        self.accepted = accepted
        self.remedy = remedy

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuild, (type(self), self.problem, self.where, self.accepted, self.remedy)

    def __str__(self) -> str:
        head = f"{self.problem}: {self.where}" if self.where else self.problem
        return "; ".join(part for part in (head, self.accepted, self.remedy) if part)

    def as_json(self) -> dict[str, str]:
        """What `error.json` in the run folder holds."""
        return {
            "code": self.code,
            "class": type(self).__name__,
            "message": str(self),
            "problem": self.problem,
            "where": self.where,
            "accepted": self.accepted,
            "remedy": self.remedy,
        }


def _rebuild(cls: type[DiscernaError], problem: str, where: str, accepted: str, remedy: str) -> DiscernaError:
    return cls(problem, where=where, accepted=accepted, remedy=remedy)


class SettingsError(DiscernaError):
    """A setting is unknown, has the wrong type or range, or contradicts another."""

    code = "D2000"


class InvalidModelDirectoryError(DiscernaError):
    """The directory given as model is not a model directory, or it is damaged, altered or too new."""

    code = "D0159"


class InvalidTransformationDirectoryError(DiscernaError):
    """The directory given as transforms is no image transformation of the designer's, or contradicts itself."""

    code = "D0158"


class DatasetError(DiscernaError):
    """Something is wrong with an image directory."""


class NotLabeledDatasetError(DatasetError):
    """The pictures of an image directory do not lie in label folders."""

    code = "D0024"


class InvalidDatasetError(DatasetError):
    """An image directory is missing or empty, or its labels do not match."""

    code = "D0018"


class UnreadablePictureError(InvalidDatasetError):
    """One picture cannot be decoded; `reason` is a short code such as `truncated`."""

    code = "D0019"

    @property
    def reason(self) -> str:
        """The short code, such as `empty`; `images.decode` and docs/data-layout.md name them all."""
        return self.problem

    @property
    def detail(self) -> str:
        """What the reason means for this file, and what to do about it."""
        return "; ".join(part for part in (self.accepted, self.remedy) if part)

    @property
    def cause(self) -> str:
        """All but the file's name: `truncated: image file is truncated`."""
        return f"{self.reason}: {self.detail}" if self.detail else self.reason


class RunNotFoundError(DiscernaError):
    """No run is meant by what was given, or several are."""

    code = "D2070"


class RegistryError(DiscernaError):
    """A registered model is not there, or may not be changed so."""

    code = "D2060"


class OutputError(DiscernaError):
    """An output exists already, or cannot be written."""

    code = "D2010"


class MachineError(DiscernaError):
    """The device, precision or strategy that was asked for is not available here."""

    code = "D2020"


class MissingExtraError(DiscernaError):
    """An optional package is needed and not installed."""

    code = "D2030"

    @classmethod
    def of(cls, package: str, extra: str, purpose: str) -> MissingExtraError:
        """The error for `package`, which the extra `extra` installs and `purpose` needs."""
        return cls(
            f"{purpose} needs the package {package}",
            accepted="it is not installed",
            remedy=f"pip install 'discerna[{extra}]'",
        )


class DownloadError(DiscernaError):
    """Pretrained weights could not be fetched."""

    code = "D0162"


class TrainingError(DiscernaError):
    """Training went wrong after it had begun."""


class DivergedError(TrainingError):
    """The loss became NaN or infinite; no model was written."""

    code = "D2040"


class OutOfMemoryError(TrainingError):
    """The device or the machine ran out of memory."""

    code = "D0138"


class ProcessError(DiscernaError):
    """One of several processes, or a job of a sweep, failed."""

    code = "D2050"


class ProcessKilledError(ProcessError):
    """A process was killed from outside: by kill -9, or by a system that ran out of memory."""

    code = "D2051"


class ProcessHangError(ProcessError):
    """A process did not answer the others for `launch.hang_timeout`."""

    code = "D2052"


class Terminated(BaseException):
    """SIGTERM arrived; no mistake, and like KeyboardInterrupt no ordinary `except` may swallow it."""


class Preempted(BaseException):
    """A signal ended a training between two steps, and a checkpoint tells where."""

    def __init__(self, signal: str, epoch: int, step: int) -> None:
        super().__init__(signal, epoch, step)
        self.signal = signal
        """Its name: SIGINT, SIGTERM or SIGUSR1."""
        self.epoch = epoch
        self.step = step

    def __str__(self) -> str:
        return f"{self.signal} in epoch {self.epoch}, after step {self.step}"


class Pruned(Preempted):
    """A job of a sweep has ended after an epoch, since others are better; a checkpoint tells where."""

    def __init__(self, reason: str, epoch: int, step: int) -> None:
        super().__init__("", epoch, step)
        self.args = (reason, epoch, step)
        self.reason = reason

    def __str__(self) -> str:
        return f"after epoch {self.epoch}: {self.reason}"


def combined(errors: Sequence[DiscernaError]) -> DiscernaError:
    """One error that tells several of the same class together, each on its own line."""
    first = errors[0]
    if len(errors) == 1:
        return first
    listed = "\n".join(f"  - {error}" for error in errors)
    return type(first)(f"{len(errors)} faults\n{listed}")
