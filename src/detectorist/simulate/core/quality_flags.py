"""Flags of mask references, as bits of the JWST data-quality table."""

from __future__ import annotations

DO_NOT_USE, DEAD, HOT, REFERENCE_PIXEL = 2**0, 2**10, 2**11, 2**31
#: Pixels that follow with a delay.
RC = 2**14
