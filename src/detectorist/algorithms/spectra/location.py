"""Position of the trace of an exposure, whether there is one, and the columns left for the background."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from detectorist.algorithms.spectra.trace import FIT_HALF_WIDTH_PIX, fit_trace
from detectorist.errors import TooFewPixels

#: Columns 0-3 are reference pixels.
N_REFERENCE = 4
#: Outputs of the detector, which take the columns in turn, and columns without a star that tell the level of one.
N_OUTPUTS, MIN_COLUMNS_OF_OUTPUT = 4, 8
#: Integrations that the mean image is made of, at most, evenly spread.
MAX_INTS = 64
#: Rows per piece of the trace in which its centre is measured.
ROWS_PER_PIECE = 26
#: The background's columns keep at least and at most this far from the trace, and outside the columns in which the
#: mean profile exceeds this share of its peak.
NEAREST_PIX, FARTHEST_PIX = 8, 18
WING_SHARE = 1e-3
#: A column further off the smooth course of its neighbours than this is lit by something else; so are those beside it.
NEIGHBOUR_SIGMA = 5.0
NEIGHBOUR_MARGIN_PIX = 2
#: Columns that a background needs at least.
MIN_BACKGROUND_COLUMNS = 8
#: A trace that stands out by this is one, whatever else is bright.
CERTAIN_SIGMA = 50.0
#: What the brightest column of noise stands out by, and how far from the trace a column is another one.
OTHER_SIGMA = 3.0
APART_PIX = 8
#: Columns that tell a bend of the background from the foot of a trace.
BENT_COLUMNS = 30
#: Rounds of fit and rejection.
MAX_ROUNDS = 8


@dataclass(frozen=True)
class Location:
    """The position of a trace: a straight line, and the columns beside it."""

    center_pix: float  # 0-based column at `row`
    row: float  # the flux-weighted mean row
    tilt: float  # columns per row
    sigma_pix: float  # of a Gaussian fitted across the dispersion
    significance: float  # of the brightest column over the scatter of the others, sigma
    background_columns: tuple[int, ...]  # that neither the trace nor a neighbour reaches; empty without a trace

    def center_at(self, rows: np.ndarray) -> np.ndarray:
        """Return the column of the trace at every row."""
        return self.center_pix + self.tilt * (np.asarray(rows) - self.row)

    @property
    def column(self) -> int:
        """The column nearest to the trace at its mean row."""
        return round(self.center_pix)


def locate_trace(data: np.ndarray, mask: np.ndarray | None = None) -> Location:
    """Find the trace in the mean of an exposure's images.

    Parameters
    ----------
    data : ndarray of float, shape (n_ints, n_rows, n_cols)
        Images, background in or subtracted. Non-finite pixels are ignored.
    mask : ndarray of bool, shape of `data`, optional
        True where a pixel must not be used.

    Returns
    -------
    Location
        `significance` shows whether there is a trace at all: noise and a smooth background give about 3.

    Raises
    ------
    TooFewPixels
        No usable pixel at all.
    """
    image = mean_image(data, mask)
    profile = np.full(image.shape[1], np.nan)
    profile[N_REFERENCE:] = _nanmedian(image[:, N_REFERENCE:])
    if not np.isfinite(profile).any():
        raise TooFewPixels("no usable pixel to find the trace with", n_usable=0)
    left, scatter = _above_background(profile)
    smooth = np.convolve(np.nan_to_num(left), np.full(3, 1 / 3), mode="same")
    brightest = int(np.argmax(smooth))
    significance = _significance(left / scatter, brightest)
    location = Location(*_fit_line(_without_background(image, brightest), brightest), significance, ())
    return replace(location, background_columns=tuple(int(c) for c in _free_columns(image, location)))


def _significance(sigmas: np.ndarray, brightest: int) -> float:
    """Return by how much the brightest column stands out, columns with a level of their own taken for scatter.

    A detector's columns differ by more than their noise. Unless the trace is beyond doubt, the brightest column
    elsewhere counts as one of OTHER_SIGMA.
    """
    columns = np.arange(sigmas.size)
    near = np.abs(columns - brightest)
    peak = float(np.nanmax(np.where(near <= 1, sigmas, np.nan)))
    others = sigmas[(near > APART_PIX) & np.isfinite(sigmas)]
    if peak > CERTAIN_SIGMA or others.size == 0:
        return peak
    return peak * OTHER_SIGMA / max(OTHER_SIGMA, float(others.max()))


def mean_image(data: np.ndarray, mask: np.ndarray | None = None) -> np.ndarray:
    """Return the mean over evenly spread integrations, single outliers left out; NaN where nothing is usable."""
    few = np.unique(np.linspace(0, len(data) - 1, min(len(data), MAX_INTS)).round().astype(int))
    taken = np.array(data[few], dtype=np.float32)
    usable = np.isfinite(taken)
    if mask is not None:
        usable &= ~np.broadcast_to(mask, data.shape)[few]
    taken[~usable] = np.nan
    with np.errstate(all="ignore"):
        middle = _nanmedian(taken)
        reach = 5 * 1.4826 * _nanmedian(np.abs(taken - middle))
        taken[np.abs(taken - middle) > reach] = np.nan
        n = np.isfinite(taken).sum(axis=0)
        return np.where(n > 0, np.nansum(taken, axis=0, dtype=float) / np.maximum(n, 1), np.nan)


def _nanmedian(values: np.ndarray) -> np.ndarray:
    """Return the median over the first axis; NaN where nothing is finite, without a warning."""
    ordered = np.sort(values, axis=0)
    n = np.isfinite(ordered).sum(axis=0)
    pick = [np.take_along_axis(ordered, np.maximum(k, 0)[None], axis=0)[0] for k in ((n - 1) // 2, n // 2)]
    return np.where(n > 0, 0.5 * (pick[0] + pick[1]), np.nan)


def _above_background(profile: np.ndarray) -> tuple[np.ndarray, float]:
    """Return a profile across the columns less its background, and the scatter of the fainter columns about that.

    The background is a smooth course across the columns and a level of every output: without a reference-pixel
    correction the columns of each output of the detector lie higher or lower than the others, which must not count as
    scatter.
    """
    columns = np.flatnonzero(np.isfinite(profile))
    faint, level = columns, np.zeros(profile.size)
    for _ in range(MAX_ROUNDS):
        rest = (profile - level)[faint]
        above_course = profile - _smooth_course(faint, rest, profile.size)
        level = _levels_of_outputs(above_course, faint)
        left = above_course - level
        scatter = 1.4826 * np.median(np.abs(left[faint] - np.median(left[faint])))
        new = columns[np.abs(left[columns] - np.median(left[faint])) <= max(4 * scatter, 1e-12)]
        if np.array_equal(new, faint) or new.size < columns.size // 3:
            break
        faint = new
    floor = 1e-9 * max(float(np.nanmax(np.abs(profile))), 1e-30)
    return left, max(float(scatter), floor)


def _smooth_course(columns: np.ndarray, values: np.ndarray, n_columns: int) -> np.ndarray:
    """Return a cubic through some columns, at every column; of fewer columns than BENT_COLUMNS, a straight line.

    A bright and curved background about a straight line scatters by more than the trace of a faint star stands out.
    """
    if columns.size <= 2:
        return np.full(n_columns, np.median(values))
    x = (np.arange(n_columns) - 0.5 * n_columns) / n_columns
    return np.polyval(np.polyfit(x[columns], values, 3 if columns.size >= BENT_COLUMNS else 1), x)


def _levels_of_outputs(profile: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Return the median of the columns of each output, at every column; 0 for an output with too few of them."""
    output = np.arange(profile.size) % N_OUTPUTS
    level = np.zeros(profile.size)
    for one in range(N_OUTPUTS):
        own = columns[output[columns] == one]
        if own.size >= MIN_COLUMNS_OF_OUTPUT:
            level[output == one] = np.median(profile[own])
    return level


