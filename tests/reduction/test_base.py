"""What all our pipelines do alike: how they open their input."""

import numpy as np
import pytest
from jwst.stpipe import Pipeline
from stdatamodels.jwst.datamodels import Level1bModel, RampModel

from detectorist.pipelines import ImagingPipeline


@pytest.fixture
def raw(tmp_path, rng):
    model = Level1bModel(data=rng.integers(0, 65535, (2, 3, 8, 16)).astype(np.uint16))
    model.zeroframe = rng.integers(0, 65535, (2, 8, 16)).astype(np.uint16)
    model.meta.instrument.name, model.meta.exposure.type = "NIRCAM", "NRC_IMAGE"
    path = tmp_path / "jw09999001001_02101_00001_nrcb4_uncal.fits"
    model.save(path)
    return path


@pytest.mark.parametrize("kind", [str, lambda path: path])
def test_raw_ramps_are_opened_as_the_standard_pipeline_opens_them(raw, kind):
    pipeline = ImagingPipeline()
    with (
        pipeline.prepare_output(kind(raw), open_as_ramp=True) as ramps,
        Pipeline().prepare_output(str(raw), open_as_ramp=True) as wanted,
    ):
        assert type(ramps) is type(wanted) is RampModel
        assert ramps.data.dtype == np.float32
        assert ramps.data.dtype.isnative
        assert ramps.to_flat_dict(include_arrays=False) == wanted.to_flat_dict(include_arrays=False)
        for name in ("data", "zeroframe", "groupdq", "pixeldq"):
            np.testing.assert_array_equal(getattr(ramps, name), getattr(wanted, name))


def test_models_are_taken_as_they_are(raw):
    with RampModel(raw) as ramps:
        assert ImagingPipeline().prepare_output(ramps, make_copy=False, open_as_ramp=True) is ramps
