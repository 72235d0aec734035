"""The readout of one integration of NIRCam's detector behind a coronagraph."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from detectorist.detectors import NIRCAM, NIRCAM_READOUT_PATTERNS, PIXEL_TIME_S
from detectorist.errors import ParameterError
from detectorist.simulate.core import detector, nircam_detector
from detectorist.simulate.core.flight_noise import SPECTRA
from detectorist.simulate.core.nircam_detector import FixedPatterns, Window
from detectorist.simulate.core.noise_spectra import draw_series
from detectorist.simulate.core.quality_flags import RC
from detectorist.simulate.core.random_streams import stream
from detectorist.simulate.core.scene import require_known
from detectorist.simulate.core.time_line import TimeLine, draw_flicker
from detectorist.simulate.coron.charge_spill import spill_charge
from detectorist.simulate.coron.components import NircamCoronComponents


def window_of(scene: NircamCoronComponents) -> Window:
    """Return the part of the detector that a scene reads, and how.

    Raises
    ------
    ParameterError
        When the scene's detector has another position, or an unknown readout pattern.
    """
    mode, asked = scene.mode, scene.detector
    found = (asked.name, asked.subarray, asked.size)
    if found != (mode.detector, mode.subarray.name, None):
        raise ParameterError(
            f"detector, subarray, size are {found}: this coronagraph is on {mode.detector}, in {mode.subarray.name}"
        )
    require_known(asked.pattern, NIRCAM_READOUT_PATTERNS, "readout pattern of NIRCam")
    place, facts = mode.subarray, NIRCAM[mode.detector]
    time_line = TimeLine.of(facts, *scene.mode.shape)
    return Window(place.name, place.x_start, place.y_start, time_line, *NIRCAM_READOUT_PATTERNS[asked.pattern], facts)


@dataclass(frozen=True)
class CoronPatterns:
    """Fixed patterns, with the RC pixels (delayed response): bool (ny, nx); `dq` holds the flags of all."""

    fixed: FixedPatterns
    rc: np.ndarray

    @cached_property
    def dq(self) -> np.ndarray:
        """Flags of the mask reference, shape (ny, nx)."""
        return np.where(self.rc, self.fixed.dq | np.uint32(RC), self.fixed.dq)


def coron_patterns(scene: NircamCoronComponents, window: Window) -> CoronPatterns:
    """Draw the fixed patterns from the detector's serial number."""
    fixed = nircam_detector.fixed_patterns(scene, window)
    rc = np.zeros(window.shape, bool)
    if scene.has("rc_pixels"):
        lot = stream(scene.detector.serial, "rc_pixels").random(window.shape)
        rc = (lot < scene.rc_pixels.fraction) & (fixed.dq == 0)
    return CoronPatterns(fixed, rc)


@dataclass(frozen=True)
class CoronReadout:
    """One integration as the converter wrote it, with the random draws behind it.

    Attributes
    ----------
    raw : ndarray of uint16, shape (n_groups, ny, nx)
    zero_frame : ndarray of uint16, shape (ny, nx), or None
        The first frame, where groups are means of several.
    ktc_dn : ndarray, shape (ny, nx)
        Offset that the reset left.
    flicker_dn : ndarray of float32, shape (n_groups, ny, nx)
        1/f noise, as averaged in the groups.
    level_dn, odd_even_dn : ndarray, shape (n_groups,)
        Drift of the level, and the difference of odd minus even columns.
    cosmic_rays : CosmicRays or None
        `group` is the first that has some of the charge.
    spilled_e : ndarray of float32, shape (ny, nx)
        Electrons received from full pixels at the end.
    """

    raw: np.ndarray
    zero_frame: np.ndarray | None
    ktc_dn: np.ndarray
    flicker_dn: np.ndarray
    level_dn: np.ndarray
    odd_even_dn: np.ndarray
    cosmic_rays: detector.CosmicRays | None
    spilled_e: np.ndarray


