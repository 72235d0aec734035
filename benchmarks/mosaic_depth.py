"""Depth of NIRCam mosaics: rates of the standard pipeline and ours through the same stages 2 and 3.

    python benchmarks/mosaic_depth.py --work FOLDER [--seeds 1 2 3] [--size 512] [--exposures 4]
    python benchmarks/mosaic_depth.py --work FOLDER --independent FIELD [FIELD ...]

Scenes are dithered exposures of this project's simulator, or fields that `dithered_scenes.py` has written, whose
generator is independent. Scenes and products stay in FOLDER: what is there already is used. Writes
docs/validation/mosaic_depth.json and the page beside it, after every column.

For every mosaic: the noise of apertures (0.1 arcsec radius, background from a ring) where no source has light; how many
sources are found at the threshold where one detection in twenty is false; and fluxes of bright sources against truth.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from photutils.aperture import CircularAnnulus, CircularAperture, aperture_photometry
from rich.console import Console
from rich.table import Table
from scipy.ndimage import gaussian_filter, map_coordinates, maximum_filter
from scipy.spatial import cKDTree

from detectorist import reduce_imaging
from detectorist.algorithms.images.aperture_noise import measure_aperture_noise
from detectorist.modes.imaging.stages_quality import APERTURE_ARCSEC, RING_PIX
from detectorist.simulate.imaging.scene import ImagingScene

TARGET = Path(__file__).resolve().parent.parent / "docs" / "validation" / "mosaic_depth.json"
#: Settings of the standard pipeline, by the name of the column.
STANDARD: dict[str, dict[str, Any]] = {
    "standard": {},
    "standard, clean_flicker_noise": {"clean_flicker_noise": {"skip": False, "fit_by_channel": True}},
}
OURS = "detectorist"
#: Rates of others go through unchanged.
UNCHANGED = ("wisps.skip=true", "stripes.skip=true")
#: Width (sigma, pixel) of the filter for detection, pixels within which a peak is a source, share of false detections.
FILTER_PIX, MATCH_PIX, FALSE_SHARE = 0.93, 2.5, 0.05
#: A pixel whose true light is below this share of its noise is empty; fluxes of sources above so many sigma are judged.
EMPTY_SHARE, BRIGHT_SIGMA = 0.1, 30.0
#: Sources are those with a true flux above this, about three times the noise of apertures: MJy/sr pixel in scenes of
#: this project's simulator, DN/s in independent ones, which have no photometric reference.
FAINTEST, FAINTEST_DN_S = 2.0, 0.2


@dataclass(frozen=True)
class Mosaic:
    """A mosaic, its errors, and the true light of sources on its pixels, MJy/sr; NaN where the truth is not known."""

    image: np.ndarray
    error: np.ndarray
    truth: np.ndarray
    scale_arcsec: float

    @property
    def known(self) -> np.ndarray:
        """True where image, error and truth are known."""
        return np.isfinite(self.image) & np.isfinite(self.truth) & (self.error > 0)


def make_rates(raw: Path, work: Path) -> Iterator[tuple[str, list[Path]]]:
    """Yield the rate images of the standard pipeline's columns, made where they are missing."""
    from jwst.pipeline import Detector1Pipeline

    from detectorist.crds_source import use_references

    use_references(raw / "crds")
    for number, (name, steps) in enumerate(STANDARD.items()):
        folder = work / f"standard{number}"
        folder.mkdir(parents=True, exist_ok=True)
        for file in sorted(raw.glob("*_uncal.fits")):
            target = folder / file.name.replace("_uncal", "_rate")
            if not target.is_file():
                Detector1Pipeline.call(str(file), steps=steps, save_results=True, output_dir=str(folder))
        yield name, sorted(folder.glob("*_rate.fits"))


def make_mosaics(raw: Path, work: Path) -> Iterator[tuple[str, Path]]:
    """Yield the mosaic of every column."""
    common: dict[str, Any] = {"references": raw / "crds", "through": "stage3", "workers": 0, "quiet": True}
    results = reduce_imaging(raw, work / "ours", wisp_templates=raw / "wisps", raise_on_error=True, **common)
    yield OURS, _mosaic_of(results)
    for number, (name, rates) in enumerate(make_rates(raw, work)):
        results = reduce_imaging(rates, work / f"mosaic{number}", settings=UNCHANGED, raise_on_error=True, **common)
        yield name, _mosaic_of(results)


def _mosaic_of(results: Any) -> Path:
    return next(path for path in results[-1].products if path.name.endswith("_i2d.fits"))


