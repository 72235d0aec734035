"""Stripes of one image without light: four ways to separate them from white noise.

`flicker` follows the noise on the time line of the readout (see `flicker`), `savgol` along each row,
`median` and `mean` take one value for a row of an output.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING

import numpy as np

from detectorist.algorithms.flicker.spectrum import limit_noise
from detectorist.algorithms.flicker.stack import (
    ColumnOffsets,
    fit_spectrum,
    shrunk_columns,
    smooth_flicker,
    white_variance,
)
from detectorist.errors import ParameterError, TooFewPixels

if TYPE_CHECKING:
    from detectorist.algorithms.flicker.smoother import FlickerNoise, Readout

MODEL_TYPES = ("flicker", "savgol", "median", "mean")
#: Width and order of the Savitzky-Golay filter along a row. Among 15 to 255 pixels, wider ones leave more of the
#: noise of NIRCam subarrays, narrower ones follow the white noise.
SAVGOL_PIX, SAVGOL_ORDER = 31, 3
CLIP_SIGMA = 3.0
#: Variance of a Gaussian cut off there, over its own.
CLIPPED_VARIANCE = 0.9733
MIN_PIXELS = 500


@dataclass(frozen=True)
class Stripes:
    """Stripes of one image.

    pattern : (ny, nx) float32, mean zero along the image: what to subtract.
    variance : (ny, nx) float32, variance of the error of `pattern`.
    used : (ny, nx) bool, pixels whose own white noise is in `pattern`.
    unresolved : (nx,) float32, variance of what the model does not follow and leaves in every pixel.
    level : float, median of the image without light, not part of `pattern`.
    noise : FlickerNoise or None, spectrum used; None for the models that have none.
    column_power : float, variance of the offsets of the columns.
    """

    pattern: np.ndarray
    variance: np.ndarray
    used: np.ndarray
    unresolved: np.ndarray
    level: float
    noise: FlickerNoise | None = None
    column_power: float = 0.0

    def variance_change(self) -> np.ndarray:
        """Return the change of the variance of each pixel, (ny, nx), when `pattern` is subtracted from white noise.

        A pixel that was not used gets the variance P of the pattern; for a used one, part of the white noise R is
        subtracted with the pattern and R becomes R - P, since the covariance of a datum's noise with its best estimate
        is P.
        """
        return np.where(self.used, -self.variance, self.variance) + self.unresolved

    def variance_left(self) -> np.ndarray:
        """Return the same, but never negative changes by removed white noise: for light that is not known exactly."""
        return np.where(self.used, np.float32(0), self.variance) + self.unresolved


def estimate_stripes(
    image: np.ndarray,
    mask: np.ndarray,
    *,
    readout: Readout,
    weight: np.ndarray | None = None,
    model_type: str = "flicker",
    vertical_corr: bool = True,
    noise: FlickerNoise | None = None,
    column_power: float | None = None,
    gap_pix: int = 0,
    group_noise: FlickerNoise | None = None,
) -> Stripes:
    """Estimate the stripes of one image.

    Parameters
    ----------
    image : ndarray of float, shape (ny, nx)
        Any linear unit, light subtracted. Non-finite pixels are ignored.
    mask : ndarray of bool, shape (ny, nx)
        True where a pixel must not be used.
    readout : Readout
        Outputs and scan directions.
    weight : ndarray of float, shape (ny, nx), optional
        What a usable pixel counts for, 0 to 1, in "flicker" of one output; in the other models a pixel counts from
        a half on.
    model_type : {"flicker", "savgol", "median", "mean"}
    vertical_corr : bool
        Also subtract one value per column, shrunk by its own uncertainty.
    noise : FlickerNoise, optional
        Spectrum for "flicker"; by default estimated from this image.
    column_power : float, optional
        Variance of the offsets of columns, where known (`shrunk_columns`).
    gap_pix : int
        For "flicker" and one output: the noise of a pixel is estimated without its neighbours within this distance
        (`smooth_flicker`), so that no source smaller than this is mistaken for noise.
    group_noise : FlickerNoise, optional
        For "flicker": noise of the image as its groups tell it. A spectrum from the image is limited to it.

    Raises
    ------
    ParameterError
        For an unknown model_type.
    TooFewPixels
        When less than 500 pixels are usable.
    """
    if model_type not in MODEL_TYPES:
        raise ParameterError(f"model_type is {model_type!r}: one of {', '.join(MODEL_TYPES)} is needed")
    usable = np.isfinite(image) & ~mask
    if usable.sum() < MIN_PIXELS:
        raise TooFewPixels(
            f"stripes: {int(usable.sum())} usable pixels, {MIN_PIXELS} are needed", n_usable=int(usable.sum())
        )
    one_output = model_type == "flicker" and len(readout.outputs) == 1
    if weight is not None and not one_output:
        mask = mask | (weight < 0.5)
        usable &= ~mask
    if model_type == "flicker":
        if one_output:
            settings = {"columns": vertical_corr, "column_power": column_power, "gap_pix": gap_pix, "weight": weight}
            if noise is None:
                noise = limit_noise(estimate_spectrum(image, ~usable, readout=readout), group_noise, readout)
            return _one_output(image, usable, readout, noise, settings)
        from detectorist.algorithms.flicker.smoother import estimate_flicker

        found = estimate_flicker(
            image, mask, readout=readout, noise=noise, columns=vertical_corr, group_noise=group_noise
        )
        unresolved = (found.fast_variance + found.column_variance).astype(np.float32)
        return Stripes(found.total, found.variance, found.used, unresolved, found.level, found.noise)
    row_model = _ROW_MODELS[model_type]
    return _rows_and_columns(
        image, usable, readout, row_model=row_model, vertical_corr=vertical_corr, column_power=column_power
    )


def _rows_and_columns(image, usable, readout, *, row_model, vertical_corr, column_power) -> Stripes:
    """Take rows off by a model that knows no noise, and columns from what is left."""
    values = np.where(usable, image, np.nan).astype(np.float64)
    level = float(np.nanmedian(values))
    values = clipped(values - level)
    pattern, variance = row_model(values, readout)
    columns = ColumnOffsets(np.zeros(image.shape[1]), np.zeros(image.shape[1]), 0.0)
    used = np.isfinite(values)
    if vertical_corr:
        left = clipped(values - pattern)
        columns = shrunk_columns(np.nan_to_num(left), np.isfinite(left), power=column_power)
        pattern = pattern + columns.offset
    # What these models leave of the noise they do not know: it is measured.
    excess = float(np.nanmean((values - pattern) ** 2)) - white_variance([(np.nan_to_num(values), used)])
    left = max(excess / CLIPPED_VARIANCE + float(variance[used].mean()), 0.0)
    pattern -= pattern.mean()
    parts = (part.astype(np.float32) for part in (pattern, variance, columns.variance + left))
    pattern, variance, unresolved = parts
    return Stripes(pattern, variance, used, unresolved, level, column_power=columns.power)


def _one_output(image, usable, readout, noise, settings) -> Stripes:
    """Follow the noise of a subarray's single output; columns are told from what is left and taken out before."""
    found = smooth_flicker(image, ~usable, noise, readout=readout, **settings)
    pattern = found.pattern + found.columns.astype(np.float32)
    pattern -= pattern.mean(dtype=float).astype(np.float32)
    unresolved = (noise.unresolved + found.column_variance).astype(np.float32)
    return Stripes(pattern, found.variance, found.used, unresolved, found.level, noise, found.column_power)


