"""What the photons and reads of a scene alone would give: is a figure the reduction's, or the draw's?

    python benchmarks/lrs_scene_noise.py --scenes FOLDER --work FOLDER SEED:GROUPS ...

Makes the scenes of `lrs_independent.py` again with the same random numbers, keeps their photons and read noise and
throws away everything else (response, electronics, cosmic rays, bad pixels). Slopes of the groups that the reduction
kept, weighted by their true covariance, and spectra weighted with the true profile of every integration then have the
least noise that is possible, and the true errors. The scorer judges them beside the reduction in --work, which
`lrs_independent.py` made. Writes docs/validation/lrs_scene_noise.json and the page beside it.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import io
import json
import os
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest import mock

import numpy as np
import xarray as xr

from lrs_independent import ROOT, Case, groups_dropped

TARGET = ROOT / "docs" / "validation" / "lrs_scene_noise.json"
#: Rates (DN/s) at which weights of a slope are computed; a pixel takes those of the nearest.
N_RATES = 60
FIGURES = (
    ("white light / own errors", "white_own", ".2f"),
    ("its second differences / own errors", "steps_own", ".2f"),
    ("depth error (sigma)", "depth_sigma", "+.1f"),
    ("chi2, own errors", "chi2_own", ".2f"),
)


class Recorder:
    """A random generator that remembers the last charges and the last read noise of a ramp."""

    def __init__(self, rng: np.random.Generator):
        self.rng = rng
        self.charges = self.reads = np.zeros(0)

    def __getattr__(self, name: str) -> Any:
        """Everything else is the generator's own."""
        return getattr(self.rng, name)

    def poisson(self, *arguments: Any, **named: Any) -> Any:
        """Draw charges; those of a whole ramp are kept."""
        drawn = self.rng.poisson(*arguments, **named)
        if np.ndim(drawn) == 3:
            self.charges = drawn
        return drawn

    def standard_normal(self, *arguments: Any, **named: Any) -> Any:
        """Draw noise; that of all reads of a ramp is kept."""
        drawn = self.rng.standard_normal(*arguments, **named)
        if np.ndim(drawn) == 3 and drawn.shape == self.charges.shape:
            self.reads = drawn
        return drawn


@dataclass
class Slopes:
    """Best slopes of the photons and reads of every integration, collected while the generator makes its ramps."""

    generator: ModuleType
    rate: np.ndarray  # (n_rows, n_cols), true mean, DN/s
    kept: slice
    cube: list[np.ndarray] = field(default_factory=list)

    def __post_init__(self):
        """Weigh the differences of the kept groups by their covariance, for a range of rates."""
        now, n = self.generator, self.kept.stop - self.kept.start - 1
        step_s, read = now.P["tframe"], now.READ**2
        rates = np.geomspace(20, 1.1 * self.rate.max(), N_RATES)
        weights, variances = [], []
        for rate in rates:
            diagonal = np.full(n, rate * step_s / now.GAIN + 2 * read)
            covariance = np.diag(diagonal) - read * (np.eye(n, k=1) + np.eye(n, k=-1))
            solved = np.linalg.solve(covariance, np.ones(n))
            weights.append(solved / solved.sum() / step_s)
            variances.append(1 / solved.sum() / step_s**2)
        self.nearest = np.abs(np.log(rates)[:, None] - np.log(np.maximum(self.rate, 1)).ravel()).argmin(axis=0)
        self.weights = np.array(weights)[self.nearest].T.reshape(n, *self.rate.shape)
        self.variance = np.array(variances)[self.nearest].reshape(self.rate.shape)

    @contextlib.contextmanager
    def in_place(self) -> Iterator[None]:
        """Listen to the generator's ramps."""
        make_ramps = self.generator.ramps

        def ramps(k: int, rate: np.ndarray, n_groups: int, rng: Any, detector: dict[str, Any], phase: float) -> Any:
            recorder = Recorder(rng)
            made = make_ramps(k, rate, n_groups, recorder, detector, phase)
            reads = detector["read"] * recorder.reads
            ramp = np.cumsum(recorder.charges, axis=0) / self.generator.GAIN + reads
            self.cube.append((np.diff(ramp[self.kept], axis=0) * self.weights).sum(axis=0))
            return made

        with mock.patch.object(self.generator, "ramps", ramps):
            yield


