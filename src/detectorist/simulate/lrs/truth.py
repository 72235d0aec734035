"""The truth of a simulated LRS exposure, and the noise of a perfect reduction."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from detectorist import __version__
from detectorist.detectors import MIRI
from detectorist.simulate.core import miri_detector
from detectorist.simulate.core.detector import Drift
from detectorist.simulate.core.miri_detector import Readout
from detectorist.simulate.core.noise import expected_slope_noise
from detectorist.simulate.core.truth_file import first_group_struck, scene_as_text, with_attributes
from detectorist.simulate.lrs import sky
from detectorist.simulate.lrs.exposure import LrsExposure
from detectorist.simulate.lrs.sky import SHAPE, SUBARRAY

if TYPE_CHECKING:
    import xarray as xr

    from detectorist.simulate.core.truth_file import Variable

_ROWS, _COLUMNS = np.arange(SUBARRAY.n_rows), np.arange(SUBARRAY.n_cols)
_IMAGES = ("light", "expected_noise")


class TruthRecorder:
    """Collects the random draws of each integration, then puts them into one dataset."""

    def __init__(self, exposure: LrsExposure):
        self._exposure = exposure
        self._arrays: dict[str, np.ndarray] = {}
        self._hits: list[np.ndarray] = []

    def add(self, integration: int, readout: Readout) -> None:
        """Add one integration (from 0)."""
        exposure = self._exposure
        light = exposure.light(integration)
        light[:, : MIRI.n_reference_cols] = 0.0
        n_groups, n_outputs = exposure.n_groups, MIRI.n_outputs
        drift = readout.drift or Drift(
            np.zeros((n_groups, n_outputs)),
            np.zeros((n_groups, 2, n_outputs)),
            np.zeros((n_groups, n_outputs)),
            np.zeros(n_outputs),
            0.0,
        )
        drawn = {
            "spectrum": exposure.star_rate(integration),
            "background": exposure.background_rate(integration).mean(axis=1),
            "light": light.astype(np.float32),
            "expected_noise": self._expected_noise(light).astype(np.float32),
            "cosmic_ray_group": first_group_struck(readout.cosmic_rays, SHAPE, n_groups),
            "emi_phase": np.array(readout.emi_phase_cycles),
            "drift_level": drift.level,
            "drift_odd_even": drift.odd_even,
            "drift_slow_amplitude": drift.slow_amplitude,
            "drift_slow_phase": drift.slow_phase,
        }
        if drift.row_level is not None:
            drawn["drift_rows"] = drift.row_level.astype(np.float32)
        for name, values in drawn.items():
            if name not in self._arrays:
                self._arrays[name] = np.zeros((exposure.n_ints, *values.shape), values.dtype)
            self._arrays[name][integration] = values
        if readout.cosmic_rays is not None:
            hits = readout.cosmic_rays
            number = np.full(hits.group.size, integration + 1.0)
            self._hits.append(np.array([number, hits.group, hits.row, hits.column, hits.charge_e]))

    def _expected_noise(self, light: np.ndarray) -> np.ndarray:
        exposure = self._exposure
        scene, patterns = exposure.scene, exposure.patterns
        rate = miri_detector.collected_rate(scene, patterns, light)
        noise = expected_slope_noise(
            rate if scene.has("photon_noise") else np.zeros_like(rate),
            gain=scene.detector.gain,
            read_noise_dn=scene.read_noise.rms_dn if scene.has("read_noise") else 0.0,
            group_time_s=SUBARRAY.frame_time_s,
            n_groups=max(exposure.n_groups - 1, 2),
        )
        return noise / patterns.flat

    def dataset(self, times: np.ndarray) -> xr.Dataset:
        """Return the truth of all integrations added; `times` are the rows of INT_TIMES."""
        import xarray as xr

        variables = self._light() | self._struck() | self._readout() | _detector(self._exposure)
        return xr.Dataset(with_attributes(variables), coords=_coordinates(times), attrs=self._attributes())

    def _light(self) -> dict[str, Variable]:
        """Return what came from the sky, and the noise that it makes."""
        exposure = self._exposure
        spectrum = self._arrays["spectrum"]
        pixel, per_row = ("integration", "row", "column"), ("integration", "row")
        return {
            "spectrum": (per_row, spectrum, "DN/s", "star, summed over columns, before the flat"),
            "spectrum_electrons": (
                per_row,
                spectrum * exposure.scene.detector.gain,
                "electron/s",
                "the same in electrons",
            ),
            "light_curve": (per_row, exposure.light_curves, "1", "relative flux of each row"),
            "white_light": (
                ("integration",),
                _white_light(exposure),
                "1",
                "light curve of all rows, weighted by the spectrum out of transit",
            ),
            "depth": (("row",), _depth(exposure), "1", "squared ratio of radii"),
            "x_shift": (("integration",), exposure.pointing.x_pix, "pixel", "of the trace, to higher columns"),
            "y_shift": (("integration",), exposure.pointing.y_pix, "pixel", "of the trace, to higher rows"),
            "background": (per_row, self._arrays["background"], "DN/s", "mean over columns"),
            "light": (pixel, self._arrays["light"], "DN/s", "star and background per pixel, before the flat"),
            "expected_noise": (
                pixel,
                self._arrays["expected_noise"],
                "DN/s",
                "photon and read noise of the best slope over all groups but the last, after the flat",
            ),
        }

    def _struck(self) -> dict[str, Variable]:
        """Return where and when particles struck."""
        pixel = ("integration", "row", "column")
        hits = np.concatenate(self._hits, axis=1) if self._hits else np.zeros((5, 0))
        return {
            "cosmic_ray_group": (pixel, self._arrays["cosmic_ray_group"], "1", "first group struck (from 0), -1: none"),
            "cosmic_ray_hits": (
                ("hit_property", "hit"),
                hits,
                "1",
                "integration (from 1), group, row, column (from 0), electrons",
            ),
        }

    def _readout(self) -> dict[str, Variable]:
        """Return what the electronics added, read by read."""
        per_group = ("integration", "group", "output")
        rows = self._arrays.get("drift_rows")
        of_rows: dict[str, Variable] = {}
        if rows is not None:
            of_rows["drift_rows"] = (("integration", "group", "row"), rows, "DN", "added to every row, all outputs")
        return of_rows | {
            "emi_phase": (("integration",), self._arrays["emi_phase"], "cycle", "390.625 Hz, at the first pixel"),
            "drift_level": (per_group, self._arrays["drift_level"], "DN", "zero level of an output"),
            "drift_odd_even": (
                ("integration", "group", "parity", "output"),
                self._arrays["drift_odd_even"],
                "DN",
                "added to even and odd rows",
            ),
            "drift_slow_amplitude": (per_group, self._arrays["drift_slow_amplitude"], "DN", "of a wave along the rows"),
            "drift_slow_phase": (("integration", "output"), self._arrays["drift_slow_phase"], "cycle", "of that wave"),
        }

    def _attributes(self) -> dict[str, str | int | float]:
        exposure = self._exposure
        scene = exposure.scene
        saturation = exposure.saturation_group
        transit_mid = scene.transit.mid * exposure.clock.exposure_s
        return {
            "title": "Truth of a simulated MIRI LRS slitless exposure",
            "code": f"detectorist {__version__}",
            "seed": exposure.seed,
            "n_groups": exposure.n_groups,
            "n_segments": exposure.n_segments,
            "gain": scene.detector.gain,
            "read_noise_dn": scene.read_noise.rms_dn if scene.has("read_noise") else 0.0,
            "photon_noise": int(scene.has("photon_noise")),
            "group_time_s": SUBARRAY.frame_time_s,
            "cadence_s": exposure.clock.cadence_s,
            "start_mjd_utc": exposure.clock.start_mjd,
            "transit_mid_s": transit_mid,
            "transit_period_s": sky.transit_period(scene.transit, exposure.clock.exposure_s),
            "drift_slow_cycles": scene.drift.slow_cycles,
            "saturation_group": -1 if saturation is None else saturation,
            "left_out": " ".join(sorted(scene.left_out)),
            "scene": scene_as_text(scene),
        }

    @staticmethod
    def encoding() -> dict[str, dict[str, object]]:
        """Return how the dataset is stored: images compressed."""
        return {name: {"zlib": True, "complevel": 2} for name in (*_IMAGES, "cosmic_ray_group")}


def _detector(exposure: LrsExposure) -> dict[str, Variable]:
    """Return what the detector is: it does not change during the exposure."""
    patterns = exposure.patterns
    pixel = ("row", "column")
    return {
        "flat": (pixel, patterns.flat, "1", "relative sensitivity"),
        "response": (pixel, patterns.response, "1", "the same, less on bad and reference pixels"),
        "pedestal": (pixel, patterns.pedestal_dn, "DN", "zero level"),
        "dark": (pixel, patterns.dark_e_s, "electron/s", "dark current"),
        "hot": (pixel, patterns.hot_dn_s, "DN/s", "excess rate of hot pixels"),
        "bad_pixels": (pixel, patterns.dq, "1", "flags of the data-quality table"),
        "nonlinearity": (
            ("power",),
            np.array(miri_detector.response_curve(exposure.scene).coefficients),
            "1",
            "linear DN = sum of coefficient * measured DN ** power, above the zero level",
        ),
    }


def _coordinates(times: np.ndarray) -> dict[str, object]:
    return {
        "integration": ("integration", times["integration_number"]),
        "time_mjd_utc": ("integration", times["int_mid_MJD_UTC"], {"units": "day", "long_name": "MJD UTC, middle"}),
        "time_bjd_tdb": (
            "integration",
            times["int_mid_BJD_TDB"],
            {"units": "day", "long_name": "BJD TDB - 2400000.5, middle"},
        ),
        "row": ("row", _ROWS),
        "column": ("column", _COLUMNS),
        "wavelength": (
            "row",
            sky.wavelengths_um(_ROWS),
            {"units": "micron", "long_name": "wavelength of the row's centre"},
        ),
    }


def _white_light(exposure: LrsExposure) -> np.ndarray:
    weights = exposure.spectrum
    if weights.sum() <= 0:
        return np.full(exposure.n_ints, np.nan)
    return exposure.light_curves @ weights / weights.sum()


def _depth(exposure: LrsExposure) -> np.ndarray:
    if not exposure.scene.has("transit"):
        return np.zeros(SUBARRAY.n_rows)
    return sky.row_depths(exposure.scene.transit)


def drift_image(truth: xr.Dataset, integration: int) -> np.ndarray:
    """Return the drift of every read of one integration (number from 1), shape (n_groups, n_rows, n_cols), DN."""
    one = truth.sel(integration=integration)
    drift = Drift(
        one.drift_level.values,
        one.drift_odd_even.values,
        one.drift_slow_amplitude.values,
        one.drift_slow_phase.values,
        float(truth.attrs["drift_slow_cycles"]),
        one.drift_rows.values if "drift_rows" in one else None,
    )
    return drift.image(truth.sizes["row"], truth.sizes["column"])


def expected_noise(truth: xr.Dataset, *, n_groups: int) -> np.ndarray:
    """Return photon and read noise of the best slope over n_groups consecutive groups, after the flat.

    Shape (n_ints, n_rows, n_cols), DN/s. `truth.expected_noise` has this for all groups but the last.
    """
    flat = truth.flat.values
    rate = truth.light.values * truth.response.values + truth.hot.values + truth.dark.values / truth.attrs["gain"]
    noise = expected_slope_noise(
        rate * truth.attrs["photon_noise"],
        gain=truth.attrs["gain"],
        read_noise_dn=truth.attrs["read_noise_dn"],
        group_time_s=truth.attrs["group_time_s"],
        n_groups=n_groups,
    )
    return noise / flat


def expected_white_scatter(truth: xr.Dataset, *, rows: slice, columns: slice, n_groups: int) -> float:
    """Return the relative scatter of a white light curve from photon and read noise.

    rows, columns : slice
        Pixels that are summed, their background known without error.
    n_groups : int
        Consecutive groups that the slopes use.
    """
    variance = expected_noise(truth, n_groups=n_groups)[:, rows, columns] ** 2
    flux = truth.spectrum.values[:, rows].sum(axis=1)
    return float(np.sqrt(np.mean(variance.sum(axis=(1, 2)) / flux**2)))
