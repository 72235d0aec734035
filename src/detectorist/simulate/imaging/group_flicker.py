"""1/f noise of frames that are averaged into groups, with a spectrum that may have a shoulder.

Averaging frames into a group reduces noise faster than a frame and preserves slower noise: one series is drawn for the
slow part of the whole integration, and one per group for the fast part, at a fraction of the cost of drawing every
frame (`time_line.draw_flicker`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from detectorist.detectors import PIXEL_TIME_S
from detectorist.simulate.core.noise_spectra import MeasuredSpectrum, Spectrum, band_variance, draw_series
from detectorist.simulate.core.time_line import TimeLine

#: Samples per frame of what is slower than a frame.
_SLOW_SAMPLES = 64


@dataclass(frozen=True)
class Flicker:
    """The 1/f noise of readout electronics.

    Attributes
    ----------
    common, own, alternating : float
        rms over a single frame of the part common to all outputs, of each output's own, and of what changes sign from
        column to column; any unit.
    spectrum, own_spectrum : Spectrum or MeasuredSpectrum
        Of the first and the last, and of each output's own (None: the same).
    """

    common: float
    own: float
    alternating: float
    spectrum: Spectrum | MeasuredSpectrum
    own_spectrum: Spectrum | MeasuredSpectrum | None = None


def draw_groups(
    time_line: TimeLine,
    flicker: Flicker,
    *,
    n_groups: int,
    n_frames: int,
    n_skipped: int,
    rng: np.random.Generator,
) -> np.ndarray:
    """Return the 1/f noise of the groups of one integration, shape (n_groups, n_rows, n_cols), float32.

    n_frames, n_skipped : int
        Frames averaged into a group, and left out between groups.

    Notes
    -----
    Noise slower than a frame is one series through the integration, averaged at the times of the frames. Faster noise
    is independent between frames, and so drawn once for each group with a variance of 1 / n_frames. Cost: about 0.1 s
    per group, output and part on a full frame.
    """
    n_clocks, frame_s = time_line.frame_clocks, time_line.frame_clocks * PIXEL_TIME_S
    fast = (1.0 / frame_s, np.inf)

    def factor(rms: float, spectrum: Spectrum | MeasuredSpectrum) -> np.float32:
        return np.float32(rms / np.sqrt(band_variance(PIXEL_TIME_S, spectrum, fast)))

    def slow_part(spectrum: Spectrum | MeasuredSpectrum) -> np.ndarray:
        return _slow_part(time_line, spectrum, n_groups, n_frames, n_skipped, rng)

    def fast_part(spectrum: Spectrum | MeasuredSpectrum) -> np.ndarray:
        return draw_series(n_clocks, PIXEL_TIME_S, spectrum, fast, rng)

    n_outputs, shared_kind, own_kind = time_line.n_outputs, flicker.spectrum, flicker.own_spectrum or flicker.spectrum
    common, own = factor(flicker.common, shared_kind), factor(flicker.own, own_kind)
    slow = common * slow_part(shared_kind)[:, None]
    slow = slow + own * np.array([slow_part(own_kind) for _ in range(n_outputs)]).swapaxes(0, 1)
    sign = np.where(np.arange(time_line.n_cols) % 2 == 0, 1, -1).astype(np.float32)
    noise = np.empty((n_groups, time_line.n_rows, time_line.n_cols), np.float32)
    averaged = np.float32(1 / np.sqrt(n_frames))
    for group in range(n_groups):
        shared = common * fast_part(shared_kind) if common else np.zeros(n_clocks, np.float32)
        series = np.array([shared + own * fast_part(own_kind) if own else shared for _ in range(n_outputs)])
        noise[group] = time_line.images(averaged * series + slow[group])[0]
        if flicker.alternating > 0:
            series = np.array([fast_part(shared_kind) for _ in range(n_outputs)])
            strength = factor(flicker.alternating, shared_kind)
            noise[group] += averaged * strength * sign * time_line.images(series)[0]
    return noise


def _slow_part(
    time_line: TimeLine,
    spectrum: Spectrum | MeasuredSpectrum,
    n_groups: int,
    n_frames: int,
    n_skipped: int,
    rng: np.random.Generator,
) -> np.ndarray:
    """Return what is slower than a frame, averaged over the frames of each group, shape (n_groups, frame_clocks)."""
    period = n_frames + n_skipped
    frame_s = time_line.frame_clocks * PIXEL_TIME_S
    n_samples = (n_groups * period + 1) * _SLOW_SAMPLES
    series = draw_series(n_samples, frame_s / _SLOW_SAMPLES, spectrum, (0.0, 1.0 / frame_s), rng)
    times = np.arange(n_samples) / _SLOW_SAMPLES
    frames = np.arange(n_groups)[:, None, None] * period + np.arange(n_frames)[:, None]
    moments = np.linspace(0, 1, _SLOW_SAMPLES + 1)
    averaged = np.interp(frames + moments, times, series).mean(axis=1)
    clocks = np.arange(time_line.frame_clocks) / time_line.frame_clocks
    return np.array([np.interp(clocks, moments, group) for group in averaged], np.float32)
