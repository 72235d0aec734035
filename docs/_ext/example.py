"""The simulated exposure that all pages show: a transit seen by MIRI LRS, small, made once per build of the pages.

import example
ramps = example.ramps()      # RampModel: what `_uncal.fits` holds
rates = example.rates()      # CubeModel: what `_rateints.fits` holds, from the recipe `default`
"""

from __future__ import annotations

import logging
from functools import cache
from pathlib import Path

FOLDER = Path(__file__).parents[1] / "_build" / "example"
RAW, REDUCED = FOLDER / "raw", FOLDER / "reduced"
N_INTS, N_GROUPS, SEED = 16, 20, 3


def make() -> None:
    """Simulate and reduce the exposure, unless it is there already."""
    if (FOLDER / "complete").is_file():
        return
    from detectorist import reduce_lrs
    from detectorist.simulate.lrs.scene import LrsScene

    logging.disable(logging.WARNING)
    try:
        files = LrsScene().write(RAW, ints=N_INTS, groups=N_GROUPS, segments=1, seed=SEED, overwrite=True)
        reduce_lrs(files, REDUCED, references=RAW / "crds")
    finally:
        logging.disable(logging.NOTSET)
    (FOLDER / "complete").touch()


@cache
def _use_references() -> None:
    from detectorist.crds_source import use_references

    use_references(RAW / "crds")
    logging.getLogger("stpipe").setLevel(logging.WARNING)


def ramps():
    """Return the raw ramps, after the standard pipeline's dq_init."""
    from jwst.dq_init import DQInitStep

    _use_references()
    return DQInitStep.call(str(next(RAW.glob("*_uncal.fits"))))


def rates():
    """Return the count rates of every integration, with their wavelengths."""
    from jwst.assign_wcs import AssignWcsStep
    from jwst.srctype import SourceTypeStep

    _use_references()
    return SourceTypeStep.call(AssignWcsStep.call(str(next((REDUCED / "stage_1").glob("*_rateints.fits")))))


def truth():
    """Return what the simulator put in, an xarray dataset."""
    import xarray as xr

    with xr.open_dataset(RAW / "truth.nc", engine="h5netcdf") as opened:
        return opened.load()