def _without_background(image: np.ndarray, brightest: int) -> np.ndarray:
    """Return an image less a smooth course across the columns, piece by piece of the rows.

    A Gaussian and a constant on a background that rises would be drawn to its brighter side.
    """
    n_pieces = max(1, image.shape[0] // ROWS_PER_PIECE)
    columns = np.arange(image.shape[1])
    beside = (columns >= N_REFERENCE) & (np.abs(columns - brightest) > FIT_HALF_WIDTH_PIX)
    pieces = []
    for piece in np.array_split(image, n_pieces):
        profile = _nanmedian(piece)
        known = np.flatnonzero(beside & np.isfinite(profile))
        pieces.append(piece - _robust_course(known, profile) if known.size else piece)
    return np.concatenate(pieces)


def _robust_course(columns: np.ndarray, profile: np.ndarray) -> np.ndarray:
    """Return the smooth course of a profile through some columns, neighbouring stars left out."""
    for _ in range(MAX_ROUNDS):
        course = _smooth_course(columns, profile[columns], profile.size)
        left = np.abs((profile - course)[columns])
        kept = columns[left <= max(5 * np.median(left), 1e-12)]
        if kept.size in (columns.size, 0):
            break
        columns = kept
    return course


def _fit_line(image: np.ndarray, brightest: int) -> tuple[float, float, float, float]:
    """Return (centre, its row, tilt, sigma) of the trace from pieces of rows, brighter pieces counting more."""
    n_pieces = max(1, image.shape[0] // ROWS_PER_PIECE)
    length = image.shape[0] // n_pieces
    pieces = _without_hot_pixels(image)[: n_pieces * length].reshape(n_pieces, length, -1)
    try:
        fit = fit_trace(pieces, trace_column=brightest)
    except TooFewPixels:
        return float(brightest), 0.5 * (image.shape[0] - 1), 0.0, float("nan")
    rows = (np.arange(n_pieces) + 0.5) * length - 0.5
    light = np.where(np.isfinite(fit.center_pix), np.maximum(fit.amplitude * fit.sigma_pix, 0), 0.0)
    light *= np.abs(np.nan_to_num(fit.center_pix, nan=1e9) - brightest) < 6
    if not light.sum() > 0:
        return float(brightest), 0.5 * (image.shape[0] - 1), 0.0, float("nan")
    row = float(light @ rows / light.sum())
    centers = np.where(light > 0, fit.center_pix, 0.0)
    lever = light @ (rows - row) ** 2
    tilt = float(light @ ((rows - row) * centers) / lever) if (light > 0).sum() > 2 and lever > 0 else 0.0
    sigma = float(light @ np.where(light > 0, fit.sigma_pix, 0.0) / light.sum())
    return float(light @ centers / light.sum()), row, tilt, sigma


def _without_hot_pixels(image: np.ndarray) -> np.ndarray:
    """Return the median over five rows of every pixel: no mask knows all hot pixels, and a spectrum is smooth."""
    padded = np.pad(image, ((2, 2), (0, 0)), constant_values=np.nan)
    return _nanmedian(np.stack([padded[k : k + len(image)] for k in range(5)]))


def _free_columns(image: np.ndarray, location: Location) -> np.ndarray:
    """Return the columns beside the trace that show a smooth background."""
    n_rows, n_cols = image.shape
    columns = np.arange(N_REFERENCE, n_cols)
    line = location.center_at(np.array([0, n_rows - 1]))
    distance = np.maximum(line.min() - columns, columns - line.max())
    candidates = columns[distance >= _reach(image, location)]
    if candidates.size < MIN_BACKGROUND_COLUMNS:
        candidates = columns[distance >= NEAREST_PIX]
    if candidates.size < MIN_BACKGROUND_COLUMNS:
        return candidates
    return _without_neighbours(image, candidates)


def _reach(image: np.ndarray, location: Location) -> float:
    """Return the distance from the trace beyond which its wings are below WING_SHARE of the peak."""
    rows = np.arange(image.shape[0])
    shifts = np.rint(location.center_at(rows)).astype(int)
    steps = np.arange(-FARTHEST_PIX, FARTHEST_PIX + 1)
    taken = np.clip(shifts[:, None] + steps, N_REFERENCE, image.shape[1] - 1)
    with np.errstate(all="ignore"):
        profile = np.nanmean(np.take_along_axis(image, taken, axis=1), axis=0)
    far = np.abs(steps) >= FARTHEST_PIX - 2
    profile = profile - np.nanmean(profile[far])
    lit = np.abs(steps[np.nan_to_num(profile) > WING_SHARE * np.nanmax(profile)])
    return float(np.clip(lit.max(initial=0) + 1, NEAREST_PIX, FARTHEST_PIX))


def _without_neighbours(image: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Return the columns that follow one straight line, piece by piece of the rows."""
    n_pieces = max(1, image.shape[0] // ROWS_PER_PIECE)
    pieces = np.array_split(image[:, columns], n_pieces)
    profiles = np.array([np.nanmedian(piece, axis=0) for piece in pieces if np.isfinite(piece).any(axis=0).all()])
    if not len(profiles):
        return columns
    kept = np.ones(columns.size, bool)
    x = columns - columns.mean()
    for _ in range(MAX_ROUNDS):
        left = np.array([_off_the_line(x, profile, kept) for profile in profiles])
        deviation = left.sum(axis=0) / np.sqrt(len(left))
        scale = 1.4826 * np.median(np.abs(deviation[kept]))
        lit = np.flatnonzero(deviation > NEIGHBOUR_SIGMA * max(scale, 1e-12))
        new = np.ones(columns.size, bool)
        for column in columns[lit]:
            new &= np.abs(columns - column) > NEIGHBOUR_MARGIN_PIX
        if new.sum() < MIN_BACKGROUND_COLUMNS or (new == kept).all():
            break
        kept = new
    return columns[kept]


def _off_the_line(x: np.ndarray, profile: np.ndarray, kept: np.ndarray) -> np.ndarray:
    """Return the deviation of a profile from a robust parabola through the columns kept, in units of their scatter."""
    use = kept.copy()
    for _ in range(4):
        course = np.polyval(np.polyfit(x[use], profile[use], 2 if use.sum() > 12 else 1), x)
        left = profile - course
        scale = 1.4826 * np.median(np.abs(left[use]))
        use = kept & (np.abs(left) <= max(3.5 * scale, 1e-12))
        if use.sum() < 6:
            break
    return np.clip(left / max(scale, 1e-12), -20, 20)
