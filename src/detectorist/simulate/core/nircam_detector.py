"""A NIRCam detector: which part of it is read and when, its fixed patterns, gain, noise and response."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from detectorist.detectors import NIRCAM, NIRCAM_READOUT_PATTERNS, PIXEL_TIME_S, NircamDetector
from detectorist.errors import InputError, ParameterError
from detectorist.simulate.core import detector
from detectorist.simulate.core.miri_components import NonlinearityCurve
from detectorist.simulate.core.nircam_components import ImagingDetector
from detectorist.simulate.core.random_streams import stream
from detectorist.simulate.core.time_line import TimeLine
from detectorist.simulate.lrs.scene import require_known

if TYPE_CHECKING:
    from detectorist.simulate.imaging.scene import ImagingScene

# Flags of the mask reference, as bits of the JWST data-quality table.
DO_NOT_USE, DEAD, HOT, REFERENCE_PIXEL = 2**0, 2**10, 2**11, 2**31
#: Largest number the converter writes: 16 bit.
MAX_DN = 65_535
#: Square subarrays by name, and the name of one of a size of one's own.
SUBARRAYS = {"FULL": 2048, "SUB640": 640, "SUB320": 320, "SUB160": 160}
OWN_SUBARRAY = "GENERIC"


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


def make_window(parameters: ImagingDetector) -> Window:
    """Return the window that the parameters ask for.

    Raises
    ------
    ParameterError
        For a detector, subarray or pattern that does not exist, or a size that the outputs do not share evenly.
    """
    require_known(parameters.name, NIRCAM, "detector of NIRCam")
    require_known(parameters.pattern, NIRCAM_READOUT_PATTERNS, "readout pattern of NIRCam")
    facts = NIRCAM[parameters.name]
    name, size = parameters.subarray, parameters.size
    if size is None:
        require_known(name, SUBARRAYS, "square subarray of NIRCam")
        size = SUBARRAYS[name]
    elif not 16 <= size <= facts.n_rows:
        raise ParameterError(f"size is {size}: 16 to {facts.n_rows} pixels are needed")
    else:
        name = "FULL" if size == facts.n_rows else OWN_SUBARRAY
    outputs = parameters.outputs or (4 if name == "FULL" else 1)
    if outputs not in (1, 4) or size % outputs:
        raise ParameterError(f"outputs is {outputs} for {size} columns: 1, or 4 that share the columns, is needed")
    start = (facts.n_rows - size) // 2 + 1
    n_frames, n_skipped = NIRCAM_READOUT_PATTERNS[parameters.pattern]
    time_line = TimeLine(
        size,
        size,
        outputs,
        fast_direction=facts.fast_axis,
        slow_direction=1 if facts.slow_axis > 0 else -1,
        row_overhead_clocks=facts.row_overhead_clocks,
        frame_overhead_rows=1 if outputs > 1 else 2,
    )
    return Window(name, start, start, time_line, n_frames, n_skipped, facts)


@dataclass(frozen=True)
class FixedPatterns:
    """What a detector has in common in all exposures, shape (ny, nx) each.

    Attributes
    ----------
    flat, response : ndarray of float32
        Relative sensitivity, 1 on reference pixels; what light is multiplied by: 0 on dead and reference pixels.
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


def gain_of(scene: ImagingScene) -> float:
    """Return the gain, e-/DN."""
    return scene.detector.gain or NIRCAM[scene.detector.name].gain


def read_noise_e(scene: ImagingScene) -> float:
    """Return the white noise of one read, e-; 0 where it is left out."""
    own = NIRCAM[scene.detector.name].read_noise_e
    rms = scene.read_noise.rms_e
    return (own if rms is None else rms) if scene.has("read_noise") else 0.0


def fixed_patterns(scene: ImagingScene, window: Window) -> FixedPatterns:
    """Draw the fixed patterns of a scene's detector: from its serial number, whatever the exposure's seed."""
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


def _bad_pixels(scene: ImagingScene, window: Window) -> tuple[np.ndarray, np.ndarray]:
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
    from astropy.io import fits

    try:
        found = fits.getdata(path)
    except OSError as error:
        raise InputError(f"{path}: not readable as a FITS image ({error})") from error
    whole = (window.facts.n_rows, window.facts.n_cols)
    if found is None or found.shape != whole:
        raise InputError(f"{path}: shape {getattr(found, 'shape', None)}; the whole detector, {whole}, is needed")
    rows = slice(window.y_start - 1, window.y_start - 1 + window.shape[0])
    columns = slice(window.x_start - 1, window.x_start - 1 + window.shape[1])
    return found[rows, columns] != 0


def response_curve(scene: ImagingScene) -> detector.Nonlinearity:
    """Return the nonlinearity of a scene: 1:1 where it is left out."""
    left_out = NonlinearityCurve(coefficients=(0.0, 1.0))
    return (scene.nonlinearity if scene.has("nonlinearity") else left_out).curve()


def coupling_kernel(fraction: float) -> np.ndarray:
    """Return the kernel by which neighbours share their signal, shape (3, 3), sum 1."""
    return np.array([[0, fraction, 0], [fraction, 1 - 4 * fraction, fraction], [0, fraction, 0]])


def decoupling_kernel(fraction: float) -> np.ndarray:
    """Return the kernel that undoes `coupling_kernel`, cut to 3 x 3 and of sum 1; what is left is fraction ** 2."""
    padded = np.zeros((33, 33))
    padded[15:18, 15:18] = coupling_kernel(fraction)
    inverse = np.fft.fftshift(np.fft.ifft2(1 / np.fft.fft2(np.fft.ifftshift(padded))).real)[15:18, 15:18]
    return inverse / inverse.sum()


def saturation_dn(scene: ImagingScene, patterns: FixedPatterns, window: Window) -> np.ndarray:
    """Return the raw level from which a read counts as saturated, shape (ny, nx), float32."""
    linear = np.array(scene.detector.saturation_fraction * window.facts.full_well_e / gain_of(scene))
    level = patterns.bias_dn + float(response_curve(scene).measured(linear))
    return np.minimum(level, MAX_DN - 500).astype(np.float32)
