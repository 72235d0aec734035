"""The truth of one simulated coronagraphic exposure, as a dataset stored beside its uncal file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from detectorist import __version__
from detectorist.simulate.core.truth_file import first_group_struck, scene_as_text
from detectorist.simulate.coron.exposure import CoronExposures, Light
from detectorist.simulate.coron.programme import Visit

if TYPE_CHECKING:
    import xarray as xr

_PIXEL = ("integration", "row", "column")
#: Dimensions, unit and meaning of what is stored for every integration.
_PER_INTEGRATION = {
    "rate": (_PIXEL, "DN/s", "light times response: what a perfect reduction finds, without dark and hot pixels"),
    "outliers": (_PIXEL, "DN/s", "excess of outlying integrations, not part of rate"),
    "expected_noise": (_PIXEL, "DN/s", "photon and read noise of the best slope over all groups"),
    "cosmic_ray_group": (_PIXEL, "1", "first group struck (from 0), -1: none"),
    "x_offset": (("integration",), "pixel", "of the star behind its mask, toward higher columns"),
    "y_offset": (("integration",), "pixel", "of the star behind its mask, toward higher rows"),
    "ktc": (_PIXEL, "DN", "offset that the reset left"),
    "flicker_slope": (_PIXEL, "DN/s", "least-squares slope over all groups of the 1/f noise"),
    "level": (("integration", "group"), "DN", "drift of the level"),
    "odd_even": (("integration", "group"), "DN", "what odd columns have more than even ones"),
    "spilled": (_PIXEL, "electron", "received from full pixels until the end of the ramp"),
    "emi_phase": (("integration",), "cycle", "390.625 Hz, at the first pixel"),
}


class TruthRecorder:
    """Collects the random draws of each integration of one exposure, then puts them into one dataset."""

    def __init__(self, exposures: CoronExposures, visit: Visit):
        self._exposures, self._visit = exposures, visit
        self._arrays: dict[str, np.ndarray] = {}
        self._parts: dict[str, np.ndarray] = {}

    def add(self, integration: int, light: Light, readout: Any) -> None:
        """Add one integration (from 0)."""
        exposures = self._exposures
        response = self._fixed.response
        x, y = exposures.offset_pix(self._visit, integration)
        drawn = {
            "rate": (light.steady * response).astype(np.float32),
            "outliers": (light.outliers * response).astype(np.float32),
            "expected_noise": exposures.expected_noise(light.steady).astype(np.float32),
            "cosmic_ray_group": first_group_struck(readout.cosmic_rays, response.shape, exposures.n_groups),
            "x_offset": np.array(x),
            "y_offset": np.array(y),
            **(self._of_nircam(readout) if exposures.is_nircam else {"emi_phase": np.array(readout.emi_phase_cycles)}),
        }
        for name, values in drawn.items():
            if name not in self._arrays:
                self._arrays[name] = np.zeros((exposures.n_ints, *values.shape), values.dtype)
            self._arrays[name][integration] = values
        for name in ("star", "companion", "background"):
            self._parts[name] = self._parts.get(name, 0.0) + getattr(light, name) / exposures.n_ints

    @property
    def _fixed(self) -> Any:
        patterns = self._exposures.patterns
        return patterns.fixed if self._exposures.is_nircam else patterns

    def _of_nircam(self, readout: Any) -> dict[str, np.ndarray]:
        times = self._exposures.group_time_s * np.arange(self._exposures.n_groups)
        weights = times - times.mean()
        slope = np.tensordot(weights / (weights**2).sum(), readout.flicker_dn, axes=1)
        return {
            "ktc": readout.ktc_dn.astype(np.float32),
            "flicker_slope": slope.astype(np.float32),
            "level": readout.level_dn,
            "odd_even": readout.odd_even_dn,
            "spilled": readout.spilled_e,
        }

    def dataset(self) -> xr.Dataset:
        """Return the truth of all integrations added."""
        import xarray as xr

        exposures, fixed = self._exposures, self._fixed
        nircam = exposures.is_nircam
        data: dict[str, tuple[Any, ...]] = {
            name: (_PER_INTEGRATION[name][0], values, _attributes(name)) for name, values in self._arrays.items()
        }
        images = {
            "star": (self._parts["star"], "DN/s", "star behind its mask, mean of the integrations, before the flat"),
            "companion": (self._parts["companion"], "DN/s", "companion, mean of the integrations"),
            "background": (self._parts["background"], "DN/s", "sky, telescope, glow"),
            "response": (fixed.response, "1", "relative sensitivity, 0 on dead and reference pixels"),
            "zero_level": (fixed.bias_dn if nircam else fixed.pedestal_dn, "DN", "level after a reset"),
            "dark": (fixed.dark_e_s, "electron/s", "dark current"),
            "hot": (fixed.hot_dn_s, "DN/s", "excess rate of hot pixels"),
        }
        for name, (values, unit, meaning) in images.items():
            data[name] = (_PIXEL[1:], np.asarray(values, np.float32), {"units": unit, "long_name": meaning})
        flags = exposures.patterns.dq
        data["bad_pixels"] = (_PIXEL[1:], flags, {"units": "1", "long_name": "flags of the data-quality table"})
        ny, nx = exposures.mode.shape
        coordinates = {"integration": np.arange(exposures.n_ints) + 1, "row": np.arange(ny), "column": np.arange(nx)}
        return xr.Dataset(data, coords=coordinates, attrs=self._attributes())

    def _attributes(self) -> dict[str, Any]:
        exposures, visit = self._exposures, self._visit
        scene, place = exposures.scene, exposures.companion_place(visit)
        return {
            "title": f"Truth of a simulated {exposures.mode.instrument} coronagraphic exposure",
            "code": f"detectorist {__version__}",
            "light": "analytic halo with frozen speckles, no physical optics",
            "seed": exposures.seed,
            "kind": visit.kind,
            "roll_deg": visit.roll_deg,
            "n_groups": exposures.n_groups,
            "group_time_s": exposures.group_time_s,
            "n_frames": exposures.frames_of_group[0],
            "gain": exposures.gain,
            "read_noise_dn": exposures.read_noise_dn,
            "star_x": exposures.mode.centre[0],
            "star_y": exposures.mode.centre[1],
            "companion_x": np.nan if place is None else place[0],
            "companion_y": np.nan if place is None else place[1],
            "companion_dn_s": 0.0 if place is None else scene.companion.rate_dn_s,
            "left_out": " ".join(sorted(scene.left_out)),
            "scene": scene_as_text(scene),
        }

    @staticmethod
    def encoding(dataset: xr.Dataset) -> dict[str, dict[str, object]]:
        """Return how the dataset is stored: images compressed."""
        return {name: {"zlib": True, "complevel": 1} for name in dataset.data_vars if dataset[name].ndim > 1}


def _attributes(name: str) -> dict[str, str]:
    return {"units": _PER_INTEGRATION[name][1], "long_name": _PER_INTEGRATION[name][2]}