def read_mosaic(path: Path, raw: Path) -> Mosaic:
    """Return a mosaic with the truth of the first exposure, where that reaches."""
    from stdatamodels.jwst import datamodels

    first = sorted(path.parent.glob("*_cal.fits"))[0]
    name = first.name.removesuffix("_cal.fits")
    light = read_sources(raw, name)
    # Stage 3 may move all images, the first as well: where it put them is said by the images with outliers flagged.
    first = next(iter(sorted(path.parent.glob(f"{name}_*crf.fits"))), first)
    with datamodels.open(path) as mosaic, datamodels.open(first) as image:
        unit = image.meta.photometry.conversion_megajanskys or 1.0  # without photometry, images stay in DN/s
        rows, columns = np.indices(mosaic.data.shape)
        x, y = image.meta.wcs.invert(*mosaic.meta.wcs(columns, rows), with_bounding_box=False)
        truth = map_coordinates(light, [y, x], order=3, cval=np.nan) * unit
        area = mosaic.meta.photometry.pixelarea_steradians
        scale = 3600 * (np.degrees(np.sqrt(area)) if area else abs(mosaic.meta.wcsinfo.cdelt1))
        return Mosaic(np.array(mosaic.data), np.array(mosaic.err), truth, float(scale))


def read_sources(raw: Path, name: str) -> np.ndarray:
    """Return the true light of sources of an exposure, DN/s."""
    other = raw / f"{name}_truth.npz"
    if other.is_file():
        with np.load(other) as truth:
            return np.asarray(truth["src"], float)
    with xr.open_dataset(raw / f"{name}_truth.nc", engine="h5netcdf") as opened:
        return opened["sources"].values


def measure(mosaic: Mosaic, faintest: float) -> dict[str, float]:
    """Return the figures of one mosaic, its sources being those whose true flux is above `faintest`."""
    radius = APERTURE_ARCSEC / mosaic.scale_arcsec
    noise = float(np.median(mosaic.error[mosaic.known]))
    lit = ~mosaic.known | (mosaic.truth > EMPTY_SHARE * noise)
    empty = measure_aperture_noise(mosaic.image, lit, radius_pix=radius, error=mosaic.error, ring_pix=RING_PIX)
    truth = np.nan_to_num(mosaic.truth)
    peaks = np.argwhere((truth == maximum_filter(truth, 5)) & (truth > 0) & mosaic.known)
    peaks = peaks[net_flux(truth, peaks, radius) > faintest]
    got, true = (net_flux(image, peaks, radius) for image in (np.nan_to_num(mosaic.image), truth))
    bright = true > BRIGHT_SIGMA * empty.noise
    faint = ~bright
    return {
        "aperture_noise": empty.noise,
        "noise_ratio": empty.noise / empty.expected,
        "sources_found": float(count_found(mosaic, peaks)),
        "sources_true": float(len(peaks)),
        "bright_bias_pct": 100 * float(np.median(got[bright] / true[bright] - 1)) if bright.any() else float("nan"),
        "faint_error": 1.4826 * float(np.median(np.abs(got[faint] - true[faint]))),
    }


def net_flux(image: np.ndarray, peaks: np.ndarray, radius_pix: float) -> np.ndarray:
    """Return sums in apertures without the background of the ring around each."""
    places = peaks[:, ::-1].astype(float)
    aperture = CircularAperture(places, radius_pix)
    ring = CircularAnnulus(places, 2 * radius_pix, 2 * radius_pix + RING_PIX)
    inside = np.asarray(aperture_photometry(image, aperture)["aperture_sum"])
    return inside - aperture.area / ring.area * np.asarray(aperture_photometry(image, ring)["aperture_sum"])


def count_found(mosaic: Mosaic, peaks: np.ndarray) -> int:
    """Return how many sources are found at the threshold below which more than FALSE_SHARE of detections are false.

    A detection is false where the true light has not half of its height: on the wings of a star there is light.
    """
    smooth, light = (filtered(np.where(mosaic.known, image, np.nan)) for image in (mosaic.image, mosaic.truth))
    places = np.argwhere((smooth == maximum_filter(smooth, 5)) & mosaic.known)
    height = smooth[tuple(places.T)]
    order = np.argsort(-height)
    distance, which = cKDTree(peaks).query(places[order])
    true = distance <= MATCH_PIX
    false = ~true & (maximum_filter(light, 5)[tuple(places[order].T)] < 0.5 * height[order])
    false_share = np.cumsum(false) / np.arange(1, true.size + 1)
    allowed = np.flatnonzero(false_share <= FALSE_SHARE)
    return len(set(which[: allowed[-1] + 1][true[: allowed[-1] + 1]])) if allowed.size else 0


def filtered(image: np.ndarray) -> np.ndarray:
    """Return an image less its local level, smoothed by the filter for detection; NaN counts as the median."""
    image = np.where(np.isfinite(image), image, np.nanmedian(image))
    return gaussian_filter(image - gaussian_filter(image, 12.0), FILTER_PIX)


def make_scene(raw: Path, seed: int, size: int, exposures: int) -> Path:
    """Return the folder of a scene of this project's simulator, written where it is missing."""
    if not (raw / "crds").is_dir():
        scene = ImagingScene().with_detector(size=size, outputs=4, pattern="SHALLOW4")
        scene = scene.with_("stars", min_dn_s=0.3).with_("galaxies", min_dn_s=0.3, per_frame=4000.0)
        scene.write(raw, groups=6, exposures=exposures, seed=seed)
    return raw


