"""A NIRCam image with snowballs, wisps and 1/f noise, for the demonstration."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from detectorist.simulate.core.demo import Demo, rates_against_truth
from detectorist.simulate.core.scene import Progress
from detectorist.simulate.imaging.scene import ImagingScene

TITLE = "NIRCam: a deep field"
#: A quarter of the full frame's area, read through four amplifiers as the full frame is.
SIZE, AMPLIFIERS = 1024, 4
#: Products that are kept, after the exposure's name: the report draws from them.
KEPT = tuple(f"_{name}.fits" for name in ("rate", "rate_prewisp", "rate_pre1f", "rate_1fmask", "rate_segm_cold"))


def simulate(raw: Path, *, seed: int, progress: Progress) -> Demo:
    """Simulate an exposure."""
    scene = ImagingScene().with_detector(size=SIZE, outputs=AMPLIFIERS)
    files = scene.write(raw, seed=seed, overwrite=True, progress=progress)
    templates = json.dumps(str((raw / "wisps").resolve()))
    return Demo(files, raw / "crds", [f"wisps.template_dir={templates}"], KEPT)


def compare(products: Sequence[Path], raw: Path) -> list[str]:
    """Compare the rate with the truth."""
    return rates_against_truth([path for path in products if path.name.endswith("_rate.fits")], raw)


def truths(exposure: str, raw: Path) -> dict[str, float]:
    """Return the true values of figures of merit of the exposure."""
    import numpy as np
    import xarray as xr

    with xr.open_dataset(raw / f"{exposure}_truth.nc", engine="h5netcdf") as truth:
        stripes = truth["stripes"].values
        return {
            "row_ratio": 1.0,
            "column_ratio": 1.0,
            "stripes_rms": float(np.std(stripes.mean(axis=0))),
            "snowballs": float(truth.sizes["snowball"]),
            "sky": float(np.median(truth["rate"].values[4:-4:8, 4:-4:8])),
        }
