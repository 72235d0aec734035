"""Templates made of rate files: what goes in, what comes out, and that the step finds and fits it."""

import re

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table
from stdatamodels.jwst.datamodels import FlatModel, ImageModel
from typer.testing import CliRunner

from detectorist.cli.app import app
from detectorist.errors import AlreadyCorrected, InputError, OutputError, TooFewPixels
from detectorist.modes.imaging.wisp_templates import TemplateRequest, make_wisp_templates, plan_templates
from detectorist.stage_1 import WispsStep

pytestmark = pytest.mark.filterwarnings("default")

SIZE, WHITE = 192, 0.02
STRENGTHS = np.array([0.6, 1.3, 0.9, 1.2, 1.0])


def wisp():
    yy, xx = np.mgrid[:SIZE, :SIZE]
    u, v = (xx - 90) * 0.6 + (yy - 100) * 0.8, -(xx - 90) * 0.8 + (yy - 100) * 0.6
    return 0.1 * np.exp(-0.5 * (u / 12) ** 2 - 0.5 * (v / 55) ** 2)


def write_rate(path, data, *, detector="NRCA3", band="F200W", **changes):
    model = ImageModel(data=np.asarray(data, np.float32))
    model.err, model.dq = np.full(data.shape, WHITE, np.float32), np.zeros(data.shape, np.uint32)
    meta = model.meta
    meta.telescope, meta.instrument.name, meta.instrument.detector = "JWST", "NIRCAM", detector
    meta.instrument.filter, meta.instrument.pupil, meta.exposure.type = band, "CLEAR", "NRC_IMAGE"
    meta.exposure.noutputs = 1
    meta.subarray.name, meta.subarray.xstart, meta.subarray.ystart = "GENERIC", 1, 1
    meta.subarray.ysize, meta.subarray.xsize = data.shape
    for name, value in changes.items():
        target, _, attribute = name.rpartition(".")
        setattr(getattr(meta, target), attribute, value)
    model.save(str(path))
    return path


def field(rng, strength):
    yy, xx = np.mgrid[:SIZE, :SIZE]
    image = rng.uniform(0.2, 0.5) + strength * wisp() + WHITE * rng.normal(size=(SIZE, SIZE))
    for _ in range(8):
        y, x = rng.uniform(0, SIZE, 2)
        image += rng.uniform(0.1, 1) * np.exp(-0.5 * ((yy - y) ** 2 + (xx - x) ** 2) / 2.0**2)
    return image


@pytest.fixture(scope="module")
def rates(tmp_path_factory):
    folder, rng = tmp_path_factory.mktemp("rates"), np.random.default_rng(8)
    return [
        write_rate(folder / f"jw1_{number}_nrca3_rate.fits", field(rng, strength))
        for number, strength in enumerate(STRENGTHS)
    ]


@pytest.fixture(scope="module")
def made(rates, tmp_path_factory):
    """What the command wrote, from the rates of one detector and filter and one file that shows no wisps."""
    folder = tmp_path_factory.mktemp("made")
    other = write_rate(folder / "jw1_1_nrcb1_rate.fits", np.ones((SIZE, SIZE)), detector="NRCB1")
    words = ["wisps", "template", *map(str, rates), str(other), "-o", str(folder / "wisps"), "--references", "none"]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0, result.output
    return folder / "wisps", result


def test_the_step_finds_the_template_and_gets_the_strength_right(made, tmp_path):
    folder, _ = made
    rate = write_rate(tmp_path / "jw2_nrca3_rate.fits", field(np.random.default_rng(99), 0.8))
    step = WispsStep()
    step.template_dir, step.apply_flat = str(folder), False
    got = step.run(str(rate))
    assert got.meta.cal_step.wisps == "COMPLETE"
    assert step.record["templates"] == ["wisps_nrca3_f200w.fits"]
    # The template is normalised to the mean strength of its exposures, and known to a few percent itself.
    assert step.record["scale"][0] == pytest.approx(0.8 / STRENGTHS.mean(), rel=0.05)
    with ImageModel(str(rate)) as before:
        left = np.asarray(before.data) - np.asarray(got.data) - 0.8 * wisp()
    assert left[wisp() > 0.03].std() < 0.006


def test_the_template_tells_what_it_was_made_from(made, rates):
    folder, result = made
    with fits.open(folder / "wisps_nrca3_f200w.fits") as hdus:
        head = hdus[0].header
        assert [head[card] for card in ("DETECTOR", "FILTER", "NEXP", "FLAT")] == ["NRCA3", "F200W", 5, "none"]
        assert "detectorist" in str(head["HISTORY"])
        assert hdus["SCI"].data.shape == hdus["NUSED"].data.shape == (SIZE, SIZE)
        assert hdus["NUSED"].data.max() == 5
        table = Table(hdus["EXPOSURES"].data)
    assert list(table["file"]) == [path.name for path in rates]
    np.testing.assert_allclose(table["strength"], STRENGTHS / STRENGTHS.mean(), rtol=0.06)
    assert all(re.fullmatch("[0-9a-f]{64}", value) for value in table["sha256"])
    assert (folder / "wisps_nrca3_f200w.png").stat().st_size > 1000
    text = result.output.replace("\n", "")
    assert "5 exposures" in text
    assert "left out: NRCB1 in F200W" in text


