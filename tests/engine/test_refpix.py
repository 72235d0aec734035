"""Reference pixels in the engine, against the installed jwst and scipy."""

import numpy as np
import pytest
from stdatamodels.jwst.datamodels import RampModel

from detectorist.engine.refpix import clip_sigma
from detectorist.reduction.engine_steps.refpix import EngineRefPixStep


def full_frame(rng, fast, slow):
    """A NIRCam full frame of two groups and a zero frame, with bad and odd reference pixels."""
    model = RampModel()
    model.data = rng.normal(5000, 20, (1, 2, 2048, 2048)).astype(np.float32)
    model.data[0, 0, 700:710, 0:4] = np.nan
    model.data[0, 1, 0:4, 100:110] = 30000
    model.zeroframe = rng.normal(4000, 20, (1, 2048, 2048)).astype(np.float32)
    model.zeroframe[0, 900:1000, 30:60] = 0
    flags = np.full((2048, 2048), 2**31, np.uint32)  # REFERENCE_PIXEL
    flags[4:-4, 4:-4] = 0
    flags[0:4, 512:1024] |= 1
    flags[-4:, 512:700] |= 1
    flags[200:240, 0:4] |= 1
    model.pixeldq = flags
    model.groupdq = np.zeros(model.data.shape, np.uint8)
    model.meta.exposure.zero_frame, model.meta.exposure.noutputs = True, 4
    model.meta.exposure.type = "NRC_IMAGE"
    model.meta.instrument.name, model.meta.instrument.detector = "NIRCAM", "NRCB4"
    model.meta.subarray.name = "FULL"
    model.meta.subarray.fastaxis, model.meta.subarray.slowaxis = fast, slow
    model.meta.subarray.xstart = model.meta.subarray.ystart = 1
    model.meta.subarray.xsize = model.meta.subarray.ysize = 2048
    return model


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize(
    ("fast", "slow", "parameters"),
    [
        (-1, 2, {"use_side_ref_pixels": True}),
        (1, -2, {"use_side_ref_pixels": True, "side_gain": 0.7, "odd_even_columns": False}),
        (1, -2, {"use_side_ref_pixels": False}),
        (2, -1, {"use_side_ref_pixels": True}),
    ],
)
def test_full_frames_are_those_of_stock(fast, slow, parameters, rng):
    model = full_frame(rng, fast, slow)
    found = {}
    for engine in ("stock", "auto"):
        step = EngineRefPixStep(engine=engine, odd_even_rows=False, **parameters)
        found[engine] = step.process(model.copy())
    for name in ("data", "zeroframe", "pixeldq", "groupdq"):
        np.testing.assert_array_equal(getattr(found["auto"], name), getattr(found["stock"], name), err_msg=name)
    assert not np.array_equal(found["auto"].data, model.data, equal_nan=True)
    assert not np.array_equal(found["auto"].zeroframe, model.zeroframe)


@pytest.mark.parametrize("seed", range(10))
def test_clipping_is_that_of_scipy(seed):
    from scipy.stats import sigmaclip

    rng = np.random.default_rng(seed)
    values = rng.standard_t(2, int(rng.integers(5, 2000))).astype(rng.choice([np.float32, np.float64]))
    wanted = sigmaclip(values, 3.0, 2.5)
    for got, one in zip(clip_sigma(values, 3.0, 2.5), wanted, strict=True):
        assert got.dtype == one.dtype
        np.testing.assert_array_equal(got, one)
