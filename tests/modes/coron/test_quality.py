"""Figures of merit of a coronagraphic exposure, measured on integrations whose truth is known."""

import numpy as np
import pytest
from stdatamodels.jwst.datamodels import RampModel

from detectorist.modes.coron.quality import measure, summarise
from detectorist.modes.coron.reduction import part_of_exposure
from detectorist.modes.coron.report import CoronSections
from detectorist.modes.exposure import Exposure
from detectorist.report.quality_checks import find_suspects

N, NY, NX, SIGMA = 8, 96, 128, 0.1
RECORDS = {
    "subtract_ktc": {"ktc_rms_dn": 20.0, "ramps_unmeasured": 12},
    "subtract_1overf": {"stripes_rms": 0.02, "images_unmeasured": 0},
    "apply_rateints_outliers": {"outliers": 3},
}


@pytest.fixture
def arrays(rng):
    """Integrations of a star with white noise: cube, errors, flags."""
    yy, xx = np.mgrid[:NY, :NX]
    star = 50 * np.exp(-np.hypot(yy - 48, xx - 64) / 5)
    cube = star + SIGMA * rng.normal(size=(N, NY, NX))
    return cube, np.full(cube.shape, SIGMA), np.zeros(cube.shape, np.uint32)


def measured(cube, errors, flags, records=RECORDS):
    return measure(cube.mean(axis=0), cube, errors, flags, records)


def told(numbers):
    sections = CoronSections()
    one = Exposure("e", "coron", "done", ".", numbers=numbers)
    return [c.words for s in find_suspects([one], sections.columns, sections.checks) for c in s.concerns]


def test_the_unit_of_stripes_is_that_of_what_they_were_subtracted_from(arrays):
    of_groups = {**RECORDS, "subtract_1overf": {"stripes_rms": 1.5, "unit": "DN"}}
    assert measured(*arrays)["stripes_rms"] == 0.02
    numbers = measured(*arrays, of_groups)
    assert numbers["stripes_rms_dn"] == 1.5
    assert "stripes_rms" not in numbers
    assert "1/f noise of 1.5 DN rms removed" in summarise(numbers)[0]


def test_numbers_of_a_good_exposure(arrays):
    numbers = measured(*arrays)
    assert numbers["pull_width"] == pytest.approx(1, abs=0.02)
    assert numbers["row_ratio"] == pytest.approx(1, abs=0.25)
    assert numbers["column_ratio"] == pytest.approx(1, abs=0.25)
    assert numbers["integration_unlike"] == pytest.approx(0.9, abs=0.25)
    assert numbers["spikes_ppm"] == 0
    assert numbers["integrations"] == N
    assert numbers["outliers_ppm"] == pytest.approx(3e6 / (N * NY * NX))
    assert numbers["ktc_unmeasured_pct"] == pytest.approx(1200 / (N * NY * NX))
    assert told(numbers) == []
    assert all(isinstance(value, int | float | str) for value in numbers.values())


def test_errors_that_are_wrong_are_told(arrays):
    cube, errors, flags = arrays
    small = measured(cube, errors / 2, flags)
    assert small["pull_width"] == pytest.approx(2, rel=0.03)
    assert any("the errors are too small" in words for words in told(small))
    assert any("the errors are too large" in words for words in told(measured(cube, errors * 2, flags)))


def test_stripes_are_told(arrays, rng):
    cube, errors, flags = arrays
    white = SIGMA / np.sqrt(NX * 0.7)
    numbers = measured(cube + 6 * white * rng.normal(size=(N, NY, 1)), errors, flags)
    assert numbers["row_ratio"] == pytest.approx(6, rel=0.3)
    assert numbers["column_ratio"] == pytest.approx(1, abs=0.3)
    assert any("1/f noise is left" in words for words in told(numbers))
    columns = measured(cube + 0.1 * rng.normal(size=(N, 1, NX)), errors, flags)
    assert any("columns scatter" in words for words in told(columns))


def test_cosmic_rays_left_are_counted_once_they_are_unflagged(arrays, rng):
    cube, errors, flags = arrays
    hit = tuple(rng.integers(0, n, 40) for n in cube.shape)
    cube[hit] += 30 * SIGMA
    numbers = measured(cube, errors, flags)
    assert numbers["spikes_ppm"] == pytest.approx(1e6 * 40 / cube.size, rel=0.1)
    assert any("cosmic rays are left" in words for words in told(numbers))
    flags[hit] |= 1
    assert measured(cube, errors, flags)["spikes_ppm"] == 0


def test_an_integration_in_which_the_star_is_brighter_is_told(arrays):
    cube, errors, flags = arrays
    cube[2] *= 1.05
    assert any("one integration differs" in words for words in told(measured(cube, errors, flags)))


def test_dark_pixels_and_unusable_ones_make_no_integration_unlike(arrays):
    cube, errors, flags = arrays
    cube[2, :20] -= 5
    cube[2, 44:52, 60:68] += 5
    flags[2, 44:52, 60:68] |= 1
    assert not any("one integration differs" in words for words in told(measured(cube, errors, flags)))


def test_nothing_is_compared_without_errors_or_with_two_integrations(arrays):
    cube, errors, flags = arrays
    for numbers in (measured(cube, np.full(cube.shape, np.nan), flags), measured(cube[:2], errors[:2], flags[:2])):
        assert "integration_unlike" not in numbers
        assert "pull_width" not in numbers
        assert numbers["unusable_pct"] == 0


@pytest.mark.parametrize(
    ("numbers", "words"),
    [
        ({"stripes_unmeasured": 1}, "could not be measured in 1 images"),
        ({"ktc_unmeasured_pct": 14.0}, "the offset of 14.0 % of the ramps"),
        ({"unusable_pct": 24.0}, "24.0 % of the pixels cannot be used"),
        ({"integration_unlike": 2.4}, "differs from the others by 2.4 times"),
        ({"ktc_unmeasured_pct": 0.2, "unusable_pct": 0.4, "integration_unlike": 1.0, "outliers_ppm": 2000.0}, ""),
    ],
)
def test_limits(numbers, words):
    found = told(numbers)
    assert len(found) == bool(words)
    assert all(words in one for one in found)


def test_the_terminal_says_the_same_numbers(arrays):
    numbers = {"type": "SCI", **measured(*arrays)}
    (line,) = summarise(numbers)
    assert "SCI, 8 integrations" in line
    assert f"scatter {numbers['pull_width']:.2f} x their errors" in line
    assert summarise({}) == []
    assert summarise({"type": "SCI", "integrations": 1}) == ["SCI, 1 integration"]
    assert summarise({"type": "REF", "integrations": 3, "part": "1 to 3 of 77"}) == [
        "REF, 3 integrations (1 to 3 of 77)"
    ]


def test_a_part_of_an_exposure_is_known_by_its_header(tmp_path, caplog):
    """Its rate is that of a part of the integrations; nothing said so."""
    with RampModel((3, 2, 8, 8)) as ramp:
        ramp.meta.telescope, ramp.meta.exposure.nints = "JWST", 77
        ramp.meta.exposure.integration_start, ramp.meta.exposure.integration_end = 1, 3
        ramp.save(tmp_path / "part_uncal.fits")
        ramp.meta.exposure.nints = 3
        ramp.save(tmp_path / "whole_uncal.fits")
    with caplog.at_level("WARNING"):
        assert part_of_exposure(tmp_path / "part_uncal.fits") == "1 to 3 of 77"
        assert "integrations 1 to 3 of 77" in caplog.text
        caplog.clear()
        assert part_of_exposure(tmp_path / "whole_uncal.fits") == ""
        assert not caplog.text
