"""Freed memory is kept by the process, unless its user has said otherwise."""

import os
import subprocess
import sys

import pytest

#: Page faults of an array of the size of a segment's ramps that is made eight times, after the first one.
MEASURE = """
import resource
import numpy as np
from detectorist.libraries.freed_memory import keep_freed_memory

def faults():
    np.ones(300_000_000, np.uint8)
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


#: Memory before and after it is returned, MB, with small pieces in use between what was freed.
RETURN = """
import os
import numpy as np
from detectorist.libraries.freed_memory import keep_freed_memory, return_freed_memory

def resident():
    return int(open("/proc/self/statm").read().split()[1]) * os.sysconf("SC_PAGE_SIZE") // 10**6

keep_freed_memory()
pieces = []
arrays = []
for _ in range(100):
    arrays.append(np.ones(2_000_000, np.uint8))
    pieces.append(bytearray(2000))
del arrays
before = resident()
return_freed_memory()
print(before, resident())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="of the GNU C library")
def test_freed_memory_is_returned_between_jobs():
    told = subprocess.run([sys.executable, "-c", RETURN], capture_output=True, text=True, check=True)
    before, after = map(int, told.stdout.split())
    assert after < before - 150
