"""Dithered exposures of one field by an independent generator of NIRCam images, with many faint stars.

    DETECTORIST_SCENES=FOLDER python benchmarks/dithered_scenes.py TARGET --seed 61 --detector NRCB4 [--exposures 3]

FOLDER holds the package `scenes`, which makes single exposures. Here its sky is moved on the detector by whole pixels
and the pointing in the header with it; photons, cosmic rays, snowballs and electronics are drawn anew for each
exposure, the detector is the same. Leaves `*_uncal.fits`, `*_truth.npz`, `crds` and `wisps` in TARGET.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

#: Where the exposures are, pixels (rows, columns) by which the sky moves.
DITHERS = ((0, 0), (23, -17), (-19, 31), (41, 12))
#: Faint stars: how many, and their fluxes (DN/s), uniform in their logarithm.
N_FAINT, FAINT_DN_S = 1500, (0.05, 2.0)
#: Time between exposures, days.
APART_D = 0.01


def moved(image: np.ndarray, rows: int, columns: int) -> np.ndarray:
    """Return an image moved by whole pixels; what comes in is dark."""
    n_rows, n_columns = image.shape
    to, came = (
        tuple(slice(max(sign * by, 0), n + min(sign * by, 0)) for by, n in ((rows, n_rows), (columns, n_columns)))
        for sign in (1, -1)
    )
    found = np.zeros_like(image)
    found[to] = image[came]
    return found


def with_faint_stars(imaging: Any, seed: int) -> Callable[..., tuple[Any, ...]]:
    """Return the generator's function of sources, with faint stars added to its image."""
    original = imaging.sources

    def sources(rng: np.random.Generator, fwhm: float) -> tuple[Any, ...]:
        image, *rest = original(rng, fwhm)
        own = np.random.default_rng([seed, 5])
        for _ in range(N_FAINT):
            y, x = own.uniform(15, imaging.N - 15, 2)
            flux = np.exp(own.uniform(*np.log(FAINT_DN_S)))
            imaging.stamp(image, y, x, 25, lambda dy, dx: imaging.psf(dy, dx, fwhm), flux)
        return (image, *rest)

    return sources


def moving(sources: Callable[..., tuple[Any, ...]], by: tuple[int, int]) -> Callable[..., tuple[Any, ...]]:
    """Return a function of sources whose sky lies elsewhere on the detector."""

    def elsewhere(rng: np.random.Generator, fwhm: float) -> tuple[Any, ...]:
        image, big, points, galaxies, saturated, centre = sources(rng, fwhm)
        lists = [np.column_stack([one[:, :2] + by, one[:, 2:]]) for one in (points, galaxies, saturated)]
        return moved(image, *by), moved(big, *by), *lists, (centre[0] + by[0], centre[1] + by[1])

    return elsewhere


def write_exposure(imaging: Any, target: Path, seed: int, detector: str, number: int) -> tuple[Any, ...]:
    """Write the exposure of a dither, and return what the generator's references are made from."""
    by, common, original = DITHERS[number], imaging.c, (imaging.sources, imaging.expose, imaging.c.science_meta)
    own = np.random.default_rng([seed, 6, number])
    name = f"jw08123001001_02101_{number + 1:05d}_{detector.lower()}"

    def expose(p: Any, rate: Any, det: Any, rng: Any, balls: Any) -> Any:
        return original[1](p, rate, det, own, imaging.snowball_list(own))

    def science_meta(model: Any, p: Any, **keywords: Any) -> Any:
        keywords |= {"filename": f"{name}_uncal.fits", "dither": number + 1, "start_mjd": 61222.3 + APART_D * number}
        made = original[2](model, p, **keywords)
        wcs = made.meta.wcsinfo if hasattr(made, "meta") else model.meta.wcsinfo
        roll, (v3, v2) = np.radians(wcs.roll_ref), (-p["pix"] * np.array(by)) / 3600
        wcs.dec_ref += float(-v2 * np.sin(roll) + v3 * np.cos(roll))
        wcs.ra_ref += float(v2 * np.cos(roll) + v3 * np.sin(roll)) / float(np.cos(np.radians(wcs.dec_ref)))
        return made

    imaging.sources, imaging.expose, common.science_meta = moving(original[0], by), expose, science_meta
    try:
        found = imaging.one(str(target), seed, detector)
    finally:
        imaging.sources, imaging.expose, common.science_meta = original
    (target / f"truth_{detector.lower()}.npz").rename(target / f"{name}_truth.npz")
    return found


def write_field(target: Path, seed: int, detector: str, exposures: int) -> None:
    """Write all exposures of a field that are missing; references and templates come with the first."""
    sys.path.insert(0, os.environ["DETECTORIST_SCENES"])
    from scenes import imaging

    imaging.sources = with_faint_stars(imaging, seed)
    for number in range(exposures):
        whole = number > 0 or (target / "crds" / "config" / "jwst" / "server_config").is_file()
        if whole and (target / f"jw08123001001_02101_{number + 1:05d}_{detector.lower()}_truth.npz").is_file():
            continue
        _, cache = imaging.c.start(target)
        name, *rest = write_exposure(imaging, target, seed, detector, number)
        if not number:
            imaging.references(cache, imaging.DET[name], *rest, np.random.default_rng([seed, 77]))
            cache.finish()


def main() -> None:
    """Write a field."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("target", type=Path)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--detector", default="NRCB4")
    parser.add_argument("--exposures", type=int, default=3, choices=range(1, len(DITHERS) + 1))
    chosen = parser.parse_args()
    write_field(chosen.target.resolve(), chosen.seed, chosen.detector, chosen.exposures)


if __name__ == "__main__":
    main()
