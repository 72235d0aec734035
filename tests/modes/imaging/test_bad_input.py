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

from detectorist.campaign import api
from detectorist.cli import conduct
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
from detectorist.modes.imaging.reduction import read_exposure, reduce_exposure
from detectorist.reduction.runner import Request

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


def require_nothing_measured(run, step, file, **parameters):
    """Assert that stripes refuse the image by its name, and that a wisp that cannot be measured stays in."""
    if step == "stripes":
        with pytest.raises(TooFewPixels, match=NAME):
            run(step, file, **parameters)
        return
    record = run(step, file, **parameters).record
    assert record["state"] == "SKIPPED"
    assert record["measured"] is False
    assert "cannot be measured" in record["reason"]


def require_refused(run, step, file, tmp_path, words):
    """Assert that a file without data is refused by its name, and that nothing is written."""
    with pytest.raises(InputError, match=f"{NAME}: {words}"):
        run(step, file)
    assert not (tmp_path / "out" / NAME).exists()


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
    [(np.ones((64, 64), np.float32), "64"), (np.full((SIZE, SIZE), np.nan, np.float32), "no finite value")],
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
    require_refused(run, step, flagged, tmp_path, "every pixel is flagged DO_NOT_USE")


@pytest.mark.parametrize("step", ["wisps", "stripes"])
def test_all_pixels_masked_by_the_user(run, rate, tmp_path, step):
    fits.PrimaryHDU(np.ones((SIZE, SIZE), np.uint8)).writeto(tmp_path / "mask.fits")
    require_nothing_measured(run, step, rate, mask_file=str(tmp_path / "mask.fits"))
    assert not (tmp_path / "out" / NAME).exists()


@pytest.mark.parametrize("step", ["wisps", "stripes"])
def test_an_image_without_scatter(run, tmp_path, step):
    flat = make_rate(tmp_path / NAME, np.full((SIZE, SIZE), 0.3))
    require_refused(run, step, flat, tmp_path, "SCI contains nothing but 0.3")


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
    changes = {"instrument.name": "MIRI", "instrument.detector": "MIRIMAGE", "subarray.name": None}
    miri = make_rate(tmp_path / NAME, **changes)
    with pytest.raises(InputError, match="MIRI"):
        run(step, miri)
    with pytest.raises(InputError, match="NIRCam image"):
        reduce_exposure(Request([miri], tmp_path / "out", references="none"))
    assert not (tmp_path / "out").exists() or not list((tmp_path / "out").glob("*.fits"))


@pytest.mark.long
def test_rates_need_no_source_of_references(plain, tmp_path):
    """In a process of its own: crds remembers what an earlier test has shown it."""
    words = [sys.executable, "-m", "detectorist", "run", "imaging", str(plain)]
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
        reduce_exposure(Request([tmp_path / "cube_rateints.fits"], tmp_path / "all", references="none"))
    with pytest.raises(InputError, match=r"cube_rateints\.fits: contains rates of integrations"):
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


def reduce_all(files, folder, *settings):
    """Reduce several rates here, one after the other, and return the ledger's entries by the numbers of exposures."""
    entries = api.reduce("imaging", files, folder, settings=settings, references="none", workers=0)
    return {name.split("_")[1]: entry for name, entry in entries.items()}


def test_one_exposure_does_not_stop_the_others(several, tmp_path):
    found = reduce_all(several, tmp_path / "out")
    assert {name: entry.state for name, entry in found.items()} == {
        "1": "done",
        "2": "unprocessable",
        "3": "unprocessable",
        "4": "done",
    }
    assert found["2"].record.error == "InputError"
    assert "every pixel is flagged DO_NOT_USE" in found["2"].record.message
    assert found["3"].record.error == "InputError"
    assert "MIRI" in found["3"].record.message
    made = sorted(path.name for path in (tmp_path / "out").glob("*_rate.fits"))
    assert made == [several[0].name, several[3].name]
    for number in "14":
        entry, folder = found[number], tmp_path / "out"
        assert fits.getheader(folder / f"{entry.job.name}_rate.fits")["S_STRIPE"] == "COMPLETE"
        assert json.loads((folder / f"{entry.job.name}_record.json").read_text())["stripes"]["state"] == "COMPLETE"
        assert (folder / f"{entry.job.name}_resolved.toml").is_file()
    assert not list((tmp_path / "out").glob("jw1_[23]*.json"))


