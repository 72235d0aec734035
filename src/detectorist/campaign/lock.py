"""A lock: only one run at a time in an output folder."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from detectorist.atomic_files import require_no_link
from detectorist.errors import OutputError

FILE = ".lock"
#: A status command holds the lock for an instant; a run waits that long before it gives up.
PATIENCE_S = 1.0


@contextmanager
def exclusive(folder: Path, holder: Callable[[], str] = str) -> Iterator[None]:
    """Hold `folder` for this process; the system releases it when the process ends, even if it is killed.

    Parameters
    ----------
    folder : Path
    holder : callable
        Says who is likely to hold it, for the error.

    Raises
    ------
    OutputError
        When another process holds it, or it cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        require_no_link(folder / FILE)
        lock = FileLock(folder / FILE, timeout=PATIENCE_S)
        lock.acquire()
    except Timeout as error:
        who = f" ({said})" if (said := holder()) else ""
        message = f"{folder}: another run works in this folder{who}; wait for it or choose another folder"
        raise OutputError(message) from error
    except OSError as error:
        raise OutputError(f"{folder}: cannot be written ({error.strerror or error})") from error
    try:
        yield
    finally:
        lock.release()


def is_held(folder: Path) -> bool:
    """Return whether a run works in a folder."""
    if not (folder / FILE).is_file():
        return False
    try:
        with FileLock(folder / FILE, timeout=0):
            return False
    except Timeout:
        return True
    except OSError:
        return False
