"""Keep the memory of arrays that were freed, for the next ones.

Steps make and free arrays of tens of megabytes by the hundred. The C library hands each back to the system, which fills
it with zeros, page by page, when the next one is made: a tenth of the CPU time of a reduction.
"""

from __future__ import annotations

import ctypes
import os

#: Arrays up to this size come from memory that is kept, larger ones from the system. The ramps of a segment are among
#: them: those of the next segment take their place.
LARGEST_KEPT_BYTES = 1 << 30
#: Free memory beyond that goes back to the system.
MOST_KEPT_BYTES = 1 << 30
#: Parameters of mallopt (GNU C library, malloc.h), and what a user sets them by.
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
_SETTINGS = ("MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_", "GLIBC_TUNABLES")


def keep_freed_memory() -> None:
    """Let a process that is ours alone keep freed memory, where it has glibc and its user has not said how."""
    if _is_glibc() and not any(name in os.environ for name in _SETTINGS):
        library = ctypes.CDLL(None)
        library.mallopt(_MMAP_THRESHOLD, LARGEST_KEPT_BYTES)
        library.mallopt(_TRIM_THRESHOLD, MOST_KEPT_BYTES)


def return_freed_memory() -> None:
    """Give what is kept back to the system, between two jobs: pieces in use keep apart what the next one would fill.

    Each exposure would else add a tenth of its memory to that of the process.
    """
    if _is_glibc():
        ctypes.CDLL(None).malloc_trim(0)


def _is_glibc() -> bool:
    try:
        return (os.confstr("CS_GNU_LIBC_VERSION") or "").startswith("glibc")
    except (ValueError, OSError, AttributeError):
        return False
