"""FITS checksums of input files, which show whether the data are unchanged.

DATASUM is the sum of all 32-bit words of the data in ones' complement (FITS standard 4.0, appendix J). Files are read
in blocks, so that a check needs no memory. CHECKSUM, which covers the header too, is not verified: many programs change
a keyword without updating it. Neither is DATASUM where a datamodel was saved without checksums: it keeps those of the
file that it was read from, even if its arrays have changed, and has none in its ASDF extension.
"""

from __future__ import annotations

from pathlib import Path
from typing import IO

import numpy as np

from detectorist.errors import InputError
from detectorist.fits_files import opened
from detectorist.reduction.inputs.whole_files import unpacked

_BLOCK_BYTES = 1 << 22


def require_checksums(path: Path) -> None:
    """Raise InputError if the data of an extension do not match its DATASUM. Files without it pass."""
    parts = _parts(path)
    try:
        with unpacked(path) as handle:
            wrong = [name for name, start, length, said in parts if data_sum(handle, start, length) != said]
    except (OSError, EOFError) as error:
        raise InputError(f"{path}: not readable ({error}); is the file complete?") from error
    if wrong:
        raise InputError(
            f"{path}: the data of {', '.join(wrong)} are not as written (DATASUM); is the file damaged? "
            "Where a program has changed them on purpose, let it write DATASUM, or remove the keyword",
            extensions=wrong,
        )


def data_sum(handle: IO[bytes], start: int, length: int) -> int:
    """Return the ones' complement sum of the big-endian 32-bit words in `length` bytes from `start`."""
    handle.seek(start)
    total, remaining = 0, length
    while remaining > 0:
        block = handle.read(min(remaining, _BLOCK_BYTES))
        if not block:
            raise OSError("it ends before its data do")
        remaining -= len(block)
        total += int(np.frombuffer(block.ljust(-(-len(block) // 4) * 4, b"\0"), ">u4").sum(dtype=np.uint64))
    while total >> 32:
        total = (total & 0xFFFFFFFF) + (total >> 32)
    return total


def _parts(path: Path) -> list[tuple[str, int, int, int]]:
    """Return (name, first byte, length, DATASUM) of every extension that carries one of its own."""
    with opened(path) as hdus:
        if "ASDF" in hdus and "DATASUM" not in hdus["ASDF"].header:
            return []
        return [
            (hdu.name, hdu.fileinfo()["datLoc"], hdu.fileinfo()["datSpan"], int(hdu.header["DATASUM"]))
            for hdu in hdus
            if str(hdu.header.get("DATASUM", "")).strip()
        ]
