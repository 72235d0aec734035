"""Arrays as FITS files hold them, in the other byte order, give what native ones give."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from detectorist.algorithms.byte_order import native
from detectorist.algorithms.flicker.one_over_f import stripes_of_integrations, stripes_of_ramps
from detectorist.algorithms.flicker.smoother import alternating_readout
from detectorist.algorithms.ramps.ktc import measure_ktc
from detectorist.algorithms.ramps.pseudo_refpix import measure_reference_drift
from detectorist.algorithms.spectra.outliers import flag_outliers

TIMES = np.arange(1.0, 5.0)
READOUT = alternating_readout(48, 1)


def other_order(array):
    return array.astype(array.dtype.newbyteorder("S"))


@pytest.fixture
def ramp(rng):
    return (1_000 + 5 * rng.normal(size=(11, 4, 40, 48))).astype(np.float32)


@pytest.mark.parametrize("kind", ["f4", "u4", "u1"])
def test_native(kind):
    array = np.arange(6).astype(kind)
    assert native(array) is array
    assert native(other_order(array)).dtype.isnative
    assert_array_equal(native(other_order(array)), array)


@pytest.mark.parametrize(
    "run",
    [
        lambda ramp, flags: measure_ktc(ramp, flags, TIMES).offset,
        lambda ramp, flags: flag_outliers(ramp[:, 0], np.ones_like(ramp[:, 0]), flags[:, 0] > 0).flagged,
        lambda ramp, flags: stripes_of_integrations(ramp[:, 0], flags[:, 0] > 0, readout=READOUT).stripes,
        lambda ramp, flags: stripes_of_ramps(ramp, flags, TIMES, flags[0, 0] > 0, readout=READOUT).stripes,
        lambda ramp, flags: measure_reference_drift(ramp, flags > 0, TIMES).levels,
    ],
    ids=["ktc", "outliers", "stripes of rates", "stripes of ramps", "reference rows"],
)
def test_algorithms_take_both_orders(ramp, run):
    flags = np.zeros(ramp.shape, np.uint8)
    ramp[3, 0, 5, 6] += 500
    assert_array_equal(run(other_order(ramp), flags), run(ramp, flags))


def test_a_lost_integration_has_no_drift_and_spoils_no_other(ramp):
    ramp[:, 2] += 30
    whole = measure_reference_drift(ramp, np.zeros(ramp.shape, bool), TIMES)
    ramp[1] = np.nan
    spoiled = measure_reference_drift(ramp, np.zeros(ramp.shape, bool), TIMES)
    assert np.isfinite(spoiled.levels).all()
    kept = np.arange(len(ramp)) != 1
    np.testing.assert_allclose(spoiled.levels[kept], whole.levels[kept], atol=0.5)
