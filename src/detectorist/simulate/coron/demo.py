"""A star with a companion behind a NIRCam coronagraph, for the demonstration."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from detectorist.simulate.core.demo import Demo, rates_against_truth
from detectorist.simulate.core.scene import Progress
from detectorist.simulate.coron.scene import CoronScene

TITLE = "NIRCam coronagraphy: a faint companion"
#: Of every exposure, and of the reference star: few, so that the demonstration stays small.
INTEGRATIONS, DITHERS = 4, 1
#: Products that are kept, after the exposure's name: the report draws from them.
KEPT = ("_rate.fits", "_rateints.fits", "_ktc.fits", "_1overf.fits")


def simulate(raw: Path, *, seed: int, progress: Progress) -> Demo:
    """Simulate two rolls on the target and its reference star."""
    files = (
        CoronScene()
        .observe(ints=INTEGRATIONS, dithers=DITHERS, seed=seed)
        .write(raw, overwrite=True, progress=progress)
    )
    return Demo(files, raw / "crds", ["save_intermediates=true"], KEPT)


def compare(products: Sequence[Path], raw: Path) -> list[str]:
    """Compare the first rate of the target with the truth."""
    return rates_against_truth([path for path in products if path.name.endswith("_rate.fits")][:1], raw)


def truths(exposure: str, raw: Path) -> dict[str, float]:
    """Return the true values of figures of merit of the exposure."""
    import numpy as np
    import xarray as xr

    with xr.open_dataset(raw / f"{exposure}_truth.nc", engine="h5netcdf") as truth:
        known = {"pull_width": 1.0, "row_ratio": 1.0, "spikes_ppm": 0.0}
        if "ktc" in truth:
            known["ktc_rms_dn"] = float(np.std(truth["ktc"].values - truth["ktc"].values.mean(axis=0)))
        return known
