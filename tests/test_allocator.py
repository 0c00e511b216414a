"""Memory and the garbage collector are set for processes of ours alone, and help there."""

import os
import platform
import subprocess
import sys

import pytest

from discerna.allocator import USERS_OWN

of_glibc = pytest.mark.skipif(
    platform.libc_ver()[0] != "glibc", reason="other allocators are left as they are"
)

LOOK = """
import gc, sys
from discerna import allocator, console, own_process
def resident():
    return int(open("/proc/self/statm").read().split()[1]) * 4096
if "ours" in sys.argv: own_process.claim()
with console.heavy_imports():
    import numpy as np
print(allocator.keep_blocks(), gc.get_freeze_count() > 0, gc.isenabled())
before = resident()
np.ones(100_000_000, np.uint8)
print(resident() - before > 90_000_000)
"""


def looked(*arguments, **environment):
    done = subprocess.run(
        [sys.executable, "-c", LOOK, *arguments],
        env={**{k: v for k, v in os.environ.items() if not k.startswith(USERS_OWN)}, **environment},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return done.stdout.splitlines()


@of_glibc
def test_blocks_stay_with_a_process_of_ours():
    assert looked("ours") == ["True True True", "True"]


def test_no_library_complains_at_the_end(tmp_path):
    """Some count what of theirs is left when Python ends."""
    command = ["create", "network=squeezenet1_1", f"output={tmp_path / 'm'}"]
    done = subprocess.run(
        [sys.executable, "-m", "discerna", *command], capture_output=True, text=True, check=True
    )
    assert "leaked" not in done.stderr


@of_glibc
def test_a_program_that_imports_us_keeps_its_ways():
    assert looked() == ["False False True", "False"]


@of_glibc
@pytest.mark.parametrize("variable", ["MALLOC_ARENA_MAX", "GLIBC_TUNABLES"])
def test_who_has_chosen_an_allocator_keeps_it(variable):
    value = "2" if variable == "MALLOC_ARENA_MAX" else "glibc.malloc.arena_max=2"
    assert looked("ours", **{variable: value})[0].startswith("False")


def test_a_collector_that_is_off_stays_off():
    script = "import gc; gc.disable()\nfrom discerna import console\nwith console.heavy_imports(): pass\n"
    script += "print(gc.isenabled())"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
