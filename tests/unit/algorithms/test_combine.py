"""One rate from many: the weighted mean, its error, and what must not count."""

import numpy as np

from detectorist.algorithms.combine import combine_integrations


def test_mean_is_weighted_and_its_error_right(rng):
    n_ints, shape = 30, (40, 50)
    read = np.broadcast_to(rng.uniform(0.5, 4.0, (n_ints, 1, 1)), (n_ints, *shape))
    poisson = np.full((n_ints, *shape), 0.3)
    rates = 7 + np.sqrt(read + poisson) * rng.normal(size=read.shape)
    got = combine_integrations(rates, np.zeros(rates.shape, bool), poisson, read)
    pull = (got.rate - 7) / np.sqrt(got.var_poisson + got.var_read)
    assert abs(pull.std() - 1) < 0.06
    assert abs(pull.mean()) < 4 / np.sqrt(pull.size)
    expected = np.average(rates[:, 3, 3], weights=1 / (read + poisson)[:, 3, 3])
    assert abs(got.rate[3, 3] - expected) < 1e-5
    assert got.var_read.mean() + got.var_poisson.mean() < (read + poisson).mean() / n_ints


def test_masked_and_unknown_rates():
    rates = np.array([1.0, 100.0, 3.0, np.nan]).reshape(4, 1, 1) * np.ones((4, 1, 3))
    mask = np.zeros(rates.shape, bool)
    mask[1] = True
    mask[:, :, 2] = True
    variance = np.ones(rates.shape)
    variance[2, :, 1] = np.nan  # counts as the others do
    got = combine_integrations(rates, mask, variance, 0 * variance)
    np.testing.assert_allclose(got.rate[0, :2], 2.0)
    np.testing.assert_allclose(got.var_poisson[0, :2], 0.5)
    assert np.isnan(got.rate[0, 2])
    np.testing.assert_array_equal(got.usable, [[True, True, False]])
