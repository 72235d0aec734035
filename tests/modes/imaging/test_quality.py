"""Figures of merit of an image: measured on images whose truth is known, and what they are taken for."""

import numpy as np
import pytest

from detectorist.modes.exposure import Exposure
from detectorist.modes.imaging.quality import RateImage, measure, summarise
from detectorist.modes.imaging.report import ImagingSections
from detectorist.report.quality_checks import find_suspects

SIZE, SIGMA = 256, 0.02
RECORDS = {
    "snowballs": {"state": "COMPLETE", "n_events": 3, "n_flagged": 2000},
    "wisps": {"state": "COMPLETE", "scale": [0.8], "scale_error": [0.01], "residual_ratio": 1.02, "hidden": 0.1},
    "jump": {"state": "COMPLETE", "flicker_dn_s": 0.06},
    "stripes": {
        "state": "COMPLETE",
        "stripes_rms": 0.05,
        "rms_in_outputs": 0.05,
        "masked_fraction": 0.1,
        "white_noise": 0.02,
        "rms_common": 0.003,
        "rms_own": 0.004,
        "row_rms_after": 0.0007,
        "row_rms_white": 0.00125,
    },
}


@pytest.fixture
def image(rng):
    """An even sky of 1 DN/s with white noise, reference pixels around it."""
    data = 1 + SIGMA * rng.normal(size=(SIZE, SIZE))
    flags = np.full(data.shape, 2**31, np.uint32)
    flags[4:-4, 4:-4] = 0
    flags[30:35, 30:35] |= 4
    flags[40, 40] |= 2
    data[flags >= 2**31] = 0
    return RateImage(data, np.full(data.shape, SIGMA), flags, n_samples=5 * data.size, wisps_known=True)


def changed(image, data):
    return RateImage(data, image.error, image.flags, n_samples=image.n_samples, wisps_known=image.wisps_known)


def told(numbers):
    sections = ImagingSections()
    one = Exposure("e", "imaging", "done", ".", numbers=numbers)
    return [c.words for s in find_suspects([one], sections.columns, sections.checks) for c in s.concerns]


def test_numbers_of_a_good_image(image):
    numbers = measure(image, RECORDS)
    assert numbers["snowballs"] == 3
    assert numbers["flagged_pct"] == pytest.approx(100 * 2000 / (5 * SIZE**2))
    assert numbers["wisp_scale"] == 0.8
    assert numbers["flicker_over_white"] == pytest.approx(0.25)
    assert numbers["masked_pct"] == pytest.approx(10)
    assert numbers["sky"] == pytest.approx(1, abs=4 * SIGMA / 30)
    assert numbers["jumps_pct"] == pytest.approx(100 * 25 / SIZE**2)
    assert numbers["saturated_pct"] == pytest.approx(100 / SIZE**2)
    assert numbers["row_ratio"] == pytest.approx(0.56)
    assert numbers["column_ratio"] == pytest.approx(1, abs=0.2)
    assert numbers["spikes_ppm"] == 0
    assert told(numbers) == []
    assert all(isinstance(value, int | float | str) for value in numbers.values())


def test_rows_and_columns_that_are_left_are_told(image, rng):
    rows = measure(changed(image, image.data + 0.01 * rng.normal(size=(SIZE, 1))))
    expected = np.hypot(1, 0.01 / (SIGMA / np.sqrt(SIZE - 8)))
    assert rows["uncorrected_row_ratio"] == pytest.approx(expected, rel=0.2)
    assert rows["column_ratio"] == pytest.approx(1, abs=0.2)
    assert any("rows scatter" in words and "not corrected" in words for words in told(rows))
    columns = measure(changed(image, image.data + 0.01 * rng.normal(size=(1, SIZE))), RECORDS)
    assert columns["column_ratio"] > 5
    assert "columns scatter" in told(columns)[0]


