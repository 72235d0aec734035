"""Effects of a detector as functions of arrays, for every simulated mode.

Charge is in DN above the pixel's own zero level ("linear DN": electrons over gain) until `Nonlinearity.measured`
converts it to the measured signal; noise and drift of the electronics are added after that. Axes are (n_groups, ny,
nx): one integration.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

#: Step of the table by which a nonlinearity is inverted, DN: interpolation errors stay below 1e-6 DN.
_TABLE_STEP_DN = 1.0


def accumulate_photons(
    rate_e_s: np.ndarray, group_time_s: float, n_groups: int, rng: np.random.Generator | None
) -> np.ndarray:
    """Return the electrons collected at the end of every group, shape (n_groups, ny, nx), float64.

    rate_e_s : ndarray, shape (ny, nx)
        Electrons per second and pixel, not negative.
    rng : Generator or None
        None gives the expectation instead of a Poisson process.
    """
    expected = rate_e_s * group_time_s
    if rng is None:
        return expected * np.arange(1, n_groups + 1)[:, None, None]
    return np.cumsum(rng.poisson(expected, size=(n_groups, *expected.shape)), axis=0, dtype=float)


@dataclass(frozen=True)
class Nonlinearity:
    """The response of a pixel, given by the polynomial that corrects it.

    Attributes
    ----------
    coefficients : tuple of float
        linear = sum of coefficients[k] * measured ** k, both in DN above the zero level; coefficients[0] is 0.
    limit_dn : float
        Largest measured DN for which the polynomial is valid; it must increase up to there.
    """

    coefficients: tuple[float, ...]
    limit_dn: float = 70_000.0

    def linear(self, measured: np.ndarray) -> np.ndarray:
        """Return linear DN of measured DN."""
        return np.polynomial.polynomial.polyval(measured, self.coefficients)

    def measured(self, linear: np.ndarray) -> np.ndarray:
        """Return measured DN of linear DN, the inverse of `linear`; constant beyond `limit_dn`."""
        if self.coefficients == (0.0, 1.0):
            return linear
        table = np.arange(-5_000.0, self.limit_dn, _TABLE_STEP_DN)
        return np.interp(linear, self.linear(table), table)

    def reference_coefficients(self, pedestal: np.ndarray) -> np.ndarray:
        """Return the polynomials in raw DN, one per pixel, shape (n_coefficients, ny, nx), float32.

        A correction step works on raw DN, zero level included, and must not change that level: the polynomial is
        expanded about `pedestal`, shape (ny, nx), DN.
        """
        order = len(self.coefficients) - 1
        shifted = np.zeros((order + 1, *pedestal.shape))
        for k, coefficient in enumerate(self.coefficients):
            for j, binomial in enumerate(_binomials(k)):
                shifted[j] += coefficient * binomial * (-pedestal) ** (k - j)
        shifted[0] += pedestal
        return shifted.astype(np.float32)


def _binomials(n: int) -> list[int]:
    row = [1]
    for k in range(n):
        row.append(row[-1] * (n - k) // (k + 1))
    return row


def decay(n_groups: int, time_constant_groups: float) -> np.ndarray:
    """Return exp(-group / time constant), shape (n_groups, 1, 1): 1 in the first group."""
    return np.exp(-np.arange(n_groups) / time_constant_groups)[:, None, None]


def pixel_clocks(n_rows: int, n_cols: int, *, row_clocks: int, n_outputs: int) -> np.ndarray:
    """Return when each pixel is read after the first, shape (n_rows, n_cols), pixel clocks.

    The outputs are interleaved by column and read at once.
    """
    return row_clocks * np.arange(n_rows)[:, None] + (np.arange(n_cols) // n_outputs)[None, :]


def interference(
    clocks: np.ndarray,
    n_groups: int,
    *,
    frame_clocks: int,
    period_clocks: float,
    amplitudes_dn: tuple[tuple[int, float], ...],
    phase_cycles: float,
) -> np.ndarray:
    """Return periodic interference as sampled by the pixel clock, shape (n_groups, ny, nx), DN.

    clocks : ndarray, shape (ny, nx)
        When each pixel is read within a frame.
    amplitudes_dn : tuple of (harmonic, amplitude)
        Sine waves at multiples of the frequency.
    phase_cycles : float
        Phase of the fundamental when the first pixel of the first group is read.
    """
    in_frame = (clocks / period_clocks) % 1
    advance = (frame_clocks / period_clocks) % 1
    start = phase_cycles + advance * np.arange(n_groups)
    pattern = np.zeros((n_groups, *clocks.shape))
    for harmonic, amplitude in amplitudes_dn:
        # sin(a + b) by rows and groups: a hundred times fewer sines than one for each read.
        a, b = 2 * np.pi * harmonic * in_frame, 2 * np.pi * harmonic * start
        pattern += amplitude * (np.sin(a)[None] * np.cos(b)[:, None, None] + np.cos(a)[None] * np.sin(b)[:, None, None])
    return pattern


def interference_wave(amplitudes_dn: tuple[tuple[int, float], ...], n_samples: int) -> np.ndarray:
    """Return one cycle of the interference at the middles of n_samples bins, shape (n_samples,), DN."""
    phase = 2 * np.pi * (np.arange(n_samples) + 0.5) / n_samples
    return np.sum([amplitude * np.sin(harmonic * phase) for harmonic, amplitude in amplitudes_dn], axis=0)


@dataclass(frozen=True)
class Drift:
    """The drift of the outputs' zero levels in one integration, DN; every pixel of an output sees the same.

    Attributes
    ----------
    level : ndarray, shape (n_groups, n_outputs)
        Random walk from group to group.
    odd_even : ndarray, shape (n_groups, 2, n_outputs)
        Added to even and odd rows.
    slow_amplitude : ndarray, shape (n_groups, n_outputs)
        Amplitude of a slow wave along the rows.
    slow_phase : ndarray, shape (n_outputs,)
        Its phase in cycles at the first row, the same for all groups.
    slow_cycles : float
        Cycles of the wave over all rows.
    row_level : ndarray, shape (n_groups, n_rows), or None
        Added to every row, the same in all outputs.
    """

    level: np.ndarray
    odd_even: np.ndarray
    slow_amplitude: np.ndarray
    slow_phase: np.ndarray
    slow_cycles: float
    row_level: np.ndarray | None = None

    def rows(self, n_rows: int) -> np.ndarray:
        """Return the drift of every row, shape (n_groups, n_rows, n_outputs), DN."""
        position = np.linspace(0, self.slow_cycles, n_rows)
        wave = np.sin(2 * np.pi * (position[:, None] + self.slow_phase))
        pattern = self.level[:, None, :] + self.slow_amplitude[:, None, :] * wave
        for parity in (0, 1):
            pattern[:, parity::2] += self.odd_even[:, parity, None, :]
        if self.row_level is not None:
            pattern += self.row_level[:, :, None]
        return pattern

    def image(self, n_rows: int, n_cols: int) -> np.ndarray:
        """Return the drift of every pixel, shape (n_groups, n_rows, n_cols), DN: output = column mod n_outputs."""
        return np.tile(self.rows(n_rows), (1, 1, n_cols // self.level.shape[1]))


def draw_drift(
    n_groups: int,
    n_outputs: int,
    rng: np.random.Generator,
    *,
    walk_dn: float,
    odd_even_dn: float,
    slow_dn: float,
    slow_cycles: float,
) -> Drift:
    """Draw one integration's drift: a walk of walk_dn per group, scatter odd_even_dn by parity, a wave of slow_dn."""
    return Drift(
        level=walk_dn * np.cumsum(rng.normal(size=(n_groups, n_outputs)), axis=0),
        odd_even=odd_even_dn * rng.normal(size=(n_groups, 2, n_outputs)),
        slow_amplitude=slow_dn * rng.normal(size=(n_groups, n_outputs)),
        slow_phase=rng.random(n_outputs),
        slow_cycles=slow_cycles,
    )


