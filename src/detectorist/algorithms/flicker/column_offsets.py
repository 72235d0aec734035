"""The constant that each column of an image has beside the noise in readout time, shrunk by its error."""

from __future__ import annotations

import numpy as np
from numpy.polynomial import legendre
from scipy import ndimage

from detectorist.algorithms.flicker.readout import Readout

#: Standard deviation of a Gaussian in units of its median absolute deviation.
MAD_TO_SIGMA = 1.4826
#: Fewest columns of an output that tell how odd and even ones differ.
MIN_ALTERNATING = 16
#: Parts of the rows of a column whose scatter tells its error, and the fewest of them.
COLUMN_PARTS, MIN_COLUMN_PARTS = 32, 8
#: Fewest columns that tell how their offsets are distributed. Of a wider distribution, at first: its standard deviation
#: over that of the other, and its part. Rounds of the fit. By how much two must be likelier than one, in the logarithm.
MIN_MIXTURE, WIDER, WIDE_PART, MIXTURE_ROUNDS, SURE = 64, 3.0, 0.1, 30, 10.0
#: Neighbouring columns (sigma) that agree because of light, and the variance of their means over that of chance from
#: which they do.
NEIGHBOUR_PIX, SMOOTH_CHANCE = 6.0, 2.0
#: Order of the polynomial along x that counts as light, not as offsets of columns.
COLUMN_LIGHT_ORDER = 5


def column_offsets(
    image: np.ndarray,
    usable: np.ndarray,
    offsets: np.ndarray,
    pattern: np.ndarray,
    *,
    level: float,
    white: float,
    clip: float,
    readout: Readout,
) -> tuple[np.ndarray, np.ndarray]:
    """Return level plus offset of each column, shrunk by its error, and the offsets' variance, both (nx,).

    Parameters
    ----------
    image, usable : ndarray, shape (ny, nx)
        Values, and True where they may be used.
    offsets : ndarray of float, shape (nx,)
        Level plus offset as far as known.
    pattern : ndarray of float32, shape (ny, nx)
        What else is known of the image.
    level : float
        Of the sky.
    white : float
        Standard deviation of a pixel's noise.
    clip : float
        Pixels farther than this from their expected value are left out.
    readout : Readout
        Light that changes smoothly along x is none of the columns'; odd and even columns of an output may differ.
    """
    totals, counts = _column_parts(image, usable, offsets, pattern, clip)
    total, count = totals.sum(axis=0), counts.sum(axis=0)
    seen = count > 0
    raw = np.where(seen, offsets - level + total / np.maximum(count, 1), 0.0)
    x = np.linspace(-1, 1, raw.size)
    if seen.sum() > 10 * COLUMN_LIGHT_ORDER:
        light = legendre.legfit(x[seen], raw[seen], COLUMN_LIGHT_ORDER, w=np.sqrt(count[seen]))
        # What columns at random would give: their scatter over the norm of each polynomial.
        scatter = MAD_TO_SIGMA * np.median(np.abs(np.diff(raw[seen]))) / np.sqrt(2)
        chance = scatter**2 * (2 * np.arange(light.size) + 1) / seen.sum()
        light *= np.clip(1 - 4 * chance / np.maximum(light**2, 1e-300), 0, 1)
        raw = np.where(seen, raw - legendre.legval(x, light), 0.0)
    error = np.full(raw.size, np.inf)
    error[seen] = white**2 * scatter_of_parts(totals, counts, white**2) / count[seen]
    raw = np.where(seen, raw - _smooth_part(raw, seen), 0.0)
    alternating = _alternating_columns(raw, seen, readout)
    raw = np.where(seen, raw - alternating, 0.0)
    typical = (MAD_TO_SIGMA * np.median(np.abs(raw[seen]))) ** 2 if seen.any() else 0.0
    spread = max(typical - float(np.median(error[seen])) if seen.any() else 0.0, 0.0)
    shrunk, variance = _shrunk(raw, error, spread)
    return level + alternating + shrunk, variance


def _smooth_part(raw, seen):
    """Return what neighbouring columns have in common, (nx,), as far as offsets at random would not: it is light."""
    # Pairs two columns apart: odd and even ones may differ.
    pairs = seen[2:] & seen[:-2]
    if pairs.sum() < MIN_ALTERNATING:
        return np.zeros(raw.size)
    own = (MAD_TO_SIGMA * float(np.median(np.abs(raw[2:] - raw[:-2])[pairs]))) ** 2 / 2
    weight = ndimage.gaussian_filter1d(seen.astype(float), NEIGHBOUR_PIX, mode="constant")
    smooth = ndimage.gaussian_filter1d(np.where(seen, raw, 0.0), NEIGHBOUR_PIX, mode="constant")
    smooth /= np.maximum(weight, 1e-6)
    chance = SMOOTH_CHANCE * own / (2 * np.sqrt(np.pi) * NEIGHBOUR_PIX)
    found = float(np.mean(smooth[seen] ** 2))
    return smooth * (1 - chance / found) if found > chance else np.zeros(raw.size)


