"""The flat field of a long series is that of the standard step, bit for bit, wherever the parts of it begin."""

import numpy as np
import pytest
from jwst.flatfield.flat_field_step import FlatFieldStep
from stdatamodels.jwst.datamodels import CubeModel, FlatModel

from detectorist.modes.lrs import flat_field
from detectorist.pipelines import LrsPipeline

pytestmark = pytest.mark.filterwarnings("default")

SHAPE = (12, 10)
ARRAYS = ("data", "err", "dq", "var_poisson", "var_rnoise", "var_flat")


@pytest.fixture
def flat(tmp_path):
    """A flat field with NaN, zeros and flags, and an error of its own."""
    rng = np.random.default_rng(1)
    model = FlatModel(data=rng.normal(1, 0.05, SHAPE).astype(np.float32))
    model.data[0, 0], model.data[1, 1] = np.nan, 0
    model.err = np.full(SHAPE, 0.01, np.float32)
    model.dq[2, 2], model.dq[3, 3] = 1, 2**18
    model.meta.instrument.name, model.meta.instrument.detector = "MIRI", "MIRIMAGE"
    place = model.meta.subarray
    place.name, place.xstart, place.ystart, place.xsize, place.ysize = "SLITLESSPRISM", 1, 529, SHAPE[1], SHAPE[0]
    place.fastaxis, place.slowaxis = 1, 2
    model.save(tmp_path / "flat.fits")
    return str(tmp_path / "flat.fits")


def rates(n_ints):
    rng = np.random.default_rng(n_ints)
    model = CubeModel(data=rng.normal(100, 1, (n_ints, *SHAPE)).astype(np.float32))
    model.err, model.var_poisson, model.var_rnoise = rng.random((3, n_ints, *SHAPE)).astype(np.float32)
    model.dq = (rng.random((n_ints, *SHAPE)) < 0.02).astype(np.uint32)
    model.data[n_ints // 2, 5, 5] = np.nan
    model.meta.instrument.name, model.meta.instrument.detector = "MIRI", "MIRIMAGE"
    model.meta.exposure.type, model.meta.exposure.integration_start = "MIR_LRS-SLITLESS", 1
    place = model.meta.subarray
    place.name, place.xstart, place.ystart, place.xsize, place.ysize = "SLITLESSPRISM", 1, 529, SHAPE[1], SHAPE[0]
    place.fastaxis, place.slowaxis = 1, 2
    return model


@pytest.mark.parametrize("n_ints", [4, 16, 17, 20, 33])
@pytest.mark.parametrize("inverse", [False, True])
def test_as_the_standard_step(flat, n_ints, inverse):
    standard = FlatFieldStep(user_supplied_flat=flat, inverse=inverse)
    expected = standard.process(rates(n_ints))
    step = LrsPipeline().flat_field
    step.user_supplied_flat, step.inverse, step.save_results = flat, inverse, True
    found = step.process(rates(n_ints))
    for name in ARRAYS:
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name), err_msg=name)
    assert found.meta.cal_step.flat_field == expected.meta.cal_step.flat_field == "COMPLETE"
    assert step._reference_files_used == standard._reference_files_used


def test_a_reference_is_opened_once_for_all_parts_and_again_for_other_rates(flat, monkeypatch):
    opened = []
    monkeypatch.setattr(
        FlatFieldStep,
        "_get_references",
        lambda self, model, kind: (
            opened.append(kind) or {"flat": FlatModel(flat), "fflat": None, "sflat": None, "dflat": None}
        ),
    )
    expected = FlatFieldStep().process(rates(33))
    opened.clear()
    step = LrsPipeline().flat_field
    for _ in range(2):
        found = step.process(rates(33))
        for name in ("data", "err", "dq", "var_poisson", "var_rnoise"):
            np.testing.assert_array_equal(getattr(found, name), getattr(expected, name), err_msg=name)
    assert opened == ["MIR_LRS-SLITLESS"] * 2
    step.process(rates(4))
    assert len(opened) == 3


def test_it_is_given_few_integrations_at_a_time(flat, monkeypatch):
    given = []
    standard = FlatFieldStep.process
    monkeypatch.setattr(FlatFieldStep, "process", lambda self, m: (given.append(len(m.data)), standard(self, m))[1])
    step = LrsPipeline().flat_field
    step.user_supplied_flat = flat
    found = step.process(rates(33))
    assert not found.hasattr("var_flat")  # nobody looks at it
    assert sum(given) == 33
    assert max(given) <= flat_field.PART_INTS + 1


def test_a_failure_leaves_the_rates_whole(flat, monkeypatch):
    def fail(self, model):
        raise RuntimeError("no")

    monkeypatch.setattr(FlatFieldStep, "process", fail)
    model = rates(20)
    with pytest.raises(RuntimeError, match="no"):
        LrsPipeline().flat_field.process(model)
    np.testing.assert_array_equal(model.data, rates(20).data)


def test_parameters_from_crds_are_those_of_the_standard_step():
    assert (
        flat_field.FlatFieldInPartsStep.get_config_reftype()
        == FlatFieldStep.get_config_reftype()
        == "pars-flatfieldstep"
    )
