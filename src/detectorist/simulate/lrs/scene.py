"""Scenes as immutable chains: `LrsScene().with_star(mag=8.5).without("cosmic_rays").observe(ints=20, groups=30)`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from detectorist.errors import ParameterError
from detectorist.simulate.core.miri_components import MEASURED
from detectorist.simulate.core.scene import Progress, require_number
from detectorist.simulate.lrs.components import LrsComponents, late_curve
from detectorist.simulate.lrs.observation import LrsObservation


@dataclass(frozen=True)
class LrsScene(LrsComponents):
    """A transiting planet seen by MIRI's low-resolution spectrometer without a slit.

    Its components are the fields of `LrsComponents`; each has its own random numbers, so that leaving one out does not
    change the others (photon noise follows the remaining light).

    Examples
    --------
    >>> scene = LrsScene().with_star(mag=9.5).with_transit(depth=0.02).without("cosmic_rays", "emi")
    >>> scene.write("sim", ints=20, groups=30, segments=2, seed=7)
    """

    @classmethod
    def for_long_ramps(cls, n_groups: int = 100) -> LrsScene:
        """Return a scene whose ramps of n_groups lose about 6 % to nonlinearity at their end and do not saturate.

        The response hardly departs from linear in the first 40 % of the ramps and then falls off
        (`late_curve`).
        """
        scene = cls()
        top_dn = 50_000.0
        wanted = top_dn / (n_groups * cls.subarray.frame_time_s)
        mag = 9.0 - 2.5 * np.log10(wanted / scene.star.peak_dn_s_at_mag_9)
        curve = late_curve(pedestal_dn=scene.detector.pedestal_dn, top_dn=top_dn)
        return scene.with_star(mag=float(mag)).with_nonlinearity(coefficients=curve)

    def with_measured_electronics(self) -> LrsScene:
        """Return the scene with the electronics of a real array on a test bench (`miri_components.MEASURED`)."""
        scene = self
        for component, values in MEASURED.items():
            scene = scene.with_(component, **values)
        return scene

    def with_star(self, **changes: Any) -> LrsScene:
        """Return the scene with another star: parameters of `Star`."""
        return self.with_("star", **changes)

    def with_transit(self, **changes: Any) -> LrsScene:
        """Return the scene with another transit: parameters of `Transit`.

        `depth_spectrum` may be any sequence of (micron, depth), or a pair of arrays.
        """
        table = changes.get("depth_spectrum")
        if table is not None:
            array = np.asarray(table, float)
            array = array.T if array.ndim == 2 and array.shape[0] == 2 and array.shape[1] != 2 else array
            if array.ndim != 2 or array.shape[1] != 2 or not np.all(np.diff(array[:, 0]) > 0):
                raise ParameterError(
                    f"depth_spectrum has shape {array.shape}: pairs (micron, depth) of rising wavelength are needed"
                )
            changes["depth_spectrum"] = tuple((float(um), float(depth)) for um, depth in array)
        return self.with_("transit", **changes)

    def with_nonlinearity(self, **changes: Any) -> LrsScene:
        """Return the scene with another response: parameters of `NonlinearityCurve`."""
        return self.with_("nonlinearity", **changes)

    def with_detector(self, **changes: Any) -> LrsScene:
        """Return the scene on another detector: parameters of `Detector`."""
        return self.with_("detector", **changes)

    def observe(self, *, ints: int = 40, groups: int = 20, segments: int = 2, seed: int = 0) -> LrsObservation:
        """Return the exposure of the scene, determined by a seed, ready to be read out or written.

        Raises
        ------
        ParameterError
            When a number is too small or too large, or there are more segments than integrations.
        """
        for name, value, least in (("ints", ints, 1), ("groups", groups, 2), ("segments", segments, 1)):
            require_number(name, value, least=least)
        if seed < 0:
            raise ParameterError(f"seed is {seed}: 0 or more is needed", parameter="seed")
        if segments > ints:
            raise ParameterError(f"{segments} segments of {ints} integrations: each segment needs one")
        return LrsObservation(self, n_ints=ints, n_groups=groups, n_segments=segments, seed=seed)

    def write(
        self,
        folder: Path | str,
        *,
        ints: int = 40,
        groups: int = 20,
        segments: int = 2,
        seed: int = 0,
        overwrite: bool = False,
        progress: Progress | None = None,
    ) -> list[Path]:
        """Write uncal files, `truth.nc` and the references `crds/` into a folder; return the uncal files.

        Raises
        ------
        ParameterError
            As `observe`.
        OutputError
            When the folder holds such files already and `overwrite` is False, or cannot be written.
        """
        exposure = self.observe(ints=ints, groups=groups, segments=segments, seed=seed)
        return exposure.write(folder, overwrite=overwrite, progress=progress)
