"""How much memory there is, as systems and containers tell it."""

import subprocess
import sys

import pytest

from discerna import memory

MIB = 2**20


def system(root, groups="", **files):
    texts = {
        "proc/meminfo": "MemTotal: 8000 kB\nMemAvailable:    4096 kB\n",
        "proc/self/cgroup": groups,
        **files,
    }
    for name, text in texts.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


def test_a_machine_without_limits(tmp_path):
    assert memory.free(system(tmp_path)) == 4 * MIB


def test_a_system_that_tells_nothing(tmp_path):
    assert memory.free(tmp_path) is None


@pytest.mark.parametrize("place", ["sys/fs/cgroup/a/b", "sys/fs/cgroup/a", "sys/fs/cgroup"])
def test_the_tightest_group_counts(tmp_path, place):
    files = {
        f"{place}/memory.max": f"{3 * MIB}\n",
        f"{place}/memory.current": f"{2 * MIB}\n",
        f"{place}/memory.stat": f"anon 5\ninactive_file {MIB}\n",
    }
    assert memory.free(system(tmp_path, "0::/a/b\n", **files)) == 2 * MIB
    assert memory.free(system(tmp_path, "0::/a/b\n", **{f"{place}/memory.max": "max\n"})) == 4 * MIB


def test_groups_of_the_old_version(tmp_path):
    place = "sys/fs/cgroup/memory/docker/x"
    files = {
        f"{place}/memory.limit_in_bytes": f"{3 * MIB}",
        f"{place}/memory.usage_in_bytes": f"{MIB}",
        f"{place}/memory.stat": f"cache 1\ntotal_inactive_file {MIB // 2}\n",
    }
    groups = "5:cpu,cpuacct:/docker/x\n4:memory:/docker/x\n0::/elsewhere\n"
    assert memory.free(system(tmp_path, groups, **files)) == 2 * MIB + MIB // 2


def test_a_limit_that_is_passed_leaves_nothing(tmp_path):
    files = {"sys/fs/cgroup/memory.max": "10", "sys/fs/cgroup/memory.current": "20"}
    assert memory.free(system(tmp_path, "0::/\n", **files)) == 0


@pytest.mark.skipif(sys.platform != "linux", reason="Linux tells")
def test_the_peak_is_seen_and_forgotten():
    memory.forget_peak()
    before = memory.peak()
    block = bytearray(200 * MIB)
    block[::4096] = b"x" * len(block[::4096])
    assert memory.peak() >= before + 150 * MIB
    del block
    memory.forget_peak()
    assert memory.peak() < before + 150 * MIB
    assert memory.there() > memory.free()


@pytest.mark.skipif(sys.platform != "linux", reason="Linux tells")
def test_memory_of_processes_that_were_started():
    code = "x = bytearray(50 * 2**20); x[::4096] = b'x' * len(x[::4096]); print(flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:
        child.stdout.readline()
        assert memory.of_children() > 40 * MIB
        child.communicate("\n")
