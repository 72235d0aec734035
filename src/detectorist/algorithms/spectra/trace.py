"""Position and width of a spectral trace, integration by integration."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from detectorist.algorithms.images.pixel_noise import bridge_rows, complete_variance, typical_variance
from detectorist.errors import TooFewPixels

#: Columns on either side of the peak that take part in a fit: seven widths of a MIRI LRS trace.
FIT_HALF_WIDTH_PIX = 12

#: Columns that a Gaussian and a constant need at the very least.
MIN_FIT_COLUMNS = 6

MAX_ITERATIONS = 60


@dataclass(frozen=True)
class TraceFit:
    """A Gaussian plus a constant fitted to the profile of every integration; NaN where a fit failed.

    Attributes
    ----------
    center_pix, sigma_pix : ndarray of float, shape (n_ints,)
        Position (0-based column) and standard deviation. The Gaussian is sampled at the pixel centres, so the
        sigma contains the width of a pixel (1/12 pixel squared in quadrature).
    amplitude, offset : ndarray of float, shape (n_ints,)
        Height and constant, unit of the data times rows.
    columns : ndarray of int, shape (n_fit,)
        Columns that were fitted.
    profiles : ndarray of float, shape (n_ints, n_fit)
        What was fitted: the data summed over the rows.
    """

    center_pix: np.ndarray
    sigma_pix: np.ndarray
    amplitude: np.ndarray
    offset: np.ndarray
    columns: np.ndarray
    profiles: np.ndarray


def find_trace_column(data: np.ndarray, mask: np.ndarray | None = None) -> int:
    """Return the brightest column, 0-based.

    data : ndarray of float, shape (n_ints, n_rows, n_cols)
        Found in the median over rows of the mean image, so that neither a hot pixel nor a background matters.
    mask : ndarray of bool, shape of `data`, optional
        True where a pixel must not be used. NaN is ignored anyway.

    Raises TooFewPixels when there is no usable pixel.
    """
    usable = np.isfinite(data)
    if mask is not None:
        usable &= ~mask
    count = usable.sum(axis=0)
    total = np.where(usable, data, 0).sum(axis=0, dtype=float)
    ordered = np.sort(np.where(count > 0, total / np.maximum(count, 1), np.nan), axis=0)
    n = (~np.isnan(ordered)).sum(axis=0)
    if not n.any():
        raise TooFewPixels("no usable pixel to find the trace with", n_usable=0)
    column = np.take_along_axis(ordered, (np.maximum(n - 1, 0) // 2)[None], axis=0)[0]
    return int(np.nanargmax(column))


def fit_trace(data: np.ndarray, err: np.ndarray | None = None, *, trace_column: int | None = None) -> TraceFit:
    """Fit a Gaussian plus a constant to the profile across the dispersion, once per integration.

    Parameters
    ----------
    data : ndarray of float, shape (n_ints, n_rows, n_cols)
        Images, best cleaned of outliers. The rows are summed, which weights each with its flux. A NaN is replaced by
        the mean of its neighbours along the column.
    err : ndarray of float, shape of `data`, optional
        Standard deviations, for weights common to all integrations; unknown (not finite, not positive) ones
        are completed.
    trace_column : int, optional
        Where to look for the trace; by default in the brightest column.

    Returns
    -------
    TraceFit

    Raises
    ------
    TooFewPixels
        No usable pixel anywhere, or fewer than six columns to fit.

    Notes
    -----
    Levenberg-Marquardt on all integrations at once. Cost: about ten passes over the data.
    """
    centre = find_trace_column(_sample(data)) if trace_column is None else trace_column
    columns = np.arange(max(centre - FIT_HALF_WIDTH_PIX, 0), min(centre + FIT_HALF_WIDTH_PIX + 1, data.shape[-1]))
    if columns.size < MIN_FIT_COLUMNS:
        raise TooFewPixels(
            f"{columns.size} columns about column {centre} for the fit of a trace: {MIN_FIT_COLUMNS} are needed",
            n_usable=int(columns.size),
        )
    window = slice(columns[0], columns[-1] + 1)
    profiles = _profiles(data[..., window])
    weights = _column_weights(data[..., window], None if err is None else err[..., window])
    best = _fit_gaussians(columns.astype(float), profiles, weights)
    return TraceFit(best[:, 1], best[:, 2], best[:, 0], best[:, 3], columns, profiles)


def gaussian(x: np.ndarray, amplitude, center, sigma, offset) -> np.ndarray:
    """Return a Gaussian plus a constant."""
    return amplitude * np.exp(-0.5 * ((x - center) / sigma) ** 2) + offset


def _sample(data: np.ndarray) -> np.ndarray:
    """Return a few integrations, enough to find the trace in."""
    return data[:: max(1, len(data) // 5)]


def _profiles(window: np.ndarray) -> np.ndarray:
    """Return the sum over rows, shape (n_ints, n_cols), NaN bridged along the columns."""
    summed = window.sum(axis=1, dtype=float)
    for index in np.nonzero(~np.isfinite(summed).all(axis=1))[0]:
        image = np.where(np.isfinite(window[index]), window[index], np.nan).astype(float)
        bridged = bridge_rows(image)
        known = np.isfinite(bridged).any(axis=0)
        # A wholly dead column has no sum: the fit goes on without it.
        summed[index] = np.where(known, np.nansum(bridged, axis=0), np.nan)
    return summed


def _column_weights(window: np.ndarray, err: np.ndarray | None) -> np.ndarray:
    """Return relative weights of the columns, common to all integrations."""
    if err is None:
        return np.ones(window.shape[-1])
    few = slice(None, None, max(1, len(window) // 5))
    variance = np.nansum(typical_variance(complete_variance(window[few], err[few])), axis=0)
    if not (variance > 0).all():
        return np.ones(window.shape[-1])
    return variance.mean() / variance


def _fit_gaussians(x: np.ndarray, profiles: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return (amplitude, center, sigma, offset) for every profile, shape (n, 4); NaN where a fit failed."""
    usable = np.isfinite(profiles)
    weight = usable * weights
    enough = usable.sum(axis=1) >= MIN_FIT_COLUMNS
    y = np.where(usable, profiles, 0.0)
    parameters = _first_guess(x, np.where(usable, profiles, np.nan), enough)
    damping = np.full(len(y), 1e-3)
    cost = _cost(x, y, weight, parameters)
    for _ in range(MAX_ITERATIONS):
        jacobian, residual = _derivatives(x, y, parameters)
        weighted = jacobian * weight[:, :, None]
        curvature = np.einsum("nxa,nxb->nab", weighted, jacobian)
        gradient = np.einsum("nxa,nx->na", weighted, residual)
        diagonal = np.maximum(np.einsum("naa->na", curvature), 1e-300)
        scale = np.sqrt(diagonal)
        normal = curvature / (scale[:, :, None] * scale[:, None, :])
        normal[:, range(4), range(4)] = 1 + damping[:, None]
        step = np.linalg.solve(normal, (gradient / scale)[..., None])[..., 0] / scale
        trial = parameters + step
        trial_cost = np.where(trial[:, 2] > 0, _cost(x, y, weight, trial), np.inf)
        better = trial_cost <= cost
        parameters = np.where(better[:, None], trial, parameters)
        cost = np.where(better, trial_cost, cost)
        damping = np.where(better, damping * 0.2, damping * 8).clip(1e-12, 1e12)
        if (np.abs(step[:, 1:3]) < 1e-7).all(axis=1)[enough].all():
            break
    inside = (parameters[:, 1] > x[0] - 1) & (parameters[:, 1] < x[-1] + 1) & (parameters[:, 0] > 0)
    inside &= (parameters[:, 2] > 0.1) & (parameters[:, 2] < x.size)
    inside &= np.ptp(y, axis=1) > 0
    return np.where((inside & enough)[:, None], parameters, np.nan)


