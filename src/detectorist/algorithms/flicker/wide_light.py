"""A joint solution for wide, faint light and the noise of rows.

The wings of galaxies and stars reach beyond every mask. An estimate of 1/f noise takes them for noise, output by
output; a model of light fitted after the noise has been subtracted mistakes slow noise for light. Together they are a
linear problem: light is a smooth surface on nodes, assumed to be smoother where it is fainter; the offsets of rows have
the covariance of the noise's spectrum, in the order of readout. Both are solved for at once (Rybicki & Press 1992, ApJ
398, 169).
"""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import numpy as np
from scipy import linalg, ndimage, sparse
from scipy.interpolate import BSpline

from detectorist.algorithms.block_cholesky import BlockCholesky
from detectorist.algorithms.flicker.bins_of_outputs import edges_of_bins, noise_within_rows, sums_in_bins
from detectorist.algorithms.flicker.clumps import measure_clumps
from detectorist.algorithms.flicker.readout import Readout
from detectorist.algorithms.flicker.reference_rows import ReferenceRows, bin_references, output_levels
from detectorist.algorithms.flicker.spectrum import FlickerNoise, covariance_of_means, hold_own_noise
from detectorist.algorithms.images.local_planes import bin_image, fit_planes
from detectorist.algorithms.images.sources import hysteresis
from detectorist.algorithms.medians import typed_median

#: Rows and columns of a bin, and distance of the nodes of the light, pixel.
BIN, NODE_PIX = (16, 32), 48
#: Rows of nodes that a cubic spline couples with one.
COUPLED_ROWS = 3
#: Expected light of a node as a multiple of the light seen there, and the change to the next node over light seen.
LIGHT, CHANGE = 10.0, 0.4
#: Light that is always allowed, and the part of it over which changes count, in standard deviations of a pixel:
#: without reference pixels, slow noise would pass for it; with them, a gradient of the sky must not pass for noise.
LEAST_LIGHT, LEAST_BESIDE_REFERENCES = (0.05, 0.05), (0.5, 0.1)
#: Variance that unknown light adds to a bin, over that of the noise there, from which a field is crowded; and the
#: change of light over light seen in such a field, of the wings of stars.
CROWDED, CROWDED_CHANGE = 2.0, 1.0
#: Multiples of that least light of which the likeliest is taken, where no reference pixels tell light from noise and
#: the groups tell how strong noise is; and by how much it must be likelier, in the logarithm.
MORE_LIGHT, SURE = (3.0, 10.0, 30.0), 3.0
#: Light seen at most, in standard deviations of a pixel: what is brighter is masked.
BRIGHTEST = 3.0
#: Standard deviation of a level of an output, in that of a pixel: reference pixels have told most of it. Much less, and
#: steps between outputs on either side of a galaxy pass for a gradient of its light.
LEVEL = 0.03
#: Standard deviation of the level of an output from that of its reference pixels, in that of a pixel.
REFERENCE_LEVEL = 0.005
#: Variances of slow noise of each output, over those of the common noise, of which the likeliest is taken.
OWN_PARTS = (0.03, 0.06, 0.12, 0.25, 0.5, 1.0, 2.0)
#: Width (sigma) and bins of the first map of the light.
MAP_PIX, MAP_BIN_PIX = 48.0, 16
#: Part of a frame that counts as its darkest places, percent.
DARKEST_PERCENT = 5.0
#: The wings of compact sources: width (sigma) and bins of the map, its scatter from which wings that touch a source
#: are masked, from which they need touch none, and pixels by which they grow; from which a hole is masked.
WING_PIX, WING_BIN_PIX, WING_SIGMA, ALONE_SIGMA, WING_GROW_PIX, HOLE_SIGMA = 5.0, 2, 1.5, 3.5, 6, 5.0


def map_wide_light(image: np.ndarray, usable: np.ndarray) -> np.ndarray:
    """Return the light of an image without noise on bins of 16 pixels, about the level of its darkest third."""
    total, count = bin_image(np.where(usable, image, 0), usable, MAP_BIN_PIX)
    light, weight = fit_planes(total, count, MAP_PIX / MAP_BIN_PIX)
    light = np.where(weight > 0, light, 0)
    return light - typed_median(light[light <= np.percentile(light, 30)])


