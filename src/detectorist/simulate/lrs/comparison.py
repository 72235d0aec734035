"""Comparison of a reduction of a simulated LRS exposure with its truth: white light and transit depths."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from scipy.optimize import least_squares

from detectorist.algorithms.spectra.light_curves import USEFUL_UM
from detectorist.errors import InputError
from detectorist.simulate.lrs.components import Transit
from detectorist.simulate.lrs.sky import transit_curve

if TYPE_CHECKING:
    import xarray as xr

#: Background columns of the published recipes; the median over them is part of what a box must expect to be noisy.
_SIDES = np.r_[12:22, 50:68]
_HALF_APERTURE_PIX = 4


@dataclass(frozen=True)
class LrsComparison:
    """A reduction compared with the truth.

    Attributes
    ----------
    time_h, white, white_truth : ndarray, shape (n_ints,)
        Hours from the first integration; white light relative to its mean out of transit, measured and true.
    scatter, expected_scatter : float
        Standard deviation of measured over true white light, and that of a perfect 9-pixel box on the same photons
        and reads, background noise included.
    bin_um, depth, depth_error, depth_truth : ndarray, shape (n_bins,)
        Transit depth in bins of wavelength.
    """

    time_h: np.ndarray
    white: np.ndarray
    white_truth: np.ndarray
    scatter: float
    expected_scatter: float
    bin_um: np.ndarray
    depth: np.ndarray
    depth_error: np.ndarray
    depth_truth: np.ndarray

    @property
    def chi2(self) -> float:
        """Sum of squared pulls of the depths over all bins."""
        return float((((self.depth - self.depth_truth) / self.depth_error) ** 2).sum())

    @property
    def mean_depth_pull(self) -> float:
        """Weighted mean of depth minus truth in units of its error."""
        weight = self.depth_error**-2
        return float(((self.depth - self.depth_truth) * weight).sum() / np.sqrt(weight.sum()))

    def lines(self) -> list[str]:
        """Return the comparison in words."""
        return [
            f"compared with the truth: white-light scatter {1e6 * self.scatter:.0f} ppm, "
            f"{self.scatter / self.expected_scatter:.2f} x that of photon and read noise "
            f"({1e6 * self.expected_scatter:.0f} ppm)",
            f"transit depth: {self.mean_depth_pull:+.1f} sigma from the truth; "
            f"spectrum of {self.depth.size} bins: chi2 per bin {self.chi2 / self.depth.size:.2f}",
        ]


def compare_lrs(dataset: xr.Dataset, truth_path: str | Path, *, n_bins: int = 20) -> LrsComparison:
    """Compare spectra through time with the truth that the simulator wrote.

    dataset : xarray.Dataset
        As the LRS pipeline writes it: all integrations of the exposure.

    Raises
    ------
    InputError
        When the dataset and the truth have different numbers of integrations, or nothing useful was extracted.
    """
    import xarray as xr

    with xr.open_dataset(truth_path, engine="h5netcdf") as opened:
        truth = opened.load()
    if dataset.sizes["integration_number"] != truth.sizes["integration"]:
        raise InputError(
            f"{truth_path}: {truth.sizes['integration']} integrations, the spectra have "
            f"{dataset.sizes['integration_number']}"
        )
    um = truth["wavelength"].values
    flux, error = (_on_rows(dataset, name, um.size) for name in ("flux", "flux_error"))
    usable = (um >= USEFUL_UM[0]) & (um <= USEFUL_UM[1]) & np.isfinite(flux).all(axis=0)
    if not usable.any():
        raise InputError(f"no wavelength between {USEFUL_UM[0]} and {USEFUL_UM[1]} um has flux in all integrations")
    star = truth["spectrum"].values
    true_sum = star[:, usable].sum(axis=1)
    ratio = flux[:, usable].sum(axis=1) / true_sum
    white_truth = truth["light_curve"].values[:, usable] @ star[0, usable] / star[0, usable].sum()
    bins = _fit_depths(truth, um, flux, error, np.flatnonzero(usable), n_bins) if _has_transit(truth) else _NO_BINS
    time = truth["time_bjd_tdb"].values
    return LrsComparison(
        24 * (time - time[0]),
        ratio / ratio.mean() * white_truth,
        white_truth,
        float(ratio.std(ddof=1) / ratio.mean()),
        expected_scatter(truth, usable),
        *bins,
    )


def _on_rows(dataset: xr.Dataset, name: str, n_rows: int) -> np.ndarray:
    """Return a variable on all rows of the detector, shape (n_ints, n_rows), NaN where a row has no wavelength."""
    values = dataset[name].values.astype(float)
    if "detector_row" not in dataset:
        return values
    found = np.full((len(values), n_rows), np.nan)
    found[:, dataset["detector_row"].values] = values
    return found


_NO_BINS = (np.zeros(0), np.zeros(0), np.zeros(0), np.zeros(0))


def _has_transit(truth: xr.Dataset) -> bool:
    return "transit" not in truth.attrs["left_out"].split()


def expected_scatter(truth: xr.Dataset, usable: np.ndarray) -> float:
    """Return the relative noise of the sum of a 9-pixel box over `usable` rows, mean over integrations."""
    column = round(json.loads(truth.attrs["scene"])["star"]["trace_column"])
    aperture = slice(column - _HALF_APERTURE_PIX, column + _HALF_APERTURE_PIX + 1)
    noise = truth["expected_noise"].values[:, usable].astype(float)
    n_pixels = aperture.stop - aperture.start
    median_variance = np.median(noise[:, :, _SIDES] ** 2, axis=2) * (np.pi / 2) / _SIDES.size
    variance = (noise[:, :, aperture] ** 2).sum(axis=(1, 2)) + n_pixels**2 * median_variance.sum(axis=1)
    signal = (truth["light"].values.astype(float)[:, usable, aperture]).sum(axis=(1, 2))
    signal -= n_pixels * truth["background"].values[:, usable].sum(axis=1)
    return float(np.sqrt(variance.mean()) / signal.mean())


def _fit_depths(
    truth: xr.Dataset, um: np.ndarray, flux: np.ndarray, error: np.ndarray, rows: np.ndarray, n_bins: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Fit the depth in bins of equal numbers of rows: (micron, depth, error, truth)."""
    results = []
    for chosen in np.array_split(rows, n_bins):
        weight = truth["spectrum"].values[0, chosen]
        centre = float(np.average(um[chosen], weights=weight))
        curve = _transit_model(truth, centre)
        summed, summed_error = flux[:, chosen].sum(axis=1), np.sqrt((error[:, chosen] ** 2).sum(axis=1))
        depth, depth_error = fit_depth(curve, truth["time_bjd_tdb"].values, summed, summed_error)
        results.append((centre, depth, depth_error, np.average(truth["depth"].values[chosen], weights=weight)))
    return tuple(np.array(column) for column in zip(*results, strict=True))  # type: ignore[return-value]


