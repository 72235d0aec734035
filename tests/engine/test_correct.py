"""Linearity, inter-pixel capacitance, side reference pixels and dark against the stock functions, bit by bit."""

import types

import numpy as np
import pytest

from detectorist.engine import NotCovered
from detectorist.engine.correct import convolve, linearize
from detectorist.engine.refpix import running_median

LINEARITY_SEEDS = range(12)


def linearity_case(seed):
    rng = np.random.default_rng(seed)
    shape = (int(rng.integers(1, 4)), int(rng.integers(1, 6)), int(rng.integers(2, 40)), int(rng.integers(2, 90)))
    data = rng.normal(20000, 20000, shape).astype(np.float32)
    data[rng.random(shape) < 0.01] = rng.choice([np.nan, np.inf, -np.inf, 0])
    groupdq = rng.choice([0, 0, 0, 1, 2, 6], shape).astype(np.uint8)
    n = int(rng.integers(2, 10))
    coefficients = (rng.normal(size=(n, *shape[2:])) * 10.0 ** (-4.5 * np.arange(n))[:, None, None]).astype(np.float32)
    coefficients[rng.random(coefficients.shape) < 0.01] = np.nan
    coefficients[1][rng.random(shape[2:]) < 0.02] = 0
    lin_dq = rng.choice([0, 0, 0, 2**20, 4], shape[2:]).astype(np.uint32)
    pixeldq = rng.choice([0, 1, 2**20], shape[2:]).astype(np.uint32)
    zeroframe = data[:, 0].copy() if rng.random() < 0.5 else None
    return data, groupdq, pixeldq, coefficients, lin_dq, zeroframe


@pytest.mark.parametrize("seed", LINEARITY_SEEDS)
def test_linearity_is_that_of_stcal(seed):
    from stcal.linearity.linearity import linearity_correction
    from stdatamodels.jwst.datamodels import dqflags

    case = linearity_case(seed)
    *arrays, zeroframe = [None if array is None else array.copy() for array in case]
    data, groupdq, pixeldq, coefficients, lin_dq, zeros = case
    with np.errstate(all="ignore"):
        wanted = linearity_correction(*arrays, dqflags.pixel, zframe=zeroframe)
        before = coefficients.copy()
        got = linearize(data, groupdq, pixeldq, coefficients, lin_dq, zeroframe=zeros, threads=1 + seed % 3)
    np.testing.assert_array_equal(data, wanted[0], err_msg=f"seed {seed}")
    np.testing.assert_array_equal(got[0], wanted[1], err_msg=f"seed {seed}")
    if zeros is not None:
        np.testing.assert_array_equal(got[1], wanted[2], err_msg=f"seed {seed}")
    np.testing.assert_array_equal(coefficients, before)


def compare_reads(seed):
    from stcal.linearity.linearity import linearity_correction
    from stdatamodels.jwst.datamodels import dqflags

    rng = np.random.default_rng(seed)
    shape = (int(rng.integers(1, 3)), int(rng.integers(2, 7)), int(rng.integers(2, 80)), int(rng.integers(2, 40)))
    n_frames = int(rng.choice([2, 4, 8]))
    data = (np.cumsum(rng.uniform(0, 6000, shape), axis=1) + 300).astype(np.float32)
    data[rng.random(shape) < 0.003] = rng.choice([np.nan, np.inf, 0])
    groupdq = np.where(data > 25000, 2, rng.choice([0, 0, 1, 4], shape)).astype(np.uint8)
    scales = (10.0 ** (-5 * np.arange(6.0)))[:, None, None]
    forward, inverse = (
        ((rng.normal(0, 0.1, (n, *shape[2:])) + (np.arange(n) == 1)[:, None, None] * 1e5**1) * scales[:n]).astype("f4")
        for n in rng.integers(2, 7, 2)
    )
    for terms in (forward, inverse):
        terms[1] = 1 + rng.normal(0, 0.01, shape[2:])
        terms[rng.random(terms.shape) < 0.01] = np.nan
        terms[1][rng.random(shape[2:]) < 0.02] = 0
    lin_dq = rng.choice([0, 0, 0, 2**20], shape[2:]).astype(np.uint32)
    pattern = [[k + 1 + g * n_frames for k in range(n_frames)] for g in range(shape[1])]
    zeros = np.zeros(shape[2:], np.uint32)
    with np.errstate(all="ignore"):
        wanted = linearity_correction(
            data.copy(),
            groupdq,
            zeros.copy(),
            forward.copy(),
            lin_dq,
            dqflags.pixel,
            ilin_coeffs=inverse.copy(),
            read_pattern=pattern,
        )
        pixels, _ = linearize(
            data, groupdq, zeros, forward, lin_dq, inverse=inverse, read_pattern=pattern, threads=1 + seed % 3
        )
    np.testing.assert_array_equal(data, wanted[0], err_msg=f"seed {seed}, {shape}, {n_frames} frames")
    np.testing.assert_array_equal(pixels, wanted[1], err_msg=f"seed {seed}")


@pytest.mark.parametrize("seed", range(10))
def test_linearity_of_averaged_frames_is_that_of_stcal(seed):
    compare_reads(seed)


