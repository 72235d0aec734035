"""Stage 1 of the standard pipeline in compiled passes: the same bits, in a fraction of the time and memory.

Arrays only. Every module reproduces one stock step to the last bit, rounding included, because a user must be
able to replace one by the other without a second thought; where stock's arithmetic is surprising, the kernel
that repeats it says so and why. A case that is not reproduced raises `NotCovered`, and the caller runs the
stock step instead.

The method is the same everywhere: a vectorised pass over a tile of pixels settles the ordinary ones, with
thresholds a little too strict; every pixel with a flag, a NaN, an odd reference value, a tie, or a result
near a threshold or near a rounding boundary is done again by a scalar routine in stock's own order of
operations. So every decision is exact, and the cost grows with the fraction of unusual pixels.
"""

from __future__ import annotations

#: The stcal whose bits these modules reproduce. Rounding, order of summation and the exits for too few groups
#: are no documented behaviour: another version may change them, so another version has to be compared first.
PROVEN_STCAL = "1.20.0"


class NotCovered(Exception):
    """This exposure needs something that the engine does not reproduce; the message says what."""
