"""What undoing the movement along dispersion is worth: depths of light that is summed over rows, or over wavelengths.

    python benchmarks/lrs_fixed_wavelengths.py --work FOLDER SEED:GROUPS ...

Takes the scenes and our spectra of them from the work folder of `lrs_independent.py`; nothing is reduced. The light of
5 to 12 micron and of 24 bins is fitted with the true shape of the transit on a straight baseline, without regressors:
once summed over detector rows, once at fixed wavelengths, and once over rows with the true pointing as regressors,
which no reduction knows. Writes docs/validation/lrs_fixed_wavelengths.json and the page beside it.
"""

from __future__ import annotations

import argparse
import json
import subprocess
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import xarray as xr

from detectorist.algorithms.spectra.fixed_wavelengths import undo_movement
from lrs_independent import ROOT, Case

TARGET = ROOT / "docs" / "validation" / "lrs_fixed_wavelengths.json"
EDGES_UM = np.linspace(5.0, 12.0, 25)
SUMS = ("over rows", "at fixed wavelengths", "over rows, true pointing as regressors")


class Fitted(NamedTuple):
    """A fit of one light curve, linear in its unknowns."""

    depth: float
    depth_error: float
    movement_sigma: float  # coefficient of the first regressor in its errors; NaN without one


def fit(flux: np.ndarray, error: np.ndarray, truth: Any, regressors: list[np.ndarray]) -> Fitted:
    """Fit level, slope and depth of a light curve, (n_ints,), and what depends on regressors, by its own errors."""
    design = np.column_stack([np.ones(flux.size), truth["t"], -truth["shape"], *regressors]) / error[:, None]
    covariance = np.linalg.inv(design.T @ design)
    found = covariance @ (design.T @ (flux / error))
    sigma = np.sqrt(np.diag(covariance))
    movement = found[3] / sigma[3] if regressors else np.nan
    return Fitted(found[2] / found[0], sigma[2] / found[0], movement)


def measure(case: Case) -> dict[str, Any]:
    """Return errors of the depths in their own errors, for each way of summing."""
    truth = dict(np.load(case.folder("scene") / "truth.npz"))
    path = next(case.folder("ours").rglob("stage_2_output.nc"))
    with xr.open_dataset(path, engine="h5netcdf", decode_times=False) as opened:
        spectra = opened.load()
    # Products from before it was stored: the default recipe does not align spectra.
    left = spectra.get("y_shift_left", spectra["y_shift"]).values
    rows, um = spectra["detector_row"].values.astype(int), spectra["wavelength"].values
    flux, error = (spectra[name].values.astype(float) for name in ("flux", "flux_error"))
    fixed = undo_movement(flux, rows, left)
    pointing = [truth[name] - truth[name].mean() for name in ("ys", "xs")]
    whole = np.isfinite(flux).all(axis=0)
    white = whole & (um >= EDGES_UM[0]) & (um <= EDGES_UM[-1])
    bins = [whole & (um >= low) & (um < high) for low, high in pairwise(EDGES_UM)]
    found: dict[str, Any] = {"seed": case.seed, "groups": case.groups}
    for name, light, regressors in zip(SUMS, (flux, fixed, flux), ([], [], pointing), strict=True):

        def pull(chosen: np.ndarray, light=light, regressors=regressors) -> float:
            one = fit(light[:, chosen].sum(axis=1), _error(error[:, chosen]), truth, regressors)
            spectrum = truth["spec"].mean(axis=0)[rows[chosen]]
            return (one.depth - (spectrum * truth["depth"][rows[chosen]]).sum() / spectrum.sum()) / one.depth_error

        found[name] = {
            "white": float(pull(white)),
            "chi2": float(np.mean([pull(one) ** 2 for one in bins if one.any()])),
        }
    for name, light in (("over rows", flux), ("at fixed wavelengths", fixed)):
        moving = fit(light[:, white].sum(axis=1), _error(error[:, white]), truth, [left - np.nanmean(left)])
        found[name]["movement"] = float(moving.movement_sigma)
    return found


def _error(errors: np.ndarray) -> np.ndarray:
    return np.sqrt((errors**2).sum(axis=1))


def page_of(found: dict[str, Any]) -> str:
    """Return the table as a page."""
    rows = found["cases"]
    lines = [
        "# MIRI LRS: light summed over rows, and at fixed wavelengths",
        "",
        f"Measured {found['date']} by `benchmarks/lrs_fixed_wavelengths.py` on spectra of {{doc}}`lrs_independent`. A "
        "star that moves along the dispersion takes its spectrum with it, and the light of fixed rows changes, most at "
        "the bright short end. *At fixed wavelengths* this is undone with the measured shift and the slope of the "
        "median spectrum; no light curve is fitted for it. Depths are fitted with the true transit shape, a "
        "straight baseline and the spectra's own errors. Each cell: light summed over rows, at fixed wavelengths, and "
        "over rows with the true pointing as regressors, which no reduction knows. *Movement* is the coefficient of "
        "the measured shift in a fit of white light, in its errors.",
        "",
        "| seed, groups | movement (sigma) | depth error, white light (sigma) | chi2 per bin |",
        "|---|---|---|---|",
    ]
    lines += [_line(f"{row['seed']}, {row['groups']}", row, "+.1f") for row in rows]
    lines.append(_line("root mean square, mean of chi2", _summary(rows), ".2f"))
    return "\n".join([*lines, ""])


def _line(name: str, row: dict[str, Any], form: str) -> str:
    columns = (("movement", SUMS[:2], form), ("white", SUMS, form), ("chi2", SUMS, ".2f"))
    cells = [", ".join(format(row[one][key], form) for one in sums) for key, sums, form in columns]
    return f"| {name} | " + " | ".join(cells) + " |"


def _summary(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Return root mean squares of errors, and mean chi2, as a row."""
    found: dict[str, Any] = {}
    for name in SUMS:
        found[name] = {key: _rms([row[name][key] for row in rows]) for key in rows[0][name] if key != "chi2"}
        found[name]["chi2"] = float(np.mean([row[name]["chi2"] for row in rows]))
    return found


def _rms(values: list[float]) -> float:
    return float(np.sqrt(np.mean(np.square(values))))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", nargs="+", metavar="SEED:GROUPS")
    parser.add_argument("--work", type=Path, required=True)
    wanted = parser.parse_args()
    commit = subprocess.check_output(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, text=True).strip()
    rows = [measure(Case.parse(text, wanted.work.resolve())) for text in wanted.cases]
    found = {"date": f"{datetime.now(UTC):%Y-%m-%d}", "code": commit, "cases": rows}
    TARGET.write_text(json.dumps(found, indent=1) + "\n")
    TARGET.with_suffix(".md").write_text(page_of(found))
    print(page_of(found))


if __name__ == "__main__":
    main()
