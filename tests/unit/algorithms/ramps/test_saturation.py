"""Saturation flags: equal, bit for bit, to a definition written out pixel by pixel, and to stcal where it has one."""

import numpy as np
import pytest

from detectorist.algorithms.ramps.saturation import flag_saturation, grow_mask

DNU, SAT, JUMP, AD_FLOOR, NO_SAT_CHECK = 1, 2, 4, 64, 2**21


def neighbours(y, x, ny, nx, n_pix, diagonal):
    for j in range(ny):
        for i in range(nx):
            distance = max(abs(j - y), abs(i - x)) if diagonal else abs(j - y) + abs(i - x)
            if distance <= n_pix:
                yield j, i


def grown_by_definition(mask, n_pix, diagonal):
    out = np.zeros_like(mask)
    for y, x in np.argwhere(mask):
        for j, i in neighbours(y, x, *mask.shape, n_pix, diagonal):
            out[j, i] = True
    return out


def flags_by_definition(data, groupdq, threshold, rc, n_pix, diagonal):
    """Single frames a group: no pass over half-saturated groups."""
    out = groupdq.copy()
    for i in range(len(data)):
        for g in range(data.shape[1]):
            saturated = np.zeros(threshold.shape, bool)
            for y in range(threshold.shape[0]):
                for x in range(threshold.shape[1]):
                    reached = any(data[i, k, y, x] >= threshold[y, x] for k in range(g + 1))
                    saturated[y, x] = reached or rc[y, x] or bool(groupdq[i, g, y, x] & SAT)
                    if data[i, g, y, x] <= 0:
                        out[i, g, y, x] |= AD_FLOOR | DNU
            out[i, g][grown_by_definition(saturated, n_pix, diagonal)] |= SAT
    return out


@pytest.fixture
def ramps(rng):
    """Ramps that saturate here and there, with flags, floors, unchecked pixels and RC pixels."""
    shape = (2, 5, 14, 17)
    rate = np.where(rng.random(shape[-2:]) < 0.06, 20000, 2000) * rng.random(shape[-2:])
    data = (1000 + rate * np.arange(1, 6)[:, None, None] + 50 * rng.normal(size=shape)).astype(np.float32)
    data[rng.random(shape) < 0.01] = 0
    groupdq = np.where(rng.random(shape) < 0.02, JUMP, 0).astype(np.uint8)
    groupdq[1, 2:, 3, 3] |= SAT
    threshold = np.full(shape[-2:], 50000.0, np.float32)
    threshold[5, 5] = np.nan
    threshold[0, 0] = 1500.0
    return data, groupdq, threshold, rng.random(shape[-2:]) < 0.02


@pytest.mark.parametrize("n_pix", [0, 1, 2, 3])
@pytest.mark.parametrize("diagonal", [False, True])
def test_growth_equals_its_definition(rng, n_pix, diagonal):
    for _ in range(5):
        mask = rng.random((13, 9)) < 0.05
        np.testing.assert_array_equal(
            grow_mask(mask, n_pix=n_pix, diagonal=diagonal), grown_by_definition(mask, n_pix, diagonal)
        )


def test_one_layer_is_a_cross_not_a_square():
    mask = np.zeros((5, 5), bool)
    mask[2, 2] = True
    assert grow_mask(mask, n_pix=1, diagonal=False).sum() == 5
    assert grow_mask(mask, n_pix=1, diagonal=True).sum() == 9


@pytest.mark.parametrize("n_pix", [0, 1, 2])
@pytest.mark.parametrize("diagonal", [False, True])
@pytest.mark.parametrize("with_rc", [False, True])
def test_flags_equal_their_definition(ramps, n_pix, diagonal, with_rc):
    data, groupdq, threshold, rc = ramps
    got = flag_saturation(
        data,
        groupdq,
        threshold,
        n_pix_grow_sat=n_pix,
        grow_diagonal=diagonal,
        always_saturated=rc if with_rc else None,
    )
    expected = flags_by_definition(data, groupdq, threshold, rc & with_rc, n_pix, diagonal)
    np.testing.assert_array_equal(got.groupdq, expected)
    assert got.groupdq.dtype == np.uint8


@pytest.mark.parametrize("n_frames", [None, 1, 4, 8])
@pytest.mark.parametrize("n_pix", [0, 1, 2])
def test_square_growth_equals_stcal(ramps, rng, n_frames, n_pix):
    stcal = pytest.importorskip("stcal.saturation.saturation")
    data, groupdq, threshold, _ = ramps
    # Events that saturate within the second group, or half saturate a group.
    data[0, 1, 8:10, 8] = 35000
    data[0, 2:, 8:10, 8] = 60000
    data[1, 2, 11, 2] = 49000
    data[1, 3:, 11, 2] = 61000
    bias = np.full(threshold.shape, 900, np.float32)
    zeroframe = np.where(rng.random((2, 14, 17)) < 0.05, 60000, 900 * rng.random((2, 14, 17)) - 5).astype(np.float32)
    pattern = None if n_frames is None else [[k + 1 + g * n_frames for k in range(n_frames)] for g in range(5)]
    bits = {"DO_NOT_USE": DNU, "SATURATED": SAT, "AD_FLOOR": AD_FLOOR, "NO_SAT_CHECK": NO_SAT_CHECK}
    flags, _, zero = stcal.flag_saturated_pixels(
        data.copy(),
        groupdq.copy(),
        np.zeros(threshold.shape, np.uint32),
        threshold.copy(),
        np.zeros(threshold.shape, np.uint32),
        65535.0,
        bits,
        n_pix_grow_sat=n_pix,
        zframe=zeroframe.copy(),
        read_pattern=pattern,
        bias=bias,
    )
    got = flag_saturation(
        data,
        groupdq,
        threshold,
        n_pix_grow_sat=n_pix,
        grow_diagonal=True,
        n_frames=n_frames,
        bias=bias,
        zeroframe=zeroframe,
    )
    np.testing.assert_array_equal(got.groupdq, flags)
    np.testing.assert_array_equal(got.zeroframe, zero)


def test_zeroframe_knows_cross_and_rc(ramps, rng):
    data, groupdq, threshold, rc = ramps
    zeroframe = 900 * rng.random((2, 14, 17)) + 1
    zeroframe[0, 7, 7] = 60000.0
    zeroframe[1, 2, 2] = -3.0
    got = flag_saturation(data, groupdq, threshold, always_saturated=rc, zeroframe=zeroframe).zeroframe
    for i in range(2):
        cleared = grown_by_definition((zeroframe[i] >= threshold) | rc, 1, diagonal=False) | (zeroframe[i] <= 0)
        np.testing.assert_array_equal(got[i], np.where(cleared, 0, zeroframe[i]))


def test_input_is_untouched(ramps):
    data, groupdq, threshold, rc = ramps
    for array in (data, groupdq, threshold, rc):
        array.flags.writeable = False
    flag_saturation(data, groupdq, threshold, always_saturated=rc, n_frames=4, zeroframe=data[:, 0])


def test_arguments_are_checked(ramps):
    data, groupdq, threshold, _ = ramps
    with pytest.raises(ValueError, match="do not agree"):
        flag_saturation(data, groupdq[:1], threshold)
    with pytest.raises(ValueError, match="n_pix_grow_sat is -1"):
        flag_saturation(data, groupdq, threshold, n_pix_grow_sat=-1)
