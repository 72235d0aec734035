"""Files that have been reduced in the state in which they are: whoever asks whether they can be read need not look."""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

_State = tuple[str, int, int, int]
_reduced: set[_State] = set()


def remember_reduced(paths: Iterable[str | Path]) -> None:
    """Note, until the process ends, that these files have been reduced as they are now."""
    for path in paths:
        with suppress(OSError):  # gone meanwhile
            _reduced.add(_state(path))


def was_reduced(path: str | Path) -> bool:
    """Return whether a file is noted, and has not changed since by size, time and inode."""
    return _state(path) in _reduced


def _state(path: str | Path) -> _State:
    status = os.stat(path)
    return os.path.abspath(path), status.st_size, status.st_mtime_ns, status.st_ino