def light_over_darkest(light: np.ndarray) -> np.ndarray:
    """Return a map of solved light, (ny, nx), on every 16th pixel, about the level of its darkest places.

    Relative to the median, half of a frame that is lit everywhere would count as dark and be assumed flat, and its
    changes of brightness would be attributed to the noise of rows. Negative in holes: see `_prior_of_nodes`.
    """
    return light[::MAP_BIN_PIX, ::MAP_BIN_PIX] - darkest_level(light)


def darkest_level(light: np.ndarray) -> np.float32:
    """Return the level of the darkest places of a map of solved light (ny, nx)."""
    return np.float32(np.percentile(light[::MAP_BIN_PIX, ::MAP_BIN_PIX], DARKEST_PERCENT))


class _Offsets(NamedTuple):
    """Equations of the offsets of rows and of the level of the sky, light eliminated; the prior of the noise is apart.

    normal : (n + 1, n + 1). moment : (n + 1,). rows : borders of bins of rows.
    """

    normal: np.ndarray
    moment: np.ndarray
    rows: np.ndarray
    readout: Readout
    white: float

    def solve(self, noise: FlickerNoise) -> tuple[np.ndarray, float]:
        """Return the offsets with the level, (n + 1,), and the logarithm of how likely such noise is, but a constant.

        That is the marginal likelihood of a linear model (Rasmussen & Williams 2006, equation 2.43).
        """
        certain, log_determinant = _inverse_covariance(self.rows, self.readout, noise, self.white)
        normal = self.normal.copy()
        normal[:-1, :-1] += certain
        factor = linalg.cho_factor(normal, lower=True)
        found = linalg.cho_solve(factor, self.moment)
        log_factor = float(np.log(np.diag(factor[0])).sum())
        return found, 0.5 * float(found @ self.moment) - 0.5 * log_determinant - log_factor


class WideLight(NamedTuple):
    """What `solve_wide_light` finds.

    light : (ny, nx) float32, with the level of the sky.
    own_part : the outputs' own slow noise over the common, as a ratio of variances.
    unmasked : variance that light in clumps adds to a pixel of a crowded field, as noise that would make the same error
        of a mean; 0 elsewhere.
    """

    light: np.ndarray
    own_part: float
    unmasked: float


class _Solution(NamedTuple):
    """Nodes of the light, offsets of rows with the level, the outputs' own part, and the log of how likely all is.

    The last is up to what the prior of the nodes adds (`_Bins.log_prior`).
    """

    nodes: np.ndarray
    others: np.ndarray
    own_part: float
    log_likely: float


