"""Everything that is printed: results on the standard output; notes, progress and errors on standard error."""

from __future__ import annotations

import atexit
import gc
import logging
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, TextIO

from discerna import own_process
from discerna.errors import DiscernaError, OutputError, Preempted, Pruned, SettingsError, Terminated
from discerna.progress import SILENT, Advance, Progress
from discerna.wording import shown

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress

LOG = logging.getLogger("discerna")

DONE, FAILED, INTERRUPTED, TERMINATED = 0, 1, 130, 143


def result(text: str) -> None:
    """Print what a command found or made, on the standard output."""
    try:
        print(text, flush=True)
    except BrokenPipeError:
        raise
    except OSError as error:
        _discard(sys.stdout)
        raise OutputError(
            "the standard output cannot be written",
            where="stdout",
            accepted=str(error.strerror),
            remedy="make room",
        ) from None


def configure(level: int = logging.INFO) -> None:
    """Show the notes of `logging.getLogger("discerna")` on standard error, once."""
    if any(isinstance(handler, _Notes) for handler in LOG.handlers):
        return
    LOG.addHandler(_Notes())
    LOG.propagate = False
    if LOG.level == logging.NOTSET:  # a program that calls us may have chosen
        LOG.setLevel(level)


def log_to(path: Path) -> logging.Handler:
    """Write the notes into a file as well; close the handler with `stop_logging`."""
    handler = logging.FileHandler(path, encoding="utf-8", errors="backslashreplace")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    LOG.addHandler(handler)
    LOG.setLevel(min(LOG.level or logging.INFO, logging.INFO))
    return handler


def stop_logging(handler: logging.Handler) -> None:
    """Undo `log_to`."""
    LOG.removeHandler(handler)
    handler.close()


class _Notes(logging.Handler):
    """Notes as plain lines; a bar that is being drawn moves out of their way."""

    def emit(self, record: logging.LogRecord) -> None:
        text = "\n".join(shown(line) for line in record.getMessage().split("\n"))
        if record.levelno >= logging.WARNING:
            text = f"warning: {text}"
        _stderr(text)


_display: RichProgress | None = None
"""The bars that are being drawn."""


def _stderr(text: str) -> None:
    if _display is not None:
        _display.console.print(text, markup=False, highlight=False, soft_wrap=True)
        return
    try:
        print(text, file=sys.stderr, flush=True)
    except UnicodeEncodeError:  # a terminal with a narrow encoding
        print(text.encode("ascii", "backslashreplace").decode(), file=sys.stderr, flush=True)


class Bars:
    """Progress bars on a terminal, gone when their work is done."""

    @contextmanager
    def task(self, name: str, total: int) -> Iterator[Advance]:
        """Show a bar named `name` of `total` units while the block runs, below those that are there."""
        global _display
        outer = _display
        display = outer or _new_display()
        with nullcontext() if outer else display:
            _display = display
            task = display.add_task(name, total=total or None, note="")
            try:
                yield lambda count, note: display.update(task, advance=count, note=note)
            finally:
                display.remove_task(task)
                _display = outer


def _new_display() -> RichProgress:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as RichProgress

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}", markup=False),
    )
    return RichProgress(*columns, console=Console(stderr=True), transient=True)


def progress() -> Progress:
    """Bars where a person looks at standard error, nothing elsewhere."""
    return Bars() if sys.stderr.isatty() and os.environ.get("TERM") != "dumb" else SILENT


def guard(action: Callable[[], None], telling: bool = True) -> int:
    """Run the action; its exit code, with one clear message for a user's mistake (unless somebody else tells it)."""
    with _sigterm_raises():
        try:
            action()
        except DiscernaError as error:
            if telling:
                tell(error)
            return FAILED
        except Pruned:  # it is what was wanted
            return DONE
        except Preempted as stopped:
            if telling:
                _stderr(f"stopped by {stopped}; a checkpoint was written")
            return INTERRUPTED if stopped.signal == "SIGINT" else TERMINATED
        except KeyboardInterrupt:
            if telling:
                _stderr("interrupted")
            return INTERRUPTED
        except Terminated:
            if telling:
                _stderr("terminated")
            return TERMINATED
        except BrokenPipeError:  # the reader of our output has gone, as in `| head`
            _discard(sys.stdout)
            return FAILED
        except Exception:
            traceback.print_exc()
            _stderr(
                "error: this is a bug in discerna, not a mistake of yours; please report it with the lines above"
            )
            return FAILED
    return DONE


def _discard(stream: TextIO) -> None:
    """What is still in the stream's buffer goes nowhere, so that Python's exit does not fail on it."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def check_surroundings() -> None:
    """Refuse a working folder that is gone; stand in for streams that are closed."""
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115 - open as long as the process
    if sys.stdout is None:
        raise OutputError(
            "the standard output is closed", where="stdout", remedy="leave it open, or use > /dev/null"
        )
    try:
        os.getcwd()  # noqa: PTH109
    except FileNotFoundError:
        raise SettingsError(
            "the current directory no longer exists",
            where="the shell's working folder",
            remedy="cd to another",
        ) from None


def tell(error: DiscernaError) -> None:
    """Print an error on standard error."""
    text = "\n".join(shown(line) for line in str(error).split("\n"))
    _stderr(f"error: {text} [{error.code} {type(error).__name__}]")
    if os.environ.get("DISCERNA_TRACEBACK"):
        traceback.print_exception(error)


@contextmanager
def heavy_imports() -> Iterator[None]:
    """Around imports of torch and the like: signals wait, and Python's garbage collector, a fifth of the time, rests.

    Modules make many objects and next to no garbage. In a process of ours it need never look at them.
    """
    collects = gc.isenabled()
    gc.disable()
    try:
        with _held_signals():
            yield
    finally:
        if own_process.is_ours():
            gc.freeze()
            atexit.register(gc.unfreeze)  # libraries that count what is left at the end would complain
        if collects:
            gc.enable()


@contextmanager
def _held_signals() -> Iterator[None]:
    """Let SIGINT and SIGTERM wait until the block ends.

    While torch and numpy are imported, some of their own code swallows an exception that comes from a signal, or
    fails later because of it.
    """
    arrived: list[int] = []

    def hold(number: int, frame: FrameType | None) -> None:
        arrived.append(number)

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    both = (signal.SIGINT, signal.SIGTERM)
    heard = [
        number for number in both if signal.getsignal(number) != signal.SIG_IGN
    ]  # nohup ignores on purpose
    before = {number: signal.signal(number, hold) for number in heard}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if arrived:
        raise KeyboardInterrupt if arrived[0] == signal.SIGINT else Terminated


@contextmanager
def _sigterm_raises() -> Iterator[None]:
    """SIGTERM becomes an exception, so that temporary files are removed; only the main thread may arrange it."""

    def raise_terminated(number: int, frame: FrameType | None) -> None:
        raise Terminated

    try:
        before = signal.signal(signal.SIGTERM, raise_terminated)
    except ValueError:
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
