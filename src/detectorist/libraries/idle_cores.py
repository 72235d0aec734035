"""Cores that would be idle while a command reduces a single exposure: work that releases Python's lock may have them.

Campaigns keep all cores busy with one exposure each, and a user's own program is left as it is: there everything runs
on one thread. What is done has the same bits in any case: pieces of work write to places of their own, and what they
return is put together in their order.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

Piece = TypeVar("Piece")
Result = TypeVar("Result")

#: How the threads' names begin: what runs on one of them shares nothing out again, or all could wait for each other.
_NAME = "detectorist-idle-core"


class _Idle:
    """The threads of this process, if it has any."""

    cores = 1
    pool: ThreadPoolExecutor | None = None


_idle = _Idle()


def processors() -> int:
    """Return how many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def number() -> int:
    """Return on how many threads the caller may work, 1 where no core is idle."""
    return 1 if threading.current_thread().name.startswith(_NAME) else _idle.cores


@contextmanager
def used(cores: int) -> Iterator[None]:
    """Share out work among `cores` threads while the context lasts; what is under way at its end is waited for."""
    if cores <= 1 or _idle.pool is not None:
        yield
        return
    pool = ThreadPoolExecutor(cores, _NAME)
    _idle.cores, _idle.pool = cores, pool
    try:
        yield
    finally:
        _idle.cores, _idle.pool = 1, None
        pool.shutdown(cancel_futures=True)


def each(function: Callable[[Piece], Result], pieces: Iterable[Piece]) -> list[Result]:
    """Return `[function(piece) for piece in pieces]`, several at once where cores are idle.

    Pieces must not depend on each other. The first error in their order is raised; pieces after it may be left out.
    """
    pool = _idle.pool
    if pool is None or number() == 1:
        return [function(piece) for piece in pieces]
    futures = [pool.submit(function, piece) for piece in pieces]
    try:
        return [future.result() for future in futures]
    finally:
        for future in futures:  # after an error, or Ctrl-C, nobody wants the rest
            future.cancel()
