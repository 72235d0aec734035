"""Resident memory of processes, and sizes in readable form."""

from __future__ import annotations

import contextlib
import os
import re
import resource
import sys
from pathlib import Path

import psutil

from detectorist.errors import ParameterError

_UNITS = {"": 1, "k": 1e3, "m": 1e6, "g": 1e9, "t": 1e12, "ki": 2**10, "mi": 2**20, "gi": 2**30, "ti": 2**40}


def reset_peak() -> None:
    """Start a new measurement of this process's peak, if the system supports it (Linux)."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def peak_bytes() -> int:
    """Return the largest resident memory of this process since `reset_peak`, or since it began."""
    try:
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def resident_bytes(pid: int | None = None) -> int:
    """Return the resident memory of a process; 0 when it is gone."""
    try:
        return psutil.Process(pid or os.getpid()).memory_info().rss
    except psutil.Error:
        return 0


def available_bytes() -> int:
    """Return the memory that new processes may take without swapping."""
    return psutil.virtual_memory().available


def parse_bytes(text: str | int | float) -> int:
    """Return a number of bytes from "1.5 GB", "800MiB" or a plain number.

    Raises
    ------
    ParameterError
        When it is none of these, or not positive.
    """
    match = re.fullmatch(r"\s*([0-9.]+(?:e[0-9]+)?)\s*([kmgt]?i?)b?\s*", str(text).lower())
    try:
        size = float(match[1]) * _UNITS[match[2]] if match else 0.0
    except (ValueError, KeyError):
        size = 0.0
    if size < 1:
        raise ParameterError(f'"{text}": a size such as 1.5GB or 800MiB is needed')
    return int(size)


def format_bytes(size: float) -> str:
    """Return a size for people: 1.53 GB."""
    for unit, scale in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if size >= scale:
            return f"{size / scale:.3g} {unit}"
    return f"{size:.0f} B"
