"""Kernels of `alignment`: sums over the pixels of one cube, compiled."""

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def clipped_mean(data, mask, centre, limit, mean, count):
    """Fill `mean` and `count` (ny, nx) with the mean over integrations of values within `limit` of `centre`.

    data : (n_ints, ny, nx) float; mask : the same shape or (0, 0, 0), bool, True excluded.
    """
    n_ints, ny, nx = data.shape
    masked = mask.shape[0] > 0
    for r in range(ny):
        for c in range(nx):
            mean[r, c] = 0.0
            count[r, c] = 0
    for i in range(n_ints):
        for r in range(ny):
            for c in range(nx):
                value = data[i, r, c]
                if masked and mask[i, r, c]:
                    continue
                if abs(value - centre[r, c]) <= limit[r, c]:  # False for NaN
                    mean[r, c] += value
                    count[r, c] += 1
    for r in range(ny):
        for c in range(nx):
            mean[r, c] = mean[r, c] / count[r, c] if count[r, c] > 0 else np.nan


@njit(cache=True, nogil=True)
def _add_row(products, projections, poly, curvature, gradient):
    """Add the sums of one row to the lower triangle of `curvature` and to `gradient`; `poly` (n_poly,) at that row."""
    n_lin, n_poly = products.shape[0] - 1, poly.shape[0]
    for a in range(n_lin):
        gradient[a] += projections[a + 1]
        for b in range(a + 1):
            curvature[a, b] += products[a + 1, b + 1]
        for j in range(n_poly):
            curvature[n_lin + j, a] += products[a + 1, 0] * poly[j]
    for j in range(n_poly):
        gradient[n_lin + j] += projections[0] * poly[j]
        for m in range(j + 1):
            curvature[n_lin + j, n_lin + m] += products[0, 0] * poly[j] * poly[m]


@njit(cache=True, nogil=True)
def _discount_common(products, projections, sums, level, shared):
    """Take out of the sums of a row what a level common to its pixels makes uncertain.

    The inverse of diag(1/w) + v 11^T (Sherman & Morrison 1950), with shared = v / (1 + v sum(w)).
    """
    for a in range(products.shape[0]):
        projections[a] -= shared * sums[a] * level
        for b in range(a + 1):
            products[a, b] -= shared * sums[a] * sums[b]


@njit(cache=True, nogil=True)
def normal_equations(image, mask, weight, common, terms, poly, guess, limit, curvature, gradient):
    """Accumulate the normal equations of one image and return (pixels used, chi2 of the guess).

    The model is sum_j s_j poly[j, r] terms[0] + sum_k p_k terms[k], k >= 1; its parameters are ordered p,
    then s.

    image : (ny, nx) float; mask : the same shape or (0, 0), bool, True excluded
    weight : (ny, nx) inverse variance, 0 where a pixel must not count
    common : (ny,) variance common to all pixels of a row
    terms : (n_terms, ny, nx); poly : (n_poly, ny)
    guess : (n_terms - 1 + n_poly,) parameters about which to clip; limit : (ny, nx) largest residual accepted
    curvature : (n, n) and gradient : (n,) are overwritten
    """
    ny, nx = image.shape
    n_terms, n_poly = terms.shape[0], poly.shape[0]
    n_lin = n_terms - 1
    masked = mask.shape[0] > 0
    products = np.zeros((n_terms, n_terms))
    projections = np.zeros(n_terms)
    sums = np.zeros(n_terms)
    curvature[:] = 0.0
    gradient[:] = 0.0
    used, chi2 = 0, 0.0
    for r in range(ny):
        scale = 0.0
        for j in range(n_poly):
            scale += guess[n_lin + j] * poly[j, r]
        products[:] = 0.0
        projections[:] = 0.0
        sums[:] = 0.0
        total, level = 0.0, 0.0
        for c in range(nx):
            w = weight[r, c]
            if w <= 0.0 or (masked and mask[r, c]):
                continue
            value = image[r, c]
            residual = value - scale * terms[0, r, c]
            for k in range(n_lin):
                residual -= guess[k] * terms[k + 1, r, c]
            if not abs(residual) <= limit[r, c]:  # NaN fails too
                continue
            used += 1
            chi2 += w * residual * residual
            total += w
            level += w * value
            for a in range(n_terms):
                wa = w * terms[a, r, c]
                projections[a] += wa * value
                sums[a] += wa
                for b in range(a + 1):
                    products[a, b] += wa * terms[b, r, c]
        _discount_common(products, projections, sums, level, common[r] / (1.0 + common[r] * total))
        _add_row(products, projections, poly[:, r], curvature, gradient)
    for a in range(n_lin + n_poly):
        for b in range(a):
            curvature[b, a] = curvature[a, b]
    return used, chi2


@njit(cache=True, nogil=True)
def all_normal_equations(cube, mask, weight, common, terms, poly, guess, limit, curvature, gradient, used, chi2):
    """Run `normal_equations` on every image of a cube, each with its own guess, into outputs of one axis more."""
    masked = mask.shape[0] > 0
    none = np.zeros((0, 0), np.bool_)
    for i in range(cube.shape[0]):
        used[i], chi2[i] = normal_equations(
            cube[i],
            mask[i] if masked else none,
            weight,
            common,
            terms,
            poly,
            guess[i],
            limit,
            curvature[i],
            gradient[i],
        )
