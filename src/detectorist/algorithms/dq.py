"""Data-quality bits: tested with AND, set with OR, never with plus or equals.

Bit values are those of the JWST data-quality table (jwst documentation, "Data Quality Flags"); group flags are 8 bits
wide, pixel flags 32.
"""

from __future__ import annotations

import numpy as np

DO_NOT_USE = 2**0
SATURATED = 2**1
JUMP_DET = 2**2
OUTLIER = 2**4
PERSISTENCE = 2**5
CHARGELOSS = 2**7
HOT = 2**11
REFERENCE_PIXEL = 2**31


def has(dq: np.ndarray, flags: int) -> np.ndarray:
    """Return where any bit of `flags` is set.

    dq : ndarray of unsigned int, any shape.
    flags : int
        One bit or several; each must fit the dtype of `dq`.

    Returns ndarray of bool, True where a bit is set. Raises OverflowError for a bit that does not fit.
    """
    bits = _fitting(dq, flags)
    if dq.ndim < 3:
        return (dq & bits) != 0
    found = np.empty(dq.shape, bool)
    for part, where in zip(dq, found, strict=True):  # not at once: another array as large as `dq`
        np.not_equal(part & bits, 0, out=where)
    return found


def add(dq: np.ndarray, where: np.ndarray, flags: int) -> np.ndarray:
    """Return a copy of `dq` with the bits of `flags` set where `where` is True; bits that were set stay set."""
    return np.where(where, dq | _fitting(dq, flags), dq)


def from_bit_indices(bits) -> int:
    """Return the flag value of a list of bit indices: index n stands for 2**n.

    Raises ValueError for an index outside 0-31.
    """
    value = 0
    for bit in bits or ():
        if not 0 <= bit <= 31:
            raise ValueError(f"bit index {bit}: 0 to 31 is needed")
        value |= 1 << int(bit)
    return value


def _fitting(dq: np.ndarray, flags: int) -> np.generic:
    largest = np.iinfo(dq.dtype).max
    if not 0 <= flags <= largest:
        raise OverflowError(f"flag {flags} does not fit {dq.dtype}, which ends at {largest}")
    return dq.dtype.type(flags)
