"""The pictures of the README: the standard stage 1 and ours, on the same simulated exposure, with a figure for each.

    python benchmarks/pictures.py WORK [--mode lrs --mode imaging --mode coron] [--seed 7]

Simulates an exposure of every mode below WORK, reduces it with `Detector1Pipeline` as it is by default and with the
recipe `default`, and writes docs/images/MODE.png. What stands in the titles is measured on the data that are shown.
"""

from __future__ import annotations

import argparse
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from detectorist import reduce_coron, reduce_imaging, reduce_lrs
from detectorist.crds_source import use_references
from detectorist.figures.style import COLOURS, new_figure

IMAGES = Path(__file__).resolve().parent.parent / "docs" / "images"
#: Pixels fainter than this, DN/s, hold sky and no source.
SKY_DN_S = 0.01
AMPLIFIERS = 4
#: Pixels of a full frame that one pixel of the picture averages, along both axes.
BINNING = 6
#: Colours of the files: noise does not compress, so fewer of them keep the files small.
COLOURS_OF_FILE = 64
STANDARD, OURS = "standard stage 1", "detectorist"


def standard_stage_1(files: list[Path], references: Path, folder: Path) -> list[Path]:
    """Run the standard stage 1 on raw files, and return the rates of their integrations, or of the exposure."""
    from jwst.pipeline import Detector1Pipeline

    use_references(references)
    folder.mkdir(parents=True, exist_ok=True)
    for file in files:
        Detector1Pipeline.call(str(file), output_dir=str(folder), save_results=True)
    return sorted(folder.glob("*_rateints.fits")) or sorted(folder.glob("*_rate.fits"))


def row_scatter(image: np.ndarray, error: np.ndarray, amplifiers: int) -> float:
    """Return the scatter of row means of each amplifier, over what the errors of their pixels explain."""
    ny = image.shape[0]
    values, errors = image.reshape(ny, amplifiers, -1), error.reshape(ny, amplifiers, -1)
    usable = np.isfinite(values)
    counts = usable.sum(axis=2)
    expected = np.sqrt(np.where(usable, errors**2, 0.0).sum(axis=2)) / np.maximum(counts, 1)
    means = np.where(usable, values, 0.0).sum(axis=2) / np.maximum(counts, 1)
    enough = counts > 20
    pulls = ((means - np.median(means[enough])) / np.maximum(expected, 1e-12))[enough]
    return float(1.4826 * np.median(np.abs(pulls - np.median(pulls))))


def share_of_wisp(image: np.ndarray, wisp: np.ndarray) -> float:
    """Return how much of a wisp is in an image, by least squares together with a level; NaN is ignored."""
    known = np.isfinite(image)
    columns = np.column_stack([wisp[known], np.ones(known.sum())])
    return float(np.linalg.lstsq(columns, image[known], rcond=None)[0][0])


