"""Kernels over ranges: where idle cores are used, and that nothing depends on them."""

import numpy as np
import pytest

from detectorist.engine import threads
from detectorist.engine.threads import over_ranges
from detectorist.libraries import idle_cores


@pytest.mark.parametrize("cores", [1, 2, 3])
def test_every_element_once_and_results_in_order(cores):
    counts = np.zeros(2_000_001, np.int64)  # 16 MB

    def kernel(values, start, stop):
        values[start:stop] += 1
        return start

    with idle_cores.used(cores):
        starts = over_ranges(kernel, counts.size, counts)
    assert (counts == 1).all()
    assert starts == sorted(starts)
    assert (len(starts) > 1) is (cores > 1)


def test_small_arrays_are_not_shared_out():
    small = (np.zeros(threads._WORTH_BYTES // 16 - 1), [], (np.zeros(threads._WORTH_BYTES // 16),))
    with idle_cores.used(2):
        assert over_ranges(lambda *args: args[-2:], 1000, *small) == [(0, 1000)]
        assert len(over_ranges(lambda *args: args[-2:], 1000, *small, np.zeros(1))) == 8
        assert over_ranges(lambda *args: args[-2:], 3, np.zeros(threads._WORTH_BYTES)) == [(0, 3)]


def test_threads_asked_for_are_used_for_small_arrays_too():
    assert over_ranges(lambda start, stop: (start, stop), 24, threads=3) == [(n, n + 2) for n in range(0, 24, 2)]
