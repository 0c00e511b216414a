"""How glibc hands out large blocks of memory, for processes that are ours alone.

By default each large tensor is fetched from the system, zeroed page by page, and given back, in every step again. Kept,
and in huge pages, they cost nothing after the first step (docs/performance.md). A program that imports discerna keeps
its own way.
"""

from __future__ import annotations

import ctypes
import os
import sys
from functools import cache
from pathlib import Path

from discerna import own_process

M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4
MOST = 2**31 - 1
"""Whatever mallopt takes is an int."""
RESERVED = MOST - 2**20
"""Addresses of the heap for which huge pages are asked; what is not used takes no memory."""
MADV_HUGEPAGE = 14

USERS_OWN = ("MALLOC_", "GLIBC_TUNABLES", "LD_PRELOAD")
"""Whoever has set these has chosen an allocator, or how it behaves."""


def keep_blocks() -> bool:
    """Let freed blocks stay with the process, where that is ours; whether they do."""
    return own_process.is_ours() and _keep_blocks()


@cache
def _keep_blocks() -> bool:
    if sys.platform != "linux" or any(name.startswith(USERS_OWN) for name in os.environ):
        return False
    libc = ctypes.CDLL(None, use_errno=True)
    if not hasattr(libc, "gnu_get_libc_version"):  # musl's has no such doors
        return False
    if not (libc.mallopt(M_MMAP_MAX, 0) and libc.mallopt(M_TRIM_THRESHOLD, MOST)):
        return False
    _ask_for_huge_pages(libc)
    return True


def _ask_for_huge_pages(libc: ctypes.CDLL) -> None:
    """Mark the heap that is to come: a block is laid over its addresses, and given back untouched."""
    libc.malloc.restype, libc.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
    libc.free.argtypes = [ctypes.c_void_p]
    libc.madvise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    if _counts_addresses():
        return
    block = libc.malloc(RESERVED)
    if block is None:  # a limit on addresses, or a system that lends nothing
        return
    page = 2**21
    first = -(-block // page) * page
    libc.madvise(first, (block + RESERVED - first) // page * page, MADV_HUGEPAGE)
    libc.free(block)


def _counts_addresses() -> bool:
    """Whether the system takes addresses that are not used for memory that is."""
    try:
        return Path("/proc/sys/vm/overcommit_memory").read_text().strip() == "2"
    except OSError:
        return False
