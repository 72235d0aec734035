"""Freed memory is kept by the process, unless its user has said otherwise."""

import os
import subprocess
import sys

import pytest

#: Page faults of an array that is made eight times, after the first one.
MEASURE = """
import resource
import numpy as np
from detectorist.libraries.freed_memory import LARGEST_KEPT_BYTES, keep_freed_memory

def faults():
    np.ones(LARGEST_KEPT_BYTES // 2, np.uint8)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

keep_freed_memory()
before = faults()
print([faults() for _ in range(8)][-1] - before)
"""


def page_faults(**environment: str) -> int:
    told = subprocess.run(
        [sys.executable, "-c", MEASURE], env={**os.environ, **environment}, capture_output=True, text=True, check=True
    )
    return int(told.stdout)


@pytest.mark.skipif(sys.platform != "linux", reason="of the GNU C library")
def test_arrays_come_from_memory_that_was_freed():
    assert page_faults() < 8 <= page_faults(MALLOC_MMAP_THRESHOLD_="1000000")