def binned(image: np.ndarray) -> np.ndarray:
    """Return the mean of usable pixels in square bins."""
    ny, nx = (size - size % BINNING for size in image.shape)
    with np.errstate(invalid="ignore"):
        blocks = image[:ny, :nx].reshape(ny // BINNING, BINNING, nx // BINNING, BINNING)
        return np.nansum(blocks, axis=(1, 3)) / np.isfinite(blocks).sum(axis=(1, 3))


def show_both(
    images: tuple[np.ndarray, np.ndarray],
    titles: tuple[str, str],
    unit: str,
    limits: tuple[float, float],
    bins: int = 1,
) -> Figure:
    """Return two images on one scale; `bins`: detector pixels per pixel shown."""
    figure, axes = new_figure(1, 2, size=(9, 4.4), sharey=True)
    low, high = limits
    for axis, image, title in zip(axes, images, titles, strict=True):
        extent = (-0.5, bins * image.shape[1] - 0.5, -0.5, bins * image.shape[0] - 0.5)
        drawn = axis.imshow(
            image, origin="lower", vmin=low, vmax=high, cmap="cividis", interpolation="nearest", extent=extent
        )
        axis.set_title(title, fontsize=11)
        axis.set_xlabel("column (pixel)")
    axes[0].set_ylabel("row (pixel)")
    figure.colorbar(drawn, ax=list(axes), label=unit, shrink=0.85)
    return figure


def draw_imaging(work: Path, seed: int) -> Figure:
    """Return a NIRCam frame before and after snowballs, wisps and 1/f noise were corrected."""
    from stdatamodels.jwst import datamodels

    from detectorist.simulate.imaging.scene import ImagingScene

    raw = ImagingScene().write(work / "raw", seed=seed, overwrite=True)
    standard = standard_stage_1(raw, work / "raw" / "crds", work / "standard")
    found = reduce_imaging(
        raw,
        work / "ours",
        references=work / "raw" / "crds",
        steps={"wisps": {"template_dir": str((work / "raw" / "wisps").resolve())}},
    )
    assert all(entry.state == "done" for entry in found.values()), found
    truth = xr.open_dataset(next((work / "raw").glob("*_truth.nc")), engine="h5netcdf").load()
    sources, wisp = truth["sources"].values, truth["wisp"].values * truth["flat"].values
    clean = truth["rate"].values - wisp
    images, titles = [], []
    for name, path in ((STANDARD, standard[0]), (OURS, next((work / "ours").glob("*_rate.fits")))):
        kind = datamodels.CubeModel if path.name.endswith("rateints.fits") else datamodels.ImageModel
        with kind(str(path)) as rate:
            planes = [np.array(one) for one in (rate.data, rate.err, rate.dq)]
        data, error, flags = (plane[0] if plane.ndim == 3 else plane for plane in planes)
        sky = (flags & 1 == 0) & (truth["bad_pixels"].values == 0) & (sources < SKY_DN_S)
        scatter = row_scatter(np.where(sky, data - clean, np.nan), error, AMPLIFIERS)
        images.append(binned(np.where(flags & 1, np.nan, data)))
        left = 100 * share_of_wisp(np.where(sky, data - clean, np.nan), wisp)
        titles.append(
            f"{name}: {left:.0f} % of the wisp left,\nrows of the sky scatter by {scatter:.1f} × their errors"
        )
    low, high = np.nanpercentile(images[1], [5, 95])
    return show_both((images[0], images[1]), (titles[0], titles[1]), "DN/s", (low, high), BINNING)


def draw_coron(work: Path, seed: int) -> Figure:
    """Return one integration less the mean of all, where the star cancels and 1/f noise stays."""
    from stdatamodels.jwst import datamodels

    from detectorist.simulate.coron.scene import CoronScene

    raw = CoronScene().observe(ints=8, rolls=1, dithers=0, seed=seed).write(work / "raw", overwrite=True)
    standard = standard_stage_1(raw, work / "raw" / "crds", work / "standard")
    found = reduce_coron(raw, work / "ours", references=work / "raw" / "crds")
    assert all(entry.state == "done" for entry in found.values()), found
    images, titles = [], []
    for name, path in ((STANDARD, standard[0]), (OURS, next((work / "ours").rglob("*_rateints.fits")))):
        with datamodels.CubeModel(str(path)) as rate:
            data, flags = (np.array(one) for one in (rate.data, rate.dq))
        data = np.where(flags & 1, np.nan, data)
        difference = data[0] - np.nanmedian(data, axis=0)
        images.append(difference)
        rows = np.nanmean(difference, axis=1)
        titles.append(f"{name}\nmeans of rows scatter by {np.std(rows):.2f} DN/s")
    limit = 3 * 1.4826 * float(np.nanmedian(np.abs(images[1])))
    unit = "integration 1 − median of all (DN/s)"
    return show_both((images[0], images[1]), (titles[0], titles[1]), unit, (-limit, limit))


def draw_lrs(work: Path, seed: int) -> Figure:
    """Return white light curves of a transit: standard stage 1 and ours, then the same extraction."""
    from detectorist.simulate.lrs.comparison import compare_lrs
    from detectorist.simulate.lrs.scene import LrsScene

    raw = LrsScene().write(work / "raw", ints=60, groups=12, segments=1, seed=seed, overwrite=True)
    references = work / "raw" / "crds"
    standard = standard_stage_1(raw, references, work / "standard")
    figure, axes = new_figure(1, 2, size=(9, 3.6), sharey=True)
    for axis, name, files in ((axes[0], f"{STANDARD}, same extraction", standard), (axes[1], OURS, raw)):
        out = work / ("ours" if files is raw else "standard_spectra")
        found = reduce_lrs(files, out, references=references)
        assert all(entry.state == "done" for entry in found.values()), found
        with xr.open_dataset(out / "stage_2" / "stage_2_output.nc", engine="h5netcdf") as spectra:
            compared = compare_lrs(spectra.load(), work / "raw" / "truth.nc")
        _draw_white(axis, name, compared)
    axes[0].set_ylabel("relative flux, 5 to 12 µm")
    axes[0].legend(frameon=False, fontsize=8)
    return figure


def _draw_white(axis: Axes, name: str, compared: Any) -> None:
    minutes = 60 * compared.time_h
    axis.plot(minutes, compared.white, ".", ms=5, label="reduced")
    axis.plot(minutes, compared.white_truth, lw=1.2, color=COLOURS[1], label="truth")
    ratio = compared.scatter / compared.expected_scatter
    axis.set(title=f"{name}\nscatter {ratio:.2f} × photon and read noise", xlabel="time (min)")


DRAWN: dict[str, Callable[[Path, int], Figure]] = {"lrs": draw_lrs, "imaging": draw_imaging, "coron": draw_coron}


def save_small(figure: Figure, target: Path) -> None:
    """Write a figure as a PNG of few colours."""
    from PIL import Image

    drawn = io.BytesIO()
    figure.savefig(drawn, dpi=90)
    Image.open(drawn).convert("RGB").quantize(COLOURS_OF_FILE, method=Image.Quantize.MAXCOVERAGE).save(
        target, optimize=True
    )


def main() -> None:
    """Draw the pictures of the modes that are asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=Path)
    parser.add_argument("--mode", action="append", choices=list(DRAWN))
    parser.add_argument("--seed", type=int, default=7)
    wanted = parser.parse_args()
    for mode in wanted.mode or list(DRAWN):
        target = IMAGES / f"{mode}.png"
        save_small(DRAWN[mode](wanted.work / mode, wanted.seed), target)
        print(f"{target}: {target.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
