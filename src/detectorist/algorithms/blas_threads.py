"""Linear algebra on one thread, where there are many small systems to solve.

The threads of a BLAS pool wait for their next call by spinning: between many small calls they cost a quarter of the CPU
time of a correction, take it from the other workers of a campaign, and save nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, wraps
from typing import ParamSpec, TypeVar

from threadpoolctl import ThreadpoolController

P, T = ParamSpec("P"), TypeVar("T")


def one_thread(function: Callable[P, T]) -> Callable[P, T]:
    """Run a function with BLAS limited to one thread; the earlier setting is restored afterwards."""

    @wraps(function)
    def limited(*args: P.args, **kwargs: P.kwargs) -> T:
        with _pools().limit(limits=1, user_api="blas"):
            return function(*args, **kwargs)

    return limited


@cache
def _pools() -> ThreadpoolController:
    """Return the pools of all libraries, looked for once: that takes some milliseconds."""
    return ThreadpoolController()
