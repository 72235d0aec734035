"""StripesStep: rates and rateints, both methods, masks and patterns on disk, refusals."""

import inspect
from types import SimpleNamespace

import numpy as np
import pytest
from astropy.io import fits
from numpy.testing import assert_allclose, assert_array_equal
from stdatamodels.jwst import datamodels

from detectorist.algorithms.flicker.destripe import destripe
from detectorist.algorithms.flicker.readout import alternating_readout
from detectorist.errors import AlreadyCorrected, InputError, TooFewPixels
from detectorist.stage_1 import StripesStep
from detectorist.stage_1.stripes import rms_in_outputs

NY = NX = 256
WHITE = 0.02


def pink(rng, slope=1.0):
    """1/f noise of one output that reads the whole image."""
    n = NY * (NX + 12)
    frequency = np.fft.rfftfreq(n)
    frequency[0] = np.inf
    waves = rng.normal(size=frequency.size) + 1j * rng.normal(size=frequency.size)
    line = np.fft.irfft(waves * frequency ** (-slope / 2), n)
    return (line / line.std()).reshape(NY, -1)[:, :NX]


@pytest.fixture
def truth(rng):
    """(light, stripes)."""
    yy, xx = np.mgrid[:NY, :NX]
    light = 0.3 + np.zeros((NY, NX))
    for _ in range(25):
        y, x = rng.uniform(5, NY - 5), rng.uniform(5, NX - 5)
        light += rng.uniform(0.1, 2) * np.exp(-0.5 * ((yy - y) ** 2 + (xx - x) ** 2) / 1.6**2)
    stripes = 0.015 * pink(rng)
    return light, stripes - stripes.mean()


def as_rate(data, kind=datamodels.ImageModel):
    model = kind(data=np.asarray(data, np.float32))
    model.err = np.full(model.data.shape, WHITE, np.float32)
    model.dq = np.zeros(model.data.shape, np.uint32)
    model.meta.instrument.name, model.meta.instrument.detector, model.meta.instrument.filter = (
        "NIRCAM",
        "NRCB1",
        "F200W",
    )
    model.meta.exposure.type = "NRC_IMAGE"
    model.meta.subarray.name, model.meta.subarray.xsize, model.meta.subarray.ysize = "SUB256", NX, NY
    model.meta.subarray.xstart = model.meta.subarray.ystart = 1
    model.meta.subarray.fastaxis, model.meta.subarray.slowaxis = 1, 2
    model.meta.observation.date, model.meta.observation.time = "2026-07-01", "00:00:00.000"
    model.meta.filename = "jw00001001001_nrcb1_rate.fits"
    return model


@pytest.fixture
def rate(truth, rng):
    light, stripes = truth
    return as_rate(light + stripes + WHITE * rng.normal(size=light.shape))


def test_spec_and_algorithm_have_the_same_defaults():
    step = StripesStep()
    parameters = inspect.signature(destripe).parameters
    for name in ("method", "thresh", "vertical"):
        assert getattr(step, name) == parameters[name].default


@pytest.mark.parametrize("method", ["flicker", "median"])
def test_stripes_go_and_light_stays(rate, truth, method, rng):
    light, stripes = truth
    before = rate.data.copy(), rate.err.copy()
    step = StripesStep()
    step.method, step.apply_flat = method, False
    got = step.run(rate)
    assert_array_equal(rate.data, before[0])
    assert got.meta.cal_step.stripes == "COMPLETE"
    sky = light < 0.302
    rows = (got.data - light).mean(axis=1, where=sky)
    assert rows.std() < (0.35 if method == "flicker" else 0.5) * stripes.mean(axis=1).std()
    assert abs(np.median((got.data - light)[sky])) < 0.002
    if method == "flicker":
        pull = (got.data - light)[sky] / got.err[sky]
        assert_allclose(1.4826 * np.median(np.abs(pull)), 1, atol=0.05)
        assert abs(step.record["rms_own"] - 0.015) < 0.006