def test_a_crash_does_not_stop_the_others_and_leaves_its_traceback(several, tmp_path, monkeypatch):
    from detectorist.stage_1 import StripesStep

    correct_stripes = StripesStep.process

    def fail_once(self, model):
        if "jw1_1" in model.meta.filename:
            raise RuntimeError("out of luck")
        return correct_stripes(self, model)

    monkeypatch.setattr(StripesStep, "process", fail_once)
    found = reduce_all([several[0], several[3]], tmp_path / "out")
    assert [entry.state for entry in found.values()] == ["crashed", "done"]
    assert found["1"].record.message == "out of luck"
    log = (tmp_path / "out" / "jw1_1_nrcb1_detectorist.log").read_text()
    assert "Traceback" in log
    assert "out of luck" in log
    # What crashed is tried again, and only that.
    monkeypatch.setattr(StripesStep, "process", correct_stripes)
    before = (tmp_path / "out" / several[3].name).stat().st_mtime_ns
    assert [entry.state for entry in reduce_all([several[0], several[3]], tmp_path / "out").values()] == ["done"] * 2
    assert (tmp_path / "out" / several[3].name).stat().st_mtime_ns == before


def test_a_wrong_parameter_stops_all_before_anything_is_done(several, tmp_path):
    with pytest.raises(ParameterError, match="thresh"):
        reduce_all([several[0], several[3]], tmp_path / "out", "stripes.thresh=7")
    assert not (tmp_path / "out").exists()


def test_a_full_disk_is_a_sentence_and_leaves_nothing_half_written(several, tmp_path, monkeypatch):
    write = imaging_reduction.products.write_model

    def full(model, target, **kwargs):
        if target.name.endswith("_rate.fits"):
            raise OutputError(f"{target}: cannot be written (No space left on device)")
        return write(model, target, **kwargs)

    monkeypatch.setattr(imaging_reduction.products, "write_model", full)
    (entry,) = reduce_all([several[0]], tmp_path / "out").values()
    assert entry.state == "crashed"
    assert entry.record.message.endswith("jw1_1_nrcb1_rate.fits: cannot be written (No space left on device)")
    assert entry.record.products == []
    assert not list((tmp_path / "out").glob(".partial-*"))
    monkeypatch.undo()
    (entry,) = reduce_all([several[0]], tmp_path / "out").values()
    assert entry.state == "done"


def test_a_product_never_takes_the_place_of_its_input(several, tmp_path):
    before = several[0].read_bytes()
    for overwrite in (False, True):
        with pytest.raises(OutputError, match="would overwrite the input"):
            reduce_exposure(Request([several[0]], tmp_path, references="none", overwrite=overwrite))
    assert several[0].read_bytes() == before


def test_a_product_takes_no_foreign_place_unless_told(several, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    foreign = out / several[0].name
    foreign.write_bytes(several[3].read_bytes())
    with pytest.raises(OutputError, match="was not written by detectorist and is not overwritten"):
        reduce_exposure(Request([several[0]], out, references="none"))
    assert foreign.read_bytes() == several[3].read_bytes()
    reduce_exposure(Request([several[0]], out, references="none", overwrite=True))
    reduce_exposure(Request([several[0]], out, references="none"))  # by now it is ours
    assert fits.getheader(foreign)["S_STRIPE"] == "COMPLETE"


@pytest.mark.parametrize(("chosen", "code"), [((0, 3), 0), ((0, 1, 2), 3), ((1, 2), 3), ((2,), 3)])
def test_exit_codes_of_several_exposures(several, tmp_path, chosen, code, monkeypatch):
    reported = []
    monkeypatch.setattr(conduct, "report_after_run", lambda folder, **_: reported.append(folder))
    files = [str(several[n]) for n in chosen]
    words = ["run", "imaging", *files, "-o", str(tmp_path / "out"), "--references", "none"]
    result = CliRunner().invoke(app, words, catch_exceptions=False)
    assert result.exit_code == code, result.output
    text = " ".join(result.output.split())
    assert reported == [tmp_path / "out"]
    # Each failure is told once, by its event.
    for number, name in ((1, "jw1_2_nrcb1"), (2, "jw1_3_mirimage")):
        assert text.count(f"{name} unprocessable in ") == (number in chosen)
    n_done, n_bad = len({0, 3} & {*chosen}), len({1, 2} & {*chosen})
    assert (f"{n_done} done" in text) == (n_done > 0)
    assert (f"{n_bad} unprocessable" in text) == (n_bad > 0)


def test_a_time_series_is_refused_with_what_corrects_its_rates(tmp_path):
    file = make_rate(tmp_path / NAME, **{"exposure.type": "NRC_TSIMAGE"})
    with pytest.raises(InputError, match=r"NRC_IMAGE\) is needed; detectorist destripe corrects rates of time series"):
        reduce_exposure(Request([file], tmp_path / "out"))