def read_out(
    scene: NircamCoronComponents,
    window: Window,
    patterns: CoronPatterns,
    light_dn_s: np.ndarray,
    *,
    n_groups: int,
    seed: int,
    number: int,
) -> CoronReadout:
    """Expose the detector to `light_dn_s` (ny, nx) for one integration; `number` selects the random streams."""
    gain, frame_s = nircam_detector.gain_of(scene), window.frame_time_s
    rate, n_frames = nircam_detector.collected_rate(scene, patterns.fixed, light_dn_s), window.n_frames_read(n_groups)
    photons = stream(seed, "photon_noise", number) if scene.has("photon_noise") else None
    electrons = detector.accumulate_photons(rate * gain, frame_s, n_frames, photons)
    cosmic_rays = _strike(scene, electrons, window, seed, number)
    well = window.facts.full_well_e
    fraction = scene.spill.fraction if scene.has("spill") else 0.0
    held = spill_charge(electrons, well, fraction)
    spilled = held[-1] - np.minimum(electrons[-1], well)
    measured = nircam_detector.response_curve(scene).measured(held / gain)
    if scene.has("rc_pixels"):
        times = frame_s * np.arange(1, n_frames + 1)
        delayed = scene.rc_pixels.level_dn * (1 - np.exp(-times / scene.rc_pixels.time_constant_s))
        measured += delayed[:, None, None] * patterns.rc
    electronics = _electronics(scene, window, n_groups, seed, number)
    group_of_frame = np.arange(n_frames) // (window.n_frames + window.n_skipped)
    ktc = np.zeros(window.shape)
    if scene.has("reset_noise"):
        ktc = scene.reset_noise.rms_e / gain * stream(seed, "reset_noise", number).normal(size=window.shape)
    measured += patterns.fixed.bias_dn + ktc + sum(electronics.images(window.shape, group_of_frame))
    white = nircam_detector.read_noise_e(scene) / gain
    measured += white * stream(seed, "read_noise", number).standard_normal(measured.shape, np.float32)
    return CoronReadout(
        raw=detector.digitise(_group_means(measured, window), nircam_detector.MAX_DN),
        zero_frame=detector.digitise(measured[0], nircam_detector.MAX_DN) if window.n_frames > 1 else None,
        ktc_dn=ktc,
        flicker_dn=_group_means(electronics.flicker, window),
        level_dn=electronics.level,
        odd_even_dn=electronics.odd_even,
        cosmic_rays=cosmic_rays,
        spilled_e=spilled.astype(np.float32),
    )


def _group_means(frames: np.ndarray, window: Window) -> np.ndarray:
    """Return (n_groups, ny, nx) the means of the frames (n_frames, ny, nx) that are averaged into each group."""
    if window.n_frames == 1 and window.n_skipped == 0:
        return frames
    starts = range(0, len(frames), window.n_frames + window.n_skipped)
    return np.stack([frames[start : start + window.n_frames].mean(axis=0) for start in starts])


def _strike(
    scene: NircamCoronComponents, electrons: np.ndarray, window: Window, seed: int, number: int
) -> detector.CosmicRays | None:
    if not scene.has("cosmic_rays"):
        return None
    hits = scene.cosmic_rays
    struck = detector.draw_cosmic_rays(
        electrons.shape,
        stream(seed, "cosmic_rays", number),
        hits_per_group=hits.hits_per_s * window.frame_time_s,
        median_charge_e=hits.median_charge_e,
        spread_dex=hits.spread_dex,
        neighbour_fraction=hits.neighbour_fraction,
    )
    struck.add_to(electrons)
    # A hit in a frame that is skipped is first seen in the next group.
    group, frame = np.divmod(struck.group, window.n_frames + window.n_skipped)
    return replace(struck, group=group + (frame >= window.n_frames))


@dataclass(frozen=True)
class _Electronics:
    """1/f noise of every frame, drifts of every group."""

    flicker: np.ndarray
    level: np.ndarray
    odd_even: np.ndarray

    def images(self, shape: tuple[int, int], group_of_frame: np.ndarray) -> tuple[np.ndarray, ...]:
        """Return the parts, each to be broadcast to (n_frames, ny, nx), DN."""
        odd = np.arange(shape[1]) % 2
        level, odd_even = (drift[group_of_frame][:, None, None] for drift in (self.level, self.odd_even))
        return self.flicker, level, odd_even * odd


def _electronics(scene: NircamCoronComponents, window: Window, n_groups: int, seed: int, number: int) -> _Electronics:
    n_frames = window.n_frames_read(n_groups)
    flicker = np.zeros((n_frames, *window.shape), np.float32)
    if scene.has("flicker"):
        flicker = _flicker(scene, window.time_line, n_frames, stream(seed, "flicker", number))
    level, odd_even = np.zeros(n_groups), np.zeros(n_groups)
    if scene.has("drift"):
        rng = stream(seed, "drift", number)
        level = scene.drift.walk_dn * rng.normal(size=n_groups).cumsum()
        odd_even = scene.drift.odd_even_dn * rng.normal(size=n_groups)
    return _Electronics(flicker, level, odd_even)


def _flicker(scene: NircamCoronComponents, time_line: TimeLine, n_frames: int, rng: np.random.Generator) -> np.ndarray:
    """Return the 1/f noise of all frames, (n_frames, ny, nx) float32, DN."""
    part = scene.flicker
    if part.measured is None:
        return draw_flicker(time_line, n_frames, rng, common=part.rms_dn, slope=part.slope)
    require_known(part.measured, tuple(SPECTRA), "measured spectrum")
    spectra, n_clocks = SPECTRA[part.measured], n_frames * time_line.frame_clocks
    whole = (0.0, np.inf)
    # The only output has both what all outputs share and what each has alone.
    series = draw_series(n_clocks, PIXEL_TIME_S, spectra.common, whole, rng)
    series += draw_series(n_clocks, PIXEL_TIME_S, spectra.own, whole, rng)
    return time_line.images(series[None] / np.float32(nircam_detector.gain_of(scene)))
