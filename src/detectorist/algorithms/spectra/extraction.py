"""Spectra from dispersed images: the sum over a box, and the optimal sum after Horne (1986, PASP 98, 609).

The error of a subtracted background is common to all pixels of a row, so it is added once, coherently: a
box of n pixels holds n times that error, an optimally weighted sum the sum of its weights times it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from detectorist.algorithms.images.pixel_noise import complete_variance, typical_variance
from detectorist.errors import ParameterError, TooFewPixels

UNITS = ("DN/s", "electron/s")

#: A pixel whose variance is this many times what is usual there keeps its own in the weights: it lost groups.
UNUSUAL_VARIANCE = 4.0

#: Integrations of which weights are made at a time.
PART_INTS = 16

#: Part of the profile that must be left in the aperture after bad pixels are taken out.
MIN_PROFILE_FRACTION = 0.5


@dataclass(frozen=True)
class Spectra:
    """Extracted spectra.

    Attributes
    ----------
    flux, error : ndarray of float64, shape (n_ints, n_rows)
        Unit of the data, or electrons where requested. NaN where pixels of the aperture are missing (box)
        or too few are left (optimal).
    n_missing : ndarray of int, shape (n_ints, n_rows)
        Pixels of the aperture that are not finite.
    """

    flux: np.ndarray
    error: np.ndarray
    n_missing: np.ndarray


def aperture_weights(
    n_cols: int,
    *,
    aperture_center: float | np.ndarray,
    aperture_left_width: float,
    aperture_right_width: float,
) -> np.ndarray:
    """Return the weight of every pixel in the sum over an aperture, shape (1 or n_ints, n_cols).

    With a centre for every row the shape is (1 or n_ints, n_rows, n_cols).

    aperture_center : float or ndarray of float, shape (n_ints,) or (1 or n_ints, n_rows)
        Column, 0-based; pixel i reaches from i - 1/2 to i + 1/2. The aperture reaches from half a pixel left of
        center - left width to half a pixel right of center + right width: at a whole number every pixel counts
        fully or not at all, both ends inclusive (36, 4, 4: columns 32-40). At a fraction the light up to each edge
        is interpolated in the running sum by a cubic through its four nearest values (a straight line beside the
        edge of the image), so that the sum stays the same when aperture and trace move together. Sharing an end
        pixel in proportion to its area would leave the slope of the profile within it as an error.

    Raises
    ------
    ParameterError
        When the aperture is empty, not finite, or reaches beyond the columns there are.
    """
    low, high = _edges(n_cols, aperture_center, aperture_left_width, aperture_right_width)
    weights = _light_left_of(high + 1, n_cols) - _light_left_of(low, n_cols)
    return weights if np.ndim(aperture_center) == 2 else weights[:, 0]


def _edges(n_cols: int, center, left_width: float, right_width: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the first and last column of the aperture, possibly fractional, shape (1 or n_ints, 1 or n_rows)."""
    center = np.atleast_1d(np.asarray(center, float))
    center = center[:, None] if center.ndim == 1 else center
    low, high = center - left_width, center + right_width
    text = f"aperture of columns {np.min(low):g} to {np.max(high):g}"
    if not (np.isfinite(low).all() and np.isfinite(high).all()):
        raise ParameterError(f"{text}: the position of the trace is not known in every integration")
    if (low > high).any():
        raise ParameterError(
            f"{text} is empty: center - left width <= center + right width is needed",
            aperture_left_width=left_width,
            aperture_right_width=right_width,
        )
    if (low < 0).any() or (high > n_cols - 1).any():
        raise ParameterError(f"{text} reaches beyond the {n_cols} columns of the image", n_cols=n_cols)
    return low, high


def _light_left_of(edge: np.ndarray, n_cols: int) -> np.ndarray:
    """Return the weights that give the light left of column coordinate `edge` - 1/2, shape (*edge.shape, n_cols)."""
    edge = np.clip(edge, 0, n_cols)
    base = np.minimum(np.floor(edge), n_cols - 1)
    t = edge - base
    # Lagrange's cubic through the running sums at base - 1, base, base + 1, base + 2, as weights of the pixels.
    before = -t * (t - 1) * (t - 2) / 6
    after = (t + 1) * t * (t - 1) / 6
    here = after - (t + 1) * t * (t - 2) / 2
    straight = (base < 1) | (base > n_cols - 2)
    before, after, here = np.where(straight, [np.zeros_like(t), np.zeros_like(t), t], [before, after, here])
    columns, base = np.arange(n_cols), base[..., None]
    weights = (columns < base).astype(float)
    for offset, change in ((-1, -before), (0, here), (1, after)):
        weights += np.where(columns == base + offset, change[..., None], 0.0)
    return weights