def solve_wide_light(
    image: np.ndarray,
    usable: np.ndarray,
    expected: np.ndarray,
    *,
    noise: FlickerNoise,
    white: float,
    readout: Readout,
    references: ReferenceRows | None = None,
    any_light: bool = False,
) -> WideLight:
    """Return wide light, and what is left of light and noise beside it.

    Parameters
    ----------
    image : ndarray of float32, shape (ny, nx)
        With its 1/f noise; sources are masked.
    usable : ndarray of bool, shape (ny, nx)
    expected : ndarray of float, any shape
        Map of the light as far as known, over the whole image, from which the prior is made.
    noise : FlickerNoise
    white : float
        Standard deviation of a pixel's white noise.
    readout : Readout
    references : ReferenceRows, optional
        Reference pixels, which see the noise of their rows without light; where light fills the frame, the noise that
        all outputs share is known from them alone.
    any_light : bool
        Without references: take the likeliest of some strengths of the light's changes. Noise must be known then.

    Notes
    -----
    Variograms cannot tell the slow noise of single outputs: it is a part of the noise, and light that was subtracted
    before may hold it. Here its strength is the likeliest of some, light and noise being free to explain the image.
    Light that the nodes cannot follow, of faint stars in a crowded field, scatters bins more than their pixels do; it
    is measured, and counts as noise of a bin (`clumps`): otherwise it would pass for noise of the outputs. Where it is
    more than the noise of the pixels, nothing tells what the outputs have of their own, and 0 is assumed.
    Light has no preferred direction, noise changes from row to row: how much light changes along the rows tells how
    much it may change from row to row (`any_light`).
    A hundred MB and a fifth of a second for a full frame: a sparse system of the nodes, reduced to the rows' offsets.
    """
    rows, columns = edges_of_bins(image.shape, readout, *BIN)
    count = sums_in_bins(usable.astype(np.float32), rows, columns)
    level = float(typed_median(image[::4][usable[::4]]))
    mean = sums_in_bins(np.where(usable, image - np.float32(level), 0), rows, columns) / np.maximum(count, 1)
    along, across = (_splines(edges, n) for edges, n in zip((rows, columns), image.shape, strict=True))
    least = LEAST_LIGHT if references is None else LEAST_BESIDE_REFERENCES
    prior_of = partial(_prior_of_nodes, image.shape, expected, white, least)
    bins = _Bins(
        surface=sparse.kron(along, across, format="csr"),
        nodes_across=across.shape[1],
        others=_other_design(len(rows) - 1, len(columns) - 1, len(readout.outputs)),
        prior=prior_of(),
        references=_told_by(references, rows, readout, noise, white),
        rows=rows,
        readout=readout,
        white=white,
    )
    variance = white**2 / np.maximum(count, 1)
    certain = np.where(count > 0, 1 / variance, 0)
    found = bins.solve(mean, certain, noise)
    rest = mean - bins.expected(found, mean.shape)
    clumps = measure_clumps(rest, variance, count > 0, len(readout.outputs))
    crowded = sum(clumps) > CROWDED * (typed_median(variance[count > 0]) + noise_within_rows(noise, readout, *BIN))
    if sum(clumps) > 0:
        if crowded:
            bins = bins._replace(prior=prior_of(change=CROWDED_CHANGE))
        certain = np.where(count > 0, 1 / (variance + sum(clumps)), 0)
        found = bins.solve(mean, certain, noise, any_own=not crowded)
    if any_light and references is None and not crowded:
        found = _with_more_light(bins, found, prior_of, (mean, certain, noise))
    light = _on_pixels(found.nodes.reshape(along.shape[1], across.shape[1]), image.shape)
    light += np.float32(level + found.others[-1])
    unmasked = sum(clumps) * float(typed_median(count[count > 0])) if crowded else 0.0
    return WideLight(light, found.own_part, unmasked)


def _on_pixels(nodes, shape):
    on_rows, on_columns = (_splines(np.arange(n + 1), n) for n in shape)
    return (on_rows @ nodes).astype(np.float32) @ on_columns.T.toarray().astype(np.float32)


def _with_more_light(bins, found, prior_of, equations):
    """Return the likeliest solution with light that changes more, or the one found where none is clearly likelier."""
    least = likeliest = found.log_likely + bins.log_prior()
    best = found
    for more in MORE_LIGHT:
        changed = bins._replace(prior=prior_of(more=more))
        one = changed.solve(*equations)
        log_likely = one.log_likely + changed.log_prior()
        if log_likely < likeliest:
            break
        best, likeliest = one, log_likely
    return best if likeliest > least + SURE else found


def _told_by(references, rows, readout, noise, white):
    """Return what `_add_references` takes; None without reference pixels."""
    if references is None:
        return None
    by_rows = bin_references(references, rows, readout, noise)
    return (*by_rows, output_levels(references, readout, noise.rms), REFERENCE_LEVEL * white)


