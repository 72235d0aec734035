"""1/f noise in crowded fields, where most stars are too faint to be masked and their wings overlap.

    python benchmarks/crowded_field.py [--stars 300 1500 3000] [--seeds 0 1 2 3] [--size 512]
        [--border 4]

Stars with a power law of fluxes on a frame of four outputs, slow noise and noise of rows that all outputs share, and
white noise of pixels. `rows before` and `rows after` are the standard deviations of an output's rows by the noise, and
by what is left of it (rms over the seeds, DN/s): where stars pass for noise, subtraction makes rows worse. `columns` is
what is left in the means of columns, which have no noise of their own here. With --border the frame has reference
pixels of that width on all sides, as full frames have: they see the noise and no stars.
"""

from __future__ import annotations

import argparse

import numpy as np
from rich.console import Console
from rich.table import Table
from scipy import signal

from detectorist.algorithms.flicker.destripe import destripe
from detectorist.algorithms.flicker.readout import alternating_readout

SKY, WHITE, REFERENCE_WHITE, N_OUTPUTS = 0.25, 0.014, 0.002, 4  # DN/s
#: Noise that all outputs share, DN/s: steps of a random walk from row to row, and of each row for itself.
WALK, ROW = 2e-4, 8e-4
#: Number of stars brighter than f falls as f**-SLOPE from 1 to BRIGHTEST DN/s.
SLOPE, BRIGHTEST = 0.7, 900.0


def stars(rng: np.random.Generator, size: int, number: int) -> np.ndarray:
    """Return the light of stars with wings, (size, size), DN/s."""
    light = np.zeros((size, size))
    places = rng.integers(0, size, (2, number))
    np.add.at(light, tuple(places), np.minimum(rng.random(number) ** (-1 / SLOPE), BRIGHTEST))
    radius = np.hypot(*np.mgrid[-90:91, -90:91])
    star = np.exp(-0.5 * (radius / 1.1) ** 2) + 8e-3 / (1 + (radius / 4) ** 2) ** 1.25
    return signal.fftconvolve(light, star / star.sum(), mode="same")


def measure(seed: int, size: int, number: int, border: int) -> tuple[float, float, float, float]:
    """Return the noise of rows before and after, what is left in columns, DN/s, and the part of pixels masked."""
    rng = np.random.default_rng(seed)
    field = stars(rng, size, number)
    rows = np.cumsum(WALK * rng.normal(size=size)) + ROW * rng.normal(size=size)
    rows -= rows.mean()
    image = SKY + field + rows[:, None] + WHITE * np.sqrt(1 + field) * rng.normal(size=field.shape)
    reference = np.ones((size, size), bool)
    reference[border : size - border, border : size - border] = False
    image[reference] = (rows[:, None] + REFERENCE_WHITE * rng.normal(size=field.shape))[reference]
    readout = alternating_readout(size, N_OUTPUTS)
    found = destripe(image[None], reference[None], readout=readout, reference=reference if border else None)
    left = rows[:, None] - found.horizontal[0] - found.vertical[0]
    of_rows = left[border : size - border].reshape(-1, N_OUTPUTS, size // N_OUTPUTS).mean(axis=2)
    return rows.std(), of_rows.std(), left.mean(axis=0).std(), float(found.mask.mean())


def main() -> None:
    """Measure and show."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stars", type=int, nargs="+", default=[300, 1500, 3000])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3])
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--border", type=int, default=0)
    chosen = parser.parse_args()
    table = Table("stars", "masked", "rows before", "rows after", "columns")
    for number in chosen.stars:
        each = np.array([measure(seed, chosen.size, number, chosen.border) for seed in chosen.seeds])
        before, after, columns = np.sqrt((each[:, :3] ** 2).mean(axis=0))
        table.add_row(
            str(number), f"{100 * each[:, 3].mean():.0f} %", f"{before:.5f}", f"{after:.5f}", f"{columns:.5f}"
        )
    Console(width=100).print(table)


if __name__ == "__main__":
    main()
