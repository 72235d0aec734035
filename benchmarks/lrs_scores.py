"""Quality of MIRI LRS corrections on a scene whose truth is known: what every figure means.

A scene is two files of arrays: `z` as a pipeline sees it (data, err, dq, wavelength_map), `t` the truth (star, bkg, xs,
ys, outlier, outlier_amp_sigma, bad, nanp).
"""

from __future__ import annotations

import itertools

import numpy as np

from measure import robust_std

#: Heights of the windows along dispersion that the published recipes clean with.
WINDOWS = (150, 100, 50, 40, 30, 24)
#: Columns of the nine-pixel aperture about column 36, the background's columns, and the rows that are scored.
TRACE, SIDES, ROWS = slice(32, 41), np.r_[12:22, 50:68], slice(60, 380)
#: Variance of the median of n normal values, times n.
MEDIAN_EFFICIENCY = np.pi / 2


def score_outliers(z, t, flagged, *, threshold_sigma=8.0) -> dict[str, float]:
    """Return the share of strong outliers caught on the trace, in the worst window height, and the false alarms.

    flagged : ndarray of bool, shape of the data. Pixels known as bad count neither way.
    """
    strength = np.zeros(flagged.shape)
    strength[t["outlier"]] = np.abs(t["outlier_amp_sigma"])
    good = ~(t["bad"] | t["nanp"])[None] & ((z["dq"] & 1) == 0)
    wanted = good & (strength >= threshold_sigma)
    wanted[:, :20] = wanted[:, 392:] = False
    wanted[:, :, : TRACE.start] = wanted[:, :, TRACE.stop :] = False
    edges = np.cumsum((0, *WINDOWS))
    caught = [flagged[:, a:b][wanted[:, a:b]].mean() for a, b in itertools.pairwise(edges)]
    return {"caught_worst": float(min(caught)), "false": float(flagged[good & ~t["outlier"]].mean())}


def truth_spectrum(t, columns=TRACE) -> np.ndarray:
    """Return what a perfect box gives, shape (n_ints, n_rows)."""
    return t["star"][:, :, columns].sum(axis=2, dtype=float)


def white_light_ratio(z, t, spectra, columns=TRACE) -> float:
    """Return the scatter of the white light about the truth over what the pixels' errors allow."""
    truth = truth_spectrum(t, columns)[:, ROWS].sum(axis=1)
    ratio = spectra[:, ROWS].sum(axis=1) / truth
    err = np.nan_to_num(z["err"][:, ROWS].astype(float))
    n_pixels = columns.stop - columns.start
    of_median = np.nanmedian(err[:, :, SIDES] ** 2, axis=2) * MEDIAN_EFFICIENCY / SIDES.size
    variance = (err[:, :, columns] ** 2).sum(axis=(1, 2)) + n_pixels**2 * of_median.sum(axis=1)
    return float(ratio.std() / (np.sqrt(variance.mean()) / truth.mean()))


def oracle_ratio(z, t) -> float:
    """Return `white_light_ratio` of someone who knows which pixels are bad and what they should hold."""
    known = t["outlier"] | t["bad"] | t["nanp"]
    data = np.where(known, t["star"] + t["bkg"], z["data"]).astype(float)
    background = np.median(data[:, :, SIDES], axis=2, keepdims=True)
    return white_light_ratio(z, t, (data - background)[:, :, TRACE].sum(axis=2))


def pull_width(spectra, errors, truth) -> float:
    """Return the robust width of (spectrum - truth) / error over the scored rows."""
    return robust_std(((spectra - truth) / errors)[:, ROWS])


def shift_errors(t, x_shifts, y_shifts) -> tuple[float, float]:
    """Return the rms errors of both shifts in pixels, the mean left out."""
    return float(np.std(x_shifts - t["xs"])), float(np.std(y_shifts - t["ys"]))


def drift_left(t, before, after) -> float:
    """Return the rms (DN) of the electronic drift that is left in groups after the first, relative to the first."""
    n = len(after)
    drift = np.tile(t["drift"][:n].astype(float), (1, 1, 1, before.shape[-1] // 4))
    left = drift - (before[:n].astype(float) - after)
    return float((left - left[:, :1])[:, 1:, :, 4:].std())
