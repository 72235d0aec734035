"""Stage 1 of a NIRCam full frame by itself: CPU time in passes over its ramps, and memory in sizes of its ramps.

    python benchmarks/stage_1_cost.py             # prints the table
    python benchmarks/stage_1_cost.py --small     # a frame of 256 x 256, to see that it works
    python benchmarks/stage_1_cost.py --store     # into docs/validation/speed.json

The imaging pipeline from raw counts to rates, without wisps and stripes and without writing, in a process that has run
it once: neither imports nor loading of kernels count. The memory is what it holds at most above what the process held
before. A pass reads and writes every sample of the ramps once, as float32.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from rich.console import Console

from detectorist.crds_source import use_references
from detectorist.fits_files import read_array
from detectorist.pipelines import ImagingPipeline
from measure import pass_seconds, peak_above
from validated import Figure, Rows, store
from whole_commands import COMMAND, measure, show

SKIPPED = {"wisps": {"skip": True}, "stripes": {"skip": True}}


def figures(topic: str, simulate: str) -> Iterator[Figure]:
    """Simulate an exposure and yield what its stage 1 costs."""
    with tempfile.TemporaryDirectory() as folder:
        measure([*COMMAND, "simulate", *simulate.split(), "--output-dir", folder, "--quiet"])
        use_references(str(Path(folder, "crds")))
        file = next(Path(folder).glob("*_uncal.fits"))
        ramps = np.ascontiguousarray(read_array(file, "SCI"), np.float32)
        n_bytes, one_pass = ramps.nbytes, pass_seconds([ramps])
        del ramps
        seconds = []

        def reduce() -> None:
            began = time.process_time()
            ImagingPipeline.call(str(file), steps=SKIPPED, output_dir=folder)
            seconds.append(time.process_time() - began)

        peak = peak_above(reduce)
        yield Figure(topic, "stage 1, CPU s", seconds[-1])
        yield Figure(topic, "stage 1, passes over the ramps", seconds[-1] / one_pass, "≤ 12", "{:.0f}")
        yield Figure(topic, "stage 1, peak memory over that of the ramps", peak / n_bytes, "≤ 1.6", "{:.2f}")


def main() -> None:
    """Measure one exposure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--small", action="store_true", help="a small frame")
    parser.add_argument("--store", action="store_true", help="write docs/validation/speed.json")
    arguments = parser.parse_args()
    simulate = "imaging --groups 9 --seed 15" + (" --size 256 --outputs 4" if arguments.small else "")
    rows = Rows()
    rows.collect("simulated", figures("stage 1 of a NIRCam full frame, 9 groups", simulate))
    Console(width=140).print(show(rows))
    if arguments.store:
        print(store(rows, "speed", script="python benchmarks/whole_commands.py", peer="jwst Detector1Pipeline"))


if __name__ == "__main__":
    main()
