"""What must never happen while a model of a stranger's is opened, noticed by Python's audit hook.

A hook can never be taken away, so a `Canary` belongs into a process of its own; it notes events while it is armed.
"""

import os
import site
import sys
import sysconfig
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

PROCESSES = {
    "os.system", "os.exec", "os.posix_spawn", "os.spawn", "os.fork", "os.forkpty", "os.startfile",
    "subprocess.Popen", "pty.spawn",
}  # fmt: skip
NETWORK = {
    "socket.connect", "socket.bind", "socket.sendto", "socket.getaddrinfo", "socket.gethostbyname",
    "urllib.Request", "ftplib.connect", "smtplib.connect", "http.client.connect", "webbrowser.open",
}  # fmt: skip
CODE = {"pickle.find_class", "marshal.loads", "code.__new__", "ctypes.dlopen", "cpython.run_string"}
CHANGES = {
    "os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.link", "os.symlink", "os.truncate", "os.chmod",
    "os.chown", "shutil.rmtree", "shutil.move", "shutil.copyfile", "shutil.unpack_archive",
}  # fmt: skip
DRIVERS = ("libnvidia-ml.so",)
"""Libraries that torch asks the system for, whatever is opened."""

WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND

KNOWN_CODE = tuple(
    os.path.realpath(path) + os.sep
    for path in {
        *site.getsitepackages(),
        *map(sysconfig.get_path, ("stdlib", "platstdlib", "purelib", "platlib")),
    }
)


class Canary:
    """Notes what happens while it is armed."""

    def __init__(self, writable: Path, own_code: list[Path], forbidden: list[str]) -> None:
        self.events: list[str] = []
        self._armed = False
        self._writable = os.path.realpath(writable) + os.sep
        self._known = (*KNOWN_CODE, *(os.path.realpath(path) + os.sep for path in own_code))
        self._forbidden = tuple(forbidden)
        """Names, of modules or at the end of paths, that nobody may import or read."""
        sys.addaudithook(self._hear)

    @contextmanager
    def armed(self) -> Iterator[list[str]]:
        """Notes from here on; the list has them."""
        self.events = []
        self._armed = True
        try:
            yield self.events
        finally:
            self._armed = False

    def _hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self._armed:
            return
        self._armed = False  # what the judgement itself does is no event
        try:
            if self._is_crime(event, arguments):
                self.events.append(f"{event} {arguments!r}"[:300])
        finally:
            self._armed = True

    def _is_crime(self, event: str, arguments: tuple[Any, ...]) -> bool:
        if event in PROCESSES or event in NETWORK:
            return True
        if event == "open":
            return self._is_forbidden_file(*arguments)
        if event in CHANGES:
            places = [place for place in arguments[:2] if isinstance(place, str | bytes | os.PathLike)]
            return not all(map(self._is_writable, places))
        if event == "import":
            return str(arguments[0]).partition(".")[0] in self._forbidden
        if event == "exec":
            return not self._is_known(arguments[0].co_filename)
        if event == "compile":  # of a text; a file is compiled by the loader, under its name
            return not self._is_known(str(arguments[1]))
        if event == "ctypes.dlopen" and str(arguments[0]).startswith(DRIVERS):
            return False
        return event in CODE and not self._is_at_home()

    def _is_forbidden_file(self, path: Any, mode: Any, flags: Any) -> bool:
        if isinstance(path, int):
            return False  # opened already
        text = os.fsdecode(path)
        if text.endswith(("passwd", *self._forbidden)):
            return True
        writes = bool(flags and flags & WRITING) or bool(mode and set("wax+") & set(mode))
        return writes and not self._is_writable(path)

    def _is_writable(self, path: Any) -> bool:
        # /proc/self/clear_refs: how memory is measured.
        real = os.path.realpath(os.fsdecode(path))
        return real.startswith((self._writable, "/proc/")) or real == os.devnull

    def _is_known(self, file: str) -> bool:
        """Whether code comes from an installed file, or from a text that such a file makes."""
        if os.path.realpath(file).startswith(self._known) or file.startswith("<frozen "):
            return True
        return file.startswith("<") and self._is_at_home()

    def _is_at_home(self) -> bool:
        """Whether a module of the standard library that makes code for a living called: dataclasses, import."""
        frame = sys._getframe(1)
        while frame and frame.f_code.co_filename == __file__:
            frame = frame.f_back  # type: ignore[assignment]
        name = frame.f_code.co_filename if frame else ""
        makers = (
            "dataclasses.py",
            "collections/__init__.py",
            "enum.py",
            "inspect.py",
            "typing.py",
        )
        return name.startswith("<frozen importlib") or (name.startswith(KNOWN_CODE) and name.endswith(makers))
