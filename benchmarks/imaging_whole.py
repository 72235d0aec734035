"""NIRCam exposures from raw ramps to corrected rates, against the truth of their simulation."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from measure import robust_std
from validated import Figure

#: Light (DN/s) of stars and galaxies below which a pixel is sky, and above which it is theirs.
SKY_BELOW, LIGHT_ABOVE = 0.005, 0.1
#: Frames: the detector that is simulated, groups, and what is left out. The small one of four outputs stands for a full
#: frame at a sixteenth of the cost: skipped frames make up for its short ones, and the outputs do not drift, which
#: reference pixels would tell.
FRAMES = {
    "512 x 512 of four outputs": ({"size": 512, "outputs": 4, "pattern": "DEEP8"}, 12, ("drift",)),
    "SUB320": ({"subarray": "SUB320", "pattern": "BRIGHT1"}, 10, ()),
    "full frame": ({}, 9, ()),
}


@dataclass(frozen=True)
class Compared:
    """(measured - true) / error of unflagged pixels: medians and widths.

    kept : noise that no image without reference pixels can tell from sky, in units of a pixel's error.
    """

    sky_bias: float
    sky_pull: float
    light_bias: float
    light_pull: float
    kept: float


def reduce_and_compare(frame: str, seed: int) -> Compared:
    """Simulate an exposure, run the imaging pipeline on it and compare its rate with the truth."""
    import xarray as xr
    from astropy.io import fits

    from detectorist.pipelines.imaging_reduction import ImagingRequest, reduce_imaging
    from detectorist.simulate.imaging import ImagingScene

    detector, groups, left_out = FRAMES[frame]
    with tempfile.TemporaryDirectory() as folder:
        raw, out = Path(folder) / "raw", Path(folder) / "out"
        paths = ImagingScene().with_detector(**detector).without(*left_out).write(raw, groups=groups, seed=seed)
        request = ImagingRequest(paths, out, references=str(raw / "crds"), wisp_templates=raw / "wisps")
        (rate,) = reduce_imaging(request)
        data, err, dq = (fits.getdata(rate, name) for name in ("SCI", "ERR", "DQ"))
        with xr.open_dataset(paths[0].with_name(paths[0].name.replace("uncal.fits", "truth.nc"))) as opened:
            truth = opened.load()
    return compare(data, err, dq, truth)


def compare(data: np.ndarray, err: np.ndarray, dq: np.ndarray, truth) -> Compared:
    """Compare a rate with the truth, outside flagged pixels. The level of the noise is kept where nothing tells it."""
    from detectorist.algorithms.dq import REFERENCE_PIXEL

    light = (truth.light - truth.wisp).values * truth.flat.values
    reference = (truth.bad_pixels.values & REFERENCE_PIXEL).any()
    kept = 0.0 if reference else float(truth.stripes.values.mean() + truth.levels.values.mean())
    good = (dq == 0) & (err > 0)
    sources = truth.sources.values
    pull = np.where(good, (data - light - kept) / np.where(good, err, 1), np.nan)
    sky, lit = good & (sources < SKY_BELOW), good & (sources > LIGHT_ABOVE)
    return Compared(
        float(np.median(pull[sky])),
        robust_std(pull[sky]),
        float(np.median(pull[lit])),
        robust_std(pull[lit]),
        kept / float(np.median(err[sky])),
    )


def whole_figures(frames: tuple[str, ...] = tuple(FRAMES), seeds: range = range(1, 4)) -> Iterator[Figure]:
    """Yield biases and pulls of whole reductions: the worst of several seeds."""
    for frame in frames:
        found = [reduce_and_compare(frame, seed) for seed in seeds]
        for part in ("sky", "light"):
            of = "sky" if part == "sky" else "stars and galaxies"
            bias = [getattr(one, f"{part}_bias") for one in found]
            pull = [getattr(one, f"{part}_pull") for one in found]
            worst = max(bias, key=abs)
            yield Figure("end_to_end", f"{frame}, {of}: bias of a pixel, sigma", worst, "≤ 0.1", "{:+.3f}")
            worst = max(pull, key=lambda value: abs(value - 1))
            yield Figure("end_to_end", f"{frame}, {of}: pull width", worst, "0.95–1.05", "{:.3f}")