def estimate_spectrum(
    images: np.ndarray, mask: np.ndarray, *, readout: Readout, model_type: str = "flicker"
) -> FlickerNoise | None:
    """Return the spectrum that `estimate_stripes` would use for an image (ny, nx), or that of several (n, ny, nx).

    None for models that use none. Raises TooFewPixels where all images have too few.
    """
    if model_type != "flicker":
        return None
    if len(readout.outputs) == 1:
        return fit_spectrum(images, mask, readout=readout)
    from detectorist.algorithms.flicker.smoother import estimate_noise

    shape = images.shape[-2:]
    found = []
    for image, bad in zip(images.reshape(-1, *shape), mask.reshape(-1, *shape), strict=True):
        try:
            found.append(estimate_noise(image, bad, readout=readout))
        except TooFewPixels:
            continue
    if not found:
        raise TooFewPixels("1/f noise: no image has enough usable pixels", n_usable=int((~mask).sum()))
    means = {name: np.mean([getattr(one, name) for one in found], axis=0) for name in _variances(found[0])}
    return replace(found[0], **means)


def scaled_noise(noise: FlickerNoise | None, factor: float) -> FlickerNoise | None:
    """Return a spectrum with all variances multiplied by `factor`: that of a mean of 1/factor images, say."""
    if noise is None:
        return None
    return replace(noise, **{name: factor * getattr(noise, name) for name in _variances(noise)})


