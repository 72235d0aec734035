"""Two runs in one output folder exclude each other."""

from __future__ import annotations

import fcntl
import json
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from detectorist.errors import OutputError

FILE = ".lock"
#: A status command holds the lock for an instant; a run waits that long before it gives up.
PATIENCE_S = 1.0


@contextmanager
def exclusive(folder: Path) -> Iterator[None]:
    """Hold `folder` for this process; the system lets go of it when the process ends, however it ends.

    Raises
    ------
    OutputError
        When another process holds it (the message says which), or it cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle = open(folder / FILE, "a+")  # noqa: SIM115 - closed below, and by the end of the process
    except OSError as error:
        raise OutputError(f"{folder}: cannot be written ({error})") from error
    try:
        _acquire(handle, folder)
        _write_owner(handle)
        yield
    finally:
        handle.close()


def owner(folder: Path) -> dict | None:
    """Return {"pid", "host", "since"} of the process that holds `folder`, or None when nobody does."""
    try:
        with open(folder / FILE) as handle:
            try:
                fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return _read_owner(handle)
    except OSError:
        return None
    return None


def _acquire(handle, folder: Path) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() > deadline:
                other = _read_owner(handle)
                raise OutputError(
                    f"{folder}: another run works in this folder (process {other.get('pid', '?')} on "
                    f"{other.get('host', '?')}); wait for it or choose another folder"
                ) from None
            time.sleep(0.05)
        except OSError as error:
            raise OutputError(f"{folder}: cannot be locked ({error})") from error


def _write_owner(handle) -> None:
    text = json.dumps({"pid": os.getpid(), "host": socket.gethostname(), "since": time.time()})
    try:
        handle.truncate(0)
        handle.write(text)
        handle.flush()
    except OSError as error:
        raise OutputError(f"{handle.name}: cannot be written ({error})") from error


def _read_owner(handle) -> dict:
    handle.seek(0)
    try:
        return json.loads(handle.read())
    except ValueError:
        return {}
