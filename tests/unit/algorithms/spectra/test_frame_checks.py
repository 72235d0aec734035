"""Where the trace lies in a mean frame, and how far two background regions agree."""

import numpy as np
import pytest

from detectorist.algorithms.spectra.frame_checks import background_disagreement, find_trace_column

SHAPE = (400, 72)


def frame(rng, column, *, light=200.0, noise=1.0):
    columns = np.arange(SHAPE[1])
    trace = light * np.exp(-0.5 * ((columns - column) / 1.7) ** 2)
    return trace * np.linspace(0.2, 1, SHAPE[0])[:, None] + noise * rng.normal(size=SHAPE)


@pytest.mark.parametrize("column", [36.0, 20.4, 60.7])
def test_the_trace_is_found_wherever_it_lies(rng, column):
    background = 30 + np.linspace(0, 5, SHAPE[0])[:, None]
    assert find_trace_column(frame(rng, column) + background) == pytest.approx(column, abs=0.15)


def test_reference_columns_and_missing_pixels_do_not_matter(rng):
    image = frame(rng, 36.0)
    image[:, :4] = 5000
    image[rng.random(SHAPE) < 0.05] = np.nan
    assert find_trace_column(image) == pytest.approx(36.0, abs=0.15)


def test_no_trace_is_found_in_noise(rng):
    assert all(find_trace_column(frame(rng, 36, light=0)) is None for _ in range(50))
    assert find_trace_column(np.full(SHAPE, np.nan)) is None


def test_a_step_between_the_regions_is_told_in_light_of_the_star(rng):
    image = frame(rng, 36.0, noise=0.1)
    image[:, 45:] += 0.5
    regions, width = (12, 22, 50, 68), 9
    rows = slice(int(0.35 * SHAPE[0]), int(0.97 * SHAPE[0]))
    expected = 100 * width * 0.25 / image[rows, 30:43].sum(axis=1).mean()
    assert background_disagreement(image, 36.0, regions, width) == pytest.approx(expected, rel=0.05)
    assert background_disagreement(frame(rng, 36.0), 36.0, regions, width) < 0.05


def test_one_region_cannot_disagree(rng):
    assert np.isnan(background_disagreement(frame(rng, 36.0), 36.0, (50, 68), 9))
    assert np.isnan(background_disagreement(frame(rng, 36.0), 36.0, (), 9))
