"""WispsStep: templates by name, strength with its error, what is left alone and what is refused."""

import numpy as np
import pytest
from astropy.io import fits
from numpy.testing import assert_allclose, assert_array_equal
from stdatamodels.jwst import datamodels

from detectorist import models
from detectorist.errors import AlreadyCorrected, InputError, ParameterError, ReferenceMissing
from detectorist.modes.imaging import quality
from detectorist.stage_1 import WispsStep

SIZE = 256
WHITE = 0.02
NAME = "jw00001001001_nrca3_rate"


def filament(x, y, width, length, angle):
    yy, xx = np.mgrid[:SIZE, :SIZE]
    u = (xx - x) * np.cos(angle) + (yy - y) * np.sin(angle)
    v = -(xx - x) * np.sin(angle) + (yy - y) * np.cos(angle)
    return 0.1 * np.exp(-0.5 * (u / width) ** 2 - 0.5 * (v / length) ** 2)


FIRST, SECOND = filament(90, 120, 12, 70, 0.9), filament(180, 150, 10, 50, 0.4)


@pytest.fixture
def make_rate(rng):
    def make(wisp, *, detector="NRCA3", band="F150W"):
        model = datamodels.ImageModel(data=(0.3 + wisp + WHITE * rng.normal(size=(SIZE, SIZE))).astype(np.float32))
        model.err = np.full(model.data.shape, WHITE, np.float32)
        model.dq = np.zeros(model.data.shape, np.uint32)
        model.meta.instrument.name, model.meta.instrument.detector, model.meta.instrument.filter = (
            "NIRCAM",
            detector,
            band,
        )
        model.meta.exposure.type = "NRC_IMAGE"
        model.meta.subarray.name = "SUB256"
        model.meta.subarray.xstart = model.meta.subarray.ystart = 1
        model.meta.subarray.xsize = model.meta.subarray.ysize = SIZE
        model.meta.observation.date, model.meta.observation.time = "2026-07-01", "00:00:00.000"
        model.meta.filename = f"{NAME}.fits"
        return model

    return make


@pytest.fixture
def templates(tmp_path):
    folder = tmp_path / "templates"
    folder.mkdir()

    def write(**files):
        for name, data in files.items():
            fits.HDUList([fits.PrimaryHDU(), fits.ImageHDU(np.asarray(data, np.float32))]).writeto(
                folder / f"{name}.fits"
            )
        return str(folder)

    return write


def test_defaults_say_that_the_strength_is_fitted():
    step = WispsStep()
    assert (step.scale, step.fit_scaling, step.apply_flat, step.mask_file) == (None, True, True, None)


@pytest.mark.parametrize("name", ["wisps_nrca3_f150w", "WISP_NRCA3_F150W_CLEAR"])
def test_a_wisp_is_fitted_and_subtracted(make_rate, templates, name):
    rate = make_rate(0.8 * FIRST)
    before = rate.data.copy()
    step = WispsStep()
    step.template_dir, step.apply_flat = templates(**{name: FIRST}), False
    got = step.run(rate)
    assert_array_equal(rate.data, before)
    scale, error = step.record["scale"][0], step.record["scale_error"][0]
    assert abs(scale - 0.8) < 4 * error
    assert got.meta.cal_step.wisps == "COMPLETE"
    assert_allclose(before - got.data, scale * FIRST, atol=3e-3)
    assert_allclose(got.err**2 - WHITE**2, (error * FIRST) ** 2, atol=3e-6)
    assert any(name in entry["description"] for entry in got.instance["history"]["entries"])


def test_the_template_of_the_filter_in_the_pupil_wheel_is_the_one_that_is_taken(make_rate, templates):
    """Both lie in the folder, and that of the wide filter in front would fit nothing."""
    rate = make_rate(0.8 * FIRST, detector="NRCB4", band="F150W2")
    rate.meta.instrument.pupil = "F162M"
    step = WispsStep()
    step.template_dir = templates(WISP_NRCB4_F150W2_CLEAR=SECOND, WISP_NRCB4_F150W2_F162M=FIRST)
    step.apply_flat = False
    step.run(rate)
    assert step.record["templates"] == ["WISP_NRCB4_F150W2_F162M.fits"]
    assert abs(step.record["scale"][0] - 0.8) < 4 * step.record["scale_error"][0]


