"""One simulated LRS exposure: everything determined by a seed, made integration by integration."""

from __future__ import annotations

from functools import cached_property

import numpy as np

from detectorist.simulate.core import miri_detector
from detectorist.simulate.core.exposure_times import Clock
from detectorist.simulate.core.miri_detector import Readout
from detectorist.simulate.core.pointing import Pointing, draw_pointing
from detectorist.simulate.lrs import sky
from detectorist.simulate.lrs.components import LrsComponents
from detectorist.simulate.lrs.sky import SHAPE, SUBARRAY

#: Start of every simulated exposure: 2026-07-01, MJD UTC.
START_MJD = 61_222.0


class LrsExposure:
    """An exposure of an LRS scene, determined by a seed. Integrations are made one by one.

    Integrations count from 0 here, from 1 in the files.

    Attributes
    ----------
    scene : LrsComponents
    n_ints, n_groups, n_segments, seed : int
    clock : Clock
        When the integrations begin and end.
    """

    def __init__(self, scene: LrsComponents, *, n_ints: int, n_groups: int, n_segments: int, seed: int):
        self.scene, self.seed = scene, seed
        self.n_ints, self.n_groups, self.n_segments = n_ints, n_groups, n_segments
        self.clock = Clock(START_MJD, SUBARRAY.frame_time_s, n_groups, n_ints)

    @cached_property
    def patterns(self) -> miri_detector.FixedPatterns:
        """The detector's fixed patterns."""
        return miri_detector.fixed_patterns(self.scene)

    @cached_property
    def pointing(self) -> Pointing:
        """Offsets of the trace."""
        return draw_pointing(self.scene.jitter if self.scene.has("jitter") else None, self.n_ints, self.seed)

    @cached_property
    def light_curves(self) -> np.ndarray:
        """Relative flux, shape (n_ints, n_rows): 1 without a transit."""
        if not self.scene.has("transit"):
            return np.ones((self.n_ints, SUBARRAY.n_rows))
        return sky.light_curves(self.scene.transit, self.clock.mid_times_s(), self.clock.exposure_s)

    @cached_property
    def spectrum(self) -> np.ndarray:
        """The star out of transit and with no offset, summed over columns, shape (n_rows,), DN/s."""
        if not self.scene.has("star"):
            return np.zeros(SUBARRAY.n_rows)
        return sky.star_spectrum(self.scene.star)

    def star_rate(self, integration: int) -> np.ndarray:
        """Return the star's rate per row in one integration, summed over columns, shape (n_rows,), DN/s."""
        shifted = sky.shifted_spectrum(self.spectrum, self.pointing.y_pix[integration])
        return shifted * self.light_curves[integration]

    def background_rate(self, integration: int) -> np.ndarray:
        """Return the background of one integration, shape (n_rows, n_cols), DN/s."""
        if not self.scene.has("background"):
            return np.zeros(SHAPE)
        return sky.background_image(self.scene.background, integration / max(self.n_ints - 1, 1))

    def light(self, integration: int) -> np.ndarray:
        """Return the light of one integration before the flat, shape (n_rows, n_cols), DN/s."""
        profile = sky.trace_profile(self.scene.star, self.pointing.x_pix[integration])
        return self.star_rate(integration)[:, None] * profile + self.background_rate(integration)

    def read_out(self, integration: int) -> Readout:
        """Return one integration as the detector writes it, shape (n_groups, n_rows, n_cols), and the random draws."""
        return miri_detector.read_out(
            self.scene,
            self.patterns,
            self.light(integration),
            n_groups=self.n_groups,
            seed=self.seed,
            integration=integration,
        )

    @property
    def saturation_group(self) -> int | None:
        """The group (from 0) in which the brightest pixel is expected to saturate; None within these ramps."""
        rate = self.spectrum[:, None] * sky.trace_profile(self.scene.star, 0.0) + self.background_rate(0)
        detector = self.scene.detector
        limit = miri_detector.response_curve(self.scene).linear(np.array(detector.saturation_dn - detector.pedestal_dn))
        limit = min(float(limit), detector.full_well_e / detector.gain)
        if rate.max() <= 0:
            return None
        group = int(np.ceil(limit / (rate.max() * SUBARRAY.frame_time_s))) - 1
        return group if group < self.n_groups else None
