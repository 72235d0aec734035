"""`--through stage2`: which exposures wait for which, and what calwebb_image2 makes of rates and backgrounds."""

import numpy as np
import pytest
from astropy.io import fits
from stdatamodels.jwst.datamodels import CubeModel, ImageModel

from detectorist.errors import InputError
from detectorist.modes import load_mode
from detectorist.modes.job import Job
from detectorist.simulate.coron.header import fill_header
from detectorist.simulate.coron.references import build_cache
from detectorist.simulate.coron.scene import MiriCoronScene

pytestmark = pytest.mark.filterwarnings("default")
STAR, FIELD, NOISE = 40.0, 7.0, 0.2


def job(name, kind, concatenation="A"):
    options = {"type": kind, "concatenation": concatenation, "first": f"/raw/{name}_uncal.fits"}
    return Job(name, "coron", (), "/out/stage1", options=options)


def test_a_star_waits_for_the_empty_fields_of_its_kind():
    earlier = [
        job("a", "SCI"),
        job("b", "REF"),
        job("c", "SCI_BG"),
        job("d", "SCI_BG"),
        job("e", "REF_BG"),
        job("f", "SCI_BG", "B"),
    ]
    found = load_mode("coron/stage2").jobs_after(earlier)
    assert {one.name: one.after for one in found} == {"a_stage2": ("a", "c", "d"), "b_stage2": ("b", "e")}
    assert {one.output_dir for one in found} == {"/out/stage2"}


@pytest.fixture(scope="module")
def rates(tmp_path_factory):
    """A target and its empty field: rates, and rates of three integrations; references."""
    folder, rng, scene = tmp_path_factory.mktemp("rates"), np.random.default_rng(4), MiriCoronScene()
    observed = scene.observe(seed=1, ints=3, groups=5, rolls=1, dithers=1)
    stems = {}
    for visit in observed.visits:
        if not visit.kind.startswith("SCI"):
            continue
        level = FIELD if visit.is_background else STAR + FIELD
        shape = observed.light(visit, 0).steady.shape
        cube = level + NOISE * rng.normal(size=(3, *shape))
        stems[visit.kind] = observed.stem(visit)
        for kind, data, product in ((ImageModel, cube.mean(axis=0), "rate"), (CubeModel, cube, "rateints")):
            error = NOISE / np.sqrt(3 if product == "rate" else 1)
            model = kind(data=data.astype(np.float32), err=np.full(data.shape, error, np.float32))
            model.dq = np.zeros(data.shape, np.uint32)
            model.var_poisson, model.var_rnoise = (np.full(data.shape, error**2 / 2, np.float32) for _ in range(2))
            fill_header(model, observed, visit)
            model.meta.bunit_data = "DN/s"
            model.save(str(folder / f"{observed.stem(visit)}_{product}.fits"))
    return folder, stems, build_cache(folder / "crds", scene), observed.mode.mjy_sr_per_dn_s


def stage_2_job(rates, out, *, without=()):
    folder, stems, cache, _ = rates
    left = [path for path in sorted(folder.glob("*_rate*.fits")) if path.name not in without]
    return Job(
        f"{stems['SCI']}_stage2",
        "coron/stage2",
        (),
        str(out),
        references=str(cache),
        options={"type": "SCI"},
        after=(stems["SCI"], stems["SCI_BG"]),
        left=tuple(map(str, left)),
        together=True,
    )


@pytest.fixture(scope="module")
def calibrated(rates, tmp_path_factory):
    return load_mode("coron/stage2").reduce(stage_2_job(rates, tmp_path_factory.mktemp("out")), lambda *_: None)


def test_backgrounds_are_subtracted_from_rates_and_integrations(rates, calibrated):
    _, stems, _, unit = rates
    outcome = calibrated
    names = [path.name for path in outcome.products]
    assert names == [f"{stems['SCI']}_cal.fits", f"{stems['SCI']}_calints.fits"]
    for path, n_ints in zip(outcome.products, (1, 3), strict=True):
        with fits.open(path) as hdus:
            assert [hdus[0].header[key] for key in ("S_BKDSUB", "S_WCS", "S_FLAT", "S_PHOTOM")] == ["COMPLETE"] * 4
            level = np.nanmedian(hdus["SCI"].data) / unit
            assert level == pytest.approx(STAR, abs=4 * NOISE / np.sqrt(n_ints * hdus["SCI"].data[..., 0, :].size))
            assert hdus["SCI"].data.ndim == (2 if n_ints == 1 else 3)
    numbers = outcome.steps["exposure"]
    assert (numbers["backgrounds"], numbers["missing_backgrounds"], numbers["unit"]) == (1, 0, "MJy/sr")


def test_pyklip_reads_calibrated_integrations(calibrated):
    jwst = pytest.importorskip("pyklip.instruments.JWST")
    (path,) = (str(path) for path in calibrated.products if path.name.endswith("_calints.fits"))
    read = jwst.JWSTData(filepaths=[path])
    assert read.input.shape == fits.getdata(path, "SCI").shape
    assert read.wvs == pytest.approx([11.3e-6] * 3, rel=0.01)


def test_a_background_that_failed_is_said(rates, tmp_path):
    """The exposure is calibrated without it, and the report shows a concern."""
    _, stems, _, unit = rates
    lacking = {f"{stems['SCI_BG']}_{product}.fits" for product in ("rate", "rateints")}
    stage = load_mode("coron/stage2")
    outcome = stage.reduce(stage_2_job(rates, tmp_path, without=lacking), lambda *_: None)
    numbers = outcome.steps["exposure"]
    assert numbers["missing_backgrounds"] == 1
    assert numbers["level"] == pytest.approx((STAR + FIELD) * unit, rel=0.01)
    (check,) = stage.section().checks
    assert check.high < numbers[check.key]


def test_without_its_own_rate_an_exposure_is_skipped_or_refused(rates, tmp_path):
    _, stems, _, _ = rates
    stage = load_mode("coron/stage2")
    lacking = {f"{stems['SCI']}_{product}.fits" for product in ("rate", "rateints")}
    assert "its reduction failed" in stage.reduce(stage_2_job(rates, tmp_path, without=lacking), print).skipped
    with pytest.raises(InputError, match="needs its"):
        stage.reduce(stage_2_job(rates, tmp_path, without={f"{stems['SCI']}_rate.fits"}), print)
