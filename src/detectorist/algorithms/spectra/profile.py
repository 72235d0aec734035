"""Spatial profile of a spectral trace and the pixels that do not fit it, frame by frame.

After Horne (1986, PASP 98, 609): along the dispersion the share of a row's light that falls into each column varies
slowly, and is a low polynomial in windows of rows; what deviates is not starlight. Unlike in Horne's algorithm and its
descendants, the row's level beside the trace belongs to the model, row fluxes are weighted fits of the profile and no
sums, and a pixel is compared with a model from which its own influence has been removed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from detectorist.algorithms import dq as bits
from detectorist.errors import InputError, ParameterError
from detectorist.libraries import idle_cores

if TYPE_CHECKING:
    from detectorist.algorithms.spectra._profile_frame import CleanedFrame

#: Heights of windows where the caller names none: shorter toward short wavelengths (high rows, steep spectra).
WINDOW_HEIGHTS = (150, 100, 50, 40, 30, 24)
#: Column of the trace of MIRI LRS slitless spectra, where nobody says better.
TRACE_COLUMN = 36
#: Distances from that column for which cleaned pixels are counted.
N_REGIONS = 5


@dataclass(frozen=True)
class Cleaning:
    """What `clean_outliers` found. Axes (n_ints, n_rows, n_cols)."""

    replaced: np.ndarray  #: bool, pixels that get a new value
    values: np.ndarray  #: (n_replaced,) float32, new values in the order of `replaced`, unit of the data
    errors: np.ndarray  #: (n_replaced,) float32, their standard deviations: row flux, profile, level
    unusable: np.ndarray  #: (n_ints,) bool, integrations without a single usable pixel: left as they are
    profile: np.ndarray  #: float32, share of the row's light in each pixel; >= 0, sums to 1 in every row
    counts: np.ndarray  #: (n_ints, n_rows, 5) int16, pixels replaced within 0-4 columns of the trace, cumulative
    level: np.ndarray  #: (n_ints, n_rows) float, background of each row as seen beside the profile
    flux: np.ndarray  #: (n_ints, n_rows) float, light of each row in the profile; NaN where it was interpolated
    measured: np.ndarray  #: (n_ints, n_rows) bool, rows with a profile of their own; others carry the nearest one
    noise_scale: np.ndarray  #: (n_ints, n_windows) float, noise on the trace over the noise expected
    errors_used: np.ndarray  #: (n_ints,) bool, whether the expected noise came from the errors or from the data
    n_outliers: np.ndarray  #: (n_ints,) int, replaced for deviating
    n_flagged: np.ndarray  #: (n_ints,) int, replaced for a flag
    n_nan: np.ndarray  #: (n_ints,) int, replaced for being NaN or infinite

    def apply(self, data: np.ndarray, err: np.ndarray, dq: np.ndarray) -> tuple[np.ndarray, ...]:
        """Return cleaned copies of (data, err, dq): replaced pixels have new values and errors, and the flag OUTLIER.

        Integrations without a usable pixel keep their values and get DO_NOT_USE.
        """
        data, err, dq = data.copy(), err.copy(), dq.copy()
        data[self.replaced], err[self.replaced] = self.values, self.errors
        # In place on the copy: `dq.add` would hold two more arrays of this size at its peak.
        dq[self.replaced] |= dq.dtype.type(bits.OUTLIER)
        dq[self.unusable] |= dq.dtype.type(bits.DO_NOT_USE)
        return data, err, dq


def clean_outliers(
    data: np.ndarray,
    err: np.ndarray,
    dq: np.ndarray,
    *,
    window_heights: Sequence[int] | None = None,
    dq_bits_to_mask: Sequence[int] | None = None,
    poly_order: int = 4,
    outlier_threshold: float = 4.0,
    spatial_profile_left_idx: int = 26,
    spatial_profile_right_idx: int = 47,
    trace_column: int = TRACE_COLUMN,
    no_clean: bool = False,
) -> Cleaning:
    """Find outlying, flagged and non-finite pixels of spectral frames, and what they should hold.

    Every frame by itself: data = level of the row + flux of the row * profile + noise inside the profile columns, and
    level + constant of the column + wing * flux beside them. The noise is `err` times a scale measured in every window
    by the median absolute deviation, which outliers cannot widen; where errors are missing (less than half of them
    finite and positive), floor and photon noise are measured. A pixel is outlying when it is more than
    `outlier_threshold` such sigma from the model without it, by its leverage on profile and flux.

    Parameters
    ----------
    data, err : ndarray of float, shape (n_ints, n_rows, n_cols)
        Any linear unit, background in or subtracted. Dispersion along rows' index. Not modified.
    dq : ndarray of unsigned int, same shape
        JWST bits. DO_NOT_USE and REFERENCE_PIXEL pixels never shape the model; reference pixels are not judged.
    window_heights : sequence of int
        Rows per window, from row 0, cycled up to the last row; None means 150, 100, 50, 40, 30, 24. Each fit includes 2
        * (poly_order + 1) rows of either neighbour; otherwise the first and last row would have too much weight.
    dq_bits_to_mask : sequence of int
        Bit indices (n stands for 2**n) whose pixels are replaced.
    poly_order : int
        Order of the polynomials along the dispersion.
    outlier_threshold : float
        In sigma.
    spatial_profile_left_idx, spatial_profile_right_idx : int
        Columns of the profile, end exclusive. With fewer than 6 columns outside no level is measured, and a background
        counts as part of the profile.
    trace_column : int
        Column about which replaced pixels are counted.
    no_clean : bool
        Replace non-finite pixels only. The profile is the same.

    Returns
    -------
    Cleaning

    Raises
    ------
    ParameterError
        Invalid values, or values that do not fit the size of the data.
    InputError
        No integration has a finite pixel.

    Notes
    -----
    A row recovers as long as more of its core pixels agree upon one flux than upon any other. Rows whose profile cannot
    be measured (too faint, masked) carry that of the nearest row; without any trace it is flat. Rows without a pixel
    are interpolated between their neighbours. Errors of replaced pixels are on the scale of `err`. About 130 ns per
    pixel; memory for one frame beside the results, for each core that is idle.
    """
    _check_columns(spatial_profile_left_idx, spatial_profile_right_idx, data.shape[-1])
    require_possible(outlier_threshold, poly_order)
    edges = window_edges(data.shape[1], window_heights, poly_order=poly_order)
    asked = _flags_asked_for(dq_bits_to_mask)
    from detectorist.algorithms.spectra._profile_frame import clean_frame

    columns = (spatial_profile_left_idx, spatial_profile_right_idx)
    result = _allocate(data.shape, len(edges) - 1)

    def clean(k: int) -> tuple[np.ndarray, ...]:
        frame = clean_frame(
            np.ascontiguousarray(data[k], np.float64),
            np.ascontiguousarray(err[k], np.float64),
            np.ascontiguousarray(dq[k], np.uint32),
            asked=0 if no_clean else asked,
            columns=columns,
            edges=edges,
            order=poly_order,
            limit_sigma=np.inf if no_clean else float(outlier_threshold),
        )
        _store(result, k, columns, frame)
        return () if frame is None else (frame.values, frame.errors)

    cleaned = [pair for pair in idle_cores.each(clean, range(len(data))) if pair]
    if result["unusable"].all():
        raise InputError(f"none of {len(data)} integrations has a finite pixel that may be used", n_ints=len(data))
    counts = _count_near(result["replaced"], trace_column)
    values, errors = map(np.concatenate, zip(*cleaned, strict=True))
    return Cleaning(values=values, errors=errors, counts=counts, **result)


def _flags_asked_for(bit_indices: Sequence[int] | None) -> int:
    try:
        return bits.from_bit_indices(bit_indices)
    except ValueError as error:
        raise ParameterError(f"dq_bits_to_mask is {list(bit_indices or ())}: {error}") from error


def _store(result: dict[str, np.ndarray], k: int, columns: tuple[int, int], frame: CleanedFrame | None) -> None:
    """Put what was found in integration `k` in its place; one without a usable pixel gets a flat profile."""
    left, right = columns
    if frame is None:
        result["unusable"][k] = True
        result["profile"][k, :, left:right] = 1 / (right - left)
        return
    result["profile"][k, :, left:right] = frame.profile
    for name, value in frame._asdict().items():
        if name not in ("profile", "values", "errors"):
            result[name][k] = value


def _count_near(replaced: np.ndarray, trace_column: int) -> np.ndarray:
    """Return `Cleaning.counts`."""
    distance = np.abs(np.arange(replaced.shape[2]) - trace_column)
    by_distance = [replaced[:, :, distance == k].sum(axis=2) for k in range(N_REGIONS)]
    return np.cumsum(by_distance, axis=0).transpose(1, 2, 0).astype(np.int16)


def require_possible(outlier_threshold: float, poly_order: int) -> None:
    """Raise ParameterError for a threshold (sigma) or an order of polynomials that nothing can be cleaned with."""
    if not outlier_threshold > 0:
        raise ParameterError(f"outlier_threshold is {outlier_threshold}: more than 0 sigma is needed")
    if poly_order < 0:
        raise ParameterError(f"poly_order is {poly_order}: 0 or more is needed")


def window_edges(n_rows: int, window_heights: Sequence[int] | None = None, *, poly_order: int) -> np.ndarray:
    """Return the first row of every window, and `n_rows`: heights cycled, the last window cut where the rows end.

    Remaining rows too few for the polynomial are added to the window before.

    Raises
    ------
    ParameterError
        When the order is negative, or a window has fewer than order + 2 rows.
    """
    heights = list(WINDOW_HEIGHTS if window_heights is None else window_heights)
    require_possible(1.0, poly_order)
    needed = poly_order + 2
    if not heights or min(*heights, n_rows) < needed:
        raise ParameterError(
            f"window_heights is {heights} on {n_rows} rows: windows of at least {needed} rows are needed for "
            f"poly_order {poly_order}",
            window_heights=heights,
            n_rows=n_rows,
        )
    edges = [0]
    while edges[-1] < n_rows:
        edges.append(min(edges[-1] + heights[(len(edges) - 1) % len(heights)], n_rows))
    if len(edges) > 2 and edges[-1] - edges[-2] < needed:
        del edges[-2]
    return np.array(edges)


def _check_columns(left: int, right: int, n_cols: int) -> None:
    if not (0 <= left < right <= n_cols and right - left >= 3):
        raise ParameterError(
            f"spatial_profile_left_idx is {left} and spatial_profile_right_idx {right}: at least 3 columns between "
            f"0 and {n_cols} are needed, left before right",
            left=left,
            right=right,
            n_cols=n_cols,
        )


def _allocate(shape: tuple[int, ...], n_windows: int) -> dict[str, np.ndarray]:
    n_ints, n_rows, _ = shape
    return {
        "replaced": np.zeros(shape, bool),
        "profile": np.zeros(shape, np.float32),
        "unusable": np.zeros(n_ints, bool),
        "level": np.zeros((n_ints, n_rows)),
        "flux": np.full((n_ints, n_rows), np.nan),
        "measured": np.zeros((n_ints, n_rows), bool),
        "noise_scale": np.full((n_ints, n_windows), np.nan),
        "errors_used": np.zeros(n_ints, bool),
        "n_outliers": np.zeros(n_ints, int),
        "n_flagged": np.zeros(n_ints, int),
        "n_nan": np.zeros(n_ints, int),
    }
