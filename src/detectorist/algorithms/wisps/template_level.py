"""The level that a wisp template has where there is no wisp."""

from __future__ import annotations

import numpy as np

#: Side of the bins whose means are compared, pixel.
BIN_PIX = 16
#: Part of the bins whose median is the level: those that agree best.
AGREEING = 1 / 16


def dark_level(template: np.ndarray) -> float:
    """Return the level of a wisp template where there is no wisp: the most common of its values.

    A template is a stack of images with their skies subtracted, which leaves a level of its own. Scaled with the wisp
    it would be subtracted from the sky of the whole image.

    Parameters
    ----------
    template : ndarray of float, shape (ny, nx)
        Any unit; non-finite values are ignored. Wisps, residuals of sources and patches that are too dark may cover
        most of it, as long as no other level is as common as that of the rest.

    Returns
    -------
    float
        0 where nothing is finite.

    Notes
    -----
    Half-sample mode of the means of bins of 16 pixels (Robertson and Cryer 1974, doi 10.1080/01621459.1974.10480097),
    stopped at a sixteenth of them, of which it is the median.
    """
    values = np.sort(_means_of_bins(np.asarray(template)))
    if not values.size:
        return 0.0
    enough = max(int(AGREEING * values.size), 3)
    while values.size > enough:
        half = (values.size + 1) // 2
        first = int(np.argmin(values[half - 1 :] - values[: values.size - half + 1]))
        values = values[first : first + half]
    return float(np.median(values))


def _means_of_bins(template):
    """Return the means of the finite values of bins that have any."""
    ny, nx = template.shape
    finite = np.isfinite(template)
    rows, columns = np.arange(0, ny, BIN_PIX), np.arange(0, nx, BIN_PIX)

    def sums(values):
        return np.add.reduceat(np.add.reduceat(values, columns, axis=1, dtype=np.float64), rows, axis=0)

    count = sums(finite)
    return sums(np.where(finite, template, 0))[count > 0] / count[count > 0]
