"""The step on a model: what is subtracted, its variance, record, refusals."""

import numpy as np
import pytest

from detectorist import models
from detectorist.errors import AlreadyCorrected
from detectorist.stage_2 import BackgroundSubtractStep, SubtractShowersStep

ROWS, COLUMNS = np.mgrid[:416, :72]
PATCH = 25 * np.exp(-0.5 * ((ROWS - 250) ** 2 + (COLUMNS - 40) ** 2) / 9**2)


@pytest.fixture
def rates(make_lrs_rateints, rng):
    """Eight integrations with a patch in the third."""
    star = 500 * np.exp(-0.5 * ((COLUMNS - 36) / 1.7) ** 2)
    data = 30 + star + 3 * rng.normal(size=(8, 416, 72))
    data[2] += PATCH
    return make_lrs_rateints(data=data)


def test_the_patch_is_subtracted_and_its_variance_travels_along(rates):
    step = SubtractShowersStep()
    got = step.run(rates)
    subtracted = rates.data - got.data
    np.testing.assert_allclose(subtracted[2], PATCH, atol=4)
    assert not np.delete(subtracted, 2, axis=0).any()
    variance = models.background_variance(got)
    assert (variance[2, 240:260] > 0).all()
    assert not np.delete(variance, 2, axis=0).any()
    assert step.record["integrations"] == [3]
    assert step.record["brightest"][0] == pytest.approx(25, abs=2)
    with pytest.raises(AlreadyCorrected):
        step.run(got)


def test_the_background_adds_its_variance(rates):
    got = SubtractShowersStep().run(rates)
    alone = models.background_variance(BackgroundSubtractStep().run(rates)[0])
    both = models.background_variance(BackgroundSubtractStep().run(got)[0])
    expected = (
        models.background_variance(got)[2] + models.background_variance(BackgroundSubtractStep().run(rates)[0])[2]
    )
    np.testing.assert_allclose(both[2, 240:260], expected[240:260], rtol=0.2)
    np.testing.assert_allclose(both[0], alone[0], rtol=1e-6)


def test_few_integrations_are_left_alone(rates):
    rates.data = rates.data[:4]
    rates.err, rates.dq = rates.err[:4], rates.dq[:4]
    step = SubtractShowersStep()
    got = step.run(rates)
    np.testing.assert_array_equal(got.data, rates.data)
    assert got.meta.cal_step.subtract_showers == "SKIPPED"