def draw_correlated(shape: tuple[int, int], rms: float, memory: float, rng: np.random.Generator) -> np.ndarray:
    """Return noise of `rms` of which the fraction `memory` persists in the next element along the last axis."""
    noise = rng.normal(0, rms, shape)
    for k in range(1, shape[1]):
        noise[:, k] = memory * noise[:, k - 1] + np.sqrt(1 - memory**2) * noise[:, k]
    return noise


@dataclass(frozen=True)
class CosmicRays:
    """Pixels struck in one integration, shape (n_struck,) each.

    Attributes
    ----------
    group, row, column : ndarray of int
        The first group that contains the charge, and the pixel.
    charge_e : ndarray of float
        Electrons deposited.
    """

    group: np.ndarray
    row: np.ndarray
    column: np.ndarray
    charge_e: np.ndarray

    def add_to(self, electrons: np.ndarray) -> None:
        """Add the charge to `electrons`, shape (n_groups, ny, nx), in place."""
        for group, row, column, charge in zip(self.group, self.row, self.column, self.charge_e, strict=True):
            electrons[group:, row, column] += charge


def draw_cosmic_rays(
    shape: tuple[int, int, int],
    rng: np.random.Generator,
    *,
    hits_per_group: float,
    median_charge_e: float,
    spread_dex: float,
    neighbour_fraction: float,
) -> CosmicRays:
    """Draw the hits of one integration of shape (n_groups, ny, nx).

    Each hit deposits a log-normal charge in one pixel and, in its four neighbours, random parts of it around
    `neighbour_fraction`. Hits in the first group are included but not visible as a step.
    """
    n_groups, ny, nx = shape
    n_hits = rng.poisson(hits_per_group * n_groups)
    group = rng.integers(0, n_groups, n_hits)
    row, column = rng.integers(0, ny, n_hits), rng.integers(0, nx, n_hits)
    charge = median_charge_e * 10 ** (spread_dex * rng.normal(size=n_hits))
    share = neighbour_fraction * rng.exponential(size=(4, n_hits))
    steps = np.array([(0, 0), (1, 0), (-1, 0), (0, 1), (0, -1)])
    rows = (row + steps[:, :1]).ravel()
    columns = (column + steps[:, 1:]).ravel()
    charges = np.rint(np.concatenate([charge[None], charge * share])).ravel()
    inside = (rows >= 0) & (rows < ny) & (columns >= 0) & (columns < nx) & (charges > 0)
    return CosmicRays(np.tile(group, 5)[inside], rows[inside], columns[inside], charges[inside])


def digitise(values_dn: np.ndarray, max_dn: int = 65_535) -> np.ndarray:
    """Return `values_dn` as read by a 16-bit converter: rounded, clipped to 0 and max_dn, uint16."""
    return np.clip(np.rint(values_dn), 0, max_dn).astype(np.uint16)