def test_a_template_is_replaced_only_when_told(made, rates):
    folder, _ = made
    before = (folder / "wisps_nrca3_f200w.fits").stat().st_mtime_ns
    with pytest.raises(OutputError, match=r"wisps_nrca3_f200w\.fits: exists.*--overwrite"):
        make_wisp_templates(TemplateRequest(rates[:3], folder, "none"))
    assert (folder / "wisps_nrca3_f200w.fits").stat().st_mtime_ns == before
    said = []
    request = TemplateRequest(rates[:3], folder, "none", overwrite=True, progress=lambda *news: said.append(news))
    assert make_wisp_templates(request)[0][0].names == [path.name for path in rates[:3]]
    assert said[0] == (0, 3, "jw1_0_nrca3")
    assert said[-1] == (3, 3, "done")


def test_files_that_cannot_make_a_template(rates, tmp_path):
    shapes = write_rate(tmp_path / "small_nrca3_rate.fits", np.ones((SIZE // 2, SIZE)))
    others = [write_rate(tmp_path / f"{n}_nrcb1_rate.fits", np.ones((8, 8)), detector="NRCB1") for n in range(3)]
    miri = write_rate(tmp_path / "miri_rate.fits", np.ones((8, 8)), **{"instrument.name": "MIRI"})
    done = write_rate(tmp_path / "done_nrca3_rate.fits", np.ones((SIZE, SIZE)), **{"cal_step.wisps": "COMPLETE"})
    for files, kind, words in (
        ([], InputError, "no input"),
        (others, InputError, r"NRCB1 in F200W.*\(3 files\)"),
        ([*rates, miri], InputError, "MIRI"),
        ([*rates, shapes], InputError, "small_nrca3_rate.*one shape"),
        ([*rates, done], AlreadyCorrected, "done_nrca3_rate"),
        (rates[:2], TooFewPixels, "NRCA3 in F200W: 2 exposures, 3 are needed"),
    ):
        with pytest.raises(kind, match=words):
            plan_templates(files)


def test_the_scripts_correction_is_found_in_the_history(rates, tmp_path):
    with ImageModel(str(rates[0])) as model:
        model.add_history_entry("Subtracted wisp template; wispsub.py 2023-01-01")
        model.save(str(tmp_path / "theirs_nrca3_rate.fits"))
    with pytest.raises(AlreadyCorrected, match="theirs_nrca3_rate.*wispsub"):
        make_wisp_templates(TemplateRequest([*rates[:2], tmp_path / "theirs_nrca3_rate.fits"], tmp_path, "none"))
    assert not list(tmp_path.glob("wisps_*"))


def test_detectors_and_filters_apart_and_too_few_of_one_are_left_out(rates, tmp_path):
    one = write_rate(tmp_path / "jw1_1_nrcb4_rate.fits", np.ones((SIZE, SIZE)), detector="NRCB4")
    same = [write_rate(tmp_path / f"jw2_{n}_nrca3_rate.fits", np.ones((8, 8)), band="F150W") for n in range(3)]
    plan = plan_templates([*same, *rates, one])
    assert {key: len(found) for key, found in plan.groups.items()} == {("NRCA3", "F150W"): 3, ("NRCA3", "F200W"): 5}
    assert plan.left_out == ["NRCB4 in F200W: 1 exposures, 3 are needed"]


def test_the_flat_is_divided_out(rates, tmp_path, monkeypatch):
    from detectorist.modes.imaging import wisp_templates

    flat = (1 + 0.2 * np.sin(np.arange(SIZE) / 25.0) * np.ones((SIZE, 1))).astype(np.float32)
    FlatModel(data=flat, dq=np.zeros(flat.shape, np.uint32)).save(str(tmp_path / "flat.fits"))
    monkeypatch.setattr(wisp_templates.WispsStep, "get_reference_file", lambda *_: str(tmp_path / "flat.fits"))
    monkeypatch.setattr(wisp_templates, "use_references", lambda *_, **__: wisp_templates.ReferenceSource("x", ""))
    flattened = []
    for path in rates[:3]:
        with ImageModel(str(path)) as model:
            flattened.append(write_rate(tmp_path / path.name, np.asarray(model.data) * flat))
    made, _ = make_wisp_templates(TemplateRequest(flattened, tmp_path / "out"))
    plain, _ = make_wisp_templates(TemplateRequest(rates[:3], tmp_path / "plain", "none", apply_flat=False))
    np.testing.assert_allclose(fits.getdata(made[0].path, "SCI"), fits.getdata(plain[0].path, "SCI"), atol=1e-4)
    assert fits.getheader(made[0].path)["FLAT"] == "flat.fits"