def extract_box(
    data: np.ndarray,
    err: np.ndarray | None = None,
    *,
    aperture_center: float | np.ndarray = 36,
    aperture_left_width: float = 4,
    aperture_right_width: float = 4,
    background_variance: np.ndarray | None = None,
    units: str = "DN/s",
    gain: float | np.ndarray | None = None,
) -> Spectra:
    """Sum the pixels of every row within an aperture.

    Parameters
    ----------
    data : ndarray of float, shape (n_ints, n_rows, n_cols)
        Images with the background subtracted, DN/s, cleaned: a sum with a missing pixel is NaN.
    err : ndarray of float, shape of `data`, optional
        Standard deviations, independent from pixel to pixel. Not finite, 0 or negative means unknown: the error of such
        a pixel is estimated (`pixel_noise.complete_variance`).
    aperture_center, aperture_left_width, aperture_right_width
        As in `aperture_weights`.
    background_variance : ndarray of float, shape (n_ints, n_rows), optional
        Variance of the subtracted background, common to a row, unit of the data squared.
    units : str
        "DN/s" or "electron/s".
    gain : float or ndarray of float, shape (n_rows, n_cols), optional
        e-/DN; needed for "electron/s".

    Returns
    -------
    Spectra

    Raises
    ------
    ParameterError
        Empty aperture or one beyond the image, unknown units, or a gain that is missing, not finite or not
        positive.
    TooFewPixels
        No finite pixel in the aperture of any integration.
    """
    weights = aperture_weights(
        data.shape[-1],
        aperture_center=aperture_center,
        aperture_left_width=aperture_left_width,
        aperture_right_width=aperture_right_width,
    )
    weights = weights[:, None] if weights.ndim == 2 else weights
    window = _window(weights)
    weights = weights[..., window] * _scale(units, gain, window)
    counts = weights != 0
    pixels, n_missing = _split_missing(data[..., window].astype(float), counts)
    variance = complete_variance(data[..., window], None if err is None else err[..., window])
    flux = _dot(pixels, weights)
    total = _dot(np.where(counts, variance, 0.0), weights**2)
    if background_variance is not None:
        total = total + weights.sum(axis=2) ** 2 * background_variance
    flux[n_missing > 0] = np.nan
    total[n_missing > 0] = np.nan
    return Spectra(flux, np.sqrt(total), n_missing)


