"""Changes to the whole process that last as long as they are needed."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class ProcessWideChange:
    """A change made by the first user to enter and undone by the last to leave: nested, from several threads.

    make : function
        Makes the change and returns the function that undoes it.
    """

    def __init__(self, make: Callable[[], Callable[[], None]]):
        self._make = make
        self._take_back: Callable[[], None] = _nothing
        self._lock = threading.Lock()
        self._inside = 0

    @contextmanager
    def in_force(self) -> Iterator[None]:
        """Keep the change in force while the context lasts."""
        self._enter()
        try:
            yield
        finally:
            self._leave()

    def _enter(self) -> None:
        with self._lock:
            if self._inside == 0:
                self._take_back = self._make()
            self._inside += 1

    def _leave(self) -> None:
        with self._lock:
            self._inside -= 1
            if self._inside == 0:
                self._take_back()


def _nothing() -> None:
    """Take back no change."""
