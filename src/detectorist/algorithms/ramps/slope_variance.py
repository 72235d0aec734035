"""What the standard ramp fit omits from the variances of slopes: averaging of frames in a group, corrected IPC."""

from __future__ import annotations

import numpy as np


def photon_share(n_groups: np.ndarray, read_part: np.ndarray, *, n_frames: int, group_gap: int) -> np.ndarray:
    """Return the variance that photons give to a slope over that of the standard fit, rate / (gain time).

    n_groups : ndarray
        Groups in the ramp, 2 or more; below, the result is 1.
    read_part : ndarray, shape of `n_groups`
        Part of read noise in the variance of the slope, 0 to 1.
    n_frames, group_gap : int
        Frames averaged in a group, and left out after it.

    The standard variance is that of last minus first group, each a single frame. With averaged frames these groups
    contain only a part of the photons of their own frames: less noise. Where read noise dominates, all groups count,
    and photons early and late in a ramp count less than those in between: more noise. The weights of the standard fit
    change from one case to the other with the signal-to-noise ratio; the result is interpolated linearly.
    """
    number = np.asarray(n_groups, np.float32)
    most = max(2, int(np.ceil(number.max(initial=2))))
    table = np.array([_shares(n, n_frames, group_gap) for n in range(2, most + 1)])
    photons, reads = (_at_numbers(number, column) for column in table.T)
    part = np.clip(np.nan_to_num(read_part), 0, 1)
    return np.where(number >= 2, photons * (1 - part) + reads * part, 1).astype(np.float32)


def _at_numbers(number, column):
    """Return the values of a column, for 2 groups and more, at numbers of groups, whole ones or between them."""
    whole = number.astype(np.int32)
    if np.array_equal(whole, number):  # the numbers of integrations, many more than those of their mean
        return column[np.maximum(whole, 2) - 2]
    return np.interp(number, np.arange(2, column.size + 2), column)


def _shares(n_groups, n_frames, group_gap):
    """Return the shares of weights that photons ask for (the ends alone), and of those of read noise (a line)."""
    groups = np.arange(n_groups) - (n_groups - 1) / 2
    ends = np.zeros(n_groups)
    ends[[0, -1]] = -1 / (n_groups - 1), 1 / (n_groups - 1)
    return [_share_of(weight, n_frames, group_gap) for weight in (ends, groups / (groups**2).sum())]


def _share_of(weight, n_frames, group_gap):
    """Return the variance by photons of a slope of these weights of groups, over rate / (gain time)."""
    period = n_frames + group_gap
    of_frames = np.zeros((weight.size, period))
    of_frames[:, :n_frames] = weight[:, None] / n_frames
    # A photon counts in its own frame and in all later ones.
    counts = np.cumsum(of_frames.ravel()[::-1])
    return (counts**2).sum() * (weight.size - 1) / period


def class_shares(weights: np.ndarray, *, n_frames: int, group_gap: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the variances that photons and read noise give to slopes, over those of the standard fit.

    weights : ndarray, shape (n_classes, n_groups)
        Those of groups in a slope per group, for classes of ramps (`weights_of_classes`); the slope of a ramp without
        a flag.
    n_frames, group_gap : as in `photon_share`

    Returns
    -------
    tuple of ndarray, shape (n_classes,) each
        For photons over rate / (gain time), for read noise over that of a line through all groups: whatever the
        weights, the standard variances are these.
    """
    photons = np.array([_share_of(weight, n_frames, group_gap) for weight in weights])
    groups = np.arange(weights.shape[1]) - (weights.shape[1] - 1) / 2
    return photons, (weights**2).sum(axis=1) * (groups**2).sum()


def photon_variance(rate: np.ndarray, good: np.ndarray, jumps: np.ndarray, per_rate: np.ndarray) -> np.ndarray:
    """Return the standard fit's variance by photons, (n_ints, ny, nx); 0 where no two groups belong together.

    rate : (ny, nx), light and dark current, 0 or more. good, jumps : (n_ints, n_groups, ny, nx) bool, groups that are
    fitted, and those with which a ramp begins anew. per_rate : (ny, nx), variance over rate of one rise from a group
    to the next: 1 / (gain * group time).
    """
    rises = (good[:, 1:] & good[:, :-1] & ~jumps[:, 1:]).sum(axis=1)
    return np.where(rises > 0, rate * per_rate / np.maximum(rises, 1), 0).astype(np.float32)


def deconvolved_share(kernel: np.ndarray) -> float:
    """Return the variance of read noise after the correction of IPC over that before.

    kernel : (n, n), or (n, n, ny, nx) with one for each pixel, of which the typical one is used.

    Read noise arises after the coupling of pixels, so the kernel that undoes the coupling amplifies it; photon noise
    returns to what it was before the coupling.
    """
    return float(np.median(np.sum(np.asarray(kernel, float) ** 2, axis=(0, 1))))
