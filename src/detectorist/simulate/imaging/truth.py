"""The truth of one simulated NIRCam exposure, and the noise of a perfect fit of its ramps."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from detectorist import __version__
from detectorist.simulate.core import nircam_detector
from detectorist.simulate.core.noise import expected_slope_noise
from detectorist.simulate.core.truth_file import first_group_struck, scene_as_text, with_attributes
from detectorist.simulate.imaging.exposure import ImagingExposures
from detectorist.simulate.imaging.ipc import decoupling_kernel, ipc_fraction
from detectorist.simulate.imaging.readout import Readout

if TYPE_CHECKING:
    import xarray as xr

    from detectorist.simulate.core.truth_file import Variable

_PIXEL = ("row", "column")


def record_truth(
    exposures: ImagingExposures, number: int, sources: np.ndarray, light: np.ndarray, readouts: list[Readout]
) -> xr.Dataset:
    """Return the truth of an exposure (from 0).

    sources, light : ndarray, shape (ny, nx)
        Stars and galaxies; all light; DN/s before the flat.
    """
    import xarray as xr

    variables = (
        _light(exposures, sources, light) | _flicker(readouts) | _detector(exposures) | _struck(exposures, readouts)
    )
    coordinates = {
        "integration": np.arange(exposures.n_ints) + 1,
        "row": np.arange(exposures.window.shape[0]),
        "column": np.arange(exposures.window.shape[1]),
    }
    return xr.Dataset(with_attributes(variables), coords=coordinates, attrs=_attributes(exposures, number))


def _light(exposures: ImagingExposures, sources: np.ndarray, light: np.ndarray) -> dict[str, Variable]:
    """Return what came from the sky, and the noise that it makes."""
    variables = {
        "light": (_PIXEL, light, "DN/s", "sky, sources and wisps, before the flat"),
        "sources": (_PIXEL, sources, "DN/s", "stars and galaxies, before the flat"),
        "wisp": (_PIXEL, exposures.wisp(), "DN/s", "wisps, before the flat"),
        "rate": (_PIXEL, light * exposures.patterns.response, "DN/s", "what a slope should be: light after the flat"),
        "expected_noise": (
            _PIXEL,
            expected_noise(exposures, light).astype(np.float32),
            "DN/s",
            "photon and read noise of the best slope of one integration, after the flat; no 1/f noise",
        ),
    }
    templates = exposures.wisp_templates
    if templates is not None:
        variables["wisp_templates"] = (("component", *_PIXEL), templates, "DN/s", "wisps of strength 1")
    return variables


def _flicker(readouts: list[Readout]) -> dict[str, Variable]:
    """Return what the readout added to the slopes."""
    return {
        "stripes": (
            ("integration", *_PIXEL),
            np.array([readout.stripes for readout in readouts]),
            "DN/s",
            "slope of the 1/f noise and of the columns' drifts",
        ),
        "levels": (
            ("integration", "output"),
            np.array([readout.levels for readout in readouts]),
            "DN/s",
            "slope of the outputs' walk, from left to right; without reference pixels it is part of the measured sky",
        ),
    }


def _detector(exposures: ImagingExposures) -> dict[str, Variable]:
    """Return what the detector is."""
    patterns = exposures.patterns
    return {
        "flat": (_PIXEL, patterns.flat, "1", "relative sensitivity"),
        "dark": (_PIXEL, patterns.dark_e_s, "electron/s", "dark current"),
        "hot": (_PIXEL, patterns.hot_dn_s, "DN/s", "excess rate of hot pixels"),
        "bad_pixels": (_PIXEL, patterns.dq, "1", "flags of the data-quality table"),
    }


def _struck(exposures: ImagingExposures, readouts: list[Readout]) -> dict[str, Variable]:
    """Return where and when particles struck."""
    return {
        "cosmic_ray_group": (
            ("integration", *_PIXEL),
            np.array([_first_group_struck(exposures, readout) for readout in readouts]),
            "1",
            "first group with charge of a single hit (from 0), -1: none",
        ),
        "snowballs": (
            ("snowball", "snowball_property"),
            _snowball_table(exposures, readouts),
            "1",
            "integration (from 1), group (from 0) that holds its charge first, frame, y, x, radius and core radius",
        ),
    }


def expected_noise(exposures: ImagingExposures, light: np.ndarray) -> np.ndarray:
    """Return the noise of the best slope of one integration under `light` (ny, nx), DN/s, after the flat.

    NaN with a single group.
    """
    scene, patterns, window = exposures.scene, exposures.patterns, exposures.window
    if exposures.n_groups < 2:
        return np.full(window.shape, np.nan)
    gain = nircam_detector.gain_of(scene)
    rate = nircam_detector.collected_rate(scene, patterns, light)
    kernel = decoupling_kernel(ipc_fraction(scene))
    return expected_slope_noise(
        rate if scene.has("photon_noise") else np.zeros_like(rate),
        gain=gain,
        read_noise_dn=nircam_detector.read_noise_e(scene) / gain * float(np.sqrt((kernel**2).sum())),
        group_time_s=window.group_time_s,
        n_groups=exposures.n_groups,
        n_frames=window.n_frames,
        frame_time_s=window.frame_time_s,
    )


def _first_group_struck(exposures: ImagingExposures, readout: Readout) -> np.ndarray:
    hits = readout.hits
    if hits is not None:
        hits = replace(hits, group=group_of(exposures, hits.group))
    return first_group_struck(hits, exposures.window.shape, exposures.n_groups)


def group_of(exposures: ImagingExposures, frames: np.ndarray) -> np.ndarray:
    """Return the first group (from 0) that contains an event of a frame: the next one for a skipped frame."""
    window = exposures.window
    period = window.n_frames + window.n_skipped
    frames = np.asarray(frames)
    return frames // period + (frames % period >= window.n_frames)


def _snowball_table(exposures: ImagingExposures, readouts: list[Readout]) -> np.ndarray:
    rows = [
        (number, int(group_of(exposures, np.array(event.frame))), event.frame, event.y, event.x, event.radius,
         event.core_radius)
        for number, readout in enumerate(readouts, start=1)
        for event in readout.snowballs
    ]  # fmt: skip
    return np.array(rows, float).reshape(-1, 7)


def _attributes(exposures: ImagingExposures, number: int) -> dict[str, str | int | float]:
    scene, window = exposures.scene, exposures.window
    x, y = exposures.dither(number)
    return {
        "title": "Truth of a simulated NIRCam image",
        "code": f"detectorist {__version__}",
        "seed": exposures.seed,
        "exposure": number + 1,
        "n_groups": exposures.n_groups,
        "gain": nircam_detector.gain_of(scene),
        "read_noise_e": nircam_detector.read_noise_e(scene),
        "frame_time_s": window.frame_time_s,
        "group_time_s": window.group_time_s,
        "n_frames": window.n_frames,
        "n_skipped": window.n_skipped,
        "dither_x": x,
        "dither_y": y,
        "wisp_strengths": list(scene.wisps.strengths) if _has_wisps(exposures) else [0.0, 0.0],
        "left_out": " ".join(sorted(scene.left_out)),
        "scene": scene_as_text(scene),
    }


def _has_wisps(exposures: ImagingExposures) -> bool:
    return exposures.scene.has("wisps") and exposures.wisp_templates is not None


def snowball_disks(truth: xr.Dataset, shape: tuple[int, int, int, int]) -> np.ndarray:
    """Return where snowballs are, from their first group on, bool of shape (n_ints, n_groups, ny, nx).

    Core and halo of every event in its first group, the core with its final ring in the later ones.
    """
    disks = np.zeros(shape, bool)
    widening = json.loads(truth.attrs["scene"])["snowballs"]["widening_pix"]
    yy, xx = np.mgrid[: shape[2], : shape[3]]
    for integration, group, _, y, x, radius, core in truth["snowballs"].values:
        if group >= shape[1]:
            continue
        distance = np.hypot(yy - y, xx - x)
        planes = disks[int(integration) - 1]
        planes[int(group)] |= distance < radius
        planes[int(group) + 1 :] |= distance < core + widening
    return disks
