"""What a run ran on and with: machine, packages, and the state of the code beside it."""

from __future__ import annotations

import os
import platform
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from discerna import machine

_PATIENCE = 5
"""Seconds for git, which may be slow in a large working tree."""


def describe() -> dict[str, Any]:
    """What environment.json in the run folder holds."""
    return {
        "machine": describe_machine(),
        "python": platform.python_version(),
        "packages": packages(),
        "git": git_state(Path.cwd()),
    }


def describe_machine() -> dict[str, str]:
    """What `discerna env` tells of the machine."""
    import torch

    kind = machine.gpu_kind()
    count = torch.cuda.device_count() if kind == "cuda" else 1
    return {
        "system": f"{platform.system()} {platform.machine()}",
        "processor": _processor(),
        "cores": str(machine.cores()),
        "memory": f"{_memory() / 2**30:.0f} GiB",
        "gpu": "none" if kind is None else f"{count} x {machine.gpu_name(kind)}",
        "threads": str(torch.get_num_threads()),
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8", "replace").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _memory() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def packages() -> dict[str, str]:
    """Every installed package with its version, as the names of their folders tell: reading each would take long."""
    found: dict[str, str] = {}
    for place in sys.path:
        try:
            names = os.listdir(place or ".")
        except OSError:
            continue
        for name in names:
            if match := re.fullmatch(r"(.+?)-([^-]+)\.(?:dist|egg)-info", name):
                # The first place on the path is the one that is imported from.
                found.setdefault(match[1].replace("_", "-").lower(), match[2])
    return dict(sorted(found.items()))


def git_state(folder: Path) -> dict[str, Any] | None:
    """Commit, branch, and whether anything is not committed; None outside of git."""
    commit = _git(folder, "rev-parse", "HEAD")
    if commit is None:
        return None
    branch = _git(folder, "rev-parse", "--abbrev-ref", "HEAD")
    changes = _git(folder, "status", "--porcelain", "--untracked-files=no")
    return {
        "commit": commit,
        "branch": None if branch == "HEAD" else branch,
        "dirty": None if changes is None else bool(changes),
    }


def _git(folder: Path, *arguments: str) -> str | None:
    # A repository may name a program to watch its files, which is not ours to start; nor is its index ours to write.
    command = ["git", "-c", "core.fsmonitor=false", "--no-optional-locks", "-C", str(folder), *arguments]
    try:
        done = subprocess.run(
            command, capture_output=True, stdin=subprocess.DEVNULL, timeout=_PATIENCE, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.decode(errors="replace").strip()
