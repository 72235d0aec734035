"""The rates of the integrations beside the rate: corrected as it is, each by itself; and who flags large events."""

import logging

import numpy as np
import pytest
from astropy.io import fits
from stdatamodels.jwst.datamodels import CubeModel, ImageModel

from detectorist import models
from detectorist.algorithms.images.residuals import measure_row_noise
from detectorist.modes.imaging.pipeline import ImagingPipeline
from detectorist.reduction.runner import build_pipeline

pytestmark = pytest.mark.filterwarnings("default")

SIZE, WHITE, SCALE = 192, 0.02, 0.8
STEM = "jw00001001001_nrca3"


def wisp():
    yy, xx = np.mgrid[:SIZE, :SIZE]
    return 0.1 * np.exp(-0.5 * (((xx - 90) / 14) ** 2 + ((yy - 100) / 45) ** 2))


def stripes(rng):
    """1/f noise of one output that reads the whole image."""
    n = SIZE * (SIZE + 12)
    frequency = np.fft.rfftfreq(n)
    frequency[0] = np.inf
    waves = (rng.normal(size=frequency.size) + 1j * rng.normal(size=frequency.size)) / np.sqrt(frequency)
    line = np.fft.irfft(waves, n)
    return 0.02 * (line / line.std()).reshape(SIZE, -1)[:, :SIZE]


def as_model(kind, data, name):
    model = kind(data=data.astype(np.float32))
    noise = WHITE / np.sqrt(2) if kind is ImageModel else WHITE
    model.err = np.full(data.shape, noise, np.float32)
    model.var_rnoise = model.err**2
    model.dq = np.zeros(data.shape, np.uint32)
    meta = model.meta
    meta.telescope, meta.instrument.name, meta.instrument.detector = "JWST", "NIRCAM", "NRCA3"
    meta.instrument.filter, meta.exposure.type, meta.exposure.noutputs = "F200W", "NRC_IMAGE", 1
    meta.subarray.name, meta.subarray.xstart, meta.subarray.ystart = "GENERIC", 1, 1
    meta.subarray.xsize = meta.subarray.ysize = SIZE
    meta.filename = f"{STEM}_{name}.fits"
    return model


@pytest.fixture
def make_pipeline(tmp_path):
    fits.PrimaryHDU(wisp().astype(np.float32)).writeto(tmp_path / "wisps_nrca3_f200w.fits")

    def make(rateints, **stripes):
        steps = {
            "wisps": {"template_dir": str(tmp_path), "apply_flat": False},
            "stripes": {"apply_flat": False, "save_mask": True, **stripes},
        }
        pipeline = build_pipeline(ImagingPipeline, None, steps=steps, output_dir=str(tmp_path / "out"))
        pipeline.whole_files = True
        pipeline.save_model(rateints, "rateints")
        return pipeline

    return make


def test_every_integration_loses_the_wisp_and_its_own_stripes(make_pipeline, tmp_path, rng):
    noise = np.array([stripes(rng) for _ in range(2)])
    cube = 0.3 + SCALE * wisp() + noise + WHITE * rng.normal(size=noise.shape)
    make_pipeline(as_model(CubeModel, cube, "rateints")).correct_rate(
        as_model(ImageModel, cube.mean(axis=0), "rate"), STEM
    )
    with CubeModel(tmp_path / "out" / f"{STEM}_rateints.fits") as got:
        assert [models.state(got, name) for name in ("wisps", "stripes")] == ["COMPLETE"] * 2
        assert "wisps" in models.history(got)
        left = np.asarray(got.data) - 0.3
        pull = left / np.asarray(got.err)
    assert (left.mean(axis=2).std(axis=1) < 0.4 * noise.mean(axis=2).std(axis=1)).all()
    assert np.abs([np.vdot(one, wisp()) for one in left]).max() < 0.05 * SCALE * np.vdot(wisp(), wisp())
    np.testing.assert_allclose(1.4826 * np.median(np.abs(pull - np.median(pull))), 1, atol=0.05)
    assert not list((tmp_path / "out").glob("*rateints_1fmask*"))