@pytest.mark.parametrize("method", ["flicker", "median"])
def test_the_record_holds_the_noise_of_rows_before_and_after(rate, truth, method):
    step = StripesStep()
    step.method, step.apply_flat = method, False
    step.run(rate)
    white = WHITE / np.sqrt(NX * (1 - step.record["masked_fraction"]))
    assert_allclose(step.record["row_rms_white"], white, rtol=0.1)
    assert step.record["row_rms_before"] > 2 * white
    assert step.record["row_rms_after"] < 1.3 * white


def test_rateints_one_by_one(truth, rng):
    light, _ = truth
    stripes = np.array([0.02 * pink(rng) for _ in range(3)])
    model = as_rate(light + stripes + WHITE * rng.normal(size=stripes.shape), datamodels.CubeModel)
    got = StripesStep.call(model, apply_flat=False)
    sky = light < 0.302
    left = np.array([(image - light).mean(axis=1, where=sky) for image in got.data])
    assert (left.std(axis=1) < 0.4 * stripes.mean(axis=2).std(axis=1)).all()
    pull = ((got.data - light) / got.err)[:, sky]
    assert_allclose(1.4826 * np.median(np.abs(pull - np.median(pull))), 1, atol=0.05)


def test_time_series_through_four_outputs_one_by_one(rng):
    """NRC_TSIMAGE on a grism subarray: four outputs share a noise, each integration has its own."""
    ny, width = 64, 128
    order = alternating_readout(4 * width, 4, fast_direction=-1)
    star = 40 * np.exp(-0.5 * (np.hypot(*(np.mgrid[:ny, : 4 * width] - np.array([30, 200])[:, None, None])) / 6) ** 2)
    stripes = []
    for _ in range(3):
        series = [pink(rng)[:ny, :width] for _ in range(5)]
        outputs = [series[0] + 0.3 * own for own in series[1:]]
        stripes.append(np.hstack([one[:, ::way] for one, (*_, way) in zip(outputs, order.outputs, strict=True)]))
    stripes = 0.03 * np.array(stripes)
    model = as_rate(star + stripes + WHITE * rng.normal(size=stripes.shape), datamodels.CubeModel)
    meta = model.meta
    meta.exposure.type, meta.exposure.noutputs, meta.instrument.detector = "NRC_TSIMAGE", 4, "NRCA3"
    meta.subarray.name, meta.subarray.fastaxis = "SUBGRISM64", -1
    meta.subarray.ysize, meta.subarray.xsize = ny, 4 * width
    step = StripesStep(apply_flat=False, vertical=False)
    corrected = step.run(model)
    left = (np.asarray(corrected.data) - star).reshape(3, ny, 4, width)
    rows = left.mean(axis=3) - np.median(left, axis=(1, 3))[:, None]
    before = (stripes.reshape(3, ny, 4, width)).mean(axis=3)
    assert before.std() > 6 * WHITE / np.sqrt(width)
    # Means of rows hold the white noise of their pixels, and little else.
    assert (rows.std(axis=1) < 1.5 * WHITE / np.sqrt(width)).all()
    assert corrected.meta.cal_step.stripes == "COMPLETE"


def test_groups_of_ramps(truth, rng):
    light, _ = truth
    times = 50.0 * np.arange(1, 5)
    stripes = np.array([5 * pink(rng) for _ in times])
    model = datamodels.RampModel(
        data=(light * times[:, None, None] + stripes + 4 * rng.normal(size=stripes.shape)).astype(np.float32)[None]
    )
    model.groupdq, model.pixeldq = np.zeros(model.data.shape, np.uint8), np.zeros((NY, NX), np.uint32)
    model.pixeldq[:4] = 2**31
    model.update(as_rate(light))
    model.meta.exposure.group_time, model.meta.exposure.nframes = 50.0, 1
    before = model.data.copy()
    step = StripesStep()
    step.apply_flat = False
    got = step.run(model)
    assert_array_equal(model.data, before)
    assert_array_equal(got.data[:, :, :4], before[:, :, :4])
    assert got.meta.cal_step.stripes == "COMPLETE"
    assert step.record["row_rms_after"] < 0.6 * step.record["row_rms_before"]
    weight = (times - times.mean()) / ((times - times.mean()) ** 2).sum()
    sky = (light < 0.302) & (np.arange(NY)[:, None] >= 4)
    left = (np.einsum("igyx,g->yx", got.data, weight) - light)[sky]
    variance = 4**2 * (weight**2).sum() + step.mean_variance[sky]
    assert_allclose(1.4826 * np.median(np.abs(left - np.median(left))), np.sqrt(variance.mean()), rtol=0.06)
    with pytest.raises(AlreadyCorrected, match="subtract twice"):
        StripesStep.call(got, apply_flat=False)