def _first_guess(x: np.ndarray, profiles: np.ndarray, enough: np.ndarray) -> np.ndarray:
    """Start from the data: peak, area over height, and the faintest columns."""
    safe = np.where(enough[:, None], profiles, np.exp(-0.5 * ((x - x.mean()) / 2) ** 2))
    offset = np.nanmin(safe, axis=1)
    amplitude = np.maximum(np.nanmax(safe, axis=1) - offset, 1e-12)
    center = x[np.nanargmax(safe, axis=1)]
    area = np.nansum(safe - offset[:, None], axis=1)
    sigma = (area / amplitude / np.sqrt(2 * np.pi)).clip(0.6, x.size / 4)
    return np.stack([amplitude, center, sigma, offset], axis=1)


def _derivatives(x: np.ndarray, y: np.ndarray, parameters: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    amplitude, center, sigma, offset = (parameters[:, i, None] for i in range(4))
    distance = (x - center) / sigma
    shape = np.exp(-0.5 * distance**2)
    slope = amplitude * shape * distance / sigma
    jacobian = np.stack([shape, slope, slope * distance, np.ones_like(shape)], axis=-1)
    return jacobian, y - (amplitude * shape + offset)


def _cost(x: np.ndarray, y: np.ndarray, weight: np.ndarray, parameters: np.ndarray) -> np.ndarray:
    sigma = np.where(parameters[:, 2] > 0, parameters[:, 2], 1.0)
    model = gaussian(x, *(p[:, None] for p in (parameters[:, 0], parameters[:, 1], sigma, parameters[:, 3])))
    return (weight * (y - model) ** 2).sum(axis=1)