@pytest.mark.long
@pytest.mark.parametrize("block", range(5))
def test_a_thousand_cases_of_averaged_frames(block):
    for seed in range(1000 + 200 * block, 1200 + 200 * block):
        compare_reads(seed)


@pytest.mark.parametrize("shape", [(3, 3), (5, 5), (1, 3), (7, 5), (9, 1)])
@pytest.mark.parametrize("seed", range(6))
def test_convolution_is_that_of_stock(seed, shape):
    from jwst.ipc.ipc_corr import NumRefPixels, ipc_convolve

    rng = np.random.default_rng(seed)
    edges = tuple(int(rng.choice([0, 4])) for _ in range(4))
    data = rng.normal(1000, 500, (2, 3, int(rng.integers(9, 40)), int(rng.integers(9, 70)))).astype(np.float32)
    data[rng.random(data.shape) < 0.005] = np.nan
    kernel = rng.normal(0, 0.01, shape).astype(np.float32)
    kernel[shape[0] // 2, shape[1] // 2] = 1.05
    wanted = data.copy()
    for plane in wanted.reshape(-1, *data.shape[2:]):
        ipc_convolve(plane, kernel, NumRefPixels(*edges))
    convolve(data, kernel, reference_edges=edges, threads=1 + seed % 3)
    np.testing.assert_array_equal(data, wanted, err_msg=f"seed {seed}, {edges}")


@pytest.mark.parametrize("shape", [(4, 3), (3, 3, 9, 9)])
def test_other_kernels_are_left_to_stock(shape):
    with pytest.raises(NotCovered):
        convolve(np.zeros((1, 1, 9, 9), np.float32), np.zeros(shape, np.float32), reference_edges=(0, 0, 0, 0))


@pytest.mark.parametrize("seed", range(10))
def test_running_median_is_that_of_stock(seed):
    from jwst.refpix.reference_pixels import NIRDataset

    rng = np.random.default_rng(seed)
    strip = rng.normal(size=(int(rng.integers(40, 200)), 4)).astype(rng.choice([np.float32, np.float64]))
    strip[rng.random(strip.shape) < 0.003] = np.nan
    dq = (rng.random(strip.shape) < rng.choice([0.05, 0.9])).astype(np.uint32)
    length = int(rng.choice([3, 4, 11, 12, 31]))
    stock = types.SimpleNamespace(create_reflected=lambda *args: NIRDataset.create_reflected(None, *args))
    with np.errstate(all="ignore"):
        wanted = NIRDataset.median_filter(stock, strip, dq, length)
    got = running_median(strip, dq, length=length)
    np.testing.assert_array_equal(got, wanted, err_msg=f"seed {seed}, length {length}")


@pytest.mark.parametrize(("dark_ints", "first_int"), [(0, 1), (2, 1), (2, 5), (5, None)])
def test_dark_is_that_of_stcal(dark_ints, first_int, rng):
    from stcal.dark_current.dark_sub import subtract_dark

    from detectorist.reduction.engine_steps.dark import EngineDarkCurrentStep

    shape = (3, 4, 10, 12)
    data = rng.normal(1000, 10, shape).astype(np.float32)
    dark = rng.normal(5, 1, (6, 10, 12) if not dark_ints else (dark_ints, 6, 10, 12)).astype(np.float32)
    flags = rng.integers(0, 4, (10, 12) if not dark_ints else (dark_ints, 1, 10, 12)).astype(np.uint32)

    def science():
        return types.SimpleNamespace(
            data=data.copy(), pixeldq=np.full((10, 12), 8, np.uint32), exp_intstart=first_int, cal_step=None
        )

    dark = types.SimpleNamespace(data=dark, groupdq=flags)
    wanted, got = subtract_dark(science(), dark), EngineDarkCurrentStep.covered(science(), dark)
    np.testing.assert_array_equal(got.data, wanted.data)
    np.testing.assert_array_equal(got.pixeldq, wanted.pixeldq)


@pytest.mark.parametrize(("first", "last", "reset_groups"), [(1, 3, 2), (2, 4, 9), (None, None, 4)])
def test_reset_is_that_of_stock(first, last, reset_groups, make_lrs_ramp, rng):
    from jwst.reset.reset_sub import do_correction
    from stdatamodels.jwst.datamodels import ResetModel

    from detectorist.reduction.engine_steps.front import EngineResetStep

    model = make_lrs_ramp(3, 4, 12, 16)
    model.meta.exposure.integration_start, model.meta.exposure.integration_end = first, last
    reset = ResetModel(data=rng.normal(5, 1, (2, reset_groups, 12, 16)).astype(np.float32))
    reset.data[0, 0, 3, 4] = np.nan
    reset.dq = rng.integers(0, 4, (12, 16)).astype(np.uint32)
    reset.meta.exposure.nints, reset.meta.exposure.ngroups = 2, reset_groups
    wanted, got = do_correction(model.copy(), reset.copy()), EngineResetStep.covered(model.copy(), reset.copy())
    np.testing.assert_array_equal(got.data, wanted.data)
    np.testing.assert_array_equal(got.pixeldq, wanted.pixeldq)
    assert np.any(got.data != model.data)