class _Bins(NamedTuple):
    """The linear problem of light and offsets on the bins of an image.

    surface : (n_bins, n_nodes), light, of `nodes_across` nodes in a row. others : (n_bins, n + 1), offsets of rows and
        the level of the sky.
    prior : (n_nodes, n_nodes), inverse covariance of nodes. references : what `_add_references` takes.
    """

    surface: sparse.csr_matrix
    nodes_across: int
    others: sparse.csr_matrix
    prior: sparse.csr_matrix
    references: tuple[np.ndarray, np.ndarray, np.ndarray, float] | None
    rows: np.ndarray
    readout: Readout
    white: float

    def solve(self, mean: np.ndarray, certain: np.ndarray, noise: FlickerNoise, *, any_own: bool = True) -> _Solution:
        """Return the most likely light and offsets, from bins with inverse variances.

        any_own : whether the outputs' own part is looked for, or 0.
        """
        weight = sparse.diags(certain.ravel())
        surface, others = self.surface, self.others
        inner = BlockCholesky(surface.T @ weight @ surface + self.prior, COUPLED_ROWS * self.nodes_across)
        normal = (others.T @ weight @ others).toarray()
        moment = weight @ mean.ravel()
        others_moment = others.T @ moment
        if self.references is not None:
            _add_references(normal, others_moment, *self.references)
        mixed = inner.whiten((surface.T @ weight @ others).toarray())
        light_moment = inner.whiten(surface.T @ moment)
        normal -= mixed.T @ mixed
        others_moment -= mixed.T @ light_moment
        offsets = _Offsets(normal, others_moment, self.rows, self.readout, self.white)
        found, own_part, log_likely = _likeliest(offsets, noise) if any_own else _with_common_noise(offsets, noise)
        log_likely += 0.5 * float(light_moment @ light_moment) - 0.5 * inner.log_determinant()
        return _Solution(inner.solve_transposed(light_moment - mixed @ found), found, own_part, log_likely)

    def log_prior(self) -> float:
        """Return what the prior's norm adds to the log of how likely a solution is."""
        return 0.5 * BlockCholesky(self.prior, self.nodes_across).log_determinant()

    def expected(self, found: _Solution, shape: tuple[int, int]) -> np.ndarray:
        """Return what a solution says of the bins."""
        return (self.surface @ found.nodes + self.others @ found.others).reshape(shape)


def _with_common_noise(equations, noise):
    """Return offsets, own part 0, and the log of how likely they are, for outputs without noise of their own."""
    found, log_likely = equations.solve(noise)
    return found, 0.0, log_likely


def _likeliest(equations, noise):
    """Return the offsets, the outputs' own part of slow noise with which they are likeliest, and the log of that."""
    best, own_part = equations.solve(noise), 0.0
    for part in OWN_PARTS if len(equations.readout.outputs) > 1 else ():
        one = equations.solve(hold_own_noise(noise, equations.readout, part))
        if one[1] < best[1]:
            break
        best, own_part = one, part
    return best[0], own_part, best[1]