def test_the_template_of_the_filter_in_front_is_not_taken_instead(make_rate, templates):
    rate = make_rate(0.8 * FIRST, detector="NRCB4", band="F150W2")
    rate.meta.instrument.pupil = "F162M"
    step = WispsStep()
    step.template_dir = templates(WISP_NRCB4_F150W2_CLEAR=FIRST)
    with pytest.raises(ReferenceMissing, match="no wisp template for NRCB4 in F162M"):
        step.run(rate)


def test_the_record_holds_the_curve_of_the_fit(make_rate, templates):
    step = WispsStep()
    step.template_dir, step.apply_flat = templates(wisps_nrca3_f150w=FIRST), False
    step.run(make_rate(0.8 * FIRST))
    curve = step.record["curve"]
    assert len(curve["scale"]) == len(curve["spread"]) == 21
    assert 0 <= step.record["hidden"] < 0.1
    assert abs(curve["scale"][int(np.argmin(curve["spread"]))] - 0.8) < 0.1
    step.run(make_rate(0 * FIRST))
    assert step.record["state"] == "SKIPPED"
    assert int(np.argmin(step.record["curve"]["spread"])) < 3


def test_two_components_of_independent_strength(make_rate, templates):
    step = WispsStep()
    step.template_dir = templates(wisps_nrca3_f150w_1=FIRST, wisps_nrca3_f150w_2=SECOND)
    step.apply_flat = False
    step.run(make_rate(0.8 * FIRST + 0.5 * SECOND))
    pull = (np.array(step.record["scale"]) - [0.8, 0.5]) / step.record["scale_error"]
    assert np.abs(pull).max() < 4


def test_a_wisp_away_from_its_template_is_told(make_rate, templates, caplog):
    rate = make_rate(1.5 * np.roll(FIRST + SECOND, (32, 0), (0, 1)))
    step = WispsStep()
    step.template_dir, step.apply_flat = templates(wisps_nrca3_f150w=FIRST + SECOND), False
    step.run(rate)
    assert step.record["elsewhere_pix"] == [32, 0]
    assert "lies about 32 pixels up and 0 to the right of its template" in caplog.text
    step.run(make_rate(1.5 * (FIRST + SECOND)))
    assert step.record["elsewhere_pix"] is None


def test_no_significant_wisp_leaves_the_image_alone(make_rate, templates):
    rate = make_rate(0 * FIRST)
    got = WispsStep.call(rate, template_dir=templates(wisps_nrca3_f150w=FIRST), apply_flat=False)
    assert got.meta.cal_step.wisps == "SKIPPED"
    assert_array_equal(got.data, rate.data)
    assert_array_equal(got.err, rate.err)
    assert any("no significant wisp" in entry["description"] for entry in got.instance["history"]["entries"])


def test_a_scale_that_is_given_wins(make_rate, templates):
    rate = make_rate(0.8 * FIRST)
    got = WispsStep.call(rate, template_dir=templates(wisps_nrca3_f150w=FIRST), scale=0.7, apply_flat=False)
    assert_allclose(rate.data - got.data, 0.7 * FIRST, atol=2e-3)
    assert_array_equal(got.err, rate.err)


def test_the_flat_serves_to_measure(make_rate, templates, tmp_path, lrs_references):
    flat = 1 + 0.2 * np.sin(np.arange(SIZE) / 25.0) * np.ones((SIZE, 1))
    rate = make_rate(0 * FIRST)
    noise = rate.data - 0.3
    rate.data = ((0.3 + 0.8 * FIRST) * flat + noise).astype(np.float32)
    reference = datamodels.FlatModel(data=flat.astype(np.float32))
    reference.dq = np.zeros(flat.shape, np.uint32)
    reference.save(tmp_path / "flat.fits")
    got = WispsStep.call(
        rate, template_dir=templates(wisps_nrca3_f150w=FIRST), override_flat=str(tmp_path / "flat.fits")
    )
    left = got.data - noise - 0.3 * flat
    assert left[FIRST > 0.05].std() < 0.004
    assert got.meta.cal_step.flat_field is None


def test_mask_and_figure_go_to_disk(make_rate, templates, tmp_path):
    settings = {"template_dir": templates(wisps_nrca3_f150w=FIRST), "apply_flat": False, "output_dir": str(tmp_path)}
    WispsStep.call(make_rate(0.8 * FIRST), save_mask=True, draw_wisps=True, **settings)
    assert (tmp_path / f"{NAME}_wisp.pdf").stat().st_size > 1000
    assert fits.getdata(tmp_path / f"{NAME}_segm_cold.fits").shape == (SIZE, SIZE)
    WispsStep.call(make_rate(0.8 * FIRST), mask_file=str(tmp_path / f"{NAME}_segm_cold.fits"), **settings)


