"""Bits of the group and pixel flags of JWST ramps, and what a compiled kernel may assume of them."""

from __future__ import annotations

DO_NOT_USE = 1
SATURATED = 2
JUMP = 4
PERSISTENCE = 32
AD_FLOOR = 64
CHARGELOSS = 128
NO_GAIN_VALUE = 2**19
NO_LIN_CORR = 2**20
NO_SAT_CHECK = 2**21

#: A group with one of these has no value at all.
UNUSABLE = DO_NOT_USE | SATURATED

#: Bit of the group flags that no JWST step sets (OUTLIER belongs to later stages): the engine's own mark for
#: "tell the neighbours", gone again before a result is returned.
MARK = 16
