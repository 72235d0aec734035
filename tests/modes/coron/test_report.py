"""Coronagraphy in the report: the target without its star, what single integrations do, noise, flags."""

import numpy as np
import pytest
from astropy.io import fits

from detectorist.campaign.ledger import Ledger
from detectorist.modes.coron.report import CoronSections
from detectorist.modes.job import DONE, UNPROCESSABLE, Job, JobRecord, Product
from detectorist.report.gather import gather
from detectorist.report.page import write_report

NAMES = ("jw1_00001_nrcalong", "jw1_00002_nrcalong", "jw1_00003_nrcalong")
SHAPE = (60, 64)


def halo(x=31.0, y=29.0, brightness=50.0):
    yy, xx = np.mgrid[: SHAPE[0], : SHAPE[1]]
    radius = np.hypot(yy - y, xx - x)
    return brightness * np.exp(-radius / 6) * (1 + 0.5 * np.cos(radius * 1.5))


def write_exposure(folder, name, cube):
    flags = np.zeros(cube.shape, np.int32)
    rate = cube[:5].mean(axis=0)
    cube[:, 3, 4] = rate[3, 4] = np.nan
    flags[:, 3, 4] = 1
    header = fits.Header({"NINTS": len(cube), "CORONMSK": "MASKA335R", "TGROUP": 2.0})
    header.update({"TELESCOP": "JWST", "INSTRUME": "NIRCAM", "CHANNEL": "LONG", "FILTER": "F335M"})
    for kind, data, dq in (("rate", rate, flags[0]), ("rateints", cube, flags)):
        header["DATAMODL"] = "ImageModel" if kind == "rate" else "CubeModel"
        error = np.full(data.shape, 0.1 / np.sqrt(6 if kind == "rate" else 1))
        hdus = [fits.PrimaryHDU(header=header), fits.ImageHDU(data, name="SCI"), fits.ImageHDU(dq, name="DQ")]
        hdus.append(fits.ImageHDU(error, name="ERR"))
        fits.HDUList(hdus).writeto(folder / f"{name}_{kind}.fits")


@pytest.fixture
def folder(tmp_path, rng):
    """A target with a companion, a reference star twice as bright and a little displaced, and one that failed."""
    folder = tmp_path / "out" / "stage1"
    folder.mkdir(parents=True)
    jobs = [Job(name, "coron", (f"raw/{name}_uncal.fits",), str(folder), together=True) for name in NAMES]
    companion = 8 * np.exp(-0.5 * ((np.arange(SHAPE[0])[:, None] - 40) ** 2 + (np.arange(SHAPE[1]) - 45) ** 2) / 2)
    with Ledger(folder) as ledger:
        ledger.begin_run("", {})
        ledger.enter(jobs)
        for job, kind, light in ((jobs[0], "SCI", halo() + companion), (jobs[1], "REF", halo(31.3, 28.8, 100))):
            write_exposure(folder, job.name, light + 0.1 * rng.normal(size=(6, *SHAPE)))
            found = [Product(f"{job.name}_{product}.fits", 1, 1, 1, "") for product in ("rate", "rateints")]
            steps = {"exposure": {"type": kind, "stripes_unmeasured": 2, "pull_width": 1.01}}
            ledger.finish(JobRecord(job.name, DONE, products=found, steps=steps, output_dir=str(folder)))
        ledger.finish(JobRecord(NAMES[2], UNPROCESSABLE, "InputError", "raw/x_uncal.fits: no such file"))
    return folder