def test_the_flat_serves_to_measure_and_stays_in_the_image(truth, rng, tmp_path, lrs_references):
    light, stripes = truth
    flat = 1 + 0.1 * np.sin(np.arange(NX) / 20.0)[None, :] * np.cos(np.arange(NY) / 30.0)[:, None]
    model = as_rate(3 * light * flat + stripes + WHITE * rng.normal(size=flat.shape))
    reference = datamodels.FlatModel(data=flat.astype(np.float32))
    reference.dq = np.zeros(flat.shape, np.uint32)
    reference.dq[3, 4] = 1
    reference.save(tmp_path / "flat.fits")
    for method in ("flicker", "median"):
        got = StripesStep.call(model, override_flat=str(tmp_path / "flat.fits"), method=method)
        sky = light < 0.302
        rows = (got.data - 3 * light * flat).mean(axis=1, where=sky)
        assert rows.std() < 0.5 * stripes.mean(axis=1).std()
        assert got.meta.cal_step.flat_field is None


def test_masks_and_patterns_go_to_disk_and_back(truth, tmp_path):
    """In a frame too small for wide light to be modelled: with a given mask none is."""
    noise = WHITE * np.random.default_rng(1).normal(size=(NY, NX))
    rate = as_rate((sum(truth) + noise)[:200])
    rate.meta.subarray.ysize = 200
    settings = {"apply_flat": False, "output_dir": str(tmp_path)}
    got = StripesStep.call(rate, save_mask=True, save_patterns=True, draw_stripes=True, **settings)
    names = {path.name for path in tmp_path.iterdir()}
    base = "jw00001001001_nrcb1_rate"
    made = ("1fmask.fits", "horiz.fits", "vert.fits", "stripes.png", "stripes_sources.png")
    assert names == {f"{base}_{name}" for name in made}
    horizontal, vertical = (fits.getdata(tmp_path / f"{base}_{part}.fits") for part in ("horiz", "vert"))
    assert_allclose(got.data, rate.data - horizontal - vertical, atol=1e-6)
    again = StripesStep.call(rate, mask_file=str(tmp_path / f"{base}_1fmask.fits"), **settings)
    assert_allclose(again.data, got.data, atol=2e-3)


def test_reference_and_bad_pixels_stay(rate):
    rate.dq[:4] = 2**31 | 1
    rate.data[:4] = 0
    rate.data[50, 50] = np.nan
    got = StripesStep.call(rate, apply_flat=False)
    assert_array_equal(got.data[:4], 0)
    assert_array_equal(got.err[:4], rate.err[:4])
    assert np.isnan(got.data[50, 50])
    assert np.isfinite(got.data).sum() == got.data.size - 1


def test_reference_pixels_are_not_drawn(rate, monkeypatch, tmp_path):
    from detectorist.figures import stripes

    rate.dq[:4], rate.data[:4], drawn = 2**31, 0, []
    draw = stripes.draw_stripes
    monkeypatch.setattr(stripes, "draw_stripes", lambda *args: drawn.append(draw(*args)) or drawn[-1])
    StripesStep.call(rate, apply_flat=False, draw_stripes=True, figure_path=str(tmp_path / "figure.png"))
    rows = drawn[0].axes[3].lines[0].get_ydata()
    assert_array_equal(np.isnan(rows), np.arange(NY) < 4)
    assert np.nanmax(np.abs(rows)) < 0.2


