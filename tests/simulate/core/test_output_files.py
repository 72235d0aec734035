"""Files are whole or not there, and the same content gives the same bytes."""

import asdf
import numpy as np
import pytest
from astropy import units
from astropy.modeling.models import Shift
from stdatamodels.jwst import datamodels

from detectorist.simulate.core import output_files
from detectorist.simulate.core.references import describe

DATE = "2026-07-01T00:00:00"


def test_an_interrupted_write_leaves_no_file_behind(tmp_path):
    model = datamodels.Level1bModel(data=np.zeros((1, 2, 4, 4), np.uint16))
    with pytest.raises(ValueError, match="unknown filetype"):
        output_files.save_reproducibly(model, tmp_path / "file.unknown", DATE)
    assert list(tmp_path.iterdir()) == []


def extensions(path):
    with asdf.open(path) as file:
        return [one["extension_uri"] for one in file["history"]["extensions"]]


def test_an_asdf_file_names_its_extensions_in_one_order(tmp_path):
    """asdf itself takes the order of a set of objects: another process, another order."""
    model = datamodels.DistortionModel(
        model=Shift(1 * units.pix) & Shift(2 * units.pix), input_units=units.pix, output_units=units.pix
    )
    describe("distortion", model, "MIRI", "MIRIMAGE")
    model.meta.exposure.p_exptype = "MIR_IMAGE|"
    path = output_files.save_reproducibly(model, tmp_path / "distortion.asdf", DATE)
    assert len(extensions(path)) > 1
    assert extensions(path) == sorted(extensions(path))
    turned = tmp_path / "turned.asdf"
    with asdf.open(path) as file:
        file["history"]["extensions"] = file["history"]["extensions"][::-1]
        file.write_to(turned)
    assert extensions(turned) == extensions(path)[::-1]
    output_files.sort_extensions(turned)
    assert turned.read_bytes() == path.read_bytes()


def test_arrays_of_an_asdf_file_stay(tmp_path):
    wave = np.arange(500.0)
    model = datamodels.EmiModel()
    model.frequencies = {"Hz390": {"frequency": 390.625, "phase_amplitudes": wave}}
    describe("emicorr", model, "MIRI", "MIRIMAGE")
    path = output_files.save_reproducibly(model, tmp_path / "emicorr.asdf", DATE)
    with asdf.open(path) as file:
        np.testing.assert_array_equal(file["frequencies"]["Hz390"]["phase_amplitudes"], wave)