def test_the_report_opens_with_the_target_without_its_star(folder):
    exposures = gather(folder).exposures
    opening, contrast = CoronSections().opening(exposures[:2])
    assert opening.exposure.name == NAMES[0]
    assert opening.panel.key == "coron_subtracted"
    subtracted, target = opening.panel.pictures
    assert "by 1 image of a reference star" in subtracted.label
    quiet = np.ones(SHAPE, bool)
    quiet[33:47, 38:52] = False
    quiet[3, 4] = False
    assert np.nanstd(subtracted.image[quiet]) < 0.05 * np.nanstd(target.image[quiet])
    assert np.nanmax(subtracted.image[38:43, 43:48]) == pytest.approx(8, rel=0.15)
    assert np.isnan(subtracted.image[3, 4])
    assert contrast.panel.key == "coron_contrast"
    (line,) = contrast.panel.draw().axes[0].lines
    limits = line.get_ydata()
    assert limits[len(limits) // 2] < 0.1 * limits[0]


def test_a_target_alone_is_shown_as_it_is(folder):
    (opening,) = CoronSections().opening(gather(folder).exposures[:1])
    assert opening.panel.key == "coron_target"


def test_figures_of_an_exposure(folder):
    exposure = gather(folder).exposures[0]
    panels = {panel.key: panel for panel in CoronSections().panels(exposure)}
    assert list(panels) == ["coron_rate", "coron_mosaic", "coron_radial_noise", "coron_spectrum", "coron_flags"]
    assert [picture.label.split(":")[0] for picture in panels["coron_rate"].pictures] == ["rate", "median", "scatter"]
    # Six tiles in three columns, with gaps.
    assert panels["coron_mosaic"].pictures[0].image.shape == (2 * 64 - 4, 3 * 68 - 4)
    assert CoronSections().thumbnail(exposure).shape == (*SHAPE, 3)
    for panel in panels.values():
        if panel.draw:
            panel.draw()
    assert [panel.key for panel in CoronSections().panels(exposure, brief=True)] == ["coron_rate"]


def test_noise_of_all_integrations_lies_below_that_of_one(folder):
    exposure = gather(folder).exposures[0]
    panel = next(panel for panel in CoronSections().panels(exposure) if panel.key == "coron_radial_noise")
    one, every = panel.draw().axes[0].lines
    ratio = np.median(one.get_ydata() / every.get_ydata())
    # Integrations without their median have a little less than their noise.
    assert ratio == pytest.approx(np.sqrt(6), rel=0.2)


def test_what_was_subtracted_is_shown_where_it_was_kept(folder, rng):
    exposure = gather(folder).exposures[0]
    for kind, shape in (("ktc", (6, *SHAPE)), ("1overf", (6, 3, *SHAPE))):
        hdus = [fits.PrimaryHDU(), fits.ImageHDU(rng.normal(size=shape), name="SCI")]
        fits.HDUList(hdus).writeto(folder / f"{NAMES[0]}_{kind}.fits")
    panels = {panel.key: panel for panel in CoronSections().panels(exposure)}
    labels = [picture.label for picture in panels["coron_models"].pictures]
    assert labels[0].startswith("kTC: offsets of the first integration")
    assert labels[1].startswith("1/f: stripes of the first integration, last group")
    assert [line.get_label() for line in panels["coron_spectrum"].draw().axes[0].lines][:2] == ["before", "after"]


def test_stripes_of_groups_count_by_their_slope(folder):
    exposure = gather(folder).exposures[0]
    stripes = np.zeros((6, 3, *SHAPE))
    stripes[:, :, 10] = np.array([0.0, 4.0, 8.0])[None, :, None]  # 4 DN in a group of 2 s
    hdus = [fits.PrimaryHDU(), fits.ImageHDU(stripes, name="SCI")]
    fits.HDUList(hdus).writeto(folder / f"{NAMES[0]}_1overf.fits")
    from detectorist.modes.coron.report import _Products

    found = _Products(exposure)
    np.testing.assert_allclose((found.striped - found.cube)[:, 10], 2.0)
    np.testing.assert_allclose((found.striped - found.cube)[:, 11], 0.0)


def test_the_page_says_what_is_the_matter(folder):
    text = write_report(folder).read_text()
    assert "could not be measured in 2 images" in text
    assert "cannot be processed: raw/x_uncal.fits: no such file" in text
    assert "Target without its star" in text[: text.index('id="attention"')]
