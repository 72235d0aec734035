"""The steps that run in the engine, against the stock steps on whole models."""

import logging

import numpy as np
import pytest
from jwst.jump.jump_step import JumpStep
from jwst.ramp_fitting.ramp_fit_step import RampFitStep

from detectorist.reduction.engine_steps import EngineJumpStep, EngineRampFitStep
from detectorist.reduction.engine_steps.base import warn_of_unproven_version

SHAPE = (3, 12, 40, 72)


@pytest.fixture
def ramp(make_lrs_ramp, random_ramps, rng):
    ramps = random_ramps(rng, SHAPE, heavy=True, chargeloss=True)
    model = make_lrs_ramp(*SHAPE, data=ramps.data)
    model.groupdq, model.pixeldq = ramps.groupdq, ramps.pixeldq
    model.groupdq[:, 0] |= 1
    return model


@pytest.fixture
def references(ramp, random_ramps, rng, tmp_path):
    from stdatamodels.jwst.datamodels import GainModel, ReadnoiseModel

    ramps = random_ramps(rng, SHAPE)
    paths = {}
    for name, kind, array in (("gain", GainModel, ramps.gain), ("readnoise", ReadnoiseModel, ramps.read_noise)):
        model = kind(data=array)
        model.meta.subarray = ramp.meta.subarray.instance
        model.save(tmp_path / f"{name}.fits")
        paths[f"override_{name}"] = str(tmp_path / f"{name}.fits")
    return paths


def run(kind, model, references, **parameters):
    step = kind(**references, **parameters)
    with np.errstate(all="ignore"):
        return step.process(model.copy())  # without the bookkeeping of `run`, which asks CRDS for its version


def assert_same_model(got, wanted, names):
    for name in names:
        np.testing.assert_array_equal(getattr(got, name), getattr(wanted, name), err_msg=name)
    for key, value in wanted.to_flat_dict().items():
        if key.startswith("meta.") and not any(part in key for part in ("date", "parameters", "model_type")):
            assert got.to_flat_dict()[key] == value, key


@pytest.fixture
def caught(caplog):
    caplog.set_level(logging.INFO, logger="detectorist")
    return lambda: [r.message for r in caplog.records if r.name.startswith("detectorist")]


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_jump_and_fit_give_what_stock_gives(ramp, references, caught):
    settings = {"rejection_threshold": 5.0, "after_jump_flag_dn1": 100.0, "after_jump_flag_time1": 0.4}
    stock = run(JumpStep, ramp, references, **settings)
    ours = run(EngineJumpStep, ramp, references, **settings)
    assert_same_model(ours, stock, ("groupdq", "pixeldq", "data"))
    assert "jump: compiled engine" in caught()
    for got, wanted in zip(run(EngineRampFitStep, ours, references), run(RampFitStep, stock, references), strict=True):
        assert_same_model(got, wanted, ("data", "dq", "err", "var_poisson", "var_rnoise"))
        assert type(got) is type(wanted)
    assert "ramp_fit: compiled engine" in caught()


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_large_events_are_those_of_stock(ramp, references, caught):
    y, x = np.ogrid[:40, :72]
    for row, column in ((20, 30), (8, 60)):
        distance = np.hypot(y - row, x - column)
        ramp.groupdq[0, 5:, distance < 5] |= 2
        ramp.data[0, 5:, (distance >= 5) & (distance < 9)] += 5000
    settings = {"expand_large_events": True, "snowball_time_masked_next_int": 1}
    stock = run(JumpStep, ramp, references, **settings)
    ours = run(EngineJumpStep, ramp, references, **settings)
    assert_same_model(ours, stock, ("groupdq", "pixeldq"))
    assert ours.meta.exposure.extended_emission_events > 0


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize(
    ("kind", "parameters", "reason"),
    [
        (EngineJumpStep, {"find_showers": True}, "showers"),
        (EngineJumpStep, {"only_use_ints": False}, "together"),
        (EngineRampFitStep, {"algorithm": "LIKELY"}, "LIKELY"),
    ],
)
def test_what_is_not_covered_runs_in_stock(kind, parameters, reason, ramp, references, caught):
    ours, stock = (run(k, ramp, references, **parameters) for k in (kind, kind.stock))
    ours, stock = (r[0] if isinstance(r, tuple) else r for r in (ours, stock))
    np.testing.assert_array_equal(ours.data, stock.data)
    assert any(f"{kind.class_alias}: standard code, because" in line and reason in line for line in caught())


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_stock_on_request(ramp, references, caught):
    run(EngineJumpStep, ramp, references, engine="stock")
    assert not any("engine" in line for line in caught())


def test_every_group_unusable_is_left_to_stock(ramp, references, caught):
    ramp.groupdq[:] |= 1
    assert run(EngineRampFitStep, ramp, references) == (None, None)
    assert any("standard code" in line for line in caught())


def test_they_keep_the_names_of_the_stock_steps():
    for kind in (EngineJumpStep, EngineRampFitStep):
        assert kind.class_alias == kind.stock.class_alias
        assert kind.get_config_reftype() == kind.stock.get_config_reftype(), "CRDS would have no parameters"
        ours, stock = (k.load_spec_file() for k in (kind, kind.stock))
        assert {key: ours[key] for key in stock} == dict(stock)
        assert set(ours) - set(stock) == {"engine"}


def test_another_stcal_is_told_once(caught):
    warn_of_unproven_version.cache_clear()
    for _ in range(3):
        warn_of_unproven_version("9.9")
    assert len([line for line in caught() if "9.9" in line]) == 1
