"""A NIRCam detector: the part of it that is read and when, its fixed patterns, gain, noise and response."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from detectorist.detectors import NIRCAM, PIXEL_TIME_S, NircamDetector
from detectorist.errors import InputError
from detectorist.fits_files import read_plane
from detectorist.simulate.core import detector
from detectorist.simulate.core.components import NonlinearityCurve
from detectorist.simulate.core.quality_flags import DEAD, DO_NOT_USE, HOT, REFERENCE_PIXEL
from detectorist.simulate.core.random_streams import stream
from detectorist.simulate.core.time_line import TimeLine

#: Largest number the converter writes: 16 bit.
MAX_DN = 65_535
#: A scene of any mode: components by the names used here; those it does not have are left out.
NircamScene = Any


@dataclass(frozen=True)
class Window:
    """The part of a detector that is read, and its clocks.

    Attributes
    ----------
    name : str
        SUBARRAY.
    x_start, y_start : int
        First column and row, 1-based.
    time_line : TimeLine
        The order in which its pixels are read.
    n_frames, n_skipped : int
        Frames averaged per group, and skipped between groups.
    facts : NircamDetector
    """

    name: str
    x_start: int
    y_start: int
    time_line: TimeLine
    n_frames: int
    n_skipped: int
    facts: NircamDetector

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.time_line.n_rows, self.time_line.n_cols

    @property
    def frame_time_s(self) -> float:
        """Time of a frame, s."""
        # The full frame ends with one pixel more.
        return (self.time_line.frame_clocks + (self.time_line.n_outputs > 1)) * PIXEL_TIME_S

    @property
    def group_time_s(self) -> float:
        """Time from group to group, s."""
        return (self.n_frames + self.n_skipped) * self.frame_time_s

    def n_frames_read(self, n_groups: int) -> int:
        """Return the number of frames from the reset to the end of the last group, skipped ones included."""
        return n_groups * (self.n_frames + self.n_skipped) - self.n_skipped

    def group_times_s(self, n_groups: int) -> np.ndarray:
        """Return the mean time of each group after the reset, shape (n_groups,), s."""
        return (np.arange(n_groups) * (self.n_frames + self.n_skipped) + (self.n_frames + 1) / 2) * self.frame_time_s

    def reference_pixels(self) -> np.ndarray:
        """Return where the detector's frame of reference pixels lies in this window, bool (ny, nx)."""
        border, last = self.facts.n_reference_pix, self.facts.n_rows - self.facts.n_reference_pix
        rows = np.arange(self.time_line.n_rows) + self.y_start - 1
        columns = np.arange(self.time_line.n_cols) + self.x_start - 1
        return ((rows < border) | (rows >= last))[:, None] | ((columns < border) | (columns >= last))


@dataclass(frozen=True)
class FixedPatterns:
    """Fixed patterns of a detector, the same in all exposures, shape (ny, nx) each.

    Attributes
    ----------
    flat, response : ndarray of float32
        Relative sensitivity, 1 on reference pixels; the factor by which light is multiplied, 0 on dead and reference
        pixels.
    bias_dn : ndarray of float32
    dark_e_s, hot_dn_s : ndarray of float32
        Dark current; excess rate of hot pixels.
    dq : ndarray of uint32
        Flags of the data-quality table.
    """

    flat: np.ndarray
    response: np.ndarray
    bias_dn: np.ndarray
    dark_e_s: np.ndarray
    hot_dn_s: np.ndarray
    dq: np.ndarray


def gain_of(scene: NircamScene) -> float:
    """Return the gain, e-/DN."""
    return scene.detector.gain or NIRCAM[scene.detector.name].gain


def read_noise_e(scene: NircamScene) -> float:
    """Return the white noise of one read, e-; 0 where it is left out."""
    own = NIRCAM[scene.detector.name].read_noise_e
    rms = scene.read_noise.rms_e
    return (own if rms is None else rms) if scene.has("read_noise") else 0.0


