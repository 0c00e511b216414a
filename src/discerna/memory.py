"""How much memory this process has taken, how much it may yet take, and whether there was none left."""

from __future__ import annotations

import os
import resource
import sys
from contextlib import suppress
from pathlib import Path

SYSTEM = Path("/")
"""Where the system's own files are found."""


def peak() -> int:
    """The most bytes that this process has had in memory, libraries included; since `forget_peak`, where that works."""
    found = _of_status("VmHWM")
    if found is not None:
        return found
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024


def forget_peak() -> None:
    """Let `peak` begin anew from what the process has now; only Linux can."""
    with suppress(OSError):
        (SYSTEM / "proc/self/clear_refs").write_text("5")


def is_out_of_memory(error: BaseException) -> bool:
    """Whether a device or the machine had no memory left; libraries say it in several ways."""
    import torch

    signs = ("can't allocate memory", "out of memory", "_ALLOC_FAILED")
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or any(
        sign in str(error) for sign in signs
    )


def of_children() -> int:
    """The bytes that belong to processes which this one has started, each shared page in parts; Linux only."""
    return sum(_share_of(child) for child in _children("self"))


def free(system: Path = SYSTEM) -> int | None:
    """Bytes that processes here may yet take: the machine's, or what a container's limit leaves; None: unknown."""
    machine = _field(system / "proc/meminfo", "MemAvailable")
    found = [machine, *(_left(folder) for folder in _groups(system))]
    known = [value for value in found if value is not None]
    return min(known) if known else None


def now() -> int:
    """The bytes that this process has in memory; 0 where the system does not tell."""
    return _of_status("VmRSS") or 0


def there(system: Path = SYSTEM) -> int | None:
    """Bytes that this process would have at most: its own, and what is free."""
    left = free(system)
    return None if left is None else left + now()


def _of_status(name: str) -> int | None:
    return _field(SYSTEM / "proc/self/status", name)


def _field(file: Path, name: str) -> int | None:
    """A line `name: NUMBER kB` of a file of the system's, in bytes."""
    for line in _text(file).splitlines():
        key, _, value = line.partition(":")
        if key == name:
            return 1024 * int(value.split()[0])
    return None


def _text(file: Path) -> str:
    try:
        return file.read_text("utf-8", "replace")
    except OSError:
        return ""


def _number(file: Path) -> int | None:
    text = _text(file).strip()
    return int(text) if text.isdigit() else None  # `max`: no limit


def _groups(system: Path) -> list[Path]:
    """The control groups that may limit the memory of this process, of both versions."""
    groups = []
    for line in _text(system / "proc/self/cgroup").splitlines():
        _, controllers, path = [*line.split(":", 2), "", ""][:3]
        if controllers and "memory" not in controllers.split(","):
            continue
        root = system / "sys/fs/cgroup" / ("memory" if controllers else "")
        own = root / path.lstrip("/")
        # In a container the path may be that of the machine, and the group itself lies at the root.
        groups += [own, *(folder for folder in own.parents if folder.is_relative_to(root))]
    return list(dict.fromkeys(groups))


def _left(group: Path) -> int | None:
    """What a group may yet take; pages of files that it has read are given back when there is need."""
    for limit, used, pages in (
        ("memory.max", "memory.current", "inactive_file"),
        ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
    ):
        most, now = _number(group / limit), _number(group / used)
        if most is not None and now is not None:
            told = dict(
                line.split(" ", 1) for line in _text(group / "memory.stat").splitlines() if " " in line
            )
            return max(0, most - now + int(told.get(pages, 0)))
    return None


def _children(process: str) -> list[str]:
    found = []
    with suppress(OSError):
        for thread in os.scandir(f"/proc/{process}/task"):
            for child in _text(Path(thread.path, "children")).split():
                found += [child, *_children(child)]
    return found


def _share_of(process: str) -> int:
    return _field(Path(f"/proc/{process}/smaps_rollup"), "Pss") or 0
