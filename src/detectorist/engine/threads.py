"""Run a compiled kernel over ranges of pixels or rows, on one thread or several."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any

from detectorist.libraries import idle_cores

#: Ranges per thread: enough that one range full of cosmic rays does not leave the other threads idle.
_RANGES_PER_THREAD = 4
#: Bytes of arrays from which on idle cores are used unasked: to hand out less takes longer than to do it.
_WORTH_BYTES = 4_000_000


def over_ranges(kernel: Callable[..., Any], size: int, *args: Any, threads: int = 1) -> list[Any]:
    """Call `kernel(*args, start, stop)` over all of `range(size)` and return the results in order.

    The kernel must release the GIL and write only inside its range: then any number of threads gives the same
    bits. Plain threads rather than numba's parallel layer, which takes longer to start than a whole step. `threads` is
    how many a user has asked for; 1: as many as there are idle cores, where arrays are large enough.
    """
    idle = idle_cores.number() if threads <= 1 and _bytes_of(args) >= _WORTH_BYTES else 1
    if max(threads, idle) <= 1 or size < 2 * max(threads, idle):
        return [kernel(*args, 0, size)]
    pieces = min(size, max(threads, idle) * _RANGES_PER_THREAD)
    ranges = list(pairwise(size * k // pieces for k in range(pieces + 1)))
    if threads <= 1:
        return idle_cores.each(lambda ends: kernel(*args, *ends), ranges)
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(lambda ends: kernel(*args, *ends), ranges))


def _bytes_of(args: Any) -> int:
    """Return the size of all arrays among arguments, those in tuples too."""
    return sum(_bytes_of(arg) if isinstance(arg, tuple) else getattr(arg, "nbytes", 0) for arg in args)