@pytest.mark.parametrize(("detector", "band"), [("NRCA1", "F150W"), ("NRCALONG", "F444W"), ("NRCA3", "F115W")])
def test_where_no_wisps_are_known_nothing_is_done(make_rate, detector, band):
    rate = make_rate(FIRST, detector=detector, band=band)
    got = WispsStep.call(rate)
    assert got.meta.cal_step.wisps == "SKIPPED"
    assert_array_equal(got.data, rate.data)


def test_nothing_is_subtracted_twice(make_rate, templates):
    settings = {"template_dir": templates(wisps_nrca3_f150w=FIRST), "apply_flat": False}
    once = WispsStep.call(make_rate(0.8 * FIRST), **settings)
    with pytest.raises(AlreadyCorrected, match=NAME):
        WispsStep.call(once, **settings)
    theirs = make_rate(0.8 * FIRST)
    theirs.add_history_entry("Subtracted wisp template; wispsub.py 2023-01-01")
    with pytest.raises(AlreadyCorrected, match="wispsub"):
        WispsStep.call(theirs, **settings)


def test_parts_without_a_template_stay_as_they_are_and_are_counted(make_rate, templates):
    rate = make_rate(0.8 * FIRST)
    rate.dq[:16] |= 1  # not usable anyway
    gap = FIRST.copy()
    gap[:64] = np.nan
    result = WispsStep.call(rate, template_dir=templates(wisps_nrca3_f150w=gap), apply_flat=False)
    record = result.meta.detectorist.instance["wisps"]
    assert record["uncovered"] == pytest.approx(48 / 240)
    assert record["scale"][0] == pytest.approx(0.8, abs=4 * record["scale_error"][0])
    assert "20.00% of the image, where these hold no number" in " ".join(models.history(result).split())
    assert_array_equal(result.data[:32], rate.data[:32])
    numbers = quality.measure(quality.RateImage(result.data, result.err, result.dq), {"wisps": record})
    assert numbers["wisp_uncovered_pct"] == pytest.approx(20)
    (check,) = [one for one in quality.CHECKS if one.key == "wisp_uncovered_pct"]
    assert "20 % of the image stay as they are" in check.apply(numbers["wisp_uncovered_pct"]).words


def test_bad_input_is_named(make_rate, templates, make_lrs_rateints):
    rate = make_rate(FIRST)
    with pytest.raises(ReferenceMissing, match="template_dir"):
        WispsStep.call(rate, apply_flat=False)
    folder = templates(wisps_nrca4_f150w=FIRST, wisps_nrcb3_f150w=FIRST[:50], wisps_nrcb4_f150w=FIRST * np.nan)
    with pytest.raises(ReferenceMissing, match="NRCA3 in F150W"):
        WispsStep.call(rate, template_dir=folder, apply_flat=False)
    with pytest.raises(InputError, match="does not cover"):
        WispsStep.call(make_rate(FIRST, detector="NRCB3"), template_dir=folder, apply_flat=False)
    with pytest.raises(InputError, match="has no finite value"):
        WispsStep.call(make_rate(FIRST, detector="NRCB4"), template_dir=folder, apply_flat=False)
    for scale in (-0.5, float("nan")):
        with pytest.raises(ParameterError, match="scale"):
            WispsStep.call(make_rate(FIRST, detector="NRCA4"), template_dir=folder, scale=scale, apply_flat=False)
    with pytest.raises(ParameterError, match="one of them"):
        WispsStep.call(rate, template_dir=folder, fit_scaling=False, apply_flat=False)
    with pytest.raises(InputError, match="2 dimensions"):
        WispsStep.call(make_lrs_rateints(), template_dir=folder, apply_flat=False)


def test_a_level_of_the_template_is_not_taken_off_the_sky(make_rate, templates):
    """A stack of images keeps some of their sky; scaled with the wisp it would darken the whole image."""
    rate = make_rate(0.8 * FIRST)
    step = WispsStep()
    step.template_dir, step.apply_flat = templates(wisps_nrca3_f150w=FIRST + 0.02), False
    got = step.run(rate)
    dark = FIRST < 1e-4
    assert abs(step.record["scale"][0] - 0.8) < 4 * step.record["scale_error"][0]
    assert_allclose((rate.data - got.data)[dark], 0, atol=2e-4)