def _shrunk(raw, error, spread):
    """Return offsets (nx,) as far as they are certain, and their variance.

    Where a few columns clearly have larger offsets than the rest, these are kept and those of the rest shrunk more: two
    normal distributions, of which variances and shares are the likeliest (Dempster et al. 1977, JRSS B 39, 1).

    error : (nx,), variance of each of `raw`, inf where nothing is known. spread : variance of usual offsets.
    """
    seen = np.isfinite(error)
    variances, shares = np.array([spread, spread]), np.array([1.0, 0.0])
    if spread > 0 and seen.sum() >= MIN_MIXTURE:
        data = raw[seen], error[seen]
        one, *_ = _likeliest(*data, variances, shares)
        both, *found = _likeliest(*data, spread * np.array([1.0, WIDER**2]), np.array([1 - WIDE_PART, WIDE_PART]))
        variances, shares = found if both > one + SURE else (variances, shares)
    part, mean, left, _ = _posteriors(raw, error, variances, shares)
    shrunk = (part * mean).sum(axis=0)
    variance = (part * (mean**2 + left)).sum(axis=0) - shrunk**2
    return shrunk, np.where(seen, variance, shares @ variances)


def _likeliest(raw, error, variances, shares):
    """Return the log of how likely the likeliest distributions are, their variances and shares, from first values."""
    for _ in range(MIXTURE_ROUNDS):
        part, mean, left, likely = _posteriors(raw, error, variances, shares)
        number = part.sum(axis=1)
        shares, variances = number / raw.size, (part * (mean**2 + left)).sum(axis=1) / np.maximum(number, 1e-12)
    return likely, variances, shares


def _posteriors(raw, error, variances, shares):
    """Return how likely each distribution is, mean and variance of offsets of each, (2, nx), and the log likelihood."""
    variances = variances[:, None]
    error = np.where(np.isfinite(error), error, 1e30)
    total = np.maximum(variances + error, 1e-300)
    with np.errstate(divide="ignore"):
        log = np.log(shares)[:, None] - 0.5 * (np.log(total) + raw**2 / total)
    most = log.max(axis=0)
    part = np.exp(log - most)
    all_parts = part.sum(axis=0)
    return part / all_parts, variances / total * raw, variances * error / total, float((most + np.log(all_parts)).sum())


def _column_parts(image, usable, offsets, pattern, clip):
    """Return sums and numbers of usable pixels of each column, in parts of its rows, both (n_parts, nx)."""
    from detectorist.algorithms.flicker._smoother_nb import column_sums

    parts = np.array_split(np.arange(len(image)), min(COLUMN_PARTS, len(image)))
    rows = [slice(part[0], part[-1] + 1) for part in parts]
    sums = [column_sums(image[part], usable[part], offsets, pattern[part], clip) for part in rows]
    return np.array([total for total, _ in sums]), np.array([count for _, count in sums])


def scatter_of_parts(totals: np.ndarray, counts: np.ndarray, variance: float) -> float:
    """Return the variance of means of columns over what the noise of their pixels makes, 1 or more.

    Parts of a column scatter about its mean by the noise of their pixels and by light that is not masked, of faint
    stars in a crowded field, of which the mean has its share.

    totals, counts : ndarray of float, shape (n_parts, nx), sums of pixels and their numbers.
    variance : of a pixel's noise.
    """
    number = counts.sum(axis=0)
    enough = (counts > 0).sum(axis=0) > len(counts) / 2
    if len(counts) < MIN_COLUMN_PARTS or not enough.any():
        return 1.0
    mean = totals.sum(axis=0) / np.maximum(number, 1)
    apart = np.where(counts > 0, totals - counts * mean, 0.0)
    # Expected: the pixels of a part have their noise, less their part in the mean.
    expected = variance * (counts * (1 - counts / np.maximum(number, 1))).sum(axis=0)
    return max(float(np.median((apart**2).sum(axis=0)[enough] / expected[enough])), 1.0)


def _alternating_columns(raw, seen, readout):
    """Return what odd and even columns of an output differ by, half to each, (nx,); 0 as far as it may be chance."""
    sign = 1.0 - 2.0 * (np.arange(raw.size) % 2)
    found = np.zeros(raw.size)
    for first, last, _ in readout.outputs:
        part = slice(first, last)
        values = (sign * raw)[part][seen[part]]
        if values.size < MIN_ALTERNATING:
            continue
        mean, chance = values.mean(), values.var() / values.size
        found[part] = sign[part] * mean * max(1 - chance / max(mean**2, 1e-300), 0.0)
    return found
