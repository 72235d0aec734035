"""Numerical libraries of a command on one thread.

The threads of a BLAS pool wait for their next call by spinning. The arrays of one exposure are small: on two cores,
subtracting a star took three times the CPU time, and no less of the user's. Sums are also added in another order for
each number of threads, and last digits would depend on the machine.
"""

from __future__ import annotations

import os

#: By what a user says how many threads numerical libraries may have; they read it when they are loaded.
SETTINGS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")


class _Said:
    """Whether the values of SETTINGS are this process's own, and not its user's."""

    ours = False


def use_one_thread() -> None:
    """Give numerical libraries that this process loads from now on one thread, unless its user has said how many."""
    if not any(name in os.environ for name in SETTINGS):
        os.environ.update(dict.fromkeys(SETTINGS, "1"))
        _Said.ours = True


def most_threads() -> int | None:
    """Return how many threads the user of this process has said that it may have; None where nothing was said."""
    told = [os.environ[name] for name in SETTINGS if name in os.environ and not _Said.ours]
    numbers = [int(one) for one in told if one.isdecimal()]
    return max(1, min(numbers)) if numbers else None
