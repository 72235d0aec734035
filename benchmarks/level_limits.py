"""How well reference pixels and the sky can tell the level of one output of a full frame beside 1/f noise.

    python benchmarks/level_limits.py

The noise is that of the independent generator of docs/validation/imaging_independent.md: power as f**-1.2 with a
shoulder at 4 Hz, common to the outputs and of each alone, in seven groups of eight frames. Each row is the least error
(of an unbiased estimate: the inverse of the Fisher information) of the level of the sky of an output, in percent of the
sky, where its noise has any level and everything else is known: from the reference rows at both ends of the frame; from
the reference pixels beside its rows, row by row; and, were the sky the same on both sides of a border, from the
pixels within 32 columns of it.
"""

from __future__ import annotations

import numpy as np
from rich.console import Console
from rich.table import Table
from scipy import linalg

TICK_S, ROW, WIDTH, ROWS, BORDER = 1e-5, 524, 512, 2048, 4
SLOPE, SHOULDER, SHOULDER_HZ = 1.2, 1.5, 4.0
#: Sky and its noise in a pixel, DN/s; read noise of a reference pixel, electrons, and seconds between groups.
SKY, PIXEL, READ_E, GROUP_S = 0.25, 0.014, 6.5, 107.4
#: Electrons of a mean of frames to DN/s of a slope of seven groups.
TO_RATE = 1 / (np.sqrt(8) * GROUP_S * np.sqrt(28))
#: Frame noise (rms, electrons, common and of each output) of a quiet detector, by how much two are noisier, their gain.
COMMON_E, OWN_E, DETECTORS = 3.4, 1.3, {"noisy (x 4)": (4.0, 2.0), "medium (x 2.3)": (2.3, 2.18)}
SIDE_PIX = 32


def correlation() -> np.ndarray:
    """Return the correlation of the noise at lags of 0, 1, 2, ... ticks."""
    n_ticks = ROW * (ROWS + 1)
    frequency = np.fft.rfftfreq(n_ticks, TICK_S)
    frequency[0] = frequency[1]
    power = frequency**-SLOPE + SHOULDER * SHOULDER_HZ**-SLOPE / (1 + (frequency / SHOULDER_HZ) ** 2)
    power[0] = 0.0
    found = np.fft.irfft(power)
    return found / found[0]


def of_means(one: np.ndarray, other: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Return the correlation of means over pixels of two rows that are 0, 1, 2, ... rows apart, (n_rows,)."""
    apart = np.subtract.outer(one, other).ravel()
    return np.array([known[np.abs(lag * ROW + apart)].mean() for lag in range(ROWS)])


def least_error(covariance: np.ndarray, response: np.ndarray) -> float:
    """Return the least standard deviation of a level that the data have in these parts."""
    return float(response @ linalg.solve(covariance, response, assume_a="pos")) ** -0.5


def limits(strength: float, gain: float, known: np.ndarray) -> tuple[float, float, float]:
    """Return the three limits, percent of the sky."""
    to_rate = strength * TO_RATE / gain
    white = READ_E * TO_RATE / gain
    seen = np.arange(ROWS)
    sky = (seen >= BORDER) & (seen < ROWS - BORDER)
    any_level = 1.0
    row = np.arange(0, WIDTH, 8)
    own = (OWN_E * to_rate) ** 2 * linalg.toeplitz(of_means(row, row, known)) + any_level
    pixels = np.where(sky, PIXEL, white) ** 2 / WIDTH
    ends = least_error(own + np.diag(pixels), sky.astype(float))
    beside = np.arange(BORDER)
    within = of_means(beside, beside, known) + of_means(row, row, known)
    within -= of_means(beside, row, known) + of_means(row, beside, known)
    noise = (np.hypot(OWN_E, COMMON_E) * to_rate) ** 2 * linalg.toeplitz(within)
    side = least_error(noise + (white**2 / BORDER + PIXEL**2 / WIDTH) * np.eye(ROWS), np.ones(ROWS))
    border = PIXEL * np.sqrt(2 / (SIDE_PIX * ROWS))
    return tuple(100 * error / SKY for error in (ends, side, border))


def main() -> None:
    """Compute and show."""
    known = correlation()
    table = Table("detector", "rows at both ends", "pixels beside the rows", "sky at a border")
    for name, (strength, gain) in DETECTORS.items():
        table.add_row(name, *(f"{value:.3f} %" for value in limits(strength, gain, known)))
    Console(width=100).print(table)


if __name__ == "__main__":
    main()
