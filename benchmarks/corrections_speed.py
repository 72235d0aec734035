"""CPU time and memory of the NIRCam corrections that take longest, by themselves.

    python benchmarks/corrections_speed.py             # prints the table
    python benchmarks/corrections_speed.py --store     # into docs/validation/corrections_speed.json

Scenes are made here: a full frame of four outputs with stars, galaxies, 1/f noise and a wisp, and a cube of
coronagraphic rates of one output, its size that of the subarrays in which coronagraphs are read.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator

import numpy as np
from rich.console import Console
from rich.table import Table

import imaging_scores as scores
from detectorist.algorithms.flicker.one_over_f import stripes_of_integrations
from detectorist.algorithms.flicker.readout import alternating_readout
from imaging import timed_calls
from imaging_scenes import Scene
from measure import pass_seconds, peak_above
from validated import Figure, Rows, store

MEGABYTE = 1e6
#: Side of the coronagraphic cube, numbers of integrations, white noise and 1/f noise of one, DN/s, and of a cube that
#: asks for the passes below.
SIDE_PIX, INTEGRATIONS, WHITE, FLICKER = 320, (12, 40), 0.25, 0.06
ASKED_PASSES = 2500


def coronagraphic_cube(n_ints: int, seed: int = 1) -> np.ndarray:
    """Return rates (n_ints, ny, nx) float32 of a star's halo with 1/f and white noise, DN/s."""
    rng, shape = np.random.default_rng([seed, 6]), (SIDE_PIX, SIDE_PIX)
    readout = alternating_readout(SIDE_PIX, 1)
    yy, xx = np.mgrid[:SIDE_PIX, :SIDE_PIX] - SIDE_PIX / 2
    light = 300 / (1 + (np.hypot(yy, xx) / 8) ** 2.5)
    stripes = (scores.pink_image(rng, readout, SIDE_PIX, common=0.0, own=FLICKER, slope=1.1) for _ in range(n_ints))
    return np.stack([light + one + WHITE * rng.standard_normal(shape) for one in stripes]).astype(np.float32)


def figures() -> Iterator[Figure]:
    """Yield the time and memory of every correction."""
    for _, name, asked, call, arrays in timed_calls(Scene("")):
        yield from _measured("full frame", name, asked, call, arrays)
    for n_ints in INTEGRATIONS:
        cube = coronagraphic_cube(n_ints)
        mask, readout = np.zeros(cube.shape, bool), alternating_readout(SIDE_PIX, 1)
        name = f"1/f noise of {n_ints} integrations"
        yield from _measured(
            "coronagraphy",
            name,
            ASKED_PASSES,
            lambda c=cube, m=mask, r=readout: stripes_of_integrations(c, m, readout=r),
            [cube],
        )


def _measured(topic, name, asked, call, arrays):
    limit, seconds = f"≤ {asked:.0f}" if np.isfinite(asked) else "", []

    def timed():
        start = time.process_time()
        call()
        seconds.append(time.process_time() - start)

    peak = peak_above(timed)  # its first call is not counted
    yield Figure(topic, f"{name}, CPU s", seconds[-1], "", "{:.2f}")
    yield Figure(topic, f"{name}, passes over the data", seconds[-1] / pass_seconds(arrays), limit, "{:.0f}")
    yield Figure(topic, f"{name}, peak memory above its input, MB", peak / MEGABYTE, "", "{:.0f}")


def main() -> None:
    """Measure, print and store."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--store", action="store_true", help="store as a validation table of the documentation")
    chosen = parser.parse_args()
    rows, table = Rows(), Table("correction", "measured", "asked")
    for one in figures():
        rows.collect("made", [one])
        table.add_row(one.what, one.form.format(one.measured), one.asked)
    Console().print(table)
    if chosen.store:
        print(store(rows, "corrections_speed", script="python benchmarks/corrections_speed.py"))


if __name__ == "__main__":
    main()
