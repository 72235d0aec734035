"""Late groups of a brighter reference star, left out so that its ramps end where those of the science target do.

Brighter-fatter and non-linearity depend on the charge collected: a reference star is a better model of the
target's star when both ramps are fitted over the same range of charge.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from detectorist.algorithms.ramps.saturation import grow_mask
from detectorist.errors import ParameterError

METHODS = ("basic", "advanced", "custom")
#: Half-width of the crop about the star and width of its border that is compared, by method, pixels.
CROP_WIDTH_PIX = {"basic": 20, "advanced": 30}
EDGE_WIDTH_PIX = {"basic": 10, "advanced": 20}


@dataclass(frozen=True)
class GroupMatch:
    """Last group of the reference star that is like the target's last one.

    faint, bright : int, for pixels of `low_dn` and less, of `high_dn` and more (in the reference's last
    group, above
        its median); between them the last group follows the brightness linearly.
    """

    faint: int
    bright: int
    low_dn: float = -np.inf
    high_dn: float = np.inf


def match_groups(
    reference: np.ndarray,
    science: list[np.ndarray],
    *,
    centre: tuple[float, float],
    science_centres: list[tuple[float, float]],
    mask_method: str = "basic",
    cropwidth: int | None = None,
    edgewidth: int | None = None,
    threshold: float = 85.0,
) -> GroupMatch:
    """Find the groups of a reference star whose charge is that of the target's last group.

    Parameters
    ----------
    reference : ndarray of float, shape (n_groups, ny, nx)
        Median over the integrations of the reference star, DN.
    science : list of ndarray, shape (ny, nx)
        Last groups of the target's exposures, medians over their integrations, DN.
    centre, science_centres : (y, x), or one for each of `science`
        Where the stars are, pixels.
    mask_method : {"basic", "advanced"}
        "basic": one group for all pixels, where the light in the border of the crop agrees. "advanced": one
        for the peak and one for the median of the brighter pixels of the border.
    cropwidth, edgewidth : int, optional
        Half-width of the crop and width of its border; 20 and 10, advanced 30 and 20. A border as wide as the crop uses
        the whole crop.
    threshold : float
        "advanced": percentile of the crop above which border pixels are compared.

    Raises
    ------
    ParameterError
        For an unknown method, without a science image, or where the crop lies outside the image.
    """
    if mask_method not in CROP_WIDTH_PIX:
        raise ParameterError(f"mask_method is {mask_method!r}: basic or advanced is needed here")
    if not science:
        raise ParameterError("mask_groups: no science exposure to compare the reference star with")
    crop = CROP_WIDTH_PIX[mask_method] if cropwidth is None else cropwidth
    edge = EDGE_WIDTH_PIX[mask_method] if edgewidth is None else edgewidth
    groups = np.stack([_crop(image, centre, crop) for image in reference])
    targets = [_crop(image, place, crop) for image, place in zip(science, science_centres, strict=True)]
    border = _border(2 * crop + 1, edge)
    if mask_method == "basic":
        best = [_nearest([_total(g, border) for g in groups], _total(t, border)) for t in targets]
        group = int(np.median(best))
        return GroupMatch(group, group)
    faint, bright, lows = [], [], []
    for target in targets:
        wanted = border & (target > np.nanpercentile(target, threshold))
        wanted &= np.isfinite(groups).all(axis=0)
        if not wanted.any():
            raise ParameterError(f"mask_groups: no pixel above the {threshold} percentile in the border of the crop")
        faint.append(_nearest([np.nanmedian(g[wanted]) for g in groups], np.nanmedian(target[wanted])))
        bright.append(_nearest([np.nanmax(g) for g in groups], np.nanmax(target)))
        lows.append(np.nanmedian(groups[-1][wanted]))
    return GroupMatch(
        int(np.median(faint)), int(np.median(bright)), float(np.median(lows)), float(np.nanmax(groups[-1]))
    )


def late_groups(
    last: np.ndarray,
    n_groups: int,
    match: GroupMatch,
    *,
    mask_sigma_med: float = 3.0,
    mask_window: int = 2,
) -> np.ndarray:
    """Return which groups to leave out, (n_groups, ny, nx) bool.

    Parameters
    ----------
    last : ndarray of float, shape (ny, nx)
        Last group of the reference star, DN. Non-finite pixels count as faint.
    n_groups : int
    match : GroupMatch
    mask_sigma_med : float
        Only pixels this many (robust) standard deviations above the median of the image lose groups.
    mask_window : int
        So do pixels within this distance of one of them.

    Raises
    ------
    ParameterError
        When a group of `match` is not one of the ramp's.
    """
    for group in (match.faint, match.bright):
        if not 0 <= group < n_groups:
            raise ParameterError(f"last group {group}: one of 0 to {n_groups - 1} is needed", n_groups=n_groups)
    brightness = np.nan_to_num(last - np.nanmedian(last), nan=-np.inf, posinf=-np.inf)
    finite = brightness[np.isfinite(brightness)]
    sigma = 1.4826 * float(np.median(np.abs(finite - np.median(finite))))
    touched = grow_mask(brightness > mask_sigma_med * sigma, n_pix=mask_window, diagonal=True)
    final = np.full(last.shape, float(match.faint))
    if match.bright != match.faint and match.high_dn > match.low_dn:
        part = np.clip((brightness - match.low_dn) / (match.high_dn - match.low_dn), 0, 1)
        final += (match.bright - match.faint) * part
    return (np.arange(n_groups)[:, None, None] > np.floor(final)) & touched


def _crop(image, centre, half):
    """Return (2 half + 1, 2 half + 1) about a pixel without the image's median, NaN outside the image."""
    y, x = (round(float(c)) for c in centre)
    out = np.full((2 * half + 1, 2 * half + 1), np.nan)
    rows = np.arange(max(y - half, 0), min(y + half + 1, image.shape[0]))
    columns = np.arange(max(x - half, 0), min(x + half + 1, image.shape[1]))
    if not rows.size or not columns.size:
        raise ParameterError(f"mask_groups: star at row {y}, column {x} is outside the image {image.shape}")
    out[np.ix_(rows - y + half, columns - x + half)] = image[np.ix_(rows, columns)] - np.nanmedian(image)
    return out


def _border(size, width):
    border = np.ones((size, size), bool)
    if 2 * width < size:
        border[width:-width, width:-width] = width <= 0
    return border


def _total(crop, border):
    return float(np.nansum(crop[border]))


def _nearest(values, wanted):
    return int(np.nanargmin(np.abs(np.asarray(values, float) - wanted)))
