"""The engine's removal of periodic interference against the stock function, bit by bit."""

import logging

import numpy as np
import pytest
from scipy.interpolate import BSpline, make_interp_spline

from detectorist.engine import NotCovered, emicorr_search
from detectorist.engine.emicorr import evaluate
from detectorist.reduction.engine_steps.emicorr import EngineEmiCorrStep, _evaluator


def random_case(seed):
    rng = np.random.default_rng(seed)
    shape = (int(rng.integers(1, 5)), int(rng.choice([3, 5, 8, 9, 20, 31])), 48, 32)
    period, rowclocks = float(rng.choice([256.0, 9960.938])), 28
    clocks = np.arange(shape[2])[:, None] * rowclocks + np.arange(shape[3] // 4)
    turn = (shape[2] * rowclocks + (1024 - shape[2]) * 7) / period
    groups = np.arange(shape[0] * shape[1]).reshape(shape[0], shape[1], 1, 1)
    wave = 4 * np.sin(2 * np.pi * (np.repeat(clocks, 4, axis=1) / period + groups * turn))
    rate = 10 ** rng.uniform(0, 2, shape[2:])
    data = 9000 + np.arange(shape[1])[:, None, None] * rate + wave + rng.normal(0, 6, shape)
    pixeldq = np.where(rng.random(shape[2:]) < 0.05, 1, 0).astype(np.uint32)
    reference = np.sin(2 * np.pi * (np.arange(int(rng.choice([100, 500]))) + 0.5) / 100) + rng.normal(0, 0.05)
    frameclocks = float(rng.choice([0, 15904]))
    return np.rint(data).astype(np.float32), (pixeldq, reference, 1, rowclocks, frameclocks, period)


def compare(seed, *, separately=False, as_many_phases=False):
    from jwst.emicorr.emicorr import emicorr_refwave

    logging.getLogger("jwst").setLevel(logging.ERROR)
    data, settings = random_case(seed)
    n_phases = len(settings[1]) if as_many_phases else 60
    wanted = emicorr_refwave(data.copy(), *settings, separately, nphases_opt=n_phases)
    got = EngineEmiCorrStep.covered(data.copy(), *settings, separately, nphases_opt=n_phases)
    np.testing.assert_array_equal(got, wanted, err_msg=f"seed {seed}, {data.shape}")
    assert np.any(got != data), f"seed {seed}: nothing was subtracted"


@pytest.mark.parametrize("seed", range(6))
def test_ramps_are_those_of_stock(seed):
    compare(seed)


@pytest.mark.parametrize("seed", range(6, 10))
def test_ramps_are_those_of_stock_where_each_integration_is_fitted_by_itself(seed):
    compare(seed, separately=True)


@pytest.mark.parametrize("seed", range(10, 16))
def test_ramps_are_those_of_stock_with_as_many_trial_phases_as_bins(seed):
    compare(seed, separately=True, as_many_phases=True)


@pytest.mark.parametrize("turn", [0.125, 2**0.5 - 1, 0.25])
@pytest.mark.parametrize("n_groups", [3, 8, 60])
@pytest.mark.parametrize("noise", [0.0, 0.1])
def test_turned_waves_give_the_parabolas_of_all_trial_phases(rng, turn, n_groups, noise):
    """Within the stated errors, also where phases lie on the ends of a wave that are not quite the same."""
    n = 100
    phases = (np.arange(n + 2) - 0.5) / n
    values = np.sin(2 * np.pi * phases) + noise * rng.normal(size=n + 2)
    values[[0, -1]] = values[[-2, 1]]
    wave = make_interp_spline(phases, values, k=3)
    template, trials = (phases[1:-1, None] + turn * np.arange(n_groups)) % 1, np.arange(n) / n
    assert emicorr_search._is_circle(template, trials)
    counts = rng.integers(1, 300, (2, n)).astype(float)
    sums = counts[:, :, None] * (9000 + 40 * np.arange(n_groups) + 3 * np.sin(2 * np.pi * template))
    sums += 6 * np.sqrt(counts)[:, :, None] * rng.normal(size=sums.shape)
    (least, error), (turned, error_turned) = (
        parabolas(sums, counts, wave, template, trials).minima()
        for parabolas in (emicorr_search._parabolas, emicorr_search._parabolas_on_circle)
    )
    assert (np.abs(least - turned) <= error + error_turned).all()
    if emicorr_search._precision_on_circle(wave, template) < emicorr_search._PRECISE:
        np.testing.assert_allclose(turned, least, atol=1e-6 * np.abs(least).max())
    else:
        assert noise
        assert turn in (0.125, 0.25)


def test_other_phases_are_no_circle():
    template, trials = (np.arange(50)[:, None] + 0.5) / 50 + np.zeros(3), np.arange(50) / 50
    assert emicorr_search._is_circle(template, trials)
    assert not emicorr_search._is_circle(template, trials[:-1])
    assert not emicorr_search._is_circle(template[::-1], trials)
    assert not emicorr_search._is_circle(template, trials**2)


def test_integrations_without_quiet_pixels_are_fitted_as_in_stock():
    from jwst.emicorr.emicorr import emicorr_refwave

    logging.getLogger("jwst").setLevel(logging.CRITICAL)
    data, (_, *settings) = random_case(3)
    everything = np.ones(data.shape[2:], np.uint32)
    with np.errstate(all="ignore"):
        wanted = emicorr_refwave(data.copy(), everything, *settings, True, nphases_opt=60)
        got = EngineEmiCorrStep.covered(data.copy(), everything, *settings, True, nphases_opt=60)
    np.testing.assert_array_equal(got, wanted)


def test_only_waves_near_a_minimum_are_evaluated_as_in_stock(monkeypatch):
    from detectorist.reduction.engine_steps import emicorr

    made = []

    class Counted(emicorr._OnDemand):
        def __init__(self, size, make):
            super().__init__(size, lambda k: made.append(k) or make(k))

    monkeypatch.setattr(emicorr, "_OnDemand", Counted)
    data, (pixeldq, _, *settings) = random_case(7)
    smooth = np.sin(2 * np.pi * (np.arange(500) + 0.5) / 500)
    EngineEmiCorrStep.covered(data, pixeldq, smooth, *settings, True, nphases_opt=500)
    assert 3 <= len(set(made)) <= 8 * len(data)


@pytest.mark.long
@pytest.mark.parametrize("separately", [False, True])
@pytest.mark.parametrize("block", range(5))
def test_four_hundred_cases(block, separately):
    for seed in range(100 + 40 * block, 140 + 40 * block):
        compare(seed, separately=separately)


def test_nan_is_left_to_stock():
    data, settings = random_case(1)
    data[0, 0, 0, 0] = np.nan
    with pytest.raises(NotCovered):
        EngineEmiCorrStep.covered(data, *settings)


@pytest.mark.parametrize("n_points", [5, 64, 500])
def test_waves_are_evaluated_as_by_scipy(rng, n_points):
    phases = (np.arange(n_points + 2) - 0.5) / n_points
    wave = make_interp_spline(phases, rng.normal(size=n_points + 2), k=3)
    turns = np.concatenate([rng.random(3000), phases, wave.t, [0.0, np.nextafter(1, 0), -1.0, 2.0]])
    np.testing.assert_array_equal(evaluate(wave, turns), wave(turns))
    square = rng.random((30, 40))
    np.testing.assert_array_equal(evaluate(wave, square.T), wave(square.T))


def test_another_scipy_evaluates_its_own_waves(rng):
    class Other(BSpline):
        def __call__(self, at):
            return np.nextafter(super().__call__(at), np.inf)

    wave = make_interp_spline(np.linspace(0, 1, 20), rng.normal(size=20), k=3)
    other, probe = Other(wave.t, wave.c, wave.k), rng.random(50)
    assert _evaluator(other, probe) is other
    assert _evaluator(wave, probe) is not wave
