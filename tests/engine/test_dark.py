"""The dark, read in pieces, against the standard step."""

import gzip
import logging
import os

import numpy as np
import pytest
from astropy.io import fits
from stdatamodels.jwst.datamodels import DarkModel, RampModel

from detectorist import fits_files
from detectorist.fits_files import floats_in_pieces, opened
from detectorist.reduction.engine_steps.dark import EngineDarkCurrentStep

N_INTS, N_GROUPS, NY, NX = 2, 3, 20, 32


@pytest.fixture
def ramps(rng):
    model = RampModel(data=rng.normal(1000, 10, (N_INTS, N_GROUPS, NY, NX)).astype(np.float32))
    model.pixeldq = rng.integers(0, 4, (NY, NX)).astype(np.uint32)
    model.groupdq = np.zeros(model.data.shape, np.uint8)
    model.meta.instrument.name, model.meta.instrument.detector = "NIRCAM", "NRCB4"
    model.meta.exposure.nframes, model.meta.exposure.groupgap, model.meta.exposure.ngroups = 1, 0, N_GROUPS
    model.meta.exposure.type = "NRC_IMAGE"
    return model


@pytest.fixture
def write_dark(rng, tmp_path):
    """Return a function that writes a dark of so many groups of so many frames and returns its path."""

    def make(n_groups=5, n_frames=1, gap=0, compressed=False):
        dark = DarkModel(data=rng.normal(5, 1, (n_groups, NY, NX)).astype(np.float32))
        dark.data[1, 3, 4] = np.nan
        dark.dq = np.where(rng.random((NY, NX)) < 0.2, np.uint32(1), np.uint32(0))
        exposure = dark.meta.exposure
        exposure.nframes, exposure.ngroups, exposure.groupgap, exposure.average_dark_current = (
            n_frames,
            n_groups,
            gap,
            0.3,
        )
        path = tmp_path / "dark.fits"
        dark.save(path)
        if compressed:
            path = tmp_path / "dark.fits.gz"
            path.write_bytes(gzip.compress((tmp_path / "dark.fits").read_bytes()))
        return str(path)

    return make


@pytest.mark.parametrize(
    ("made", "in_pieces"),
    [
        ({}, True),
        ({"n_groups": N_GROUPS}, True),
        ({"compressed": True}, False),
        ({"n_groups": 9, "n_frames": 1, "gap": 1}, False),
        ({"n_groups": 2}, False),
    ],
)
def test_darks_are_subtracted_as_in_the_standard_step(made, in_pieces, ramps, write_dark, monkeypatch, caplog):
    path = write_dark(**made)
    monkeypatch.setattr(fits_files, "PIECE_BYTES", 7 * 4 * NX)  # pieces that do not divide the frame
    found = {}
    for engine in ("stock", "auto"):
        with caplog.at_level(logging.INFO):
            caplog.clear()
            found[engine] = EngineDarkCurrentStep(engine=engine, override_dark=path).process(ramps.copy())
        assert any("in pieces" in line.message for line in caplog.records) is (in_pieces and engine == "auto")
    for name in ("data", "pixeldq", "groupdq", "average_dark_current"):
        np.testing.assert_array_equal(getattr(found["auto"], name), getattr(found["stock"], name), err_msg=name)
    assert found["auto"].meta.cal_step.dark_sub == found["stock"].meta.cal_step.dark_sub


def test_pieces_are_of_arrays_that_are_stored_as_they_are(tmp_path, rng):
    values = rng.normal(size=(3, 5, 4)).astype(np.float32)
    path = tmp_path / "values.fits"
    arrays = {"SCI": values, "WHOLE": np.ones((3, 5, 4), np.int16), "FLAT": values[0]}
    fits.HDUList([fits.PrimaryHDU(), *(fits.ImageHDU(one, name=name) for name, one in arrays.items())]).writeto(path)
    with opened(path) as hdus:
        got = np.zeros((2, 5, 4), np.float32)
        for plane, rows, piece in floats_in_pieces(hdus["SCI"], got.shape):
            got[plane, rows] = piece
        np.testing.assert_array_equal(got, values[:2])
        for name, shape in (("SCI", (4, 5, 4)), ("SCI", (3, 5, 3)), ("WHOLE", (3, 5, 4)), ("FLAT", (1, 5, 4))):
            assert floats_in_pieces(hdus[name], shape) is None


def test_a_file_that_becomes_shorter_is_named(tmp_path):
    path = tmp_path / "values.fits"
    fits.HDUList([fits.PrimaryHDU(), fits.ImageHDU(np.zeros((3, 5, 4), np.float32), name="SCI")]).writeto(path)
    with opened(path) as hdus:
        pieces = floats_in_pieces(hdus["SCI"], (3, 5, 4))
    os.truncate(path, 2 * 2880 + 100)
    with pytest.raises(OSError, match="SCI is cut short"):
        list(pieces)
