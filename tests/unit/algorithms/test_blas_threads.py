"""Many small systems are solved on one thread, and what comes after has its threads back."""

import inspect

import numpy as np
import pytest
from threadpoolctl import ThreadpoolController

from detectorist.algorithms.blas_threads import one_thread


def threads() -> list[int]:
    np.linalg.inv(np.eye(2))
    return [pool.num_threads for pool in ThreadpoolController().lib_controllers if pool.user_api == "blas"]


def test_pools_are_limited_within_and_restored_after():
    @one_thread
    def within(value: int, *, fail: bool = False) -> list[int]:
        """Tell."""
        if fail:
            raise ValueError(value)
        return threads()

    before = threads()
    assert within(1) == [1] * len(before)
    assert threads() == before
    with pytest.raises(ValueError, match="7"):
        within(7, fail=True)
    assert threads() == before
    assert within.__doc__ == "Tell."
    assert list(inspect.signature(within).parameters) == ["value", "fail"]
