"""Run a compiled kernel over ranges of pixels or rows, on one thread or several."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any

#: Ranges per thread: enough that one range full of cosmic rays does not leave the other threads idle.
_RANGES_PER_THREAD = 4


def over_ranges(kernel: Callable[..., Any], size: int, *args: Any, threads: int = 1) -> list[Any]:
    """Call `kernel(*args, start, stop)` over all of `range(size)` and return the results in order.

    The kernel must release the GIL and write only inside its range: then any number of threads gives the same
    bits. Plain threads rather than numba's parallel layer, which takes longer to start than a whole step.
    """
    if threads <= 1 or size < 2 * threads:
        return [kernel(*args, 0, size)]
    pieces = min(size, threads * _RANGES_PER_THREAD)
    edges = [size * k // pieces for k in range(pieces + 1)]
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(lambda ends: kernel(*args, *ends), pairwise(edges)))
