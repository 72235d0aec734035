"""The Cholesky factor of a matrix that couples each block of unknowns with its neighbours alone.

Nodes of a surface, ordered row by row, are such unknowns. In dense blocks the work is done by BLAS, several times as
fast as by a sparse solver, of which each right side is one more solution.
"""

from __future__ import annotations

import numpy as np
from scipy import linalg, sparse


class BlockCholesky:
    """L with L L' = a symmetric positive definite matrix (Golub & Van Loan 2013, section 4.5.1).

    Parameters
    ----------
    matrix : scipy.sparse matrix, shape (n, n)
    block : int
        Unknowns of a block, the last may be shorter; elements farther from the diagonal than the next block must be 0.

    Raises
    ------
    numpy.linalg.LinAlgError
        When the matrix is not positive definite.
    """

    def __init__(self, matrix: sparse.spmatrix, block: int):
        rows = sparse.csr_matrix(matrix)
        self._parts = [slice(first, first + block) for first in range(0, rows.shape[0], block)]
        self._diagonal: list[np.ndarray] = []
        self._below: list[np.ndarray] = []  # left of the diagonal, from the second block on
        for k, part in enumerate(self._parts):
            own = rows[part, part].toarray()
            if k:
                beside = rows[part, self._parts[k - 1]].toarray()
                below = linalg.solve_triangular(self._diagonal[-1], beside.T, lower=True, check_finite=False).T
                self._below.append(below)
                own -= below @ below.T
            self._diagonal.append(linalg.cholesky(own, lower=True, check_finite=False))

    def log_determinant(self) -> float:
        """Return the natural logarithm of the matrix's determinant."""
        return 2 * float(sum(np.log(np.diag(one)).sum() for one in self._diagonal))

    def whiten(self, values: np.ndarray) -> np.ndarray:
        """Return the solution x of L x = values, (n,) or (n, n_columns)."""
        found = np.array(values, float)
        for k, (part, diagonal) in enumerate(zip(self._parts, self._diagonal, strict=True)):
            if k:
                found[part] -= self._below[k - 1] @ found[self._parts[k - 1]]
            found[part] = linalg.solve_triangular(diagonal, found[part], lower=True, check_finite=False)
        return found

    def solve_transposed(self, values: np.ndarray) -> np.ndarray:
        """Return the solution x of L' x = values, (n,) or (n, n_columns)."""
        found = np.array(values, float)
        for k in range(len(self._parts) - 1, -1, -1):
            part = self._parts[k]
            if k + 1 < len(self._parts):
                found[part] -= self._below[k].T @ found[self._parts[k + 1]]
            found[part] = linalg.solve_triangular(
                self._diagonal[k], found[part], lower=True, trans="T", check_finite=False
            )
        return found
