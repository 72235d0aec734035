"""Whole exposures through stage 1 with stock code and with the engine, and what the first call of a kernel costs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from rich.table import Table

from detectorist.crds_source import use_references

#: What is simulated, and parameters of steps.
EXPOSURES = {
    "NIRCam 1x9x2048x2048": ("imaging --groups 9 --seed 3", {}),
    "MIRI LRS 100x20x416x72": ("lrs --ints 100 --groups 20 --segments 1 --seed 3", {"emicorr": {"skip": False}}),
}
SMALL = {
    "NIRCam 1x4x128x128": ("imaging --size 128 --outputs 4 --groups 4 --seed 3", {}),
    "MIRI LRS 4x10x416x72": ("lrs --ints 4 --groups 10 --segments 1 --seed 3", {"emicorr": {"skip": False}}),
}


def whole_exposures(*, small: bool) -> tuple[Table, int]:
    """Return a table of times, peaks and agreement, and how many values and flags differ."""
    from detectorist.cli.app import app
    from detectorist.reduction.verify import verify

    headers = ["exposure", "stock CPU s", "ours", "stock wall s", "ours", "stock MiB", "ours", "values", "differing"]
    table = Table(*headers, title="uncal to ramp, rate and rateints, files written, first use of kernels included")
    differing = 0
    for name, (words, steps) in (SMALL if small else EXPOSURES).items():
        with tempfile.TemporaryDirectory() as folder:
            app(["simulate", *words.split(), "--output-dir", folder, "--quiet"], standalone_mode=False)
            use_references(str(Path(folder) / "crds"))
            result = verify(min(Path(folder).glob("*_uncal.fits")), steps=steps)
        count = sum(entry.n_differing for entry in result.differences)
        stock, ours = result.stock, result.engine
        table.add_row(
            name,
            *(f"{value:.1f}" for value in (stock.cpu_s, ours.cpu_s, stock.wall_s, ours.wall_s)),
            *(f"{value:.0f}" for value in (stock.peak_mib, ours.peak_mib)),
            f"{sum(entry.n_values for entry in result.differences):,}",
            f"{count:,}",
        )
        differing += count
    return table, differing


def first_calls() -> Table:
    """Return what the first call of every kernel costs: on a machine that never ran it, and in a new process."""
    table = Table("first call of all kernels together", "CPU s", "wall s", title="compilation")
    with tempfile.TemporaryDirectory() as cache:
        for title in ("ever (compiled and stored)", "in a process (loaded)"):
            cost = _in_a_new_process(cache)
            table.add_row(title, f"{cost['cpu_s']:.1f}", f"{cost['wall_s']:.1f}")
    return table


def _in_a_new_process(cache: str) -> dict[str, float]:
    command = [sys.executable, str(Path(__file__).with_name("engine.py")), "--call-all"]
    done = subprocess.run(
        command, env={**os.environ, "NUMBA_CACHE_DIR": cache}, capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout.splitlines()[-1])
