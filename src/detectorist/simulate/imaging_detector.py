"""A NIRCam detector: which part of it is read and how, its fixed patterns, and what it makes of the light."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from detectorist.detectors import NIRCAM, NIRCAM_READOUT_PATTERNS, PIXEL_TIME_S, NircamDetector
from detectorist.errors import InputError, ParameterError
from detectorist.simulate import detector, group_flicker, imaging_events
from detectorist.simulate.builder import require_known
from detectorist.simulate.imaging_ingredients import ImagingDetector
from detectorist.simulate.ingredients import NonlinearityCurve
from detectorist.simulate.streams import stream
from detectorist.simulate.time_line import TimeLine

if TYPE_CHECKING:
    from detectorist.simulate.imaging import ImagingScene

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


@dataclass(frozen=True)
class Readout:
    """One integration as the converter wrote it, with what was drawn for it.

    Attributes
    ----------
    raw : ndarray of uint16, shape (n_groups, ny, nx)
    zero_frame : ndarray of uint16, shape (ny, nx)
        The first frame by itself.
    hits : CosmicRays or None
        `group` counts frames.
    snowballs : list of Snowball
    stripes : ndarray of float32, shape (ny, nx)
        Slope of the 1/f noise, the drifts of columns included: least squares over all groups, DN/s.
    levels : ndarray, shape (n_outputs,)
        The same of the outputs' walk, which stays in the image where there are no reference pixels.
    """

    raw: np.ndarray
    zero_frame: np.ndarray
    hits: detector.CosmicRays | None
    snowballs: list[imaging_events.Snowball]
    stripes: np.ndarray
    levels: np.ndarray


def read_out(
    scene: ImagingScene,
    window: Window,
    patterns: FixedPatterns,
    light_dn_s: np.ndarray,
    *,
    n_groups: int,
    seed: int,
    integration: int,
    number: int,
    on_group: Callable[[int], None] | None = None,
) -> Readout:
    """Expose the detector to `light_dn_s` (ny, nx) for one integration.

    integration : int
        From 0 in the exposure; what the one before left in the detector is seen in this.
    number : int
        Selects the random streams: unique among all exposures of a seed.
    on_group : callable, optional
        Called with the number of groups done.
    """
    gain = gain_of(scene)
    charge = _Charge(scene, window, patterns, light_dn_s, n_groups, seed, integration, number)
    noise, stripes, levels = _electronics(scene, window, patterns, n_groups, seed, number)
    curve, fraction = response_curve(scene), scene.ipc.fraction if scene.has("ipc") else 0.0

    def digitised(electrons: np.ndarray, added_dn: np.ndarray) -> np.ndarray:
        measured = curve.measured(electrons / np.float32(gain)).astype(np.float32)
        if fraction:
            measured = ndimage.convolve(measured, coupling_kernel(fraction).astype(np.float32), mode="nearest")
        return detector.digitise(measured + added_dn, MAX_DN)

    reset = _reset_offsets(scene, window, seed, number) / gain + patterns.bias_dn
    white = stream(seed, "read_noise", number)
    rms = read_noise_e(scene) / gain
    raw = np.empty((n_groups, *window.shape), np.uint16)
    zero_frame = raw[0]
    for group in range(n_groups):
        mean, first = charge.expose_group(group)
        if group == 0:
            zero_frame = digitised(first, reset + rms * white.standard_normal(window.shape, np.float32))
        averaged = rms / np.sqrt(window.n_frames) * white.standard_normal(window.shape, np.float32)
        raw[group] = digitised(mean, reset + noise[group] + averaged)
        if on_group is not None:
            on_group(group + 1)
    return Readout(raw, zero_frame, charge.hits, charge.snowballs, stripes, levels)


class _Charge:
    """The electrons of all pixels, frame by frame of one integration."""

    def __init__(self, scene, window, patterns, light_dn_s, n_groups, seed, integration, number):
        self._scene, self._window = scene, window
        gain, frame_s = gain_of(scene), window.frame_time_s
        rate = (light_dn_s * patterns.response + patterns.hot_dn_s) * gain + patterns.dark_e_s
        n_frames = window.n_frames_read(n_groups)
        frames = (n_frames, *window.shape)
        self.hits, self.snowballs = None, []
        if scene.has("cosmic_rays"):
            self.hits = imaging_events.draw_hits(
                scene.cosmic_rays, frames, frame_s, stream(seed, "cosmic_rays", number)
            )
        if scene.has("snowballs"):
            self.snowballs = imaging_events.draw_snowballs(scene.snowballs, frames, frame_s, seed, number)
            if integration > 0:
                before = imaging_events.draw_snowballs(scene.snowballs, frames, frame_s, seed, number - 1)
                glow = imaging_events.afterglow(before, scene.snowballs, window.shape, n_frames, frame_s)
                rate = rate if glow is None else rate + glow * (patterns.response > 0)
        # A pixel that holds more than its well after one frame holds no more after two.
        self._per_frame = np.minimum(rate * frame_s, 2 * window.facts.full_well_e)
        self._rng = stream(seed, "photon_noise", number) if scene.has("photon_noise") else None
        self._electrons = np.zeros(window.shape, np.float32)
        self._reference = window.reference_pixels()
        self._frame = 0
        self._struck = 0
        self._deposited = 0

    def expose_group(self, group: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the mean of the group's frames, and its first frame, float32 electrons."""
        mean, first = self._collect_group(group)
        # Particles leave no charge in pixels that have no diode.
        mean[self._reference] = 0.0
        first[self._reference] = 0.0
        return mean, first

    def _collect_group(self, group: int) -> tuple[np.ndarray, np.ndarray]:
        if group > 0:
            self._expose(self._window.n_skipped)
        total = np.zeros_like(self._electrons)
        first = total
        for k in range(self._window.n_frames):
            self._expose(1)
            total += self._electrons
            if k == 0 and group == 0:
                first = self._electrons.copy()
        return total / np.float32(self._window.n_frames), first

    def _expose(self, n_frames: int) -> None:
        """Collect light for some frames, with the events that strike in them."""
        if n_frames == 0:
            return
        expected = self._per_frame * n_frames if n_frames > 1 else self._per_frame
        self._electrons += expected if self._rng is None else self._rng.poisson(expected)
        self._frame += n_frames
        self._strike()
        np.minimum(self._electrons, self._window.facts.full_well_e, out=self._electrons)

    def _strike(self) -> None:
        well = self._window.facts.full_well_e
        if self.hits is not None:
            end = int(np.searchsorted(self.hits.group, self._frame))
            now = slice(self._struck, end)
            np.add.at(self._electrons, (self.hits.row[now], self.hits.column[now]), self.hits.charge_e[now])
            self._struck = end
        shape = self._scene.snowballs
        while self._deposited < len(self.snowballs) and self.snowballs[self._deposited].frame < self._frame:
            imaging_events.deposit(self.snowballs[self._deposited], shape, self._electrons, well)
            self._deposited += 1
        for event in self.snowballs[: self._deposited]:
            age_s = (self._frame - 1 - event.frame) * self._window.frame_time_s
            imaging_events.widen(event, shape, self._electrons, well, age_s)