def _variances(noise) -> list[str]:
    return [field.name for field in fields(noise) if field.name != "scales_pix"]


def clipped(values: np.ndarray) -> np.ndarray:
    """Return `values` with NaN for what is farther than 3 robust sigma from the median of its row."""
    middle = np.full((*values.shape[:-1], 1), 0.0)
    known = np.isfinite(values).any(axis=-1)
    middle[known, 0] = np.nanmedian(values[known], axis=-1)
    left = values - middle
    sigma = 1.4826 * np.nanmedian(np.abs(left))
    return np.where(np.abs(left) <= CLIP_SIGMA * sigma, values, np.nan)


def row_medians(values: np.ndarray, readout: Readout) -> tuple[np.ndarray, np.ndarray]:
    """Return (ny, nx) the median of each output's part of each row, and its variance; values may hold NaN."""
    return _per_output(values, readout, np.nanmedian, np.pi / 2)


def row_means(values: np.ndarray, readout: Readout) -> tuple[np.ndarray, np.ndarray]:
    """Return (ny, nx) the mean of each output's part of each row, and its variance; values may hold NaN."""
    return _per_output(values, readout, np.nanmean, 1.0)


def row_savgol(values: np.ndarray, readout: Readout) -> tuple[np.ndarray, np.ndarray]:
    """Return (ny, nx) a Savitzky-Golay smoothing of each output's part of each row, and its variance.

    Gaps are filled with the row's median, then twice with the result itself.
    """
    from scipy.signal import savgol_coeffs, savgol_filter  # takes long to load

    start, variance = row_medians(values, readout)
    pattern = start.copy()
    for first, last, _ in readout.outputs:
        part, model = values[:, first:last], start[:, first:last]
        width = min(SAVGOL_PIX, (last - first - 1) // 2 * 2 + 1)
        order = min(SAVGOL_ORDER, width - 1)
        for _ in range(3):
            filled = np.where(np.isfinite(part), part, model)
            model = savgol_filter(filled, width, order, axis=1, mode="interp")
        pattern[:, first:last] = model
        scatter, followed = np.nanmean((part - model) ** 2), np.nanmean((part - start[:, first:last]) ** 2)
        own = (savgol_coeffs(width, order) ** 2).sum() * scatter
        # In a gap there is little but the row's median.
        variance[:, first:last] = np.where(np.isfinite(part), own, own + max(followed - scatter, 0.0))
    return pattern, variance


_ROW_MODELS = {"savgol": row_savgol, "median": row_medians, "mean": row_means}


def _per_output(values, readout, centre, efficiency):
    pattern, variance = np.zeros(values.shape), np.zeros(values.shape)
    for first, last, _ in readout.outputs:
        part = values[:, first:last]
        n_used = np.isfinite(part).sum(axis=1)
        known = n_used > 0
        pattern[known, first:last] = centre(part[known], axis=1)[:, None]
        scatter = np.nanmean((part - pattern[:, first:last]) ** 2)
        variance[:, first:last] = (efficiency * scatter / np.maximum(n_used, 1))[:, None]
    return pattern, variance
