"""Whatever is wrong with a NIRCam image: one sentence that names file, finding and need; nothing half-written."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
from astropy.io import fits
from stdatamodels.jwst.datamodels import ImageModel
from typer.testing import CliRunner

from detectorist.cli import run_imaging
from detectorist.cli.app import app
from detectorist.errors import (
    AlreadyCorrected,
    InputError,
    OutputError,
    ParameterError,
    ReferenceMissing,
    TooFewPixels,
)
from detectorist.modes.imaging import reduction as imaging_reduction
from detectorist.modes.imaging.pipeline import ImagingPipeline
from detectorist.modes.imaging.rate_correction import RateRequest, correct_rate_file
from detectorist.modes.imaging.reduction import (
    ExposuresFailed,
    ImagingRequest,
    read_exposure,
    reduce_imaging,
)

pytestmark = pytest.mark.filterwarnings("default")

SIZE = 128
NAME = "jw01345001001_10201_00001_nrca3_rate.fits"


def light(rng):
    yy, xx = np.mgrid[:SIZE, :SIZE]
    wisp = 0.1 * np.exp(-0.5 * (((xx - 60) / 12) ** 2 + ((yy - 70) / 30) ** 2))
    stripes = np.repeat(0.02 * rng.normal(size=(SIZE, 1)), SIZE, axis=1)
    return 0.3 + 0.02 * rng.normal(size=(SIZE, SIZE)) + stripes, wisp


def make_rate(path, data=None, **changes):
    """Write a rate image of NRCA3 in F200W; keyword changes are `err`, `dq` or attributes of `meta`."""
    rng = np.random.default_rng(3)
    noise, wisp = light(rng)
    data = noise + 0.7 * wisp if data is None else data
    model = ImageModel(data=data.astype(np.float32))
    model.err = changes.pop("err", np.full(data.shape, 0.02, np.float32))
    model.dq = changes.pop("dq", np.zeros(data.shape, np.uint32))
    meta = model.meta
    meta.telescope, meta.instrument.name, meta.instrument.detector = "JWST", "NIRCAM", "NRCA3"
    meta.instrument.filter, meta.instrument.pupil, meta.exposure.type = "F200W", "CLEAR", "NRC_IMAGE"
    meta.exposure.noutputs = 1
    meta.subarray.name, meta.subarray.xstart, meta.subarray.ystart = "GENERIC", 1, 1
    meta.subarray.xsize, meta.subarray.ysize = data.shape[1], data.shape[0]
    meta.subarray.fastaxis, meta.subarray.slowaxis = -1, 2
    for name, value in changes.items():
        target, _, attribute = name.rpartition(".")
        setattr(meta if not target else getattr(meta, target), attribute, value)
    model.save(str(path))
    return path


@pytest.fixture
def rate(tmp_path):
    return make_rate(tmp_path / NAME)


@pytest.fixture
def plain(tmp_path):
    """A rate without wisps, which a source mask would take for sources."""
    return make_rate(tmp_path / NAME, light(np.random.default_rng(3))[0])


@pytest.fixture
def templates(tmp_path):
    folder = tmp_path / "templates"
    folder.mkdir()
    _, wisp = light(np.random.default_rng(3))
    fits.PrimaryHDU(wisp.astype(np.float32)).writeto(folder / "wisps_nrca3_f200w.fits")
    return folder


def some_rate(folder, step):
    """Return a rate with what the step corrects."""
    return make_rate(folder / NAME, light(np.random.default_rng(3))[0] if step == "stripes" else None)


def correct(step, file, folder, **parameters):
    in_place = parameters.pop("in_place", False)
    request = RateRequest(step, file, folder, folder, in_place, parameters, references="none")
    return correct_rate_file(request)


@pytest.fixture
def run(tmp_path, templates):
    """Return a function that runs a correction into tmp_path/out."""

    def call(step, file, **parameters):
        if step == "wisps":
            parameters.setdefault("template_dir", str(templates))
        return correct(step, file, tmp_path / "out", **parameters)

    return call


def test_a_whole_rate_goes_through_both(run, rate, tmp_path):
    before = rate.read_bytes()
    first = run("wisps", rate)
    second = run("stripes", rate)
    assert first.source == rate
    assert second.source == tmp_path / "out" / NAME
    assert first.record["scale"][0] == pytest.approx(0.7, abs=4 * first.record["scale_error"][0])
    names = {path.name for path in (tmp_path / "out").iterdir()}
    stem = NAME.removesuffix(".fits")
    assert {NAME, f"{stem}_prewisp.fits", f"{stem}_pre1f.fits"} <= names
    assert rate.read_bytes() == before


def test_no_template_for_this_detector_and_filter(run, tmp_path):
    other = make_rate(tmp_path / "other_rate.fits", **{"instrument.filter": "F150W"})
    with pytest.raises(ReferenceMissing, match=r"NRCA3 in F150W.*wisps_nrca3_f150w\.fits"):
        run("wisps", other)


@pytest.mark.parametrize(
    ("template", "words"),
    [(np.ones((64, 64), np.float32), "64"), (np.full((SIZE, SIZE), np.nan, np.float32), "no number")],
    ids=["shape", "NaN"],
)
def test_a_template_that_cannot_be_used(run, rate, templates, tmp_path, template, words):
    fits.PrimaryHDU(template).writeto(templates / "wisps_nrca3_f200w.fits", overwrite=True)
    with pytest.raises(InputError, match=words):
        run("wisps", rate)
    assert not (tmp_path / "out" / NAME).exists()


@pytest.mark.parametrize("step", ["wisps", "stripes"])
def test_all_pixels_flagged(run, tmp_path, step):
    flagged = make_rate(tmp_path / NAME, dq=np.ones((SIZE, SIZE), np.uint32))
    with pytest.raises(TooFewPixels, match=NAME):
        run(step, flagged)


@pytest.mark.parametrize("step", ["wisps", "stripes"])
def test_all_pixels_masked_by_the_user(run, rate, tmp_path, step):
    fits.PrimaryHDU(np.ones((SIZE, SIZE), np.uint8)).writeto(tmp_path / "mask.fits")
    with pytest.raises(TooFewPixels, match=NAME):
        run(step, rate, mask_file=str(tmp_path / "mask.fits"))
    assert not (tmp_path / "out" / NAME).exists()


@pytest.mark.parametrize("step", ["wisps", "stripes"])
def test_an_image_without_scatter(run, tmp_path, step):
    flat = make_rate(tmp_path / NAME, np.full((SIZE, SIZE), 0.3))
    with pytest.raises(TooFewPixels, match=NAME):
        run(step, flat)


@pytest.mark.parametrize("step", ["wisps", "stripes"])
def test_neither_errors_nor_flags(run, tmp_path, step):
    rate = some_rate(tmp_path, step)
    with fits.open(rate) as hdus:
        kept = fits.HDUList([hdus[0].copy(), hdus["SCI"].copy()])
        kept.writeto(rate.with_name("bare_rate.fits"))
    result = run(step, rate.with_name("bare_rate.fits"))
    with ImageModel(result.target) as model:
        assert np.isfinite(model.data).all()


@pytest.mark.parametrize("step", ["wisps", "stripes"])
def test_a_header_that_gives_another_size(run, tmp_path, step):
    wrong = make_rate(tmp_path / NAME, **{"subarray.xsize": 2048, "subarray.ysize": 2048})
    with pytest.raises(InputError, match="2048"):
        run(step, wrong)


@pytest.mark.parametrize("step", ["wisps", "stripes"])
def test_another_instrument(run, tmp_path, step):
    miri = make_rate(tmp_path / NAME, **{"instrument.name": "MIRI", "instrument.detector": "MIRIMAGE"})
    with pytest.raises(InputError, match="MIRI"):
        run(step, miri)
    with pytest.raises(InputError, match="NIRCam image"):
        reduce_imaging(ImagingRequest([miri], tmp_path / "out", references="none"))


@pytest.mark.long
def test_rates_need_no_source_of_references(plain, tmp_path):
    """In a process of its own: crds remembers what an earlier test has shown it."""
    words = [sys.executable, "-c", "from detectorist.cli import main; main()", "run", "imaging", str(plain)]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("CRDS_")}
    words += ["-o", str(tmp_path / "out"), "--references", "none", "--quiet"]
    done = subprocess.run(words, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert fits.getheader(tmp_path / "out" / NAME)["S_STRIPE"] == "COMPLETE"


@pytest.mark.parametrize("step", ["wisps", "stripes"])
def test_twice(run, tmp_path, step):
    rate = some_rate(tmp_path, step)
    run(step, rate)
    product = (tmp_path / "out" / NAME).read_bytes()
    with pytest.raises(AlreadyCorrected, match=step):
        run(step, rate)
    assert (tmp_path / "out" / NAME).read_bytes() == product


def test_corrected_by_others(run, tmp_path):
    stock = make_rate(tmp_path / "stock_rate.fits", **{"cal_step.clean_flicker_noise": "COMPLETE"})
    with pytest.raises(AlreadyCorrected, match="clean_flicker_noise"):
        run("stripes", stock)
    theirs = make_rate(tmp_path / "theirs_rate.fits")
    with ImageModel(theirs) as model:
        model.add_history_entry("Removed horizontal,vertical striping; remstriping.py 17 Oct 2022")
        model.save(str(tmp_path / "striped_rate.fits"))
    with pytest.raises(AlreadyCorrected, match="remstriping"):
        run("stripes", tmp_path / "striped_rate.fits")


@pytest.mark.parametrize("scale", [-0.5, float("nan")])
def test_a_scale_that_is_none(run, rate, scale):
    with pytest.raises(ParameterError, match="scale"):
        run("wisps", rate, scale=scale)


def test_rates_of_several_integrations(run, tmp_path):
    from stdatamodels.jwst.datamodels import CubeModel

    path = make_rate(tmp_path / NAME)
    with ImageModel(path) as image:
        cube = CubeModel(data=np.stack([image.data, image.data[::-1]]))
        cube.err, cube.dq = np.stack([image.err] * 2), np.stack([image.dq] * 2)
        cube.update(image)
        cube.save(str(tmp_path / "cube_rateints.fits"))
    result = run("stripes", tmp_path / "cube_rateints.fits")
    with CubeModel(result.target) as model:
        assert model.data.shape == (2, SIZE, SIZE)
    with pytest.raises(InputError, match="2 dimensions|one image"):
        run("wisps", tmp_path / "cube_rateints.fits")
    with pytest.raises(InputError, match=r"cube_rateints\.fits: a CubeModel; ramps \(uncal\) or a rate image"):
        reduce_imaging(ImagingRequest([tmp_path / "cube_rateints.fits"], tmp_path / "all", references="none"))
    with pytest.raises(InputError, match=r"cube_rateints\.fits: holds rates of integrations"):
        ImagingPipeline().run(str(tmp_path / "cube_rateints.fits"))


def test_the_file_given_stays_unless_told(plain, tmp_path):
    rate = plain
    before = rate.read_bytes()
    with pytest.raises(OutputError, match="--in-place"):
        correct("stripes", rate, tmp_path)
    assert rate.read_bytes() == before
    result = correct("stripes", rate, tmp_path / "elsewhere", in_place=True)
    assert result.target == rate
    assert rate.read_bytes() != before
    assert rate.with_name(NAME.replace(".fits", "_pre1f.fits")).is_file()


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(InputError, match=r"nothing_rate\.fits: no such file"):
        correct("stripes", tmp_path / "nothing_rate.fits", tmp_path)


def test_without_a_flat_it_is_measured_as_it_is(plain, tmp_path, caplog):
    from detectorist.simulate.imaging.references import build_imaging_cache
    from detectorist.simulate.imaging.scene import ImagingScene

    # References of another detector: for this one there is no flat.
    cache = build_imaging_cache(tmp_path / "crds", ImagingScene().with_detector(size=64, outputs=1), n_groups=2)
    with caplog.at_level("WARNING"):
        result = correct_rate_file(RateRequest("stripes", plain, tmp_path / "out", references=str(cache)))
    assert result.record["state"] == "COMPLETE"
    assert "no flat field" in caplog.text


def test_a_truncated_file(tmp_path, rate):
    broken = tmp_path / "broken_rate.fits"
    broken.write_bytes(rate.read_bytes()[:2000])
    with pytest.raises(InputError, match=r"broken_rate\.fits"):
        read_exposure(broken)


@pytest.fixture
def several(tmp_path):
    """Rates that can be reduced, and between them one without usable pixels and one of another instrument."""
    noise, _ = light(np.random.default_rng(3))
    good = [make_rate(tmp_path / f"jw1_{n}_nrcb1_rate.fits", noise, **{"instrument.detector": "NRCB1"}) for n in (1, 4)]
    flagged = make_rate(tmp_path / "jw1_2_nrcb1_rate.fits", noise, dq=np.ones((SIZE, SIZE), np.uint32))
    miri = make_rate(tmp_path / "jw1_3_mirimage_rate.fits", noise, **{"instrument.name": "MIRI"})
    return [good[0], flagged, miri, good[1]]


def test_one_exposure_does_not_stop_the_others(several, tmp_path):
    said = []
    request = ImagingRequest(
        several, tmp_path / "out", references="none", progress=lambda *news: said.append(" ".join(map(str, news)))
    )
    with pytest.raises(ExposuresFailed, match="2 of 4 exposures") as caught:
        reduce_imaging(request)
    made, failed = caught.value.numbers["made"], caught.value.numbers["failed"]
    assert made == [str(tmp_path / "out" / several[n].name) for n in (0, 3)]
    assert all(fits.getheader(path)["S_STRIPE"] == "COMPLETE" for path in made)
    assert {name: what["error"] for name, what in failed.items()} == {
        "jw1_2_nrcb1": "TooFewPixels",
        "jw1_3_mirimage": "InputError",
    }
    assert all(what["state"] == "unprocessable" for what in failed.values())
    # What its header tells is known before anything is reduced.
    assert "jw1_3_mirimage: unprocessable" in said[0]
    record = json.loads((tmp_path / "out" / "record.json").read_text())
    assert record["jw1_1_nrcb1"]["stripes"]["state"] == "COMPLETE"
    assert record["jw1_2_nrcb1"]["exposure"]["state"] == "failed"
    log = (tmp_path / "out" / "detectorist.log").read_text()
    assert "jw1_3_mirimage: unprocessable" in log
    assert "Traceback" not in log


def test_a_crash_does_not_stop_the_others_and_leaves_its_traceback(several, tmp_path, monkeypatch):
    from detectorist.stage_1 import StripesStep

    correct_stripes = StripesStep.process

    def fail_once(self, model):
        if "jw1_1" in model.meta.filename:
            raise RuntimeError("out of luck")
        return correct_stripes(self, model)

    monkeypatch.setattr(StripesStep, "process", fail_once)
    with pytest.raises(ExposuresFailed) as caught:
        reduce_imaging(ImagingRequest([several[0], several[3]], tmp_path / "out", references="none"))
    assert caught.value.numbers["failed"]["jw1_1_nrcb1"]["state"] == "crashed"
    assert caught.value.numbers["made"] == [str(tmp_path / "out" / several[3].name)]
    log = (tmp_path / "out" / "detectorist.log").read_text()
    assert "Traceback" in log
    assert "out of luck" in log


def test_a_full_disk_or_a_wrong_parameter_stops_all(several, tmp_path, monkeypatch):
    request = ImagingRequest(
        [several[0], several[3]], tmp_path / "out", references="none", settings=["stripes.thresh=7"]
    )
    with pytest.raises(ParameterError, match="thresh"):
        reduce_imaging(request)
    assert not (tmp_path / "out").exists()

    def full(model, target, **_):
        raise OutputError(f"{target}: cannot be written (No space left on device)")

    monkeypatch.setattr(imaging_reduction.products, "write_model", full)
    with pytest.raises(OutputError, match="jw1_1.*No space"):
        reduce_imaging(ImagingRequest([several[0], several[3]], tmp_path / "out", references="none"))


def test_a_product_never_takes_the_place_of_its_input(several, tmp_path):
    with pytest.raises(InputError, match="is the input itself"):
        reduce_imaging(ImagingRequest([several[0]], tmp_path, references="none"))


@pytest.mark.parametrize(("chosen", "code"), [((0, 3), 0), ((0, 1, 2), 3), ((1, 2), 3), ((2,), None)])
def test_exit_codes_of_several_exposures(several, tmp_path, chosen, code, monkeypatch):
    if code == 0:
        monkeypatch.setattr(run_imaging, "report_after_run", lambda *_, **__: None)
    files = [str(several[n]) for n in chosen]
    words = ["run", "imaging", *files, "-o", str(tmp_path / "out"), "--references", "none"]
    result = CliRunner().invoke(app, words)
    if code is None:  # a single file ends with its own error
        assert isinstance(result.exception, InputError)
        return
    assert result.exit_code == code, result.output
    text = " ".join(result.output.split())
    if code:
        assert "jw1_3_mirimage: unprocessable" in text
        assert "2 unprocessable" in text
        assert ("1 done," in text) == (0 in chosen)
        assert (tmp_path / "out" / "report.html").is_file() == (0 in chosen)
    else:
        assert "2 done" in text
