"""Images in the report: several exposures in one folder, figures from the copies that were kept."""

import numpy as np
import pytest
from astropy.io import fits

from detectorist.campaign.ledger import Ledger
from detectorist.figures.image_quality import row_levels, white_level
from detectorist.modes.imaging.report import ImagingSections
from detectorist.modes.job import DONE, Job, JobRecord, Product
from detectorist.report.gather import gather
from detectorist.report.page import write_report

NAMES = ("jw1_00001_nrcb4", "jw1_00002_nrcb4", "jw1_00003_nrcb4")
SIZE = 64
STEPS = {
    "snowballs": {"state": "COMPLETE", "n_events": 1, "events": [[0, 2, 32.0, 32.0, 4.0, 2.0]], "n_flagged": 205},
    "wisps": {
        "state": "COMPLETE",
        "scale": [0.8],
        "scale_error": [0.01],
        "curve": {"scale": [0.0, 0.8, 1.6], "spread": [0.03, 0.02, 0.03]},
    },
    "stripes": {"state": "COMPLETE", "stripes_rms": 0.05},
}
NUMBERS = {"snowballs": 1, "wisp_scale": 0.8, "wisp_error": 0.01, "row_ratio": 2.4, "sky": 1.0}


def write_image(path, data, flags=None):
    header = {"TARGPROP": "FIELD", "INSTRUME": "NIRCAM", "NINTS": 1, "NGROUPS": 5, "SUBSIZE1": SIZE, "SUBSIZE2": SIZE}
    hdus = [fits.PrimaryHDU(header=fits.Header(header)), fits.ImageHDU(np.asarray(data, np.float32), name="SCI")]
    if flags is not None:
        hdus.append(fits.ImageHDU(flags.astype(np.int32), name="DQ"))
    fits.HDUList(hdus).writeto(path)


@pytest.fixture
def folder(tmp_path, rng):
    """Two images done, a third that waits."""
    folder = tmp_path / "calibrated"
    folder.mkdir()
    stripes = 0.05 * rng.normal(size=(SIZE, 1)) * np.ones((1, SIZE))
    wisp = np.zeros((SIZE, SIZE))
    wisp[10:20] = 0.3
    jobs = [Job(name, "imaging", (f"raw/{name}_uncal.fits",), str(folder), together=True) for name in NAMES]
    with Ledger(folder) as ledger:
        ledger.begin_run("", {})
        ledger.enter(jobs)
        for job in jobs[:2]:
            rate = 1 + 0.02 * rng.normal(size=(SIZE, SIZE))
            flags = np.zeros(rate.shape, int)
            flags[30:35, 30:35] = 4
            flags[:4] = -(2**31)  # reference pixels, as FITS holds the flag
            rate[:4] = 0
            write_image(folder / f"{job.name}_rate.fits", rate, flags)
            write_image(folder / f"{job.name}_rate_pre1f.fits", rate + stripes)
            write_image(folder / f"{job.name}_rate_prewisp.fits", rate + stripes + wisp)
            fits.PrimaryHDU((rate > 1.05).astype(np.uint8)).writeto(folder / f"{job.name}_rate_1fmask.fits")
            products = [Product(f"{job.name}_rate.fits", 1, 1, 1, "")]
            steps = {"exposure": NUMBERS, **STEPS}
            ledger.finish(JobRecord(job.name, DONE, products=products, steps=steps, output_dir=str(folder)))
    return folder


def test_exposures_of_one_folder_are_told_apart(folder):
    exposures = gather(folder).exposures
    assert [exposure.name for exposure in exposures] == list(NAMES)
    assert [exposure.state for exposure in exposures] == ["done", "done", "waiting"]
    assert exposures[1].files == (f"raw/{NAMES[1]}_uncal.fits",)
    assert exposures[0].log.name == f"{NAMES[0]}_detectorist.log"


def test_all_figures_are_there(folder):
    one = gather(folder).exposures[0]
    panels = {panel.key: panel for panel in ImagingSections().panels(one)}
    assert list(panels) == [
        "imaging_before_after",
        "imaging_stripes",
        "imaging_rows",
        "imaging_wisp",
        "imaging_mask",
        "imaging_wisp_curve",
        "imaging_snowballs",
        "imaging_snowball_groups",
    ]
    for panel in panels.values():
        if panel.draw:
            panel.draw()
    brief = list(ImagingSections().panels(one, brief=True))
    assert [panel.key for panel in brief] == ["imaging_before_after"]


def test_before_and_after_have_one_stretch(folder):
    one = gather(folder).exposures[0]
    before, after, difference = next(ImagingSections().panels(one)).pictures
    assert before.stretch == after.stretch
    assert before.stretch.soft > 0
    assert difference.stretch.difference
    np.testing.assert_allclose(difference.image, before.image - after.image)


def test_the_report_opens_with_the_images(folder):
    sections = ImagingSections()
    openings = list(sections.opening(gather(folder).exposures[:2]))
    assert [one.exposure.name for one in openings] == list(NAMES[:2])
    assert {one.panel.key for one in openings} == {"imaging_before_after"}
    text = write_report(folder).read_text()
    first = text[: text.index('id="attention"')]
    assert "rows / white" in first
    assert "2.40" in first
    assert "good up to 1" in first
    assert "merit-look" in first
    assert first.count('class="view"') == 6


def test_a_step_that_was_left_out_has_no_figures(folder):
    one = gather(folder).exposures[0]
    for steps in one.steps.values():
        steps["stripes"]["state"] = "SKIPPED"
    keys = [panel.key for panel in ImagingSections().panels(one)]
    assert "imaging_stripes" not in keys
    assert "imaging_wisp" in keys


def test_figures_without_copies_of_the_image_before(folder):
    for path in folder.glob("*_rate_pre*"):
        path.unlink()
    one = gather(folder).exposures[0]
    assert [panel.key for panel in ImagingSections().panels(one)][:2] == ["imaging_after", "imaging_mask"]


def test_white_level_is_that_of_row_medians(rng):
    image = 5 + 0.3 * rng.normal(size=(400, 300))
    mask = rng.random(image.shape) < 0.3
    assert np.var(row_levels(image, mask)) == pytest.approx(white_level(image, mask), rel=0.25)
    striped = image + rng.normal(size=(400, 1))
    assert white_level(striped, mask) == pytest.approx(white_level(image, mask), rel=1e-6)
    assert np.isnan(row_levels(image, np.ones(image.shape, bool))).all()


def test_reference_pixels_are_no_sky(folder):
    one = gather(folder).exposures[0]
    panels = {panel.key: panel for panel in ImagingSections().panels(one)}
    level = panels["imaging_rows"].draw().axes[0].lines[1].get_ydata()
    assert np.isnan(level[:4]).all()
    assert np.nanmax(np.abs(level)) < 0.05
