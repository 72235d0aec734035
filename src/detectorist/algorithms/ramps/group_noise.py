"""The noise of groups, 1/f noise included: for the detection of jumps, and to judge what is subtracted as stripes.

Detection counts photon noise and read noise. With 1/f noise on top, its four sigma are three: a percent of the ramps
lose a group, and because photon noise is skewed, more of these are high than low. The sky comes out too dark.
"""

from __future__ import annotations

import numpy as np

from detectorist.algorithms.medians import typed_median

#: Every so many rows and columns tell the noise, of so many integrations at most.
STEP, INTEGRATIONS = 4, 4
#: Standard deviation of a Gaussian over its median absolute deviation.
MAD_TO_SIGMA = 1.4826
#: Variance of second differences of a ramp: in that of a group, and in that of the photons between two groups.
OF_GROUP, OF_PHOTONS = 6.0, 2.0
#: Rows that tell shared noise, or more.
LEAST_ROWS = 256
#: Deviations from which a sample tells nothing of noise that neighbours share, and fewest pairs that tell it.
CLIP_SIGMA, LEAST_PAIRS = 5.0, 1000


def measure_group_noise(data: np.ndarray, flags: np.ndarray, unusable: np.ndarray, gain: np.ndarray) -> float:
    """Return the variance of the noise of a group without photon noise, DN^2; 0 where nothing tells.

    Parameters
    ----------
    data, flags : ndarray, shape (n_ints, n_groups, ny, nx)
        Linearised ramps, DN; a ramp with any flag, or a value that is not finite, is not used.
    unusable : ndarray of bool, shape (ny, nx)
        Reference and bad pixels.
    gain : ndarray of float, shape (ny, nx)
        e-/DN.

    Notes
    -----
    From second differences of the darker half of the ramps, in which light cancels, less what its photons make.
    """
    if data.shape[1] < 3:
        return 0.0
    some = (..., slice(None, None, STEP), slice(None, None, STEP))
    integrations = slice(None, None, -(-data.shape[0] // INTEGRATIONS))
    data, flags = data[integrations][some], flags[integrations][some]
    good = ~flags.any(axis=1) & ~unusable[some] & (gain[some] > 0) & np.isfinite(data).all(axis=1)
    ramps = np.moveaxis(data, 1, -1)[good].astype(float)
    if not len(ramps):
        return 0.0
    steps = np.diff(ramps, axis=1)
    signal = _medians_of_few(steps)
    dark = signal <= typed_median(signal)
    second = np.diff(steps[dark], axis=1)
    scatter = MAD_TO_SIGMA * float(typed_median(np.abs(second - typed_median(second))))
    photons = float(np.median(np.maximum(signal, 0)[dark])) / float(np.median(gain[some][good.any(axis=0)]))
    return max(scatter**2 - OF_PHOTONS * photons, 0.0) / OF_GROUP


def _medians_of_few(values: np.ndarray) -> np.ndarray:
    """Return the median of every row: of a few values, numpy sorts a row in less time than it takes to choose two."""
    ordered = np.sort(values, axis=1)
    n = values.shape[1]
    return 0.5 * (ordered[:, (n - 1) // 2] + ordered[:, n // 2])


def measure_shared_noise(data: np.ndarray, flags: np.ndarray, unusable: np.ndarray) -> float | None:
    """Return the variance of the 1/f noise of a group, DN^2; None where nothing tells.

    Parameters
    ----------
    data, flags, unusable : see `measure_group_noise`

    Notes
    -----
    Of second differences of the darker half of the ramps, which hold no light, the covariance of pixels a few columns
    apart: photons and read noise are each pixel's own. Noise that lasts longer than three groups cancels with the
    light, noise faster than a few pixels is not shared.
    """
    if data.shape[1] < 3:
        return None
    rows = int(np.clip(data.shape[2] // LEAST_ROWS, 1, STEP))
    some = (..., slice(None, None, rows), slice(None, None, STEP))
    integrations = slice(None, None, -(-data.shape[0] // INTEGRATIONS))
    data, flags = data[integrations][some], flags[integrations][some]
    good = ~flags.any(axis=1) & ~unusable[some] & np.isfinite(data).all(axis=1)
    rise = data[:, -1] - data[:, 0]
    dark = good & (rise <= typed_median(rise[good])) if good.any() else good
    total, pairs = 0.0, 0
    for ramps, which in zip(data, dark, strict=True):
        for second in np.diff(ramps, 2, axis=0):
            if which.any():
                shared, number = _products_of_neighbours(second, which)
                total, pairs = total + shared, pairs + number
    return max(total / pairs, 0.0) / OF_GROUP if pairs >= LEAST_PAIRS else None


def _products_of_neighbours(image, which):
    """Return the sum of the products of neighbours in a row about the median of the image, and their number."""
    values = image - typed_median(image[which])
    limit = CLIP_SIGMA * MAD_TO_SIGMA * typed_median(np.abs(values[which]))
    used = which & (np.abs(values) <= limit)
    both = used[:, 1:] & used[:, :-1]
    return float((values[:, 1:] * values[:, :-1])[both].sum(dtype=np.float64)), int(both.sum())


def noise_of_slopes(variance: float, n_groups: int, group_time_s: float, n_ints: int = 1) -> float:
    """Return the standard deviation of rates by noise that is independent from group to group, per s.

    variance : of a group. The slope is the unweighted one, the rate the mean over integrations.
    """
    return float(np.sqrt(12 * variance / (n_groups * (n_groups**2 - 1) * n_ints)) / group_time_s)


def raise_read_noise(read_noise: np.ndarray, of_group: float, n_frames: int) -> np.ndarray:
    """Return a read noise that explains the measured noise of groups; as it is where it does so already.

    read_noise : ndarray of float32, shape (ny, nx), of the difference of two frames, DN, as in reference files.
    of_group : result of `measure_group_noise`. n_frames : averaged in a group.
    """
    stated = read_noise[np.isfinite(read_noise)]
    missing = of_group - float(typed_median(stated)) ** 2 / (2 * n_frames) if stated.size else 0.0
    if missing <= 0:
        return read_noise
    return np.sqrt(read_noise**2 + np.float32(2 * n_frames * missing)).astype(read_noise.dtype)