def test_missing_arrays_are_no_obstacle(rate):
    bare = datamodels.ImageModel(data=rate.data)
    bare.update(rate)
    bare.meta.filename = "bare_rate.fits"
    got = StripesStep.call(bare, apply_flat=False)
    assert np.isfinite(got.data).all()


@pytest.mark.parametrize("marker", ["stripes", "clean_flicker_noise", "history"])
def test_nothing_is_corrected_twice(rate, marker):
    if marker == "history":
        rate.add_history_entry("Removed horizontal,vertical striping; remstriping.py 2023-01-01")
    else:
        setattr(rate.meta.cal_step, marker, "COMPLETE")
    with pytest.raises(AlreadyCorrected, match="jw00001001001_nrcb1_rate"):
        StripesStep.call(rate, apply_flat=False)


def test_bad_input_is_named(rate, make_lrs_rateints, tmp_path):
    with pytest.raises(InputError, match="MIRI"):
        StripesStep.call(make_lrs_rateints(), apply_flat=False)
    masked = rate.copy()
    masked.dq[:] = 1
    with pytest.raises(TooFewPixels, match="jw00001001001_nrcb1_rate"):
        StripesStep.call(masked, apply_flat=False)
    still = rate.copy()
    still.data[:] = 1.0
    with pytest.raises(TooFewPixels, match="scatter"):
        StripesStep.call(still, apply_flat=False)
    wrong = rate.copy()
    wrong.meta.subarray.xsize = 2048
    with pytest.raises(InputError, match="header says"):
        StripesStep.call(wrong, apply_flat=False)
    fits.PrimaryHDU(np.zeros((3, 3))).writeto(tmp_path / "mask.fits")
    with pytest.raises(InputError, match="source mask"):
        StripesStep.call(rate, apply_flat=False, mask_file=str(tmp_path / "mask.fits"))


def test_regions_of_large_events_say_nothing_of_their_rows(truth):
    """What lost groups to a snowball has other noise: the rows beside a dark disc were taken for light."""
    light, stripes = truth
    yy, xx = np.mgrid[:NY, :NX]
    disc = np.hypot(yy - 150, xx - 70) < 45
    away = ~disc & (np.hypot(yy - 150, xx - 70) > 52)
    for seed in range(3):
        rng = np.random.default_rng(seed)
        model = as_rate(light + stripes - 0.08 * disc + WHITE * rng.normal(size=light.shape))
        model.dq = np.where(disc, 4, 0).astype(np.uint32)
        left = StripesStep(apply_flat=False).run(model).data - light
        rows = np.where(away, left, np.nan)[110:190]
        assert np.nanstd(np.nanmean(rows, axis=1)) < 1.6 * WHITE / np.sqrt(NX)
        # Of the noise of the groups that are left in the disc its level is known: light goes on across the border.
        assert np.mean(left[disc]) == pytest.approx(0, abs=WHITE / 2)


def test_what_stands_out_in_ramps_that_were_made_alike_is_light(truth, rng):
    """The noise of the groups that are left was taken off the ramps; a clump of a nebula stays."""
    light, stripes = truth
    yy, xx = np.mgrid[:NY, :NX]
    disc = np.hypot(yy - 150, xx - 70) < 25
    model = as_rate(light + stripes + 0.04 * disc + WHITE * rng.normal(size=light.shape))
    model.dq = np.where(disc, 4, 0).astype(np.uint32)
    step = StripesStep(apply_flat=False)
    alone = step.run(model).data - light
    assert np.mean(alone[disc]) == pytest.approx(0, abs=WHITE / 2)
    step.parent = SimpleNamespace(ramps_alike=True, group_noise=None)
    assert np.mean((step.process(model).data - light)[disc]) == pytest.approx(0.04, abs=WHITE / 2)


def test_levels_of_outputs_are_no_stripes(rng):
    rows = 0.01 * rng.normal(size=NY)
    pattern = rows[:, None] + np.repeat([0.3, -0.2, 0.1, 0.5], NX // 4)
    assert rms_in_outputs(pattern, alternating_readout(NX, 4)) == pytest.approx(rows.std())