def table_of(results: dict[str, Any]) -> Table:
    """Return all figures, a row per seed and column."""
    names = ("aperture_noise", "noise_ratio", "sources_found", "sources_true", "bright_bias_pct", "faint_error")
    table = Table("seed", "rates", *names)
    for seed, columns in results.items():
        for name, figures in columns.items():
            table.add_row(seed, name, *(f"{figures[key]:.4g}" for key in names))
    return table


#: Figures on the page: name, heading, decimals.
SHOWN = (
    ("aperture_noise", "noise of apertures (MJy/sr pixel)", 4),
    ("noise_ratio", "over stated errors", 2),
    ("sources_found", "sources found", 0),
    ("sources_true", "of", 0),
    ("bright_bias_pct", "bright fluxes, bias (%)", 2),
    ("faint_error", "faint fluxes, error (MJy/sr pixel)", 4),
)
PAGE = """# NIRCam mosaics: depth

Rates of the standard pipeline and of detectorist, through the same `calwebb_image2` and `calwebb_image3`
(`--through stage3`). Measured {measured} by `python benchmarks/mosaic_depth.py --work FOLDER`; every field that was run
is shown.

- **Noise of apertures** of 0.1 arcsec radius, background from a ring, on sky without sources; the next column divides
  it by what the stated errors give.
- **Sources found** at the threshold where one detection in twenty is false: where the true light has not half of the
  detection's height.
- **Bright fluxes**: above 30 times the noise, median deviation from the truth, without aperture correction.
  **Faint fluxes**: the others, robust standard deviation.
"""
INDEPENDENT = """
## Fields of an independent generator

Full frames whose generator shares no code with this project, dithered by whole pixels, with 1,500 faint stars added
(`benchmarks/dithered_scenes.py`); sources are those with a true flux above 0.2 DN/s, about four times the noise.

| {header} |
|{lines}|
{rows}

Bright fluxes are a sixth too low in all columns. It is not the rates: in calibrated images the same apertures are right
to 0.1 % in the median. The outlier detection of stage 3 flags the brightest pixel of four stars in five, whose images
are sharper than the median of three resampled ones; its parameters are the standard ones in all columns.
"""
OWN = """
## Fields of our simulator

{exposures} dithered exposures of {size} x {size} pixels, with wisps, 1/f noise and cosmic rays.

| {header} |
|{lines}|
{rows}

Sources are those with a true flux above 2 MJy/sr pixel, about three times the noise. A frame of this size holds a
dozen: counts and errors of fluxes are themselves uncertain by a quarter; the noise of apertures is known to 3 %.
Bright fluxes are low in all columns, since resampling and crosstalk between pixels spread light.
"""
#: Sections of the page: kind of fields, text, and the unit of their fluxes.
SECTIONS = (("independent", INDEPENDENT, "DN/s"), ("seeds", OWN, "MJy/sr"))


def write_page(told: dict[str, Any]) -> None:
    """Write the tables as a page of the documentation."""
    text = PAGE.format(**told)
    for kind, section, unit in SECTIONS:
        if not told.get(kind):
            continue
        rows = [
            f"| {' | '.join([seed, name, *(f'{figures[key]:.{decimals}f}' for key, _, decimals in SHOWN)])} |"
            for seed, columns in told[kind].items()
            for name, figures in columns.items()
        ]
        header = ["seed", "rates", *(heading.replace("MJy/sr", unit) for _, heading, _ in SHOWN)]
        lines = "|".join(["---"] * len(header))
        text += section.format(**told, header=" | ".join(header), lines=lines, rows="\n".join(rows))
    TARGET.with_suffix(".md").write_text(text)


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--independent", type=Path, nargs="+", default=[], help="folders of dithered_scenes.py")
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--exposures", type=int, default=4)
    chosen = parser.parse_args()
    told = json.loads(TARGET.read_text()) if TARGET.is_file() else {}
    work = chosen.work.resolve()
    if chosen.independent:
        kind, faintest = "independent", FAINTEST_DN_S
        scenes = {folder.name.removeprefix("scene"): folder.resolve() for folder in chosen.independent}
    else:
        kind, faintest, told["size"], told["exposures"] = "seeds", FAINTEST, chosen.size, chosen.exposures
        scenes = {
            str(seed): make_scene(work / f"scene{seed}", seed, chosen.size, chosen.exposures) for seed in chosen.seeds
        }
    for seed, raw in scenes.items():
        for name, path in make_mosaics(raw, work / f"products{seed}"):
            told.setdefault(kind, {}).setdefault(seed, {})[name] = measure(read_mosaic(path, raw), faintest)
            told["measured"] = datetime.now(UTC).date().isoformat()
            TARGET.write_text(json.dumps(told, indent=1) + "\n")
            write_page(told)
    Console(width=150).print(table_of(told[kind]))


if __name__ == "__main__":
    main()