def mask_wings(image: np.ndarray, usable: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Return where wings of compact sources are above the scatter, (ny, nx) bool; the mask's own pixels are not in it.

    So are holes, which no search for sources finds: of the core of a snowball, or a wisp subtracted too strongly.

    image : ndarray of float32, shape (ny, nx), without noise and wide light.
    usable, mask : ndarray of bool, shape (ny, nx), pixels to use, and known sources.
    """
    total, count = bin_image(np.where(usable, image, 0), usable, WING_BIN_PIX)
    sigma = WING_PIX / WING_BIN_PIX
    seen = ndimage.gaussian_filter(count, sigma, mode="constant")
    smooth = ndimage.gaussian_filter(total, sigma, mode="constant") / np.maximum(seen, 1e-3)
    known = seen > 0.2 * WING_BIN_PIX**2
    if not known.any():
        return np.zeros(mask.shape, bool)
    middle = typed_median(smooth[known])
    scatter = 1.4826 * float(typed_median(middle - smooth[known & (smooth <= middle)]))
    above = np.where(known, smooth - middle, 0)
    sources = mask[::WING_BIN_PIX, ::WING_BIN_PIX]
    wings = hysteresis(above > WING_SIGMA * scatter, (above > ALONE_SIGMA * scatter) | sources) & ~sources
    wings |= hysteresis(above < -ALONE_SIGMA * scatter, above < -HOLE_SIGMA * scatter) & ~sources
    wings = ndimage.binary_dilation(wings, iterations=WING_GROW_PIX // WING_BIN_PIX)
    return np.repeat(np.repeat(wings, WING_BIN_PIX, 0), WING_BIN_PIX, 1)[: mask.shape[0], : mask.shape[1]] & ~mask


def _nodes(n):
    """Return the places of nodes along an axis of n pixels, one beyond either end."""
    return np.arange(-NODE_PIX, n + 2 * NODE_PIX, NODE_PIX)


def _splines(edges, n):
    """Return how much every node counts in every bin, (n_bins, n_nodes): cubic splines, averaged over the bin.

    Linear ones are too angular for a galaxy that fades by half from node to node: they miss it by 5 %.
    """
    spline = BSpline.basis_element(np.arange(-2, 3), extrapolate=False).antiderivative()
    borders = (edges[:, None] - _nodes(n)[None]) / NODE_PIX
    integral = np.nan_to_num(spline(np.clip(borders, -2, 2)))
    return sparse.csr_matrix(np.diff(integral, axis=0) * NODE_PIX / np.diff(edges)[:, None])


def _other_design(n_rows, n_columns, n_outputs):
    """Return which offset, of an output's row of bins, every bin has, and the level that all of them have.

    Offsets stand output by output, by place.
    """
    output = np.arange(n_columns) * n_outputs // n_columns
    which = (output[None] * n_rows + np.arange(n_rows)[:, None]).ravel()
    ones = np.ones(which.size)
    offsets = sparse.csr_matrix((ones, (np.arange(which.size), which)), shape=(which.size, n_rows * n_outputs))
    return sparse.hstack([offsets, sparse.csr_matrix(ones[:, None])]).tocsr()


def _add_references(normal, moment, means, certain, told, unlike):
    """Add to the equations of the offsets, in place, what reference pixels say of them.

    That is how an output's offsets change from row to row, and their level, from which that of the reference pixels
    differs by a standard deviation of `unlike`; or by anything, where nothing is told (NaN).
    """
    n = means.shape[1]
    for k in np.flatnonzero(certain.any(axis=1)):
        part, weight = slice(k * n, (k + 1) * n), certain[k]
        known = np.isfinite(told[k])
        value = means[k] + told[k] if known else means[k]
        total = weight.sum() + (unlike**-2 if known else 0)
        normal[part, part] += np.diag(weight) - np.outer(weight, weight) / total
        moment[part] += weight * (value - weight @ value / total)


def _prior_of_nodes(shape, expected, white, least, *, change=CHANGE, more=1.0):
    """Return the inverse covariance of nodes: light as far as expected, over which it changes little by little.

    more : of the least light, a multiple that is allowed.
    """
    places = [(_nodes(n) * have / n - 0.5) for n, have in zip(shape, expected.shape, strict=True)]
    seen = ndimage.map_coordinates(
        np.asarray(expected, float), np.meshgrid(*places, indexing="ij"), order=1, mode="nearest"
    )
    # Less light than elsewhere is light as well: of a wisp that was subtracted too strongly.
    seen = np.clip(np.abs(seen), 0, BRIGHTEST * white)
    allowed, smooth = (more * part for part in least)
    prior = sparse.diags((LIGHT * seen + allowed * white).ravel() ** -2.0)
    # Of light over what is expected: that all of a galaxy is brighter than thought must not cost more than of a node.
    part = (change * (seen + smooth * white)).ravel()
    number = np.arange(seen.size).reshape(seen.shape)
    for pair in ((number[1:], number[:-1]), (number[:, 1:], number[:, :-1])):
        one, other = (each.ravel() for each in pair)
        places = np.tile(np.arange(one.size), 2), np.r_[one, other]
        steps = sparse.csr_matrix((np.r_[1 / part[one], -1 / part[other]], places), shape=(one.size, seen.size))
        prior = prior + steps.T @ steps
    return prior


def _inverse_covariance(rows, readout, noise, white):
    """Return the inverse covariance of offsets, ordered by output and row of bins, and the log of its determinant.

    The mean of the outputs has the common noise, what they differ by only their own.
    """
    n, n_outputs = len(rows) - 1, len(readout.outputs)
    row_pix = readout.width + readout.overhead_pix
    centres, length = 0.5 * (rows[1:] + rows[:-1]) * row_pix, float(BIN[0] * row_pix)
    apart = np.abs(centres[:, None] - centres[None])
    common, own = (covariance_of_means(apart, length, one, noise.scales_pix) for one in (noise.common, noise.own))
    own += (LEVEL * white) ** 2 + 1e-5 * white**2 * np.eye(n)
    mean = own + n_outputs * common
    of_own, of_mean = linalg.inv(own), linalg.inv(mean)
    inverse = np.kron(np.eye(n_outputs), of_own) + np.kron(
        np.full((n_outputs, n_outputs), 1 / n_outputs), of_mean - of_own
    )
    return inverse, float((n_outputs - 1) * np.linalg.slogdet(own)[1] + np.linalg.slogdet(mean)[1])