def _reset_offsets(scene: ImagingScene, window: Window, seed: int, number: int) -> np.ndarray:
    if not scene.has("reset_noise"):
        return np.zeros(window.shape, np.float32)
    rng = stream(seed, "reset_noise", number)
    return np.float32(scene.reset_noise.rms_e) * rng.standard_normal(window.shape, np.float32)


def _electronics(
    scene: ImagingScene, window: Window, patterns: FixedPatterns, n_groups: int, seed: int, number: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return correlated noise of the groups, (n_groups, ny, nx) DN, its slope without the outputs' walk, and that."""
    gain = gain_of(scene)
    times = window.group_times_s(n_groups)
    noise = np.zeros((n_groups, *window.shape), np.float32)
    if scene.has("flicker"):
        part = scene.flicker
        noise += group_flicker.draw_groups(
            window.time_line,
            group_flicker.Flicker(
                part.common_e / gain,
                part.own_e / gain,
                part.alternating_e / gain,
                group_flicker.Spectrum(part.slope, part.shoulder_hz),
            ),
            n_groups=n_groups,
            n_frames=window.n_frames,
            n_skipped=window.n_skipped,
            rng=stream(seed, "flicker", number),
        )
    if scene.has("columns"):
        drift = scene.columns.rms_dn_s * stream(seed, "columns", number).normal(size=window.shape[1])
        # Reference pixels do not see it: what they see is subtracted already.
        per_second = np.where(window.reference_pixels(), 0.0, drift).astype(np.float32)
        for group in range(n_groups):
            noise[group] += per_second * np.float32(times[group])
    weights = times - times.mean()
    weights /= max((weights**2).sum(), 1e-30)
    stripes = np.tensordot(weights, noise, axes=1).astype(np.float32)
    walk = np.zeros((n_groups, window.time_line.n_outputs))
    if scene.has("drift"):
        step = np.sqrt(window.group_time_s / 100.0)
        steps = step * stream(seed, "drift", number).normal(size=walk.shape)
        walk = scene.drift.walk_e / gain * steps.cumsum(axis=0)
        noise += np.repeat(walk, window.time_line.width, axis=1)[:, None, :].astype(np.float32)
    return noise, stripes, weights @ walk
