"""The demonstration is short to read and small on disk."""

import subprocess
import sys

import pytest

#: Bars asked for: lines in a log file, bytes that are left.
LINES, BYTES = 60, 600e6


@pytest.mark.long
def test_of_all_modes_prints_little_and_leaves_little(tmp_path):
    out = tmp_path / "demo"
    done = subprocess.run(
        [sys.executable, "-c", "from detectorist.cli import main; main()", "demo", "-o", str(out)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    lines = [line for line in (done.stdout + done.stderr).splitlines() if line]
    assert len(lines) <= LINES, "\n".join(lines)
    assert len(set(lines)) == len(lines), "a line is printed twice"
    assert (out / "report.html").is_file()
    assert sum(path.stat().st_size for path in out.rglob("*") if path.is_file()) <= BYTES
    assert not list(out.rglob("*_uncal.fits"))
    assert list(out.rglob("*_rate.fits"))