def test_rows_are_told_as_the_step_measured_them_where_it_did(image):
    records = {**RECORDS, "stripes": {**RECORDS["stripes"], "row_rms_after": 0.006, "row_rms_white": 0.0025}}
    numbers = measure(image, records)
    assert numbers["row_ratio"] == pytest.approx(2.4)
    assert any("1/f noise is left" in words for words in told(numbers))


def test_cosmic_rays_left_are_counted_and_stars_are_not(image, rng):
    data = image.data.copy()
    y, x = rng.integers(10, SIZE - 10, (2, 60))
    data[y, x] += 30 * SIGMA
    numbers = measure(changed(image, data), RECORDS)
    n_pixels = (SIZE - 8) ** 2
    assert numbers["spikes_ppm"] == pytest.approx(1e6 * 60 / n_pixels, rel=0.1)
    assert "cosmic rays or hot pixels are left" in told(numbers)[0]
    yy, xx = np.mgrid[:SIZE, :SIZE]
    stars = sum(np.exp(-0.5 * ((yy - a) ** 2 + (xx - b) ** 2) / 0.8**2) for a, b in zip(y, x, strict=True))
    assert measure(changed(image, image.data + 8 * SIGMA * stars), RECORDS)["spikes_ppm"] < 50


@pytest.mark.parametrize(
    ("step", "change", "words"),
    [
        ("wisps", {"hidden": 0.39}, ""),
        ("wisps", {"hidden": 0.72}, "72 % of the wisp lie under what was taken for sources"),
        (
            "wisps",
            {"measured": False, "scale_error": [0.2]},
            "the wisp could not be measured: one of 0.60 of its template",
        ),
        ("wisps", {"scale": [0.0], "state": "SKIPPED", "reason": "no significant wisp"}, ""),
        ("wisps", {"scale_error": [0.12]}, "known to 15% only"),
        ("wisps", {"residual_ratio": 2.0}, "the template does not fit"),
        ("stripes", {"rms_common": 0.0, "rms_own": 0.5}, ""),
        ("jump", {"flicker_dn_s": 0.026}, ""),
        ("jump", {"flicker_dn_s": 0.02}, "2.5 times the 1/f noise that the groups of the ramps show"),
        ("jump", {"lone_hits": 1186}, "593 pixels were told by their sharpness and have no rate"),
        ("stripes", {"slow_rms_unsure": 0.0031}, "the level of rows is uncertain by 0.0031 DN/s"),
        ("snowballs", {"n_flagged": 5 * SIZE**2 // 20}, "snowballs cover 5.0 % of all samples"),
    ],
)
def test_each_limit_by_itself(image, step, change, words):
    reasons = told(measure(image, {**RECORDS, step: {**RECORDS[step], **change}}))
    assert any(words in one for one in reasons) if words else reasons == []


def test_wisps_without_a_template_are_told_where_there_are_wisps(image):
    without = {name: numbers for name, numbers in RECORDS.items() if name != "wisps"}
    assert "no template was given" in told(measure(image, without))[0]
    elsewhere = RateImage(image.data, image.error, image.flags)
    assert told(measure(elsewhere, without)) == []


def test_medians_have_no_strength_of_1_over_f(image):
    records = {**RECORDS, "stripes": {"stripes_rms": 0.05, "white_noise": 0.0, "rms_common": 0.0, "rms_own": 0.0}}
    assert "flicker_over_white" not in measure(image, records)


def test_an_image_without_usable_pixels_has_no_numbers_of_pixels():
    flags = np.ones((16, 16), np.uint32)
    numbers = measure(RateImage(np.full((16, 16), np.nan), np.ones((16, 16)), flags))
    assert "sky" not in numbers
    assert "row_ratio" not in numbers


def test_the_terminal_says_the_same_numbers(image):
    numbers = measure(image, RECORDS)
    (line,) = summarise(numbers)
    assert "3 snowballs" in line
    assert "wisp 0.800 +- 0.010" in line
    assert f"rows scatter {numbers['row_ratio']:.2f} x white noise" in line
    assert summarise({}) == []
