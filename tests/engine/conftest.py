"""Random ramps with everything a ramp can have, for comparing the engine with the installed stcal."""

from typing import NamedTuple

import numpy as np
import pytest


class Ramps(NamedTuple):
    data: np.ndarray
    groupdq: np.ndarray
    pixeldq: np.ndarray
    gain: np.ndarray
    read_noise: np.ndarray

    def copy(self):
        return Ramps(*(array.copy() for array in self))


def _sprinkle(rng, array, fraction, value):
    array[rng.random(array.shape) < fraction] = value


def _signal(rng, shape, heavy):
    ny, nx = shape[2:]
    rate = 10 ** rng.uniform(-2, 4, (ny, nx))
    data = np.cumsum(rng.poisson(np.broadcast_to(rate, shape)), axis=1) + rng.normal(0, 5, shape)
    for _ in range(int(data.size * (0.05 if heavy else 0.01))):
        i, g, y, x = (rng.integers(0, n) for n in shape)
        data[i, g:, y, x] += 10 ** rng.uniform(1, 4.5)
    if rng.random() < 0.3:
        data = np.round(data / 8) * 8  # ties
    if rng.random() < 0.3:
        data += 9000
    return data.astype(np.float32)


def _flags(rng, shape, heavy, chargeloss):
    n_ints, n_groups, ny, nx = shape
    first_saturated = rng.integers(0, 6 * n_groups, (n_ints, 1, ny, nx))
    flags = np.where(np.arange(n_groups)[None, :, None, None] >= first_saturated, 2, 0).astype(np.uint8)
    much = 0.1 if heavy else 0.01
    for fraction, bits in ((much, 1), (much / 2, 32), (much / 4, 65), (0.02 * heavy, 4), (0.05 * chargeloss, 129)):
        flags[rng.random(shape) < fraction] |= bits
    if rng.random() < 0.3:
        flags[:, 0] |= 1
    if rng.random() < 0.3:
        flags[:, -1] |= 1
    return flags


def _random_ramps(rng, shape, *, heavy=False, chargeloss=False):
    ny, nx = shape[2:]
    data = _signal(rng, shape, heavy)
    gain = rng.uniform(1.5, 6, (ny, nx)).astype(np.float32)
    read_noise = rng.uniform(3, 20, (ny, nx)).astype(np.float32)
    pixeldq = np.zeros((ny, nx), np.uint32)
    for array, fraction, value in (
        (gain, 0.01, np.nan),
        (gain, 0.01, 0),
        (gain, 0.01, -1),
        (read_noise, 0.01, 0),
        (read_noise, 0.01, np.nan),
        (data, 0.002, np.nan),
        (data, 0.001, np.inf * (heavy or 1)),
        (pixeldq, 0.02, 1),
        (pixeldq, 0.02, 2**20),
        (pixeldq, 0.01, 2),
    ):
        if not (np.ndim(value) == 0 and np.isinf(value) and not heavy):
            _sprinkle(rng, array, fraction, value)
    return Ramps(data, _flags(rng, shape, heavy, chargeloss), pixeldq, gain, read_noise)


@pytest.fixture(scope="session")
def random_ramps():
    """Return the function that makes random ramps: `random_ramps(rng, shape, heavy=, chargeloss=)`."""
    return _random_ramps
