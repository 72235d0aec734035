"""Signals that end a command: one of them raises KeyboardInterrupt, and does so again where a library swallowed it."""

from __future__ import annotations

import math
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

#: What ends a job on a terminal or in a batch system.
ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
#: Seconds after the first signal in which further ones change nothing: impatience must not disturb the end.
PATIENCE_S = 5.0
#: Seconds after which an interruption comes again that a callback of a library has swallowed.
AGAIN_S = 0.05


class _Watch:
    """Whether signals are watched, and when the first one came. The process has one, as it has one set of handlers."""

    def __init__(self) -> None:
        self.active = False
        self.came_at = math.inf
        self._swallowed = False
        self._before: dict[int, Any] = {}
        self._hook: Any = None

    def begin(self) -> None:
        """Take over the signals that end a command, and what Python makes of exceptions in callbacks."""
        self.put_back()  # what the interruption before this one has left in place
        self.active, self.came_at, self._swallowed = True, math.inf, False
        for number in ENDING:
            if number == signal.SIGHUP and signal.getsignal(number) == signal.SIG_IGN:
                continue  # nohup: it is to go on
            self._before[number] = signal.signal(number, self._interrupt) or signal.SIG_DFL
        self._hook, sys.unraisablehook = sys.unraisablehook, self._raise_again

    def end(self) -> None:
        """Stop watching; after a signal the handlers stay, so that a second one soon after does not disturb the end."""
        self.active = False
        if self.came_at == math.inf:  # else the process is about to end: the next signal after a while puts them back
            self.put_back()

    def put_back(self) -> None:
        """Give signals and exceptions in callbacks to those that had them before."""
        while self._before:
            signal.signal(*self._before.popitem())
        if self._hook is not None:
            self._hook, sys.unraisablehook = None, self._hook

    def forget_swallowed(self) -> None:
        """Note that an interruption has arrived: none is to come again."""
        self._swallowed = False

    def _interrupt(self, number: int, frame: Any) -> None:
        if self.came_at == math.inf or self._swallowed:
            self.came_at, self._swallowed = time.monotonic(), False
            raise KeyboardInterrupt
        if time.monotonic() - self.came_at > PATIENCE_S:
            self.put_back()
            os.kill(os.getpid(), number)

    def _raise_again(self, unraisable: Any) -> None:
        """Repeat an interruption that fell into a callback: what a callback raises, Python prints and forgets."""
        if not issubclass(unraisable.exc_type, KeyboardInterrupt):
            if self._hook is not None:
                self._hook(unraisable)
            return
        self._swallowed = True
        main = threading.main_thread().ident
        assert main is not None
        again = threading.Timer(AGAIN_S, signal.pthread_kill, (main, signal.SIGINT))
        again.daemon = True
        again.start()


_watch = _Watch()


@contextmanager
def ended_in_order() -> Iterator[None]:
    """Raise KeyboardInterrupt on SIGINT, SIGTERM and SIGHUP, once; a signal more than `PATIENCE_S` later ends at once.

    An interruption that falls into a callback of a library, which Python cannot raise any further, comes again a moment
    later; `require_not_interrupted` raises one that a library has caught. Outside the main thread, and within another
    such block, it does nothing.
    """
    if _watch.active or threading.current_thread() is not threading.main_thread():
        yield
        return
    _watch.begin()
    try:
        yield
    finally:
        _watch.end()


def was_interrupted() -> bool:
    """Return whether a signal has come within the `ended_in_order` block around this."""
    return _watch.active and _watch.came_at < math.inf


def require_not_interrupted() -> None:
    """Raise KeyboardInterrupt if a signal has come, whoever caught it: called between steps and before a file is named.

    Raises
    ------
    KeyboardInterrupt
    """
    if was_interrupted():
        _watch.forget_swallowed()
        raise KeyboardInterrupt