def fixed_patterns(scene: NircamScene, window: Window) -> FixedPatterns:
    """Draw the fixed patterns of a scene's detector from its serial number, independent of the exposure's seed."""
    shape, serial = window.shape, scene.detector.serial

    def normal(name: str) -> np.ndarray:
        return stream(serial, f"{window.facts.name} {name}").standard_normal(shape, np.float32)

    reference = window.reference_pixels()
    flat = np.ones(shape, np.float32)
    if scene.has("flat"):
        yy, xx = np.linspace(-1, 1, shape[0])[:, None], np.linspace(-1, 1, shape[1])
        broad = scene.flat.large_scale * (0.6 * xx * yy - 0.4 * xx**2 + 0.3 * yy)
        flat += scene.flat.scatter * normal("flat") + broad.astype(np.float32)
    flat[reference] = 1.0
    dq, hot = _bad_pixels(scene, window)
    response = np.where(reference | ((dq & DEAD) > 0), 0.0, flat).astype(np.float32)
    dark = np.zeros(shape, np.float32)
    if scene.has("dark"):
        rate = window.facts.dark_current_e_s if scene.dark.rate_e_s is None else scene.dark.rate_e_s
        dark = np.where(reference, 0, rate * np.clip(1 + scene.dark.scatter * normal("dark"), 0, None))
    hot[reference] = 0.0
    dq[reference] = REFERENCE_PIXEL
    outputs = stream(serial, f"{window.facts.name} outputs").normal(size=window.time_line.n_outputs)
    bias = scene.detector.bias_dn + scene.detector.bias_scatter_dn * normal("bias")
    bias += np.repeat(scene.detector.bias_output_dn * outputs, window.time_line.width).astype(np.float32)
    return FixedPatterns(flat, response, bias.astype(np.float32), dark.astype(np.float32), hot, dq)


def _bad_pixels(scene: NircamScene, window: Window) -> tuple[np.ndarray, np.ndarray]:
    """Return flags, and the excess rate (DN/s) of hot pixels."""
    dq, hot = np.zeros(window.shape, np.uint32), np.zeros(window.shape, np.float32)
    if not scene.has("bad_pixels"):
        return dq, hot
    bad = scene.bad_pixels
    rng = stream(scene.detector.serial, f"{window.facts.name} bad_pixels")
    lot = rng.random(window.shape, np.float32)
    rate = np.exp(rng.uniform(*np.log(bad.hot_dn_s), size=window.shape))
    dead = lot < bad.dead_fraction
    is_hot = (lot > 1 - bad.hot_fraction) if bad.hot_map is None else _read_map(bad.hot_map, window)
    hot[is_hot] = rate[is_hot]
    dq[is_hot] |= DO_NOT_USE | HOT
    dq[dead] |= DO_NOT_USE | DEAD
    return dq, hot


def _read_map(path: str, window: Window) -> np.ndarray:
    found = read_plane(path, "a map of the detector")
    whole = (window.facts.n_rows, window.facts.n_cols)
    if found.shape != whole:
        raise InputError(f"{path}: shape {found.shape}; the whole detector, {whole}, is needed")
    rows = slice(window.y_start - 1, window.y_start - 1 + window.shape[0])
    columns = slice(window.x_start - 1, window.x_start - 1 + window.shape[1])
    return found[rows, columns] != 0


def response_curve(scene: NircamScene) -> detector.Nonlinearity:
    """Return the nonlinearity of a scene: 1:1 where it is left out."""
    left_out = NonlinearityCurve(coefficients=(0.0, 1.0))
    return (scene.nonlinearity if scene.has("nonlinearity") else left_out).curve()


def collected_rate(scene: NircamScene, patterns: FixedPatterns, light_dn_s: np.ndarray) -> np.ndarray:
    """Return the rate collected under `light_dn_s` (ny, nx), dark current and hot pixels included, DN/s."""
    return light_dn_s * patterns.response + patterns.hot_dn_s + patterns.dark_e_s / gain_of(scene)


def saturation_dn(scene: NircamScene, patterns: FixedPatterns, window: Window) -> np.ndarray:
    """Return the raw level from which a read counts as saturated, shape (ny, nx), float32."""
    linear = np.array(scene.detector.saturation_fraction * window.facts.full_well_e / gain_of(scene))
    level = patterns.bias_dn + float(response_curve(scene).measured(linear))
    return np.minimum(level, MAX_DN - 500).astype(np.float32)