def test_a_single_integration_is_the_rate(make_pipeline, tmp_path, rng):
    image = 0.3 + SCALE * wisp() + stripes(rng) + WHITE * rng.normal(size=(SIZE, SIZE))
    rate = as_model(ImageModel, image, "rate")
    rate = make_pipeline(as_model(CubeModel, image[None], "rateints")).correct_rate(rate, STEM)
    with CubeModel(tmp_path / "out" / f"{STEM}_rateints.fits") as got:
        np.testing.assert_array_equal(got.data[0], rate.data)
        np.testing.assert_array_equal(got.err[0], rate.err)
        np.testing.assert_array_equal(got.var_rnoise[0], rate.var_rnoise)
        assert models.records(got)["stripes"] == models.records(rate)["stripes"]


def test_integrations_that_cannot_be_corrected_do_not_cost_the_rate(make_pipeline, tmp_path, rng, caplog):
    image = 0.3 + stripes(rng) + WHITE * rng.normal(size=(SIZE, SIZE))
    rateints = as_model(CubeModel, np.stack([image, image]), "rateints")
    rateints.dq[:] = 1
    pipeline = make_pipeline(rateints)
    pipeline.wisps.skip = True
    with caplog.at_level(logging.WARNING):
        rate = pipeline.correct_rate(as_model(ImageModel, image, "rate"), STEM)
    assert models.state(rate, "stripes") == "COMPLETE"
    assert "rateints.fits" in caplog.text
    assert "1/f noise is not subtracted" in caplog.text
    with CubeModel(tmp_path / "out" / f"{STEM}_rateints.fits") as got:
        assert models.state(got, "stripes") is None


@pytest.mark.parametrize(("skipped", "left_on"), [((), False), (("snowballs",), True)])
def test_only_one_step_expands_large_events(skipped, left_on, caplog):
    steps = {"jump": {"expand_large_events": True}, **{name: {"skip": True} for name in skipped}}
    pipeline = build_pipeline(ImagingPipeline, None, steps=steps)
    with caplog.at_level(logging.WARNING):
        pipeline.leave_large_events_to_snowballs()
    assert pipeline.jump.expand_large_events is left_on
    assert ("expand_large_events is turned off" in caplog.text) is not left_on


@pytest.mark.long
def test_stripes_are_taken_off_groups_where_asked(tmp_path):
    from detectorist.modes.imaging.reduction import reduce_exposure
    from detectorist.reduction.runner import Request
    from detectorist.simulate.imaging.scene import ImagingScene

    ImagingScene().with_detector(size=128, outputs=1, pattern="RAPID").write(tmp_path / "sim", groups=5, seed=2)
    files, references = sorted((tmp_path / "sim").glob("*_uncal.fits")), str(tmp_path / "sim" / "crds")
    noise = {}
    for where in ("rate", "groups"):
        folder, settings = tmp_path / where, ["wisps.skip=true", f"stripes_on={where}"]
        path = reduce_exposure(Request(files, folder, references=references, settings=settings)).rate
        with ImageModel(path) as rate, CubeModel(folder / path.name.replace("_rate", "_rateints")) as rateints:
            assert [models.state(model, "stripes") for model in (rate, rateints)] == ["COMPLETE"] * 2
            record = models.records(rate)["stripes"]
            excess = np.abs(rate.data - np.median(rate.data)) > 5 * np.nanmedian(rate.err)
            noise[where] = measure_row_noise(rate.data, (rate.dq > 0) | excess).rms
        assert (folder / path.name.replace("_rate", "_rate_pre1f")).is_file() == (where == "rate")
        assert noise[where] < 0.8 * record["row_rms_before"]
    assert noise["groups"] == pytest.approx(noise["rate"], rel=0.3)
