"""1/f noise of coronagraphic exposures: stripes that differ from image to image over a star that does not.

The difference between an image and the mean of all integrations contains only stripes and white noise, even where the
star is bright, and goes to `estimate_stripes`; the stripes of the mean are separated from the star by shape (`halo`).
The two parts of the noise are independent, so are their errors.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import ndimage

from detectorist.algorithms import dq
from detectorist.algorithms.blas_threads import one_thread
from detectorist.algorithms.byte_order import native
from detectorist.algorithms.flicker.spectrum import limit_noise
from detectorist.algorithms.flicker.star_light import light_fit
from detectorist.algorithms.flicker.stripe_models import Stripes, estimate_spectrum, estimate_stripes, scaled_noise
from detectorist.algorithms.medians import typed_median
from detectorist.algorithms.ramps.ktc import measure_ktc
from detectorist.algorithms.spectra.outliers import flag_outliers
from detectorist.algorithms.stars.halo import separate_star
from detectorist.errors import TooFewPixels

if TYPE_CHECKING:
    from detectorist.algorithms.flicker.smoother import FlickerNoise, Readout

#: Deviation from the other integrations, in sigma, from which a value is left out of the mean over integrations.
MEAN_CUT_SIGMA = 6.0
#: Noise of a pixel over that of a usual one from which the light of the star drowns the stripes.
NOISY = 2.0
#: Neighbourhood of a pixel, along and across the row, that has no say in the stripes of a star's image: wider than a
#: companion, whose light would else be taken for noise; nothing tells the two apart where it is too faint to be seen.
COMPANION_GAP_PIX = 10
#: Weight from which pixels of a single image tell its spectrum, and the part of all from which they are enough.
CALM_WEIGHT, LEAST_CALM = 0.999, 0.2
#: Images that tell the spectrum of all. One alone knows little of what is slower than itself.
N_PROBES = 6


@dataclass(frozen=True)
class StripeStack:
    """Stripes of the images of one exposure, (n_images, ny, nx) or (n_ints, n_groups, ny, nx).

    stripes : float32, what to subtract: pattern of every image and its level against the mean of all.
    variance : float32, (n_ints, ny, nx), variance that stripes left behind add to each integration's rate.
    mean_variance : float32, (ny, nx), the same for the rate of the exposure. Not the mean of `variance`
    over the number
        of integrations: the stripes of the mean are common to all.
    star : (ny, nx), rate or image without stripes.
    measured : bool, (n_images,) or (n_ints, n_groups), False where too few pixels were usable and nothing
    is subtracted.
    """

    stripes: np.ndarray
    variance: np.ndarray
    mean_variance: np.ndarray
    star: np.ndarray
    measured: np.ndarray


@one_thread
def stripes_of_integrations(
    cube: np.ndarray,
    mask: np.ndarray,
    *,
    readout: Readout,
    model_type: str = "flicker",
    combine_ints: bool = True,
    vertical_corr: bool = True,
    group_noise: FlickerNoise | None = None,
) -> StripeStack:
    """Estimate the stripes of rates, one image for each integration.

    Parameters
    ----------
    cube : ndarray of float, shape (n_ints, ny, nx)
        Rates of one pointing, any linear unit. Non-finite values are ignored.
    mask : ndarray of bool, same shape
        True where a value must not be used.
    readout : Readout
        Outputs and scan directions of the image.
    model_type : {"flicker", "savgol", "median", "mean"}
    combine_ints : bool
        Take the star from all integrations together. False: from each integration alone, as is necessary when they
        differ.
    vertical_corr : bool
        Also subtract one value per column.
    group_noise : FlickerNoise, optional
        Noise of each image as its groups tell it, where known: no more is taken for noise in an image whose star no
        other tells.

    Raises
    ------
    ValueError
        When the shapes do not agree.

    Notes
    -----
    Cost: n_ints + 3 stripe estimates; each integration by itself, six and two fits of light.
    """
    if cube.ndim != 3 or mask.shape != cube.shape:
        raise ValueError(f"cube {cube.shape} and mask {mask.shape}: one (n_ints, ny, nx) shape is needed")
    cube = native(cube)
    source = {"readout": readout, "model_type": model_type}
    estimate = partial(estimate_stripes, **source, vertical_corr=vertical_corr)
    if len(cube) == 1 or not combine_ints:
        return _one_by_one(cube, mask, partial(estimate, group_noise=group_noise))
    mask = mask | ~np.isfinite(cube)
    mean, n_used = robust_mean(cube, mask)
    residual = np.asarray(cube - mean, np.float32)
    mask |= noisy_pixels(residual, mask)
    noise = pooled_spectrum(residual, mask, source)
    found = estimate_all(residual, mask, partial(estimate, noise=noise))
    star, pattern, common = _stripes_of_mean(mean, n_used == 0, len(cube), noise, _column_power(found), estimate)
    variance = np.stack([common + one.variance_change() if one else common for one in found])
    stripes = _stack(found, residual.shape)
    measured = np.array([one is not None for one in found])
    stripes[measured] += pattern
    return StripeStack(stripes, variance, common, star, measured)


@one_thread
def stripes_of_ramps(
    ramp: np.ndarray,
    groupdq: np.ndarray,
    times_s: np.ndarray,
    mask: np.ndarray,
    *,
    readout: Readout,
    saturation: np.ndarray | None = None,
    sat_frac: float = 0.5,
    model_type: str = "flicker",
    combine_ints: bool = True,
    vertical_corr: bool = True,
) -> StripeStack:
    """Estimate the stripes of every group, as the difference from the mean ramp.

    Parameters
    ----------
    ramp : ndarray of float, shape (n_ints, n_groups, ny, nx)
        Linearised ramps, DN. kTC noise may be in them: each ramp's own level is taken out.
    groupdq : ndarray of uint8, same shape
        A pixel is left out from its first flagged group on.
    times_s : ndarray of float, shape (n_groups,)
    mask : ndarray of bool, shape (ny, nx)
        True where a pixel must not be used.
    saturation, sat_frac : see `measure_ktc`
    readout, model_type, combine_ints, vertical_corr : see `stripes_of_integrations`

    Returns
    -------
    StripeStack
        `stripes` in DN, (n_ints, n_groups, ny, nx); variances and `star` in DN/s.

    Raises
    ------
    ValueError
        When the shapes do not agree, or the ramps have less than two groups.

    Notes
    -----
    Noise common to all groups of a ramp cannot be distinguished from kTC noise and changes no slope: it stays.
    Variances are those of an unweighted slope through all groups. Cost: n_ints * n_groups + 3 stripe
    estimates.
    """
    if mask.shape != ramp.shape[-2:] or groupdq.shape != ramp.shape:
        raise ValueError(f"ramp {ramp.shape}, groupdq {groupdq.shape} and mask {mask.shape} do not agree")
    if ramp.shape[1] < 2:
        raise ValueError("ramps of one group have no slope: correct their rates instead")
    ramp, groupdq = native(ramp), native(groupdq)
    source = {"readout": readout, "model_type": model_type}
    if not combine_ints and len(ramp) > 1:
        settings = {"saturation": saturation, "sat_frac": sat_frac, "vertical_corr": vertical_corr, **source}
        each = (slice(i, i + 1) for i in range(len(ramp)))
        return _joined([stripes_of_ramps(ramp[one], groupdq[one], times_s, mask, **settings) for one in each])
    times = np.asarray(times_s, np.float64)
    estimate = partial(estimate_stripes, **source, vertical_corr=vertical_corr)
    fit = measure_ktc(ramp, groupdq, times, saturation=saturation, sat_frac=sat_frac)
    good = _unflagged(ramp, groupdq, mask, saturation, sat_frac)
    rates, unsloped = _slopes(ramp, good, times)
    mean, n_used = robust_mean(rates, unsloped)
    mean = np.where(n_used > 0, mean, fit.slope)
    residual = _ramp_residual(ramp, good, mean, times).reshape(-1, *mean.shape)
    bad = ~good.reshape(residual.shape)
    bad |= noisy_pixels(residual, bad)
    spectrum = pooled_spectrum(residual, bad, source)
    found = estimate_all(residual, bad, partial(estimate, noise=spectrum))
    unknown = mask | ~np.isfinite(mean)
    spectrum = pooled_spectrum(rates - mean, unsloped | unknown, source) if len(rates) > 1 else None
    info = ((times - times.mean()) ** 2).sum()
    power = _column_power(found)
    power = None if power is None else power / info
    star, pattern, common = _stripes_of_mean(mean, unknown, len(rates), spectrum, power, estimate)
    stripes = _stack(found, residual.shape).reshape(ramp.shape)
    stripes += pattern * (times - times.mean()).astype(np.float32)[:, None, None]
    variance = _variance_of_slopes(found, times, (len(ramp), *star.shape))
    measured = np.array([one is not None for one in found]).reshape(ramp.shape[:2])
    return StripeStack(stripes, variance + common, common, star, measured)


def ramps_about_mean(
    ramp: np.ndarray, groupdq: np.ndarray, times_s: np.ndarray, mask: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return ramps without the mean slope of all integrations and without each one's level, and where they are good.

    Arguments as in `stripes_of_ramps`; both results have the shape (n_ints * n_groups, ny, nx). A pixel without a
    whole ramp in any integration is good in none.
    """
    good = _unflagged(ramp, groupdq, mask, None, 1.0)
    mean, n_used = robust_mean(*_slopes(ramp, good, times_s))
    good &= n_used > 0
    residual = _ramp_residual(ramp, good, mean, times_s)
    return residual.reshape(-1, *mean.shape), good.reshape(-1, *mean.shape)


