"""Comparison of rate images of simulated exposures with their truth, in units of their stated errors."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from detectorist.errors import InputError
from detectorist.fits_files import read_array

#: Half the range between the 16th and the 84th percentile of a normal distribution is its standard deviation.
_ONE_SIGMA_PERCENTILES = (15.8655, 84.1345)
#: Radius of the aperture on a companion, and of the ring around it that tells the level there.
_COMPANION_RADIUS_PIX, _RING_PIX = 3.0, (6.0, 12.0)
_FULL_FRAME_PIX, _FULL_FRAME_OUTPUTS = 2048, 4


@dataclass(frozen=True)
class ImageComparison:
    """A rate image against the truth, over the pixels without any flag.

    Attributes
    ----------
    bias : float
        Median of (measured - true) / ERR.
    pull_width : float
        Half the range of the central 68.3 % of (measured - true) / ERR; 1 when ERR is correct.
    rows, rows_expected : float
        Standard deviation of the medians of measured - true over the rows of each output, and the value expected from
        errors independent from pixel to pixel; DN/s.
    n_pixels : int
        Pixels compared.
    companion : float
        (measured - true) / error of the light within 3 pixels of a companion, both above their surroundings: subarrays
        without reference pixels keep the mean of slow 1/f noise, which `bias` shows. NaN without one.
    """

    bias: float
    pull_width: float
    rows: float
    rows_expected: float
    n_pixels: int
    companion: float = float("nan")

    def lines(self) -> list[str]:
        """Return the comparison in words."""
        words = [
            f"compared with the truth: median deviation {self.bias:+.3f} sigma, scatter {self.pull_width:.3f} x the "
            f"errors ({self.n_pixels:,} pixels)",
            f"medians of rows scatter by {self.rows:.4f} DN/s ({self.rows_expected:.4f} expected without stripes)",
        ]
        if np.isfinite(self.companion):
            words.append(f"companion: {self.companion:+.2f} sigma from the true flux, above its surroundings")
        return words


def compare_image(rate_path: str | Path, truth_path: str | Path) -> ImageComparison:
    """Compare a rate image with the truth that the simulator wrote.

    The truth holds one rate, or one for every integration, of which the mean is used. Wisps are not included, since
    they should be removed; pixels that stand out in single integrations are left out.

    Raises
    ------
    InputError
        When the two have different shapes, or no pixel is without a flag.
    """
    import xarray as xr

    data, err, flags = (read_array(rate_path, name, "a rate image") for name in ("SCI", "ERR", "DQ"))
    with xr.open_dataset(truth_path, engine="h5netcdf") as opened:
        truth = opened.load()
    wanted, outliers = _wanted_rate(truth)
    if wanted.shape != data.shape:
        raise InputError(f"{rate_path}: {data.shape} pixels, {truth_path} has {wanted.shape}")
    usable = (flags == 0) & np.isfinite(data) & (err > 0) & ~outliers
    if not usable.any():
        raise InputError(f"{rate_path}: no pixel is without a flag")
    away = np.where(usable, data - wanted, np.nan)
    pull = (away / np.where(usable, err, np.nan))[usable]
    low, high = np.percentile(pull, _ONE_SIGMA_PERCENTILES)
    return ImageComparison(
        float(np.median(pull)),
        float(high - low) / 2,
        *_row_scatter(away, np.where(usable, err, 0), _outputs(truth)),
        int(usable.sum()),
        _companion_pull(truth, away, err),
    )


def _wanted_rate(truth) -> tuple[np.ndarray, np.ndarray]:
    """Return what the rate image should be (ny, nx), DN/s, and where outliers of single integrations are."""
    rate = truth["rate"].values.astype(float)
    if rate.ndim == 3:
        return rate.mean(axis=0), (truth["outliers"].values != 0).any(axis=0)
    light = truth["light"].values
    response = np.divide(rate, light, out=np.zeros_like(rate), where=light > 0)
    return rate - truth["wisp"].values * response, np.zeros(rate.shape, bool)


def _outputs(truth) -> int:
    """Return how many outputs an exposure was read through: four on NIRCam's full frame."""
    told = json.loads(truth.attrs["scene"]).get("detector", {}).get("outputs")
    return told or (_FULL_FRAME_OUTPUTS if truth.sizes["column"] == _FULL_FRAME_PIX else 1)


def _row_scatter(away: np.ndarray, err: np.ndarray, outputs: int) -> tuple[float, float]:
    """Return scatter and expected scatter of the medians of rows, by output; rows mostly flagged are left out."""
    images, errors = (np.stack(np.split(image, outputs, axis=1)) for image in (away, err))
    counts = np.isfinite(images).sum(axis=2)
    chosen = counts > images.shape[2] // 4
    if chosen.sum() < 2:
        return float("nan"), float("nan")
    medians = np.nanmedian(images[chosen], axis=1)
    variances = np.pi / 2 * (errors[chosen] ** 2).sum(axis=1) / counts[chosen] ** 2
    return float(np.std(medians)), float(np.sqrt(variances.mean()))


def _companion_pull(truth, away: np.ndarray, err: np.ndarray) -> float:
    if "companion_x" not in truth.attrs or not np.any(truth.get("companion", 0)):
        return float("nan")
    y, x = np.indices(away.shape)
    distance = np.hypot(y - truth.attrs["companion_y"], x - truth.attrs["companion_x"])
    inside = (distance <= _COMPANION_RADIUS_PIX) & np.isfinite(away)
    ring = (distance >= _RING_PIX[0]) & (distance <= _RING_PIX[1]) & np.isfinite(away)
    if not inside.any() or not ring.any():
        return float("nan")
    n, level = int(inside.sum()), float(np.mean(away[ring]))
    of_level = (err[ring] ** 2).sum() / int(ring.sum()) ** 2
    return float((away[inside].sum() - n * level) / np.sqrt((err[inside] ** 2).sum() + n**2 * of_level))