def extract_optimal(
    data: np.ndarray,
    profile: np.ndarray,
    err: np.ndarray | None = None,
    *,
    leave_out: np.ndarray | None = None,
    aperture_center: float | np.ndarray = 36,
    aperture_left_width: float = 8,
    aperture_right_width: float = 8,
    median_spatial_profile: bool = False,
    variance: np.ndarray | None = None,
    background_variance: np.ndarray | None = None,
    units: str = "DN/s",
    gain: float | np.ndarray | None = None,
) -> Spectra:
    """Sum the pixels of every row with the weights that give the least variance.

    flux = sum(P D / V) / sum(P^2 / V), variance = 1 / sum(P^2 / V) + (sum(P / V) / sum(P^2 / V))^2 B

    Parameters
    ----------
    data, err, background_variance, units, gain
        As for `extract_box`. A pixel that is not finite is left out; the flux follows from the rest of the profile.
    profile : ndarray of float, shape (n_ints, n_rows, n_cols) or (n_rows, n_cols)
        Spatial profile P; negative and NaN count as 0. It is normalised to 1 within the aperture, so the
        flux is that of the aperture.
    leave_out : ndarray of bool, shape of `data`, optional
        True where a pixel counts as not finite.
    aperture_center, aperture_left_width, aperture_right_width
        As in `aperture_weights`; here a pixel counts when its centre lies inside (the profile, not the
        aperture's edge, follows the trace).
    median_spatial_profile : bool
        Use the median of the profiles over the integrations for all of them.
    variance : ndarray of float, shape of `data`, optional
        Variance V of every pixel, unit of the data squared (see `model_variance`), instead of `err` squared.

    Returns
    -------
    Spectra

    Raises
    ------
    ParameterError, TooFewPixels
        As `extract_box`; also when the profile does not have the shape of the data.

    Notes
    -----
    The weights take their V from the median over the integrations, except for pixels with an unusually large variance:
    weights that follow the noise of each integration would bias the flux. The reported error uses each integration's
    own variances.
    """
    if profile.shape not in (data.shape[1:], (1, *data.shape[1:]), data.shape) or len(profile) == 0:
        raise ParameterError(f"profile has shape {profile.shape}; {data.shape} is needed")
    low, high = _edges(data.shape[-1], aperture_center, aperture_left_width, aperture_right_width)
    columns = np.arange(data.shape[-1])
    inside = (columns >= low[..., None] - 0.5) & (columns < high[..., None] + 0.5)
    window = _window(inside)
    scale, inside = _scale(units, gain, window), inside[..., window]
    seen = data[..., window] if leave_out is None else np.where(leave_out[..., window], np.nan, data[..., window])
    missing = ~np.isfinite(seen)
    n_missing = _count_missing(missing, inside)
    profile = _profile_of_each(profile[..., window], median_spatial_profile)
    if variance is None:
        variance = complete_variance(seen, None if err is None else err[..., window])
    else:
        variance = np.array(variance[..., window], float)
    variance *= scale**2
    usual = _usual_variance(variance)
    flux, total = np.empty((2, *data.shape[:2]))
    for first in range(0, len(data), PART_INTS):  # all at once: eight more arrays in double precision
        few = slice(first, first + PART_INTS)
        shape = _profile_within(_of(few, profile), _of(few, inside), scale)
        pixels, shape = (np.where(missing[few], 0.0, values) for values in (seen[few] * scale, shape))
        weights = shape / _weighting_variance(variance[few], usual)
        norm, kept = _rowsum(weights * shape), _rowsum(shape)
        norm = np.where((norm > 0) & (kept >= MIN_PROFILE_FRACTION), norm, np.nan)
        flux[few] = _rowsum(weights * pixels) / norm
        total[few] = _rowsum(weights**2 * variance[few]) / norm**2
        if background_variance is not None:
            # The level's error is in DN/s in every pixel; `scale` brings it into the unit of the sum.
            total[few] += (_rowsum(weights * scale) / norm) ** 2 * background_variance[few]
    return Spectra(flux, np.sqrt(total), n_missing)


def model_variance(
    data: np.ndarray,
    profile: np.ndarray,
    *,
    readnoise: float | np.ndarray,
    gain: float | np.ndarray,
    integration_time_s: float,
    background: np.ndarray | float = 0.0,
    sky_variance: np.ndarray | None = None,
) -> np.ndarray:
    """Return the variance of every pixel from read noise and photons, shape of `data`, (DN/s)^2.

    V = readnoise^2 + |S P + B| / (gain t), with S the sum of the data over the profile's columns.

    data : ndarray of float, shape (n_ints, n_rows, n_cols), DN/s, background subtracted
    profile : ndarray of float, shape of `data` or (n_rows, n_cols), normalised to 1 over the columns
    readnoise : float or ndarray broadcast to `data`, DN/s rms of one pixel (a standard deviation, no variance)
    gain : float or ndarray of shape (n_rows, n_cols), e-/DN
    integration_time_s : float, the time over which the signal of a rate was collected
    background : ndarray of shape (n_ints, n_rows), or float: level B that was subtracted, DN/s
    sky_variance : ndarray of shape (n_ints, n_rows), measured variance of a pixel without star, (DN/s)^2; used for
    readnoise^2 + B / (gain t) where B is not known any more, but never less than readnoise^2

    Raises ParameterError for a gain or time that is not positive and finite, or a read noise that is negative or not
    finite.
    """
    _require_positive(gain, "gain", "e-/DN")
    _require_positive(integration_time_s, "integration time", "s")
    readnoise = np.asarray(readnoise, float)
    if not (np.isfinite(readnoise).all() and (readnoise >= 0).all()):
        raise ParameterError("readnoise has values that are negative or not finite; DN/s rms per pixel is needed")
    profile = np.maximum(profile, 0)
    flux = np.where(profile > 0, np.nan_to_num(data), 0.0).sum(axis=-1)
    per_electron = 1 / (np.asarray(gain, float) * integration_time_s)
    star = np.maximum(flux, 0)[..., None] * profile * per_electron
    if sky_variance is not None:
        return np.maximum(readnoise**2, sky_variance[..., None]) + star
    level = np.broadcast_to(np.asarray(background, float), flux.shape)[..., None]
    return readnoise**2 + np.abs(star + level * per_electron)


