"""How time, memory and noise are measured, the same in every benchmark."""

from __future__ import annotations

import ctypes
import gc
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np


def passes(call: Callable[[], object], arrays: Sequence[np.ndarray], *, repeats: int = 3) -> float:
    """Return the CPU time of `call()` in units of one pass over the arrays that it reads.

    A pass is `np.add(a, 1, out=o)` over every array, warm, in its own dtype, the median of seven; the call's time is
    the median of `repeats` after one that is not counted. The ratio survives a noisy machine.
    """
    return float(np.median(cpu_seconds(call, repeats=repeats)) / pass_seconds(arrays))


def pass_seconds(arrays: Sequence[np.ndarray]) -> float:
    """Return the time of one pass over the arrays, s: see `passes`."""
    outputs = [np.empty_like(array) for array in arrays]
    walls = []
    for _ in range(8):
        start = time.perf_counter()
        for array, out in zip(arrays, outputs, strict=True):
            np.add(array, array.dtype.type(1), out=out)
        walls.append(time.perf_counter() - start)
    return float(np.median(walls[1:]))


def cpu_seconds(call: Callable[[], object], *, repeats: int = 3) -> list[float]:
    """Return the CPU times of `repeats` calls, after one that is not counted."""
    times = []
    for _ in range(repeats + 1):
        start = time.process_time()
        call()
        times.append(time.process_time() - start)
    return times[1:]


def peak_above(call: Callable[[], object]) -> float:
    """Return the peak resident memory during `call()` above that before it, bytes; NaN where the kernel keeps none."""
    status, clear = Path("/proc/self/status"), Path("/proc/self/clear_refs")
    call()  # what is compiled or cached once is not the call's own
    gc.collect()
    _return_freed_memory()
    try:
        clear.write_text("5")
        before = _status(status, "VmRSS")
        call()
        return max(_status(status, "VmHWM") - before, 0.0)
    except OSError:
        return float("nan")


def _return_freed_memory() -> None:
    """Let glibc give back what it keeps for later, which would hide a peak; elsewhere do nothing."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def _status(path: Path, key: str) -> float:
    line = next(line for line in path.read_text().splitlines() if line.startswith(key))
    return 1024.0 * int(line.split()[1])


def robust_std(values: np.ndarray) -> float:
    """Return the standard deviation of a Gaussian with the median absolute deviation of `values`; NaN left out."""
    values = np.asarray(values)[np.isfinite(values)]
    return float(1.4826 * np.median(np.abs(values - np.median(values))))
