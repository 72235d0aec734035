"""The steps that run in the engine, against the stock steps on whole models."""

import logging
import tracemalloc
from functools import partial

import numpy as np
import pytest
from jwst.jump.jump_step import JumpStep
from jwst.ramp_fitting.ramp_fit_step import RampFitStep
from stcal.ramp_fitting import ramp_fit
from stdatamodels.jwst.datamodels.dqflags import pixel

from detectorist.reduction.engine_steps.base import warn_of_unproven_version
from detectorist.reduction.engine_steps.jump import EngineJumpStep
from detectorist.reduction.engine_steps.ramp_fit import EngineRampFitStep, MarkedRampFitStep, _ramp_of

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
    """Return a function that returns our log lines, without those on kernels that this machine compiles first."""
    caplog.set_level(logging.INFO, logger="detectorist")
    return lambda: [
        record.message
        for record in caplog.records
        if record.name.startswith("detectorist") and not record.message.startswith("compiling")
    ]


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


@pytest.mark.parametrize("flagged", [False, True])
@pytest.mark.parametrize("algorithm", ["OLS_C", "LIKELY"])
def test_what_the_fit_takes_is_that_of_stock(flagged, algorithm, ramp):
    ramp.groupdq &= np.uint8(127)
    ramp.groupdq[1, 4, 3, 5] |= np.uint8(128 if flagged else 0)
    stock = ramp_fit.create_ramp_fit_class
    got, wanted = (make(ramp, algorithm, pixel, True) for make in (partial(_ramp_of, stock), stock))
    assert got.algorithm == wanted.algorithm
    assert (wanted.orig_gdq is not None) == (flagged and algorithm == "OLS_C")
    np.testing.assert_equal(vars(got), vars(wanted))