def robust_mean(cube: np.ndarray, mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean over axis 0 without masked values and outliers, 0 where nothing is left, and their number."""
    left_out = mask
    if len(cube) >= 4:
        left_out = mask | flag_outliers(cube, mask=mask, sigma_cut=MEAN_CUT_SIGMA, nint_min=4).flagged
    n_used = len(cube) - left_out.sum(axis=0)
    total = np.sum(cube, axis=0, where=~left_out, dtype=np.float64)
    return total / np.maximum(n_used, 1), n_used


def noisy_pixels(residual: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Return (ny, nx) bool, True where stripes are lost in the scatter of the images (photon noise of the star).

    residual, mask : (n_images, ny, nx). The scatter is measured from differences along the row, in which stripes nearly
    cancel.
    """
    usable = ~mask
    both = usable[:, :, 1:] & usable[:, :, :-1]
    difference = np.subtract(residual[:, :, 1:], residual[:, :, :-1])
    limit = 20 * _typical(difference[:: max(1, len(residual) // 4)][both[:: max(1, len(residual) // 4)]])
    np.clip(difference, -limit, limit, out=difference)
    square = np.zeros(residual.shape[1:])
    count = np.zeros(residual.shape[1:])
    square[:, 1:] = np.einsum("iyx,iyx,iyx->yx", difference, difference, both.astype(np.float32))
    count[:, 1:] = both.sum(axis=0)
    local = ndimage.uniform_filter(square, 5) / np.maximum(ndimage.uniform_filter(count, 5), 1e-6)
    known = local[count > 0]
    return local > NOISY**2 * typed_median(known) if known.size else np.zeros(local.shape, bool)


def _typical(values: np.ndarray) -> float:
    return float(1.4826 * typed_median(np.abs(values))) if values.size else np.inf


def _one_by_one(cube, mask, estimate) -> StripeStack:
    """Each image by itself: star and stripes separated by shape only."""
    estimate = partial(estimate, gap_pix=COMPANION_GAP_PIX)
    parts = [_separate_alone(image, bad, estimate) for image, bad in zip(cube, mask, strict=True)]
    found = [part.stripes for part in parts]
    zero = np.zeros(cube.shape[1:], np.float32)
    variance = np.stack([one.variance_left() if one else zero for one in found])
    stripes = np.stack([one.pattern if one else zero for one in found])
    measured = np.array([one is not None for one in found])
    star = np.mean([part.star for part in parts], axis=0)
    return StripeStack(stripes, variance, variance.mean(axis=0) / len(cube), star, measured)


def _separate_alone(image, mask, estimate: partial):
    """Separate one image in two rounds: the first tells the spectrum with which light is fitted in the second."""
    first = separate_star(image, mask, _weighted(estimate))
    noise = _calm_spectrum(image, first, estimate.keywords) if first.stripes else None
    fit = light_fit(noise, estimate.keywords["readout"])
    if fit is None:
        return first
    second = separate_star(image, mask, _weighted(partial(estimate, noise=noise)), fit_light=fit)
    return first if second.stripes is None else second


def _calm_spectrum(image, separated, settings) -> FlickerNoise | None:
    """Return the spectrum that pixels of full weight tell, or all where these are few: light left in others adds to it.

    Its error in a pixel would be overstated with the light.
    """
    usable = separated.weight > 0
    calm = separated.weight > CALM_WEIGHT
    noise = separated.stripes.noise
    if noise is None or calm.sum() < LEAST_CALM * usable.sum():
        return noise
    told = estimate_spectrum(image - separated.light, ~calm, readout=settings["readout"])
    return limit_noise(told, settings["group_noise"], settings["readout"])


def _weighted(estimate: Callable) -> Callable:
    """Turn an estimate of image and mask into one of image and weight."""
    return lambda image, weight: estimate(image, weight <= 0, weight=weight)


def _joined(parts: list[StripeStack]) -> StripeStack:
    variance = np.concatenate([part.variance for part in parts])
    return StripeStack(
        np.concatenate([part.stripes for part in parts]),
        variance,
        variance.mean(axis=0) / len(parts),
        np.mean([part.star for part in parts], axis=0),
        np.concatenate([part.measured for part in parts]),
    )


def _column_power(found) -> float | None:
    powers = [one.column_power for one in found if one is not None]
    return float(np.mean(powers)) if powers else None


def _stripes_of_mean(mean, mask, n_ints, noise, column_power, estimate: partial):
    """Return star, stripes and what these add to the variance, each (ny, nx), of a mean over integrations.

    `noise` and `column_power` are those of differences from that mean, which have 1 - 1/n of the variance of one
    integration; the mean has 1/n. They are measured on differences because these contain no star.
    """
    known: dict[str, Any] = {}
    if n_ints > 1 and noise is not None:
        known["noise"] = scaled_noise(noise, 1.0 / (n_ints - 1))
    if n_ints > 1 and column_power is not None:
        known["column_power"] = column_power / (n_ints - 1)
    separated = separate_star(
        mean,
        mask,
        _weighted(partial(estimate, gap_pix=COMPANION_GAP_PIX, **known)),
        fit_light=light_fit(known.get("noise"), estimate.keywords["readout"]),
    )
    if separated.stripes is None:
        zero = np.zeros(mean.shape, np.float32)
        return mean, zero, zero
    return separated.star, separated.stripes.pattern, separated.stripes.variance_left()


def pooled_spectrum(residual: np.ndarray, mask: np.ndarray, settings: dict[str, Any]) -> FlickerNoise | None:
    """Return the spectrum of up to six images spread over the exposure; None where nothing or the model needs none."""
    chosen = np.unique(np.linspace(0, len(residual) - 1, N_PROBES).astype(int))
    try:
        return estimate_spectrum(residual[chosen], mask[chosen], **settings)
    except TooFewPixels:
        return None


def estimate_all(residual: np.ndarray, mask: np.ndarray, estimate: Callable) -> list[Stripes | None]:
    """Return `estimate(image, mask)` of images (n_images, ny, nx), None where too few pixels are usable."""
    found: list[Stripes | None] = []
    for image, bad in zip(residual, mask, strict=True):
        try:
            found.append(estimate(image, bad))
        except TooFewPixels:
            found.append(None)
    return found


def _stack(found, shape) -> np.ndarray:
    """Patterns with each image's level against the mean of all: that mean is light, what differs from it is not."""
    stripes = np.zeros(shape, np.float32)
    known = [k for k, one in enumerate(found) if one is not None]
    if known:
        level = np.mean([found[k].level for k in known])
        for k in known:
            stripes[k] = found[k].pattern + np.float32(found[k].level - level)
    return stripes


def _unflagged(ramp, groupdq, mask, saturation, sat_frac) -> np.ndarray:
    """Return (n_ints, n_groups, ny, nx) bool, False from a pixel's first flagged, unknown or too bright group on."""
    flags = groupdq.dtype.type(dq.DO_NOT_USE | dq.SATURATED | dq.JUMP_DET)
    good = (groupdq & flags) == 0
    good &= np.isfinite(ramp)
    if saturation is not None:
        limit = np.where(np.isfinite(saturation) & (saturation > 0), sat_frac * saturation, np.inf)
        good &= ramp <= limit.astype(ramp.dtype)
    for group in range(1, good.shape[1]):  # numpy's accumulate takes twenty times as long
        good[:, group] &= good[:, group - 1]
    good &= ~mask
    return good


def _slopes(ramp, good, times) -> tuple[np.ndarray, np.ndarray]:
    """Return the slope of every ramp without a flag, (n_ints, ny, nx), and where there is none."""
    weight = ((times - times.mean()) / ((times - times.mean()) ** 2).sum()).astype(ramp.dtype)
    slopes = np.einsum("igyx,g->iyx", ramp, weight)
    bad = ~good[:, -1] | ~np.isfinite(slopes)
    return slopes, bad


def _variance_of_slopes(found, times, shape) -> np.ndarray:
    """Return (n_ints, ny, nx) float32, what the stripes of single groups add to the variance of unweighted slopes."""
    information = len(times) * ((times - times.mean()) ** 2).sum()
    variance = np.zeros(shape, np.float32)
    for k, one in enumerate(found):
        if one is not None:
            variance[k // len(times)] += one.variance_change() / np.float32(information)
    return variance


def _ramp_residual(ramp, good, rate, times) -> np.ndarray:
    """Return (n_ints, n_groups, ny, nx) float32 the ramps without `rate` and without each ramp's own level."""
    residual = (ramp - (rate * times[:, None, None]).astype(ramp.dtype)).astype(np.float32, copy=False)
    n_good = good.sum(axis=1)
    level = np.sum(residual, axis=1, where=good) / np.maximum(n_good, 1)
    residual -= level[:, None]
    # One group alone is its own level: it would say that there is no stripe.
    good &= (n_good > 1)[:, None]
    return residual
