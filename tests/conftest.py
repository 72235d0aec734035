"""Small models of the modes, as a user would open them, for every test."""

import os

# Numerical threads would only fight over the cores that the test runner already uses.
for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ.setdefault(variable, "1")

from pathlib import Path

import numpy as np
import pytest


@pytest.fixture(autouse=True)
def crds_environment_is_put_back():
    """Reductions point the process at their references; the next test starts where this one did."""
    # What the crds library sets for itself when it is imported has to stay.
    names = [f"CRDS_{name}" for name in ("PATH", "SERVER_URL", "OBSERVATORY", "CONTEXT", "READONLY_CACHE")]
    before = {name: os.environ[name] for name in names if name in os.environ}
    yield
    for name in names:
        os.environ.pop(name, None)
    os.environ.update(before)


@pytest.fixture
def rng():
    """A generator that is the same in every run."""
    return np.random.default_rng(20261120)


@pytest.fixture
def make_lrs_ramp(rng):
    """Return a function that makes a RampModel of MIRI LRS slitless data, from `data` if given."""
    from stdatamodels.jwst import datamodels

    def make(n_ints=2, n_groups=8, ny=416, nx=72, data=None):
        data = _ramps(rng, n_ints, n_groups, ny, nx) if data is None else data
        model = datamodels.RampModel(data=np.asarray(data, np.float32))
        model.groupdq = np.zeros(data.shape, np.uint8)
        model.pixeldq = np.zeros(data.shape[-2:], np.uint32)
        return _as_lrs(model, data.shape[0], data.shape[1], "uncal")

    return make


@pytest.fixture
def make_lrs_rateints(rng):
    """Return a function that makes a CubeModel of MIRI LRS slitless rates (DN/s) with a trace at column 36."""
    from stdatamodels.jwst import datamodels

    def make(n_ints=3, ny=416, nx=72, data=None, err=None, n_groups=20):
        if data is None:
            trace = 500 * np.exp(-0.5 * ((np.arange(nx) - 36) / 1.7) ** 2)
            data = 30 + trace + 3 * rng.normal(size=(n_ints, ny, nx))
        model = datamodels.CubeModel(data=np.asarray(data, np.float32))
        model.err = np.asarray(np.full(model.data.shape, 3.0) if err is None else err, np.float32)
        model.dq = np.zeros(model.data.shape, np.uint32)
        return _as_lrs(model, model.data.shape[0], n_groups, "rateints")

    return make


@pytest.fixture
def nircam_rateints():
    """A CubeModel of the wrong instrument."""
    from stdatamodels.jwst import datamodels

    model = datamodels.CubeModel(data=np.ones((2, 16, 16), np.float32))
    model.meta.instrument.name, model.meta.exposure.type = "NIRCAM", "NRC_TSIMAGE"
    model.meta.filename = "jw00001001001_nrcb1_rateints.fits"
    return model


@pytest.fixture
def thirdparty():
    """The folder of third-party files; the test is skipped where the environment names none."""
    return _folder_or_skip("DETECTORIST_THIRDPARTY", "the third-party files")


@pytest.fixture
def peers():
    """The folder with outputs of other packages; the test is skipped where the environment names none."""
    return _folder_or_skip("DETECTORIST_PEERS", "the outputs of other packages")


def _folder_or_skip(variable, what):
    folder = os.environ.get(variable)
    if not folder or not Path(folder).is_dir():
        pytest.skip(f"{variable} does not name a folder with {what}")
    return Path(folder)


def _ramps(rng, n_ints, n_groups, ny, nx):
    trace = 300 * np.exp(-0.5 * ((np.arange(nx) - 36) / 1.7) ** 2)
    signal = np.arange(1, n_groups + 1)[None, :, None, None] * trace
    return 9000 + signal + 6 * rng.normal(size=(n_ints, n_groups, ny, nx))


def _as_lrs(model, n_ints, n_groups, product):
    meta = model.meta
    meta.telescope = "JWST"
    meta.instrument.name, meta.instrument.detector, meta.instrument.filter = "MIRI", "MIRIMAGE", "P750L"
    meta.exposure.type, meta.exposure.readpatt = "MIR_LRS-SLITLESS", "FASTR1"
    meta.exposure.nints, meta.exposure.ngroups = n_ints, n_groups
    meta.exposure.integration_start, meta.exposure.integration_end = 1, n_ints
    meta.exposure.nframes, meta.exposure.groupgap = 1, 0
    meta.exposure.frame_time = meta.exposure.group_time = 0.15904
    meta.exposure.integration_time = 0.15904 * n_groups
    meta.exposure.start_time, meta.exposure.mid_time, meta.exposure.end_time = 61222.0, 61222.05, 61222.1
    meta.observation.date, meta.observation.time = "2026-07-01", "00:00:00.000"
    meta.subarray.name, meta.subarray.xstart, meta.subarray.ystart = "SLITLESSPRISM", 1, 529
    meta.subarray.xsize, meta.subarray.ysize = model.data.shape[-1], model.data.shape[-2]
    meta.subarray.fastaxis, meta.subarray.slowaxis = 1, 2
    meta.filename = f"jw09999001001_04103_00001-seg001_mirimage_{product}.fits"
    return model