def rate_read_noise(cds_noise: np.ndarray | float, *, n_groups: int, group_time_s: float) -> np.ndarray:
    """Return the read noise of a ramp's slope, DN/s, from that of a difference of two reads (CDS), DN.

    sigma^2 = 12 r^2 / (n (n^2 - 1) t^2) for n equally weighted groups with r = CDS / sqrt(2) (Fixsen et al.
    2000, PASP 112, 1350, eq. 4 in the read-noise limit); for one group r / t.
    """
    single = np.asarray(cds_noise, float) / np.sqrt(2)
    if n_groups < 2:
        return single / group_time_s
    return single * np.sqrt(12 / (n_groups * (n_groups**2 - 1))) / group_time_s


def _window(weights: np.ndarray) -> slice:
    used = np.nonzero(weights.any(axis=tuple(range(weights.ndim - 1))))[0]
    if used.size == 0:
        raise ParameterError("aperture contains no pixel")
    return slice(int(used[0]), int(used[-1]) + 1)


def _scale(units: str, gain: float | np.ndarray | None, window: slice) -> np.ndarray:
    """Return the factor from DN to the wanted unit, 1 or the gain within the window."""
    if units not in UNITS:
        raise ParameterError(f"units is {units!r}: {' or '.join(UNITS)} is needed", units=units)
    if units == "DN/s":
        return np.ones(1)
    if gain is None:
        raise ParameterError('units "electron/s" needs a gain (e-/DN)')
    gain = np.asarray(gain, float)
    gain = gain[..., window] if gain.ndim else gain.reshape(1)
    _require_positive(gain, "gain in the aperture", "e-/DN")
    return gain


def _require_positive(values, name: str, unit: str) -> None:
    values = np.asarray(values, float)
    if not (np.isfinite(values).all() and (values > 0).all()):
        worst = values[~(np.isfinite(values) & (values > 0))].ravel()[0]
        raise ParameterError(f"{name} is {worst:g} {unit}; a positive number is needed", found=float(worst))


def _split_missing(pixels: np.ndarray, inside: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the pixels with 0 for what is not finite, and how many of each row's aperture that are."""
    missing = ~np.isfinite(pixels)
    n_missing = _count_missing(missing, inside)
    return np.where(missing, 0.0, pixels) if missing.any() else pixels, n_missing


def _count_missing(missing: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """Return how many pixels of each row's aperture are missing, shape (n_ints, n_rows); TooFewPixels where all are."""
    if not missing.any():
        return np.zeros(missing.shape[:2], int)
    inside = np.broadcast_to(inside, missing.shape)
    if (missing | ~inside).all():
        raise TooFewPixels("no finite pixel in the aperture of any integration", n_usable=0)
    return (missing & inside).sum(axis=2)


def _of(few: slice, array: np.ndarray) -> np.ndarray:
    """Return the part of some integrations, or what is common to all of them."""
    return array if len(array) == 1 else array[few]


def _profile_of_each(profile: np.ndarray, median: bool) -> np.ndarray:
    """Return the profile of every integration, or one that is common to all, shape (1 or n_ints, n_rows, n_cols)."""
    profile = profile[None] if profile.ndim == 2 else profile
    return np.median(profile, axis=0, keepdims=True) if median and len(profile) > 1 else profile


def _profile_within(profile: np.ndarray, inside: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """Return the profile in the wanted unit, 1 in sum over the aperture, shape (1 or n_ints, n_rows, n_cols)."""
    shape = np.where(inside & (profile > 0), profile, 0.0).astype(float) * scale
    total = _rowsum(shape)[..., None]
    return np.divide(shape, total, out=np.zeros_like(shape), where=total > 0)


def _usual_variance(variance: np.ndarray) -> np.ndarray:
    """Return the variance that is usual for a pixel, shape (n_rows, n_cols)."""
    usual = typical_variance(variance)
    positive = usual[np.isfinite(usual) & (usual > 0)]
    # Without any noise known every pixel counts alike.
    fallback = float(np.median(positive)) if positive.size else 1.0
    return np.where(np.isfinite(usual) & (usual > 0), usual, fallback)


def _weighting_variance(variance: np.ndarray, usual: np.ndarray) -> np.ndarray:
    """Return the variance that sets the weights: the usual one of a pixel, or its own where that is much larger."""
    return np.where(variance > UNUSUAL_VARIANCE * usual, variance, usual)


def _rowsum(array: np.ndarray) -> np.ndarray:
    """Return the sum over the last axis: a product with ones is several times faster on short rows."""
    return array @ np.ones(array.shape[-1])


def _dot(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return sum(values * weights) over the columns."""
    if weights.shape[1] == 1:  # the same for all rows
        return (values @ weights[:, 0, :, None])[..., 0]
    return _rowsum(values * weights)