def spectra_of_noise(case: Case, generator: ModuleType, truth: dict[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    """Return the best spectra of a scene's photons and reads, and their errors, (n_ints, n_rows)."""
    lost = json.loads(groups_dropped(case).split("=")[1].replace("None", "[]"))
    kept = np.setdiff1d(np.arange(case.groups), lost)
    light, sky = truth["star"].astype(float), truth["bkg"].astype(float)
    slopes = Slopes(generator, (light + sky).mean(axis=0), slice(kept[0], kept[-1] + 1))
    with slopes.in_place(), tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        generator.make(Path(folder) / "scene", case.seed, groups=case.groups)
    dark = 0.05 * ~truth["ref"]
    profile = light / np.maximum(light.sum(axis=2, keepdims=True), 1e-9)
    unusable = truth["dead"] | truth["hot"] | truth["warm"] | truth["ref"]
    weight = np.where(unusable, 0, profile.mean(axis=0) / slopes.variance)
    norm = (weight * profile).sum(axis=2)
    flux = ((np.array(slopes.cube) - sky - dark) * weight).sum(axis=2) / norm
    return flux, np.sqrt((weight**2 * slopes.variance).sum(axis=1)) / norm


def figures(flux: np.ndarray, error: np.ndarray, rows: np.ndarray, truth: dict[str, Any], scorer: Any) -> dict:
    """Return the figures of the page: two of the scorer's, and two of white light against the errors themselves."""
    scored = scorer.light_curves(truth["t"], flux, error, rows, truth)
    used = (truth["wave"][rows] > 5) & (truth["wave"][rows] < 12) & np.isfinite(flux).all(axis=0)
    true = truth["spec"][:, rows[used]]
    left = (flux[:, used] - true * np.median(flux[:, used] / true, axis=0)).sum(axis=1)
    own = np.sqrt((error[:, used] ** 2).sum(axis=1)).mean()
    steps = (left[:-2] - 2 * left[1:-1] + left[2:]) / np.sqrt(6)
    return {
        "white_own": float(left.std(ddof=1) / own),
        "steps_own": float(np.sqrt(np.mean(steps**2)) / own),
        "depth_sigma": float(scored["depth_error_sigma"]),
        "chi2_own": float(scored["chi2_dof_product_errors"]),
    }


def measure(case: Case, scenes: Path) -> dict[str, Any]:
    """Score noise alone and the reduction of one scene."""
    sys.path.insert(0, str(scenes))
    generator, scorer = (importlib.import_module(f"scenes.{name}") for name in ("lrs", "score"))
    truth = dict(np.load(case.folder("scene") / "truth.npz"))
    rows = np.arange(20, 400)
    flux, error = spectra_of_noise(case, generator, truth)
    noise = figures(flux[:, rows], error[:, rows], rows, truth, scorer)
    with xr.open_dataset(case.folder("ours") / "stage_2" / "stage_2_output.nc", decode_times=False) as file:
        spectra = file.isel(wavelength=(file.wavelength.values > 4.9) & (file.wavelength.values < 12.5)).load()
    order = np.argsort(truth["wave"])
    rows = order[np.rint(np.interp(spectra.wavelength, truth["wave"][order], np.arange(order.size))).astype(int)]
    ours = figures(spectra.flux.values, spectra.flux_error.values, rows, truth, scorer)
    code = (case.folder("ours") / "commit.txt").read_text()
    return {"seed": case.seed, "groups": case.groups, "code": code, "noise": noise, "ours": ours}


def page_of(found: dict[str, Any]) -> str:
    """Return the table as a page."""
    names = [name for name, *_ in FIGURES]
    lines = [
        "# MIRI LRS: what photons and reads alone give",
        "",
        f"Measured {found['date']} by `benchmarks/lrs_scene_noise.py` on scenes of {{doc}}`lrs_independent`. Each "
        "cell: the scene's photons and read noise alone, through the best slopes and the true profile; the default "
        "recipe on the whole scene. Both have the same random numbers, so a figure that is unusual in both comes from "
        "the draw. 80 integrations know a scatter to 8 %, that of second differences to 11 %; 24 bins know chi2 to "
        "0.29.",
        "",
        f"| seed, groups | {' | '.join(names)} | code |",
        "|---" * (len(names) + 2) + "|",
    ]
    for row in found["cases"]:
        cells = [f"{row['noise'][key]:{form}}, {row['ours'][key]:{form}}" for _, key, form in FIGURES]
        lines.append(f"| {row['seed']}, {row['groups']} | {' | '.join(cells)} | {row['code']} |")
    means = []
    for _, key, form in FIGURES:
        both = [np.mean([row[who][key] for row in found["cases"]]) for who in ("noise", "ours")]
        means.append(", ".join(format(value, form) for value in both))
    return "\n".join([*lines, f"| mean | {' | '.join(means)} | |", ""])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", nargs="+", metavar="SEED:GROUPS")
    parser.add_argument("--scenes", type=Path, default=os.environ.get("DETECTORIST_SCENES"))
    parser.add_argument("--work", type=Path, required=True)
    wanted = parser.parse_args()
    if wanted.scenes is None:
        raise SystemExit("--scenes or DETECTORIST_SCENES: the folder that holds the package `scenes` is needed")
    for text in wanted.cases:
        row = measure(Case.parse(text, wanted.work.resolve()), Path(wanted.scenes))
        print(json.dumps(row), flush=True)
        found = json.loads(TARGET.read_text()) if TARGET.is_file() else {"cases": []}
        others = [one for one in found["cases"] if (one["seed"], one["groups"]) != (row["seed"], row["groups"])]
        cases = sorted([*others, row], key=lambda one: (one["groups"], one["seed"]))
        found = {"date": f"{datetime.now(UTC):%Y-%m-%d}", "cases": cases}
        TARGET.write_text(json.dumps(found, indent=1) + "\n")
        TARGET.with_suffix(".md").write_text(page_of(found))


if __name__ == "__main__":
    main()
