"""Compiled part of `flags`."""

from __future__ import annotations

from numba import njit


@njit(cache=True, nogil=True)
def count_bits(values, counts):
    """Add to `counts` (33,) the values with each bit set, and in its last element those without any."""
    for value in values:
        if value == 0:
            counts[32] += 1
            continue
        bit = 0
        left = value
        while left:
            if left & 1:
                counts[bit] += 1
            left >>= 1
            bit += 1