def test_the_fit_makes_no_arrays_as_large_as_the_flags_to_look_for_one(ramp):
    ramp.groupdq &= np.uint8(127)
    tracemalloc.start()
    try:
        _ramp_of(ramp_fit.create_ramp_fit_class, ramp, "OLS_C", pixel, True)
        assert tracemalloc.get_traced_memory()[1] < ramp.groupdq.nbytes
    finally:
        tracemalloc.stop()


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
def test_the_fit_by_likelihood_is_that_of_stock(ramp, references, caught):
    stock, ours = (run(k, ramp, references, algorithm="LIKELY") for k in (RampFitStep, EngineRampFitStep))
    for got, wanted in zip(ours, stock, strict=True):
        np.testing.assert_array_equal(got.dq, wanted.dq)
        for name in ("data", "err", "var_poisson", "var_rnoise"):
            np.testing.assert_allclose(getattr(got, name), getattr(wanted, name), rtol=3e-7, atol=1e-15, err_msg=name)
    assert caught() == ["ramp_fit: compiled engine"]


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_our_pipelines_mark_what_likelihood_could_not_fit(ramp, references, caught):
    """Of the pixels with a single good group stock says nothing: NaN with an infinite error, DQ good."""
    ramp.groupdq[:, :, 3, 5] = 4
    ramp.groupdq[:, 0, 3, 5] = 0
    ramp.pixeldq[3, 5] = 0
    rate, ints = run(MarkedRampFitStep, ramp, references, algorithm="LIKELY", suppress_one_group=False)
    for model in (rate, ints):
        unfitted = np.isnan(model.data)
        assert unfitted[..., 3, 5].all()
        assert np.all(model.dq[unfitted] & 1)
        assert not model.err[unfitted].any()
        assert np.isfinite(model.err).all()
    assert any("could not be fitted" in line for line in caught())
    assert any("suppress_one_group=false" in line for line in caught())
    wanted, got = (run(k, ramp, references)[1] for k in (EngineRampFitStep, MarkedRampFitStep))
    assert_same_model(got, wanted, ("data", "dq", "err"))


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_below_four_groups_likelihood_becomes_least_squares_as_in_stock(make_lrs_ramp, references, rng):
    model = make_lrs_ramp(2, 3, 40, 72, data=rng.normal(100, 5, (2, 3, 40, 72)).cumsum(axis=1).astype(np.float32))
    likely, least = (run(MarkedRampFitStep, model, references, algorithm=a)[1] for a in ("LIKELY", "OLS_C"))
    np.testing.assert_array_equal(likely.data, least.data)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize(
    ("kind", "parameters", "reason"),
    [
        (EngineJumpStep, {"find_showers": True}, "showers"),
        (EngineJumpStep, {"only_use_ints": False}, "together"),
        (EngineRampFitStep, {"save_opt": True}, "optional"),
    ],
)
def test_what_is_not_covered_runs_in_stock(kind, parameters, reason, ramp, references, caught, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # where optional results go
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


#: What a header may lack or have wrong, of what these two steps read.
DAMAGE = [
    *((name, None) for name in ("frame_time", "group_time", "nframes", "groupgap", "ngroups", "nints")),
    *((name, None) for name in ("integration_start", "integration_end", "drop_frames1", "readpatt")),
    ("frame_time", 0.0),
    ("group_time", 0.0),
    ("group_time", -1.0),
    ("nframes", 0),
]


def as_nircam(ramp):
    """Give a ramp the header of NIRCam, groups averaged from frames with a gap between them."""
    ramp.meta.instrument.name, ramp.meta.instrument.detector = "NIRCAM", "NRCALONG"
    ramp.meta.exposure.type, ramp.meta.exposure.readpatt = "NRC_CORON", "MEDIUM8"
    exposure = ramp.meta.exposure
    exposure.nframes, exposure.groupgap = 8, 2
    exposure.group_time = 10 * exposure.frame_time


def outcome(kind, model, references, **parameters):
    """Return what a step gives, as arrays, or the type and words of its error."""
    try:
        results = run(kind, model, references, **parameters)
    except Exception as error:
        return type(error), str(error)
    results = results if isinstance(results, tuple) else (results,)
    names = ("data", "dq", "err", "var_poisson", "var_rnoise") if kind.class_alias == "ramp_fit" else ("groupdq",)
    return [np.array(getattr(result, name)) for result in results if result is not None for name in names]


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize(("name", "value"), DAMAGE)
@pytest.mark.parametrize(
    ("kind", "parameters"),
    [(EngineJumpStep, {}), (EngineRampFitStep, {}), (EngineRampFitStep, {"algorithm": "LIKELY"})],
)
@pytest.mark.parametrize("instrument", ["MIRI", "NIRCAM"])
def test_damaged_headers_are_refused_as_stock_refuses_them(ramp, references, kind, parameters, name, value, instrument):
    if instrument == "NIRCAM":
        as_nircam(ramp)
    setattr(ramp.meta.exposure, name, value)
    ours, stock = (outcome(k, ramp, references, **parameters) for k in (kind, kind.stock))
    if isinstance(stock, tuple):
        assert ours == stock
        return
    assert len(ours) == len(stock)
    for got, wanted in zip(ours, stock, strict=True):
        np.testing.assert_allclose(got, wanted, rtol=3e-7, atol=1e-15)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize(
    ("algorithm", "reference", "value"),
    [
        ("OLS_C", "gain", np.nan),
        ("OLS_C", "readnoise", np.nan),
        ("OLS_C", "readnoise", 0.0),
        ("LIKELY", "gain", np.nan),
        ("LIKELY", "readnoise", np.nan),
    ],
)
def test_references_without_a_value_give_what_stock_gives(ramp, references, algorithm, reference, value):
    from stdatamodels.jwst import datamodels

    with datamodels.open(references[f"override_{reference}"]) as model:
        model.data = np.full_like(model.data, value)
        model.save(references[f"override_{reference}"])
    ours, stock = (
        outcome(k, ramp, references, algorithm=algorithm) for k in (EngineRampFitStep, EngineRampFitStep.stock)
    )
    for got, wanted in zip(ours, stock, strict=True):
        np.testing.assert_allclose(got, wanted, rtol=3e-7, atol=1e-15)
