"""Memory between the steps of a training run: kept, for asking the system again costs more than a softmax."""

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager

# glibc's malloc.h
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_MMAP_MAX = -1, -3, -4
DEFAULT_MMAP_MAX = 65_536
LARGEST_MMAP_THRESHOLD = 32 * 2**20


@contextmanager
def kept_memory() -> Iterator[bool]:
    """Within, what this process frees stays its own, and it is given back at the end; yields whether that works here.

    Every step takes and frees the same tensors. glibc maps those above 32 MB anew each time, and the system clears
    each page of 4 KB on its first use: 0.3 to 0.8 of the 11 seconds of a step (docs/log.md). Other C libraries, and
    other systems, are left as they are.
    """
    try:
        libc = ctypes.CDLL("libc.so.6")
        mallopt, malloc_trim = libc.mallopt, libc.malloc_trim
    except (OSError, AttributeError):
        yield False
        return
    mallopt(M_MMAP_MAX, 0)
    mallopt(M_TRIM_THRESHOLD, 2**31 - 1)
    try:
        yield True
    finally:
        mallopt(M_MMAP_MAX, DEFAULT_MMAP_MAX)
        mallopt(M_MMAP_THRESHOLD, LARGEST_MMAP_THRESHOLD)
        mallopt(M_TRIM_THRESHOLD, 2 * LARGEST_MMAP_THRESHOLD)
        malloc_trim(0)
