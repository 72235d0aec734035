"""Whether an input file is complete, compressed or not: astropy opens truncated files as well."""

from __future__ import annotations

import gzip
import logging
import zlib
from functools import partial
from pathlib import Path
from typing import IO, Any

from detectorist.errors import InputError, NoSuchFile
from detectorist.fits_files import opened

log = logging.getLogger(__name__)

_BLOCK_BYTES = 1 << 22
#: Line feeds of which none stands behind a carriage return by chance.
FEWEST_FEEDS = 8


def require_whole_file(path: Path) -> None:
    """Refuse a FITS file that ends before the end of its last array, or within a header.

    Raises
    ------
    InputError
    """
    size = _size_of_content(path)
    with opened(path) as hdus:
        end = max(hdu.fileinfo()["datLoc"] + hdu.fileinfo()["datSpan"] for hdu in hdus)
    if end > size:
        raise InputError(f"{path}: {size} bytes, its header promises {end}; is the file complete?", found=size)
    if end < size and _begins_extension(path, end):
        raise InputError(f"{path}: ends within the header of an extension; is the file complete?", found=size)
    if end < size and _holds_something(path, end):
        if _was_sent_as_text(path):
            raise InputError(
                f"{path}: has a carriage return before every line feed, in its data as well; copy as binary"
            )
        log.warning("%s: the last %d bytes belong to no extension and are not read", path, size - end)


def _holds_something(path: Path, place: int) -> bool:
    """Return whether what follows is more than padding."""
    with unpacked(path) as handle:
        handle.seek(place)
        return any(block.strip(b"\0 ") for block in iter(partial(handle.read, _BLOCK_BYTES), b""))


def _was_sent_as_text(path: Path) -> bool:
    """Return whether a program that takes files for text has put carriage returns into this one."""
    with unpacked(path) as handle:
        start = handle.read(_BLOCK_BYTES)
    n_feeds = start.count(b"\n")
    return n_feeds >= FEWEST_FEEDS and start.count(b"\r\n") == n_feeds


def unpacked(path: Path) -> IO[bytes]:
    """Open a file to read its content, unpacked if it is compressed."""
    opener: Any = gzip.open if _is_packed(path) else open
    return opener(path, "rb")


def _is_packed(path: Path) -> bool:
    """Return whether a file's first bytes are those of gzip, which astropy goes by as well, whatever its name."""
    with open(path, "rb") as handle:
        return handle.read(2) == b"\x1f\x8b"


def _size_of_content(path: Path) -> int:
    """Return the size of a file in bytes, unpacked; a compressed one is read to its end, which tells if it was cut."""
    if not path.is_file():
        raise NoSuchFile(f"{path}: no such file")
    return _unpacked_size(path) if _is_packed(path) else path.stat().st_size


def _unpacked_size(path: Path) -> int:
    size = 0
    try:
        with unpacked(path) as handle:
            while block := handle.read(_BLOCK_BYTES):
                size += len(block)
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(
            f"{path}: cannot be unpacked beyond byte {size} of its content ({error}); a whole gzip file is needed",
            unpacked=size,
        ) from error
    return size


def _begins_extension(path: Path, place: int) -> bool:
    """Return whether a header stands behind the last one that astropy can read: it leaves out one that was cut."""
    with unpacked(path) as handle:
        handle.seek(place)
        return handle.read(8) == b"XTENSION"
