"""From raw ramps to transit spectra with errors: simulate, reduce, fit, and compare with the truth.

    python benchmarks/lrs_spectrum_reduced.py --seeds 5 6 7 --work FOLDER [--ints 60] [--groups 12]
    python benchmarks/lrs_spectrum_reduced.py --independent WORK

Simulated exposures and reductions stay in FOLDER: what is there already is used as it is. WORK is the folder of
`lrs_independent.py`: scenes of an independent generator and their reductions. Its transits have a shape of their own,
which no star's limb darkening gives: the truth of a depth is what the same fit finds in the true spectra without noise.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import xarray as xr
from rich.console import Console
from rich.table import Table

from detectorist.algorithms.spectra.transit_models import Orbit
from detectorist.modes.lrs.reduction import reduce_exposure
from detectorist.modes.lrs.spectrum.fit import fit_spectrum
from detectorist.modes.lrs.spectrum.result import TransitSpectrum
from detectorist.modes.lrs.spectrum.settings import FitSettings, LimbDarkening
from detectorist.modes.lrs.time_series import find_spectra, read_time_series
from detectorist.reduction.runner import Request
from detectorist.simulate.lrs.scene import LrsScene


def reduced(seed: int, work: Path, n_ints: int, n_groups: int) -> tuple[Path, Path]:
    """Return (spectra, truth) of a simulated exposure, made where they are missing."""
    raw, out = work / f"sim{seed}", work / f"out{seed}"
    if not (raw / "truth.nc").is_file():
        LrsScene().write(raw, ints=n_ints, groups=n_groups, segments=2, seed=seed)
    if not (out / "stage_2" / "stage_2_output.nc").is_file():
        reduce_exposure(Request(sorted(raw.glob("*_uncal.fits")), out, references=str(raw / "crds")))
    return find_spectra(out)[0], raw / "truth.nc"


def fit(spectra: Path, truth: xr.Dataset, **options) -> TransitSpectrum:
    """Fit a spectrum with what a catalogue knows: the orbit and limb darkening, not the depth."""
    scene = json.loads(truth.attrs["scene"])["transit"]
    series = read_time_series(spectra)
    seconds = 86400 * (truth["time_mjd_utc"].values - truth.attrs["start_mjd_utc"])
    mid_time = float(np.interp(truth.attrs["transit_mid_s"], seconds, series.time_bjd_tdb))
    orbit = Orbit(truth.attrs["transit_period_s"] / 86400, mid_time, scene["a_over_rs"], scene["inclination_deg"])
    um = np.linspace(4.5, 13, 40)
    dark = LimbDarkening("quadratic", np.outer(5 / um, scene["limb_darkening"]).tolist(), um.tolist())
    return fit_spectrum(series, FitSettings(orbit, limb_darkening=dark, **options))


def true_depths(spectrum: TransitSpectrum, truth: xr.Dataset) -> np.ndarray:
    """Return the true depth in every bin, weighted by light."""
    um, light = truth["wavelength"].values, truth["spectrum"].values[0]
    pairs = zip(spectrum.bins.low, spectrum.bins.high, strict=True)
    inside = [(um >= low) & (um < high) for low, high in pairs]
    return np.array([np.average(truth["depth"].values[use], weights=light[use]) for use in inside])


#: Transits of the independent generator, over half the exposure: middle from its middle, length; and their dimming.
INDEPENDENT_MID, INDEPENDENT_LENGTH, INDEPENDENT_DARKENING = 0.06, 0.94, 0.06
#: Distance of the planet on the orbit that stands for theirs, and relative noise that keeps a noise-free fit regular.
INDEPENDENT_A_OVER_RS, TINY = 8.0, 1e-6


def deviations_of_independent(scene: Path, products: Path) -> tuple[TransitSpectrum, np.ndarray]:
    """Return the spectrum of a reduction of an independent scene, and its depths less those of the true spectra."""
    series = read_time_series(find_spectra(products))
    time, n_ints = series.time_bjd_tdb, series.time_bjd_tdb.size
    with np.load(scene / "truth.npz") as truth:
        order = np.argsort(truth["wave"])
        rows = [np.interp(series.wavelength, truth["wave"][order], one[order]) for one in truth["spec"]]
    if len(rows) != n_ints:
        raise SystemExit(f"{products}: {n_ints} integrations; {len(rows)} are in the truth")
    middle = float(np.interp(INDEPENDENT_MID, np.linspace(-1, 1, n_ints), time))
    period = INDEPENDENT_LENGTH * np.ptp(time) / 2 * np.pi * INDEPENDENT_A_OVER_RS / 1.1
    dark = LimbDarkening("linear", (INDEPENDENT_DARKENING,))
    settings = FitSettings(Orbit(period, middle, INDEPENDENT_A_OVER_RS), limb_darkening=dark)
    true = np.array(rows) * (1 + TINY * np.random.default_rng(1).standard_normal(series.flux.shape))
    errors = np.broadcast_to(np.nanmedian(series.flux_error, axis=0), true.shape).copy()
    found = fit_spectrum(series, settings)
    clean = fit_spectrum(replace(series, flux=true, flux_error=errors), replace(settings, noise="white"))
    return found, found.depth - clean.depth


def run_independent(work: Path) -> None:
    """Print a row for every scene that has been reduced."""
    table = Table("seed, groups", "chi2/bin", "chi2/bin, diagonal", "pulls", "mean of spectrum", "error ppm")
    for products in sorted(path for path in (work / "ours").iterdir() if path.is_dir()):
        found, off = deviations_of_independent(work / "scene" / products.name, products)
        pulls = off / found.depth_error
        table.add_row(
            products.name.replace("_", ", "),
            f"{off @ np.linalg.solve(found.covariance, off) / off.size:.2f}",
            f"{np.mean(pulls**2):.2f}",
            f"{pulls.std():.2f}",
            f"{off.mean() / np.sqrt(found.covariance.mean()):+.2f}",
            f"{1e6 * np.median(found.depth_error):.0f}",
        )
    Console(width=120).print(table)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[5])
    parser.add_argument("--work", type=Path)
    parser.add_argument("--independent", type=Path, help="folder of lrs_independent.py")
    parser.add_argument("--ints", type=int, default=60)
    parser.add_argument("--groups", type=int, default=12)
    arguments = parser.parse_args()
    if arguments.independent:
        run_independent(arguments.independent)
        return
    if arguments.work is None:
        parser.error("--work is needed")
    variants = {
        "orbit fitted": {},
        "orbit known": {"fit_orbit": ()},
        "known, no regressors": {"fit_orbit": (), "regressors": ()},
    }
    table = Table("fit", "seed", "chi2/bin", "chi2/bin, diagonal", "pulls", "white pull", "error ppm", "noise/stated")
    for seed in arguments.seeds:
        spectra, path = reduced(seed, arguments.work, arguments.ints, arguments.groups)
        with xr.open_dataset(path, engine="h5netcdf") as opened:
            truth = opened.load()
        for name, options in variants.items():
            found = fit(spectra, truth, **options)
            off = found.depth - true_depths(found, truth)
            pulls = off / found.depth_error
            light = [curve.fit.noise.scale for curve in found.curves]
            table.add_row(
                name,
                str(seed),
                f"{off @ np.linalg.solve(found.covariance, off) / off.size:.2f}",
                f"{np.mean(pulls**2):.2f}",
                f"{pulls.std():.2f}",
                f"{off.mean() / np.sqrt(found.covariance.mean()):+.2f}",
                f"{1e6 * np.median(found.depth_error):.0f}",
                f"{np.median(light):.2f}",
            )
    Console(width=140).print(table)


if __name__ == "__main__":
    main()
