"""The Cholesky factor in blocks against the dense one."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import sparse

from detectorist.algorithms.block_cholesky import BlockCholesky


def banded(rng, n, width):
    """A positive definite matrix whose elements end `width` from the diagonal."""
    lower = np.tril(np.triu(rng.normal(size=(n, n)), -width // 2), 0)
    return lower @ lower.T + n * np.eye(n)


@pytest.mark.parametrize("n", [6, 18, 20])
def test_solutions_are_those_of_the_dense_factor(rng, n):
    matrix = banded(rng, n, 6)
    factor = BlockCholesky(sparse.csr_matrix(matrix), 6)
    lower = np.linalg.cholesky(matrix)
    for values in (rng.normal(size=n), rng.normal(size=(n, 3))):
        kept = values.copy()
        assert_allclose(factor.whiten(values), np.linalg.solve(lower, values), rtol=1e-10, atol=1e-12)
        assert_allclose(factor.solve_transposed(values), np.linalg.solve(lower.T, values), rtol=1e-10, atol=1e-12)
        assert_allclose(values, kept, rtol=0)


def test_a_matrix_that_is_not_positive_definite_is_refused():
    with pytest.raises(np.linalg.LinAlgError):
        BlockCholesky(sparse.diags([1.0, -1.0, 1.0]).tocsr(), 2)


def test_the_determinant_is_that_of_the_whole_matrix(rng):
    part = rng.normal(size=(9, 9)) * (np.abs(np.subtract.outer(np.arange(9), np.arange(9))) < 3)
    matrix = part @ part.T + np.eye(9)
    found = BlockCholesky(sparse.csr_matrix(matrix), 4).log_determinant()
    assert found == pytest.approx(np.linalg.slogdet(matrix)[1])
