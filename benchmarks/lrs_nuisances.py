"""LRS with one nuisance at a time, from raw ramps to the light curve, in units of the expected error.

    python benchmarks/lrs_nuisances.py --scenes FOLDER --work FOLDER [CASE ...] [--groups 12] [--ints 48] [--seed 2]

`lrs_nuisance_scenes.py` draws the scenes; the default recipe reduces them. A plain box that follows the true trace, on
the same rates, stands beside our extraction: motion and width that an extraction does not follow would show there.
Writes docs/validation/lrs_nuisances.json and the page beside it; cases that are not measured keep their rows.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import shutil
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import xarray as xr
from astropy.io import fits

from lrs_independent import ROOT, run
from lrs_nuisance_scenes import COLUMNS, N_COLS, ROWS, Nuisance, make

TARGET = ROOT / "docs" / "validation" / "lrs_nuisances.json"
CASES = {
    "nothing": Nuisance(),
    "column 35": Nuisance(column=35.1),
    "column 39, tilted to the left": Nuisance(column=39.2, tilt=-0.006),
    "tilted by 5 columns": Nuisance(tilt=0.012),
    "background gradient of 1.2 % a column": Nuisance(gradient=0.012),
    "neighbour of 0.4 % on the left": Nuisance(neighbour=(0.004, 14)),
    "neighbour of 1 % on the right": Nuisance(neighbour=(0.01, 58)),
    "pointing jump of 0.2 pixels": Nuisance(jump=0.2),
    "pointing drift of 0.3 pixels": Nuisance(drift=0.15),
    "antenna move": Nuisance(lost=17),
    "gain reference 30 % too high": Nuisance(gain_factor=1.3),
    "gain reference 30 % too low": Nuisance(gain_factor=0.7),
    "settling of 0.4 %": Nuisance(settling=0.004),
    "showers": Nuisance(showers=3),
    "0.3 % more telegraph pixels": Nuisance(telegraph=0.003),
    "INT_TIMES empty": Nuisance(empty_times=True),
    "width step of 4 %": Nuisance(widening=0.04),
    "undersampled, with wings": Nuisance(core=0.9, power=2.0),
    "undersampled, with wings, jump and width step": Nuisance(core=0.9, power=2.0, jump=0.15, widening=0.03),
}
#: Half width of the box that follows the trace, pixels, and columns beside it that give its background.
BOX_PIX, SIDES = 6.5, np.r_[6:22, 52:71]
USED_UM = (5.0, 12.0)
COLUMNS_OF_PAGE = (
    ("white light / expected", "white", ".2f"),
    ("... of the box that follows", "box_white", ".2f"),
    ("depth error (sigma)", "depth_sigma", "+.1f"),
    ("... of the box", "box_depth_sigma", "+.1f"),
    ("white light / own errors", "white_own", ".2f"),
    ("pull of the flux", "pull", ".2f"),
)


class Truth(NamedTuple):
    """What a light curve is held against, of the rows that are used and the integrations that were not lost."""

    flux: np.ndarray  # (n_ints, n_rows)
    sigma: np.ndarray  # (n_rows,), of the best possible sum of a row
    time: np.ndarray
    transit: np.ndarray

    @classmethod
    def of(cls, scene: dict[str, Any], rows: np.ndarray, kept: np.ndarray, slope_variance: Any) -> Truth:
        """Take it from a scene; the noise is that of slopes of groups 4 to n - 2, as the scorer expects."""
        light = scene["star"].mean(axis=0)[rows]
        n_groups, gain, read = int(scene["groups"]) - 5, float(scene["gain"]), float(scene["read"])
        rate = light + scene["bkg"].mean(axis=0)[rows]
        variance = slope_variance(rate, gain, read, float(scene["tgroup"]), n_groups)
        shares = light / np.maximum(light.sum(axis=1, keepdims=True), 1e-9)
        sigma = 1 / np.sqrt((shares**2 / variance).sum(axis=1))
        return cls(scene["spec"][kept][:, rows], sigma, scene["t"][kept], scene["shape"][kept])


def light_curve_figures(flux: np.ndarray, truth: Truth, error: np.ndarray | None = None) -> dict[str, float]:
    """Return scatter and depth of the sum over rows, and pulls where errors are known. flux : (n_ints, n_rows)"""
    whole = np.isfinite(flux).all(axis=0)
    flux, true, sigma = flux[:, whole], truth.flux[:, whole], truth.sigma[whole]
    scale = np.median(flux / true, axis=0)  # light beyond the aperture is no error
    true = true * scale
    ratio = flux.sum(axis=1) / true.sum(axis=1)
    expected = np.sqrt((sigma**2 * scale**2).sum()) / true.sum(axis=1).mean()
    design = np.stack([np.ones(ratio.size), truth.time, -truth.transit], axis=1)
    depth_error = np.linalg.lstsq(design, ratio, rcond=None)[0][2]
    depth_sigma = expected * np.sqrt(np.linalg.inv(design.T @ design)[2, 2])
    found = {"white": ratio.std(ddof=1) / expected, "depth_sigma": depth_error / depth_sigma}
    if error is not None:
        error = error[:, whole]
        own = np.sqrt((error**2).sum(axis=1)).mean() / true.sum(axis=1).mean()
        found["white_own"] = ratio.std(ddof=1) / own
        found["pull"] = 1.4826 * np.median(np.abs((flux - true) / error))
    return {name: float(value) for name, value in found.items()}


def box_that_follows(products: Path, scene: dict[str, Any], nuisance: Nuisance) -> np.ndarray:
    """Return sums over a box around the true trace, edges by the running sum, (n_ints, n_rows); from our rates.

    Pixels without a rate, and outliers, hold their true light: what the box shows is motion and background.
    """
    files = sorted(products.rglob("*_rateints.fits"))
    rates, errors, flags = (np.concatenate([fits.getdata(f, name) for f in files]) for name in ("SCI", "ERR", "DQ"))
    true = scene["star"].astype(float) + scene["bkg"]
    with np.errstate(invalid="ignore"):
        sound = ((flags & 1) == 0) & (np.abs(rates - true) < 6 * errors + 0.02 * true)
    rates = np.where(sound, rates, true)
    rates -= _background(rates, _sides(nuisance))
    running = np.concatenate([np.zeros((*rates.shape[:2], 1)), np.cumsum(rates, axis=2)], axis=2)
    trace = nuisance.column + nuisance.tilt * (ROWS - 250) + (scene["xs"] + scene["x_mean"])[:, None]
    return _running_at(running, trace + BOX_PIX + 0.5) - _running_at(running, trace - BOX_PIX + 0.5)


def _sides(nuisance: Nuisance) -> np.ndarray:
    if nuisance.neighbour is None:
        return SIDES
    return SIDES[np.abs(SIDES - nuisance.neighbour[1]) > 7]


def _background(rates: np.ndarray, sides: np.ndarray) -> np.ndarray:
    """Return a straight line through the columns at the sides of every row."""
    design = np.stack([np.ones(N_COLS), (COLUMNS - 36) / 36], axis=1)
    solution = np.linalg.lstsq(design[sides], rates[..., sides].reshape(-1, sides.size).T, rcond=None)[0]
    return (design @ solution).T.reshape(rates.shape)


def _running_at(running: np.ndarray, edge: np.ndarray) -> np.ndarray:
    low = np.clip(np.floor(edge).astype(int), 0, N_COLS - 1)
    below, above = (np.take_along_axis(running, (low + step)[..., None], axis=2)[..., 0] for step in (0, 1))
    return below + (edge - low) * (above - below)


def measure(name: str, scenes: Path, work: Path, *, seed: int, groups: int, ints: int) -> dict[str, Any]:
    """Make, reduce and score one case; the scene is deleted, the products are kept."""
    sys.path.insert(0, str(scenes))
    generator, common = (importlib.import_module(f"scenes.{module}") for module in ("lrs", "common"))
    nuisance, label = CASES[name], name.replace(" ", "_").replace(",", "").replace("%", "pct")
    folder, out = work / f"{label}_{groups}_{seed}", work / f"{label}_{groups}_{seed}.out"
    make(folder, nuisance, generator, seed=seed, groups=groups, ints=ints)
    shutil.rmtree(out, ignore_errors=True)
    files = [str(path) for path in sorted(folder.glob("*_uncal.fits"))]
    command = [sys.executable, "-m", "detectorist", "run", "lrs", *files]
    run([*command, "-o", str(out), "--references", str(folder / "crds")], ROOT, out.with_suffix(".log"))
    scene = dict(np.load(folder / "truth.npz"))
    found = figures(scene, out, nuisance, common.slope_variance)
    shutil.rmtree(folder)
    commit = subprocess.check_output(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, text=True).strip()
    return {"case": name, "seed": seed, "groups": groups, "ints": ints, "code": commit, **found}


def figures(scene: dict[str, Any], out: Path, nuisance: Nuisance, slope_variance: Any) -> dict[str, float]:
    """Return the figures of a reduction and of the box on its rates."""
    kept = np.arange(len(scene["t"])) != (-1 if nuisance.lost is None else nuisance.lost)
    with xr.open_dataset(out / "stage_2" / "stage_2_output.nc", decode_times=False) as file:
        spectra = file.sel(wavelength=slice(*USED_UM)).load()
    rows = spectra.detector_row.values.astype(int)
    truth = Truth.of(scene, rows, kept, slope_variance)
    found = light_curve_figures(spectra.flux.values[kept], truth, spectra.flux_error.values[kept])
    box = light_curve_figures(box_that_follows(out, scene, nuisance)[kept][:, rows], truth)
    return found | {f"box_{key}": value for key, value in box.items()}


def page_of(found: dict[str, Any]) -> str:
    """Return the table as a page."""
    lines = [
        "# MIRI LRS with one nuisance at a time",
        "",
        f"Measured {found['date']} by `benchmarks/lrs_nuisances.py`: whole reductions, from raw ramps, by the default "
        "recipe. Star, sky and pointing are our own, with a Moffat profile; detector, cosmic rays and reference files "
        "are those of an independent generator ({doc}`lrs_independent`). *Expected* is the noise of the best possible "
        "sum of rows of 5-12 micron with slopes of groups 4 to n - 2; the scatter of n integrations is known to "
        "1 / sqrt(2 n). *The box that follows* sums 13 pixels around the true trace of every integration, on the same "
        "rates, whose bad pixels hold their true light: it cannot lose light to motion. An integration in which the "
        "antenna moved is left out of the figures, and so is settling, which is no error of the reduction. *Code* is "
        "the commit that was measured.",
        "",
        "| nuisance | integrations, groups | " + " | ".join(name for name, *_ in COLUMNS_OF_PAGE) + " | code |",
        "|---" * (len(COLUMNS_OF_PAGE) + 3) + "|",
    ]
    for row in found["cases"]:
        cells = [format(row[key], form) for _, key, form in COLUMNS_OF_PAGE]
        lines.append(f"| {row['case']} | {row['ints']}, {row['groups']} | {' | '.join(cells)} | {row['code']} |")
    return "\n".join([*lines, ""])


def keep(row: dict[str, Any]) -> None:
    """Store a row in the place of the one of its name, and write the page."""
    found = json.loads(TARGET.read_text()) if TARGET.is_file() else {"cases": []}
    rows = [one for one in found["cases"] if (one["case"], one["groups"]) != (row["case"], row["groups"])]
    order = list(CASES)
    rows = sorted([*rows, row], key=lambda one: (one["groups"], order.index(one["case"])))
    found = {"date": f"{datetime.now(UTC):%Y-%m-%d}", "cases": rows}
    TARGET.write_text(json.dumps(found, indent=1) + "\n")
    TARGET.with_suffix(".md").write_text(page_of(found))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "cases", nargs="*", default=list(CASES), metavar="CASE", help=", ".join(CASES).replace("%", "%%")
    )
    parser.add_argument("--scenes", type=Path, default=os.environ.get("DETECTORIST_SCENES"))
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--groups", type=int, default=12)
    parser.add_argument("--ints", type=int, default=48)
    parser.add_argument("--seed", type=int, default=2)
    wanted = parser.parse_args()
    if wanted.scenes is None:
        raise SystemExit("--scenes or DETECTORIST_SCENES: the folder that holds the package `scenes` is needed")
    size = {"seed": wanted.seed, "groups": wanted.groups, "ints": wanted.ints}
    for name in wanted.cases:
        row = measure(name, Path(wanted.scenes), wanted.work.resolve(), **size)
        print(json.dumps(row), flush=True)
        keep(row)


if __name__ == "__main__":
    main()
