"""One integration of a NIRCam detector: charge collected frame by frame, and read out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from detectorist.detectors import PIXEL_TIME_S
from detectorist.simulate.core import detector
from detectorist.simulate.core.flight_noise import SPECTRA
from detectorist.simulate.core.nircam_detector import (
    MAX_DN,
    FixedPatterns,
    Window,
    gain_of,
    read_noise_e,
    response_curve,
)
from detectorist.simulate.core.noise_spectra import Spectrum, band_variance
from detectorist.simulate.core.random_streams import stream
from detectorist.simulate.core.scene import require_known
from detectorist.simulate.imaging import cosmic_rays, group_flicker
from detectorist.simulate.imaging.components import FlickerNoise, ImagingComponents
from detectorist.simulate.imaging.ipc import coupling_kernel, ipc_fraction


@dataclass(frozen=True)
class Readout:
    """One integration as the converter wrote it, with the random draws behind it.

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
        The same for the random walk of the outputs, which stays in the image where there are no reference pixels.
    """

    raw: np.ndarray
    zero_frame: np.ndarray
    hits: detector.CosmicRays | None
    snowballs: list[cosmic_rays.Snowball]
    stripes: np.ndarray
    levels: np.ndarray


def read_out(
    scene: ImagingComponents,
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
        From 0 in the exposure; afterglow of the one before is included.
    number : int
        Selects the random streams: unique among all exposures of a seed.
    on_group : callable, optional
        Called with the number of groups done.
    """
    gain = gain_of(scene)
    charge = _Charge(scene, window, patterns, light_dn_s, n_groups, seed, integration, number)
    noise, stripes, levels = _electronics(scene, window, n_groups, seed, number)
    curve, fraction = response_curve(scene), ipc_fraction(scene)

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
            self.hits = cosmic_rays.draw_hits(scene.cosmic_rays, frames, frame_s, stream(seed, "cosmic_rays", number))
        if scene.has("snowballs"):
            self.snowballs = cosmic_rays.draw_snowballs(scene.snowballs, frames, frame_s, seed, number)
            if integration > 0:
                before = cosmic_rays.draw_snowballs(scene.snowballs, frames, frame_s, seed, number - 1)
                glow = cosmic_rays.afterglow(before, scene.snowballs, window.shape, n_frames, frame_s)
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
            cosmic_rays.deposit(self.snowballs[self._deposited], shape, self._electrons, well)
            self._deposited += 1
        for event in self.snowballs[: self._deposited]:
            age_s = (self._frame - 1 - event.frame) * self._window.frame_time_s
            cosmic_rays.widen(event, shape, self._electrons, well, age_s)


def _reset_offsets(scene: ImagingComponents, window: Window, seed: int, number: int) -> np.ndarray:
    if not scene.has("reset_noise"):
        return np.zeros(window.shape, np.float32)
    rng = stream(seed, "reset_noise", number)
    return np.float32(scene.reset_noise.rms_e) * rng.standard_normal(window.shape, np.float32)


def _flicker_dn(part: FlickerNoise, gain: float, frame_s: float) -> group_flicker.Flicker:
    """Return the 1/f noise in DN."""
    if part.measured is None:
        spectrum = Spectrum(part.slope, part.shoulder_hz)
        return group_flicker.Flicker(part.common_e / gain, part.own_e / gain, part.alternating_e / gain, spectrum)
    require_known(part.measured, tuple(SPECTRA), "measured spectrum")
    measured = SPECTRA[part.measured]
    common, own = (
        np.sqrt(band_variance(PIXEL_TIME_S, one, (1 / frame_s, np.inf))) for one in (measured.common, measured.own)
    )
    return group_flicker.Flicker(common / gain, own / gain, part.alternating_e / gain, measured.common, measured.own)


def _electronics(
    scene: ImagingComponents, window: Window, n_groups: int, seed: int, number: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return correlated noise of the groups, (n_groups, ny, nx) DN, its slope without the outputs' walk, and that."""
    gain = gain_of(scene)
    times = window.group_times_s(n_groups)
    noise = np.zeros((n_groups, *window.shape), np.float32)
    if scene.has("flicker"):
        noise += group_flicker.draw_groups(
            window.time_line,
            _flicker_dn(scene.flicker, gain, window.time_line.frame_clocks * PIXEL_TIME_S),
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
