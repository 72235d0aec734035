"""Whether a file holds anything: one number or flags everywhere are no exposure, a single good pixel is."""

import numpy as np
import pytest
from astropy.io import fits

from detectorist.algorithms import dq
from detectorist.errors import InputError
from detectorist.reduction.inputs import content
from detectorist.reduction.inputs.content import require_content

SHAPES = [(6, 8), (3, 6, 8), (2, 3, 6, 8)]


@pytest.fixture
def write(tmp_path):
    def make(sci, flags=None):
        hdus = [fits.PrimaryHDU(), fits.ImageHDU(sci, name="SCI")]
        if flags is not None:
            hdus.append(fits.ImageHDU(flags, name="DQ"))
        fits.HDUList(hdus).writeto(tmp_path / "x.fits", overwrite=True)
        return tmp_path / "x.fits"

    return make


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("value", "words"), [(7.0, "7"), (np.nan, "NaN"), (np.inf, "NaN"), (0.0, "0")])
def test_one_number_everywhere_is_refused(write, shape, value, words):
    with pytest.raises(InputError, match=f"SCI contains nothing but {words};"):
        require_content(write(np.full(shape, value, np.float32)))


@pytest.mark.parametrize("shape", SHAPES)
def test_a_single_other_number_is_enough_wherever_it_is(write, shape):
    data = np.full(shape, 7.0, np.float32)
    data[(-1,) * len(shape)] = 8.0
    require_content(write(data))


def test_nan_beside_one_number_is_nothing_still(write):
    data = np.full((3, 6, 8), np.nan, np.float32)
    data[1] = 7.0
    with pytest.raises(InputError, match="nothing but 7"):
        require_content(write(data))


def test_numbers_that_differ_between_frames_only_are_something(write):
    require_content(write(np.arange(3.0, dtype=np.float32)[:, None, None] * np.ones((3, 6, 8), np.float32)))


def test_flags_everywhere_are_refused_and_one_free_pixel_is_enough(write, rng):
    data = rng.normal(size=(2, 6, 8)).astype(np.float32)
    flags = np.full(data.shape, dq.DO_NOT_USE | dq.SATURATED, np.uint32)
    with pytest.raises(InputError, match="every pixel is flagged DO_NOT_USE"):
        require_content(write(data, flags))
    flags[1, 5, 7] = dq.SATURATED
    require_content(write(data, flags))


def test_groups_that_are_all_equal_are_refused_and_one_other_number_is_enough(write, rng):
    data = np.repeat(rng.normal(size=(2, 1, 6, 8)), 3, axis=1).astype(np.float32)
    data[0, :, 2, 2] = np.nan
    with pytest.raises(InputError, match="SCI is the same in all groups"):
        require_content(write(data))
    data[1, 2, 5, 7] += 1
    require_content(write(data))
    require_content(write(data[:, :1]))  # one group tells nothing of changes


def test_counts_without_their_offset_are_refused(write, rng):
    counts = rng.integers(9000, 60000, (2, 3, 6, 8)).astype(np.uint16)
    path = write(counts)
    require_content(path)
    assert fits.getheader(path, "SCI")["BZERO"] == 32768
    with pytest.raises(InputError, match=r"SCI holds counts down to -\d+; is BZERO missing"):
        require_content(write((counts.astype(int) - 32768).astype(np.int16)))
    require_content(write(counts.astype(np.float32) - 32768))  # of corrected ramps some may be negative


def test_of_good_ramps_few_frames_are_read(write, rng, monkeypatch):
    seen = []
    frames = content._planes

    def count(hdus, name):
        for frame in frames(hdus, name):
            seen.append(frame.shape)
            yield frame

    monkeypatch.setattr(content, "_planes", count)
    require_content(write(rng.normal(size=(2, 3, 6, 8)).astype(np.float32)))
    assert seen == [(6, 8)] * 4  # two of them to see that groups differ
