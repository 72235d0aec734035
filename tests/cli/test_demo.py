"""The demonstration is short to read and small on disk."""

import contextlib
import subprocess
import sys
import time

import pytest

#: Bars asked for: lines in a log file, bytes at any time.
LINES, BYTES = 60, 600e6


def size_of(folder):
    """Return the bytes below a folder from which files may vanish meanwhile."""
    total = 0
    for path in folder.rglob("*"):
        with contextlib.suppress(OSError):
            total += path.stat().st_size if path.is_file() else 0
    return total


def watch(running, folder):
    """Return the largest size that a folder had until a process ended."""
    largest = 0
    while running.poll() is None:
        largest = max(largest, size_of(folder))
        time.sleep(0.3)
    return largest


@pytest.mark.long
def test_of_all_modes_prints_little_and_leaves_little(tmp_path):
    out = tmp_path / "demo"
    command = [sys.executable, "-m", "detectorist", "demo", "-o", str(out)]
    with open(tmp_path / "log", "w+") as log, subprocess.Popen(command, stdout=log, stderr=log) as running:
        largest = watch(running, out)
        log.seek(0)
        lines = [line for line in log.read().splitlines() if line]
    assert running.returncode == 0, "\n".join(lines)
    assert len(lines) <= LINES, "\n".join(lines)
    assert len(set(lines)) == len(lines), "a line is printed twice"
    assert (out / "report.html").is_file()
    print(f"{len(lines)} lines, {largest / 1e6:.0f} MB at most, {size_of(out) / 1e6:.0f} MB left")
    assert size_of(out) <= largest <= BYTES
    assert not list(out.rglob("*_uncal.fits"))
    assert list(out.rglob("*_rate.fits"))
