"""From raw ramps to transit spectra with errors: simulate, reduce, fit, and compare with the truth.

    python benchmarks/lrs_spectrum_reduced.py --seeds 5 6 7 --work FOLDER [--ints 60] [--groups 12]
    python benchmarks/lrs_spectrum_reduced.py --independent WORK    # into docs/validation/lrs_spectrum.json and .md

Simulated exposures and reductions stay in FOLDER: what is there already is used as it is. WORK is the folder of
`lrs_independent.py`: scenes of an independent generator and their reductions. Its transits have a shape of their own,
which no star's limb darkening gives: the truth of a depth is what the same fit finds in the true spectra without noise.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

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

TARGET = Path(__file__).resolve().parent.parent / "docs" / "validation" / "lrs_spectrum.json"


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


def spectra_of_independent(scene: Path, products: Path) -> tuple[TransitSpectrum, TransitSpectrum, np.ndarray]:
    """Return the spectrum of a reduction of an independent scene, the same with errors as stated, and true depths."""
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
    found, stated = fit_spectrum(series, settings), fit_spectrum(series, replace(settings, noise="stated"))
    # Without noise all that deviates is the shape of their transits, which is no outlier.
    of_truth = replace(settings, noise="white", clip_sigma=0.0)
    unmoved = {name: values for name, values in series.series.items() if name != "y_shift_left"}
    clean = fit_spectrum(replace(series, flux=true, flux_error=errors, series=unmoved), of_truth)
    return found, stated, clean.depth


def chi2_per_bin(spectrum: TransitSpectrum, true: np.ndarray) -> float:
    """Return chi2 of depths about true ones, with their full covariance, over the number of bins."""
    off = spectrum.depth - true
    return float(off @ np.linalg.solve(spectrum.covariance, off) / off.size)


def figures_of_independent(work: Path, name: str) -> dict[str, float | str]:
    """Return the figures of the scene SEED_GROUPS: chi2 per bin, pulls, the spectrum's mean, errors."""
    found, stated, true = spectra_of_independent(work / "scene" / name, work / "ours" / name)
    off = found.depth - true
    pulls, (seed, groups) = off / found.depth_error, name.split("_")
    return {
        "seed": seed,
        "groups": groups,
        "bins": off.size,
        "chi2": chi2_per_bin(found, true),
        "chi2_stated": chi2_per_bin(stated, true),
        "scatter": float(np.median([curve.fit.noise.scale for curve in found.curves])),
        "left_out": found.white.curve.n_left_out,
        "chi2_diagonal": float(np.mean(pulls**2)),
        "pulls": float(pulls.std()),
        "mean_sigma": float(off.mean() / np.sqrt(found.covariance.mean())),
        "error_ppm": float(1e6 * np.median(found.depth_error)),
        "measured": datetime.now(UTC).date().isoformat(),
    }


def run_independent(work: Path) -> None:
    """Measure every scene that has been reduced and is not in the table yet, and write the table after each."""
    known = json.loads(TARGET.read_text())["scenes"] if TARGET.is_file() else {}
    for spectra in sorted((work / "ours").glob("*/stage_2/stage_2_output.nc")):
        name = spectra.parent.parent.name
        if name in known:
            continue
        known[name] = figures_of_independent(work, name)
        TARGET.write_text(json.dumps({"scenes": dict(sorted(known.items()))}, indent=1) + "\n")
        TARGET.with_suffix(".md").write_text(page_of(list(dict(sorted(known.items())).values())))
        print(name, known[name], flush=True)


#: Figures on the page: heading, name, form, what is asked of the mean over scenes.
COLUMNS = (
    ("chi2 per bin, full matrix", "chi2", ".2f", "0.8 to 1.2"),
    ("chi2 per bin, diagonal", "chi2_diagonal", ".2f", ""),
    ("chi2 per bin, errors as stated", "chi2_stated", ".2f", ""),
    ("scatter in time / stated", "scatter", ".2f", ""),
    ("width of pulls", "pulls", ".2f", "0.9 to 1.1"),
    ("mean of the spectrum (sigma)", "mean_sigma", "+.2f", ""),
    ("median error (ppm)", "error_ppm", ".0f", ""),
)
PAGE = """# Transit spectra of scenes of an independent generator

From raw ramps to depths in bins of wavelength: scenes of 80 integrations, whose generator shares no code with this
project, reduced by the default recipe (`detectorist run lrs`) and fitted by `fit_spectrum`. Measured by
`python benchmarks/lrs_spectrum_reduced.py --independent WORK`; every scene that was reduced is shown.

| seed, groups | {header} |
|---|{lines}
{rows}
| mean of {number} | {means} |
| asked of the mean | {asked} |

The transits of these scenes have a shape of their own, which no limb darkening gives: the truth of a depth is what the
same fit finds in the true spectra without noise. {bins} bins constrain the chi2 of one scene to {error:.2f}, that of
the mean to {error_of_mean:.2f}. By number of groups the mean is {by_groups}.

The scatter of light curves about their fits is known much better, to some 2 % in a scene: over the stated errors of the
reduction it is {scatter:.2f} in the mean of the scenes, and {scatter_fewest:.2f} in those of {fewest} groups. A chi2
below or above 1 is then a matter of which noise was drawn. With the errors as the reduction states them, instead of
scaled to the scatter and with red noise allowed for, chi2 is {stated:.2f} in the mean.
"""


def page_of(scenes: list[dict[str, Any]]) -> str:
    """Return the page of the documentation."""
    rows = [
        f"| {one['seed']}, {one['groups']} | {' | '.join(format(one[key], form) for _, key, form, _ in COLUMNS)} |"
        for one in scenes
    ]
    means = [format(float(np.mean([one[key] for one in scenes])), form) for _, key, form, _ in COLUMNS]
    error = float(np.sqrt(2 / scenes[0]["bins"]))
    chi2: dict[int, list[float]] = {}
    for one in scenes:
        chi2.setdefault(int(one["groups"]), []).append(one["chi2"])
    by_groups = ", ".join(
        f"{np.mean(found):.2f} ± {error / np.sqrt(len(found)):.2f} ({groups} groups)"
        for groups, found in sorted(chi2.items())
    )
    return PAGE.format(
        header=" | ".join(heading for heading, *_ in COLUMNS),
        lines="---|" * len(COLUMNS),
        rows="\n".join(rows),
        number=len(scenes),
        means=" | ".join(means),
        asked=" | ".join(asked for *_, asked in COLUMNS),
        bins=scenes[0]["bins"],
        error=error,
        by_groups=by_groups,
        error_of_mean=error / np.sqrt(len(scenes)),
        scatter=np.mean([one["scatter"] for one in scenes]),
        scatter_fewest=np.mean([one["scatter"] for one in scenes if int(one["groups"]) == min(chi2)]),
        fewest=min(chi2),
        stated=np.mean([one["chi2_stated"] for one in scenes]),
    )


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
                f"{chi2_per_bin(found, true_depths(found, truth)):.2f}",
                f"{np.mean(pulls**2):.2f}",
                f"{pulls.std():.2f}",
                f"{off.mean() / np.sqrt(found.covariance.mean()):+.2f}",
                f"{1e6 * np.median(found.depth_error):.0f}",
                f"{np.median(light):.2f}",
            )
    Console(width=140).print(table)


if __name__ == "__main__":
    main()
