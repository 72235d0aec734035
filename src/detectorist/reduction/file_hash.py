"""Hashes of files, each computed once while the file is unchanged."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from detectorist.errors import InputError

#: A file changed so short a time ago could change again within the resolution of its time stamp, unnoticed.
FRESH_NS = 2_000_000_000
#: Hashes that are kept.
MOST_KEPT = 256

_Identity = tuple[str, int, int, int, int]
_known: dict[_Identity, str] = {}


def file_hash(path: Path) -> str:
    """Return the SHA-256 of a file.

    The ledger and the keys of products both need that of an input: it is cached while name, inode, size and times are
    the same.
    """
    status = os.stat(path)
    identity = (str(path), status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
    if identity in _known:
        return _known[identity]
    with open(path, "rb") as handle:
        found = hashlib.file_digest(handle, "sha256").hexdigest()
    if time.time_ns() - max(status.st_mtime_ns, status.st_ctime_ns) > FRESH_NS:
        if len(_known) >= MOST_KEPT:
            _known.clear()
        _known[identity] = found
    return found


@contextmanager
def unchanged(source: Any) -> Iterator[None]:
    """Raise InputError where a file has another content after the body of the `with` statement; models pass.

    Nobody knows which of its two states was read.
    """
    before = file_hash(source) if isinstance(source, Path) else None
    yield
    if before is not None and (not source.is_file() or file_hash(source) != before):
        raise InputError(f"{source}: was changed or removed while it was reduced; run the same command again")
