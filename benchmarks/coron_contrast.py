"""Contrast and companions after the star was subtracted, from our products and from the standard pipeline's.

    python benchmarks/coron_contrast.py FOLDER [FOLDER ...]      # scenes on disk: *_uncal.fits, truth.npz, crds
    python benchmarks/coron_contrast.py FOLDER --store           # into docs/validation/coron_contrast.json

Both kinds of rates go through the same subtraction with the same image of a point source: the scene's own; so do the
true rates, which show what the references cannot take away even without noise. The scenes are those of
`coron_whole.py`; the environment variable DETECTORIST_SCENES names the folder with their package.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
from astropy.io import fits
from rich.console import Console
from rich.table import Table
from scipy import fft

from coron_whole import OURS, STANDARD, reduce_scene
from detectorist import SubtractionSettings, subtract_star
from detectorist.modes.coron.subtraction.images import CoronImage
from detectorist.modes.coron.subtraction.subtract import SubtractedTarget, subtract_from_target
from detectorist.modes.coron.subtraction.tables import TOGETHER, companion_table
from validated import Figure, Rows, store

#: Distances from the star (pixel) at which limits are compared.
AT_PIX = (10, 15, 25, 40, 70, 110)
#: Half the side of the image of a point source, pixel.
HALF_PIX = 20
#: Name of the true rates.
TRUTH = "without noise"


def main() -> None:
    """Reduce, subtract and compare scenes, print and store the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", type=Path, help="scenes on disk")
    parser.add_argument("--products", type=Path, help="folder with ours/SCENE and standard/SCENE made before")
    parser.add_argument("--store", action="store_true", help="store as a validation table of the documentation")
    chosen = parser.parse_args()
    rows = Rows()
    for folder in chosen.folders:
        with tempfile.TemporaryDirectory() as made:
            found = {who: subtract(folder, Path(made) / who, who, chosen.products) for who in (OURS, STANDARD)}
            found[TRUTH] = subtract_truth(folder, found[OURS])
        Console().print(table_of(folder.name, found, flux_of(folder)))
        rows.collect(folder.name, figures(found, flux_of(folder)))
        if chosen.store:  # after each scene: reductions take minutes
            print(store(rows, "coron_contrast", script="benchmarks/coron_contrast.py"))


def subtract(folder: Path, made: Path, who: str, products: Path | None) -> SubtractedTarget:
    """Reduce a scene and subtract its star."""
    made.mkdir()
    rates = made / "rates" if products is None else products / who / folder.name
    if products is None:
        reduce_scene(folder, rates, who)
    psf = made / "psf.fits"
    fits.PrimaryHDU(point_source(np.load(folder / "truth.npz"))).writeto(psf)
    (found,) = subtract_star(rates, made / "out", SubtractionSettings(psf=str(psf)), stage_2=False)
    return found.target


def subtract_truth(folder: Path, ours: SubtractedTarget) -> SubtractedTarget:
    """Subtract the star from the true rates, on the pixels that are known in ours."""
    with np.load(folder / "truth.npz") as truth:
        rates = dict(zip(sorted(path.name for path in folder.glob("*_uncal.fits")), truth["rate"], strict=True))

    def true(image: CoronImage) -> CoronImage:
        rate = rates[f"{image.name}_uncal.fits"].astype(float)
        return replace(image, data=np.where(np.isfinite(image.data), rate, np.nan))

    targets, references = (
        [true(one) for one in group] for group in ([e.image for e in ours.exposures], ours.references)
    )
    return subtract_from_target(targets, references, ours.settings)


def point_source(truth: dict[str, np.ndarray]) -> np.ndarray:
    """Return the scene's image of a point source, moved to the middle of a pixel; flux 1."""
    light = np.asarray(truth["companion"][int(np.argmax(truth["companion"].sum(axis=(1, 2))))], float)
    row, column = np.unravel_index(int(light.argmax()), light.shape)
    ky, kx = np.meshgrid(*(fft.fftfreq(n) for n in light.shape), indexing="ij")
    # The place between pixels is the phase of the lowest frequencies: the image of a point source is symmetric there.
    near = light[row - 4 : row + 5, column - 4 : column + 5]
    y, x = np.indices(near.shape) - 4
    dy, dx = (near * y).sum() / near.sum(), (near * x).sum() / near.sum()
    moved = fft.ifft2(fft.fft2(light) * np.exp(2j * np.pi * (ky * dy + kx * dx))).real
    cut = np.s_[row - HALF_PIX : row + HALF_PIX + 1, column - HALF_PIX : column + HALF_PIX + 1]
    return moved[cut] / light.sum()


def flux_of(folder: Path) -> float:
    """Return the true flux of the companion, DN/s."""
    return float(np.load(folder / "truth.npz")["companion"].sum(axis=(1, 2)).max())


def pulls_of(found: SubtractedTarget, flux: float) -> tuple[float, float, float]:
    """Return error and pull of the brightest companion's flux, and how many more were found."""
    table = companion_table(found)
    together = table[table["exposure"] == TOGETHER]
    if not len(together):
        return float("nan"), float("nan"), 0.0
    best = together[int(np.argmin(np.abs(together["flux"] - flux)))]
    return 100 * (best["flux"] / flux - 1), (best["flux"] - flux) / best["flux_error"], float(len(together) - 1)


def figures(found: dict[str, SubtractedTarget], flux: float) -> Iterator[Figure]:
    """Return limits, the companion's flux, and what else was taken for one."""
    for radius in AT_PIX:
        for who in (OURS, STANDARD, TRUTH):
            limit = float(found[who].curve.limit_at(radius))
            asked = "≤ standard" if who == OURS else ""
            yield Figure("contrast", f"limit at {radius} pixels, DN/s: {who}", limit, asked, "{:.2f}")
    for who in (OURS, STANDARD):
        error, pull, more = pulls_of(found[who], flux)
        yield Figure("contrast", f"flux of the companion, error, %: {who}", error, "", "{:+.2f}")
        yield Figure("contrast", f"flux of the companion, error, sigma: {who}", pull, "within 2", "{:+.2f}")
        yield Figure("contrast", f"other sources taken for companions: {who}", more, "0", "{:.0f}")


def table_of(title: str, found: dict[str, SubtractedTarget], flux: float) -> Table:
    """Return a table of both pipelines and of the true rates."""
    table = Table("figure", OURS, STANDARD, TRUTH, title=title)
    for radius in AT_PIX:
        limits = (f"{float(found[who].curve.limit_at(radius)):.2f}" for who in found)
        table.add_row(f"limit at {radius} pixels, DN/s", *limits)
    pulls = [pulls_of(found[who], flux) for who in found]
    table.add_row("flux of the companion, error, %", *(f"{one[0]:+.2f}" for one in pulls))
    table.add_row("flux of the companion, error, sigma", *(f"{one[1]:+.2f}" for one in pulls))
    table.add_row("other sources taken for companions", *(f"{one[2]:.0f}" for one in pulls))
    return table


if __name__ == "__main__":
    main()
