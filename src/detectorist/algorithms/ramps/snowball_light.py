"""Evidence from the ramps around a round saturated region: whether it is a star."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from detectorist.algorithms import dq

#: A ring is brighter than its surroundings from so many of its errors.
BRIGHTER_SIGMA = 5.0
#: Fewest pixels of a ring that tell.
LEAST_PIXELS = 20
#: Where the ring begins outside a saturated core, and its width: beyond what spills over, within the wings of a star.
STAR_RING_PIX = (4.0, 5.0)
#: Of what a pixel takes in a group at the edge of a star's saturated region, its wings have at least this part: half a
#: per cent is far less than a point source shows, and more than the gradient of a galaxy.
STAR_SHARE = 0.005
#: The surroundings with which a ring is compared begin so much farther out, and are so wide.
AROUND = (1.3, 1.8)


@dataclass(frozen=True)
class RampLight:
    """Ramps and flags of one integration.

    data : ndarray of float, shape (n_groups, ny, nx)
    groupdq : ndarray of uint8, shape (n_groups, ny, nx), as the jump detection left it
    """

    data: np.ndarray
    groupdq: np.ndarray

    def is_star(self, y: float, x: float, radius_pix: float) -> bool:
        """Return whether a round saturated region has the wings of a star: steady light outside, falling outward."""
        inner = radius_pix + STAR_RING_PIX[0], radius_pix + sum(STAR_RING_PIX)
        groups = range(1, len(self.data))
        found = [self._excess(y, x, inner, group) for group in groups]
        told = [one for one in found if one is not None]
        if not told:
            return True  # nothing to tell it by: leave it
        value, error = np.median(np.array(told), axis=0)
        row, column = (min(max(round(at), 0), n - 1) for at, n in zip((y, x), self.data.shape[1:], strict=True))
        full = float(self.data[0, row, column])
        return bool(value > max(BRIGHTER_SIGMA * error / np.sqrt(len(told)), STAR_SHARE * full))

    def _excess(self, y, x, ring, group):
        """Return how much more a ring gained in a group than what surrounds it, and the error; None where unseen."""
        outer = ring[1] * AROUND[0], ring[1] * AROUND[1]
        reach = int(np.ceil(outer[1])) + 1
        rows = slice(max(int(y) - reach, 0), int(y) + reach + 1)
        columns = slice(max(int(x) - reach, 0), int(x) + reach + 1)
        gain = np.subtract(self.data[group, rows, columns], self.data[group - 1, rows, columns], dtype=float)
        seen = ~dq.has(self.groupdq[group, rows, columns], dq.DO_NOT_USE | dq.SATURATED) & np.isfinite(gain)
        yy, xx = np.ogrid[rows.start : rows.start + gain.shape[0], columns.start : columns.start + gain.shape[1]]
        distance = np.hypot(yy - y, xx - x)
        values = [gain[seen & (distance >= near) & (distance < far)] for near, far in (ring, outer)]
        if min(len(one) for one in values) < LEAST_PIXELS:
            return None
        middles = [float(np.median(one)) for one in values]
        scatter = 1.4826 * float(np.median(np.abs(values[1] - middles[1])))
        # The error of a median is 1.25 times that of a mean.
        return middles[0] - middles[1], 1.25 * scatter * np.sqrt(sum(1 / len(one) for one in values))
