"""Depths of transit spectra against their truth: chi2 per bin, width and mean of pulls.

python benchmarks/lrs_spectrum.py [--seeds 10] [--first 0] [--case NAME ...]      # scenes at the level of spectra
python benchmarks/lrs_spectrum.py --light-curve FILE.csv              # WASP-43b in white light, from flight
"""

from __future__ import annotations

import argparse
import time as clock
from dataclasses import replace
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from detectorist.algorithms.spectra.transit_models import Orbit
from detectorist.modes.lrs.spectrum.fit import fit_spectrum, fit_white_light
from detectorist.modes.lrs.spectrum.settings import FitSettings, LimbDarkening
from light_curve_scenes import Scene, Trouble, make_scene

#: What is wrong with the data, and how the fit is told to deal with it.
CASES = {
    "white noise": (Trouble(), {}),
    "errors 30 % too small": (Trouble(error_scale=1.3), {}),
    "motion of the trace": (Trouble(motion=0.5), {}),
    "red, shared": (Trouble(common_red=0.3), {}),
    "red, of each wavelength": (Trouble(own_red=0.7), {}),
    "red, both, 3 minutes": (Trouble(common_red=0.2, own_red=0.5, red_minutes=3), {}),
    "red, both, 40 minutes": (Trouble(common_red=0.2, own_red=0.5, red_minutes=40), {}),
    "1/f, shared": (Trouble(flicker=0.3), {}),
    "settling": (Trouble(settling=3.0, motion=0.3), {"settling": True}),
    "outliers": (Trouble(outliers=0.01, motion=0.3), {}),
    "all": (
        Trouble(common_red=0.2, own_red=0.3, motion=0.5, settling=3.0, error_scale=1.1, outliers=0.005),
        {"settling": True},
    ),
    "limb darkening fitted": (Trouble(), {"limb_darkening": LimbDarkening()}),
    "orbit known": (Trouble(common_red=0.2, own_red=0.3), {"fit_orbit": ()}),
    "three exposures": (Trouble(motion=0.5), {"n_exposures": 3, "baseline_order": 0}),
}


def settings_of(scene: Scene, **options) -> FitSettings:
    """Return settings that know of the planet what a catalogue does: the orbit, not the depth."""
    dark = LimbDarkening("quadratic", scene.limb_darkening.tolist(), scene.series.wavelength.tolist())
    return FitSettings(scene.orbit, **{"limb_darkening": dark, **options})


def score(name: str, seed: int) -> dict[str, float]:
    """Return the deviations of one scene."""
    trouble, options = CASES[name]
    n_exposures = options.get("n_exposures", 1)
    scene = make_scene(seed, trouble, n_exposures=n_exposures)
    options = {key: value for key, value in options.items() if key != "n_exposures"}
    spectrum = fit_spectrum(scene.series, settings_of(scene, **options))
    off = spectrum.depth - scene.depth_in(spectrum.bins.low, spectrum.bins.high)
    white_true = scene.depth_in(spectrum.bins.low[:1], spectrum.bins.high[-1:])[0]
    return {
        "pulls": off / spectrum.depth_error,
        "pulls_own": off / spectrum.depth_error_own,
        "chi2": float(off @ np.linalg.solve(spectrum.covariance, off)) / off.size,
        "mean_pull": float(off.mean() / np.sqrt(spectrum.covariance.mean())),
        "white_pull": (spectrum.white.depth - white_true) / spectrum.white.depth_error,
        "error_ppm": 1e6 * float(np.median(spectrum.depth_error)),
        "beta": spectrum.white.curve.beta,
    }


def run_scenes(names: list[str], seeds: range, console: Console) -> None:
    """Print a table, a row per case."""
    table = Table(
        "case", "chi2/bin, covariance", "chi2/bin, diagonal", "pulls", "mean of spectrum", "white", "error ppm", "s"
    )
    for name in names:
        start = clock.perf_counter()
        scores = [score(name, seed) for seed in seeds]
        pulls = np.concatenate([one["pulls"] for one in scores])
        row = (
            name,
            f"{np.mean([one['chi2'] for one in scores]):.2f}",
            f"{np.mean(pulls**2):.2f}",
            f"{pulls.std():.2f}",
            f"{np.std([one['mean_pull'] for one in scores]):.2f}",
            f"{np.sqrt(np.mean([one['white_pull'] ** 2 for one in scores])):.2f}",
            f"{np.median([one['error_ppm'] for one in scores]):.0f}",
            f"{(clock.perf_counter() - start) / len(seeds):.1f}",
        )
        table.add_row(*row)
        print(*row, sep="  ", flush=True)
    console.print(table)


def run_flight(path: Path, console: Console) -> None:
    """Fit WASP-43b (Bell et al. 2024, Nature Astronomy 8, 879) in white light in several ways."""
    time, flux, error = np.genfromtxt(path, delimiter=",", skip_header=1).T
    orbit = Orbit(0.813474, 59914.621, 4.87, 82.1)
    dark = LimbDarkening("quadratic", (0.05, 0.05))
    whole = FitSettings(orbit, event="phase_curve", limb_darkening=dark, baseline_order=0, n_harmonics=2)
    near = np.abs(time - orbit.mid_time) < 0.1
    part = FitSettings(orbit, limb_darkening=dark, baseline_order=2)
    rows = {
        "phase curve, level per exposure": (slice(None), whole),
        "the same, and settling": (slice(None), replace(whole, settling=True)),
        "the same, and slopes": (slice(None), replace(whole, settling=True, baseline_order=1)),
        "white noise assumed": (slice(None), replace(whole, noise="white")),
        "limb darkening fitted, linear": (slice(None), replace(whole, limb_darkening=LimbDarkening("linear"))),
        "+-2.4 h, parabola": (near, part),
        "the same, limb darkening fitted": (near, replace(part, limb_darkening=LimbDarkening())),
    }
    table = Table("fit", "depth ppm", "error ppm", "chi2/n", "red ppm", "minutes", "beta")
    for name, (use, settings) in rows.items():
        white = fit_white_light(time[use], flux[use], error[use], settings, source=str(path))
        fit = white.curve.fit
        table.add_row(
            name,
            f"{1e6 * white.depth:.0f}",
            f"{1e6 * white.depth_error:.0f}",
            f"{fit.chi2 / fit.n_free:.3f}",
            f"{1e6 * fit.noise.red:.0f}",
            f"{1440 * fit.noise.time_scale_d:.1f}",
            f"{white.curve.beta:.2f}",
        )
    console.print(table)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--first", type=int, default=0, help="first seed; the noise prior was chosen on 0 to 9")
    parser.add_argument("--case", nargs="*", choices=list(CASES), default=list(CASES))
    parser.add_argument("--light-curve", type=Path)
    arguments = parser.parse_args()
    console = Console(width=160)
    if arguments.light_curve:
        run_flight(arguments.light_curve, console)
    else:
        run_scenes(arguments.case, range(arguments.first, arguments.first + arguments.seeds), console)


if __name__ == "__main__":
    main()
