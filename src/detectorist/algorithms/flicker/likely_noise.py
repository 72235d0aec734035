"""No more is noise than noise of known strength makes likely.

Light that changes slowly along the columns can pass for slow noise, whatever separates the two. How strong the noise
is, differences of groups tell (`group_spectrum`). Where an estimate of it is stronger, octave by octave of what changes
from row to row, the rest is light: of noise N and light L that were taken together, independent, the best part to
subtract is N^2 / (N^2 + L^2), and a correction by it leaves less than there was.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from scipy import fft

from detectorist.algorithms.flicker.readout import Readout
from detectorist.algorithms.flicker.spectrum import FlickerNoise, covariance_of_means

#: By how much the variance of an octave may exceed that of the noise: up to twice, what is subtracted too much is less
#: than the noise was, and neither weights of the fit nor shapes of spectra are known exactly. And by how many standard
#: deviations of a variance that few numbers tell.
EXACTNESS, SIGMA = 2.0, 3.0


def hold_to_likely(pattern: np.ndarray, noise: FlickerNoise, readout: Readout) -> np.ndarray:
    """Return an estimate of noise whose rows vary no more than noise does; the same array where they do not.

    Parameters
    ----------
    pattern : ndarray of float32, shape (ny, nx)
        Noise as estimated.
    noise : FlickerNoise
        Its true strength.
    readout : Readout

    Notes
    -----
    Means of outputs' rows are changed, not what varies within a row, and not the mean of an output.
    """
    expected = row_spectrum(noise, readout, len(pattern))
    changed = None
    for first, last, _ in readout.outputs:
        rows = pattern[:, first:last].mean(axis=1, dtype=np.float64)
        waves = fft.dct(rows, norm="ortho")
        part = _likely_part(waves, expected)
        if (part == 1).all():
            continue
        changed = pattern.copy() if changed is None else changed
        changed[:, first:last] += (fft.idct(waves * part, norm="ortho") - rows).astype(np.float32)[:, None]
    return pattern if changed is None else changed


def row_spectrum(noise: FlickerNoise, readout: Readout, n_rows: int) -> np.ndarray:
    """Return the variance of the waves of an orthonormal cosine transform of an output's rows, (n_rows,)."""
    row_pix = readout.width + readout.overhead_pix
    apart = np.arange(n_rows) * float(row_pix)
    covariance = covariance_of_means(apart, readout.width, noise.common + noise.own, noise.scales_pix)
    tapered = covariance * (1 - np.arange(n_rows) / n_rows)
    return np.maximum(fft.dct(np.r_[tapered, 0.0], type=1)[:-1], 0.0)


def _likely_part(waves, expected):
    """Return the part of every wave that is noise, (n,); the level, wave 0, is not judged."""
    part = np.ones(waves.size)
    for octave in _octaves(waves.size):
        found, likely = np.mean(waves[octave] ** 2), np.mean(expected[octave])
        number = octave.stop - octave.start
        if found > likely * (EXACTNESS + SIGMA * np.sqrt(2 / number)):
            part[octave] = likely / found
    return part


def _octaves(n: int) -> Iterator[slice]:
    """Yield runs of waves from the slowest on, each twice as long as what is before it: 1, 2-3, 4-7."""
    first = 1
    while first < n:
        yield slice(first, min(2 * first, n))
        first *= 2