def fit_depth(
    curve: Callable[[float], np.ndarray], time: np.ndarray, flux: np.ndarray, error: np.ndarray
) -> tuple[float, float]:
    """Fit flux = (a + b time) curve(depth) and return the depth and its standard deviation.

    curve : callable
        Relative flux, shape (n_ints,), for a depth.
    time, flux, error : ndarray, shape (n_ints,)
        Errors are not rescaled to the scatter, since they are part of the test.
    """
    phase = (time - time.mean()) / max(np.ptp(time), 1e-12)
    level = np.median(flux)

    def residuals(p: Sequence[float]) -> np.ndarray:
        return (flux / level - (p[0] + p[1] * phase) * curve(abs(p[2]))) / (error / level)

    start = (1.0, 0.0, max(1 - float(np.median(np.sort(flux)[: max(flux.size // 5, 1)]) / level), 1e-4))
    fit = least_squares(residuals, start, x_scale=(1e-3, 1e-3, 1e-4), diff_step=1e-5)
    covariance = np.linalg.inv(fit.jac.T @ fit.jac)
    return float(abs(fit.x[2])), float(np.sqrt(covariance[2, 2]))


def _transit_model(truth: xr.Dataset, um: float) -> Callable[[float], np.ndarray]:
    """Return the light curve of the true orbit at a wavelength, as a function of depth."""
    scene = json.loads(truth.attrs["scene"])["transit"]
    table = scene.pop("depth_spectrum")
    scene["limb_darkening"] = tuple(scene["limb_darkening"])
    transit = Transit(**scene, depth_spectrum=table)
    times = (truth["time_mjd_utc"].values - truth.attrs["start_mjd_utc"]) * 86400.0
    curve = transit_curve(transit, times, mid_s=truth.attrs["transit_mid_s"], period_s=truth.attrs["transit_period_s"])
    return lambda depth: curve(depth, um)


def draw_comparison(comparison: LrsComparison, path: str | Path) -> Path:
    """Draw white light and the depth spectrum with their truth, as a file; return its path."""
    from detectorist.figures.display import show_or_write
    from detectorist.figures.style import COLOURS, new_figure

    figure, (light, spectrum) = new_figure(1, 2, size=(10, 3.6))
    light.plot(comparison.time_h, comparison.white, ".", ms=4, label="reduced")
    light.plot(comparison.time_h, comparison.white_truth, lw=1.2, color=COLOURS[1], label="truth")
    light.set(xlabel="time from the first integration (h)", ylabel="relative flux, 5 to 12 µm")
    light.legend(frameon=False)
    spectrum.errorbar(
        comparison.bin_um, 100 * comparison.depth, 100 * comparison.depth_error, fmt="o", ms=4, label="reduced"
    )
    spectrum.plot(comparison.bin_um, 100 * comparison.depth_truth, lw=1.2, color=COLOURS[1], label="truth")
    spectrum.set(xlabel="wavelength (µm)", ylabel="transit depth (%)")
    spectrum.legend(frameon=False)
    written = show_or_write(figure, Path(path).name, path=str(path))
    assert written is not None
    return written
