"""Images in the report: several exposures in one folder, figures from the copies that were kept, reasons."""

import json

import numpy as np
import pytest
import tomli_w
from astropy.io import fits
from detectorist.report.concerns import find_suspects

from detectorist.figures.image_quality import row_levels, white_level
from detectorist.modes.imaging.report import ImagingSections
from detectorist.report.gather import UNFINISHED, gather
from detectorist.report.media import colour, limits_of, shrink
from detectorist.report.page import write_report

NAMES = ("jw1_00001_nrcb4", "jw1_00002_nrcb4", "jw1_00003_nrcb4")
SIZE = 64


def write_image(path, data, flags=None):
    header = {"TARGPROP": "FIELD", "INSTRUME": "NIRCAM", "NINTS": 1, "NGROUPS": 5, "SUBSIZE1": SIZE, "SUBSIZE2": SIZE}
    hdus = [fits.PrimaryHDU(header=fits.Header(header)), fits.ImageHDU(np.asarray(data, np.float32), name="SCI")]
    if flags is not None:
        hdus.append(fits.ImageHDU(flags.astype(np.int32), name="DQ"))
    fits.HDUList(hdus).writeto(path)


@pytest.fixture
def folder(tmp_path, rng):
    """Two images done, a third of which nothing was written."""
    folder = tmp_path / "calibrated"
    folder.mkdir()
    stripes = 0.05 * rng.normal(size=(SIZE, 1)) * np.ones((1, SIZE))
    wisp = np.zeros((SIZE, SIZE))
    wisp[10:20] = 0.3
    records = {}
    for name in NAMES[:2]:
        rate = 1 + 0.02 * rng.normal(size=(SIZE, SIZE))
        flags = np.zeros(rate.shape, int)
        flags[30:35, 30:35] = 4
        flags[:4] = -(2**31)  # reference pixels, as FITS holds the flag
        rate[:4] = 0
        write_image(folder / f"{name}_rate.fits", rate, flags)
        write_image(folder / f"{name}_rate_pre1f.fits", rate + stripes)
        write_image(folder / f"{name}_rate_prewisp.fits", rate + stripes + wisp)
        fits.PrimaryHDU((rate > 1.05).astype(np.uint8)).writeto(folder / f"{name}_rate_1fmask.fits")
        records[name] = {
            "snowballs": {
                "state": "COMPLETE",
                "n_events": 1,
                "events": [[0, 2, 32.0, 32.0, 4.0, 2.0]],
                "n_flagged": 205,
            },
            "wisps": {
                "state": "COMPLETE",
                "scale": [0.8],
                "scale_error": [0.01],
                "residual_ratio": 1.02,
                "hidden": 0.72,
                "curve": {"scale": [0.0, 0.8, 1.6], "spread": [0.03, 0.02, 0.03]},
            },
            "stripes": {
                "state": "COMPLETE",
                "stripes_rms": 0.05,
                "masked_fraction": 0.1,
                "white_noise": 0.02,
                "rms_common": 0.008,
                "rms_own": 0.006,
                "row_rms_before": 0.05,
                "row_rms_after": 0.006,
                "row_rms_white": 0.0025,
            },
        }
    (folder / "record.json").write_text(json.dumps(records))
    resolved = {
        "pipeline": "ImagingPipeline",
        "recipe": "default",
        "settings": [],
        "inputs": [f"raw/{name}_uncal.fits" for name in NAMES],
        "exposures": {
            name: {"settings": [f"stripes.thresh=0.{7 + i}"], "steps": {"stripes": {"thresh": (7 + i) / 10}}}
            for i, name in enumerate(NAMES)
        },
        "steps": {"stripes": {"thresh": 0.8, "method": "flicker"}},
    }
    (folder / "resolved.toml").write_text(tomli_w.dumps(resolved))
    return folder


def test_exposures_of_one_folder_are_told_apart(folder):
    exposures = gather(folder).exposures
    assert [exposure.name for exposure in exposures] == list(NAMES)
    assert [exposure.state for exposure in exposures] == ["done", "done", UNFINISHED]
    assert [exposure.resolved["steps"]["stripes"]["thresh"] for exposure in exposures] == [0.7, 0.8, 0.9]
    assert exposures[0].settings == ("stripes.thresh=0.7",)
    assert exposures[1].files == (f"raw/{NAMES[1]}_uncal.fits",)


def test_numbers_come_from_the_records(folder):
    one = gather(folder).exposures[0]
    ImagingSections().complete(one)
    assert one.numbers["flagged_pct"] == pytest.approx(100 * 205 / (5 * SIZE**2))
    assert one.numbers["wisp_scale"] == 0.8
    assert one.numbers["flicker_over_white"] == pytest.approx(0.5)
    assert one.numbers["wisp_hidden_pct"] == pytest.approx(72)
    assert one.numbers["row_ratio"] == pytest.approx(2.4)
    assert one.numbers["sky"] == pytest.approx(1, abs=0.03)
    assert one.numbers["jumps_pct"] == pytest.approx(100 * 25 / SIZE**2)
    (suspect,) = find_suspects([one], ImagingSections.columns, ImagingSections.checks)
    words = " ".join(concern.words for concern in suspect.concerns)
    assert "1/f noise is 0.50 times the white noise" in words
    assert "72 % of the wisp lie under what was taken for sources" in words
    assert "rows scatter 2.4 times as much as white noise explains" in words
    assert "strength of the wisp" not in words


@pytest.mark.parametrize(
    ("step", "changed", "words"),
    [
        ("wisps", {"hidden": 0.39}, ""),
        ("wisps", {"hidden": 0.97, "state": "SKIPPED"}, "97 % of the wisp lie under"),
        ("wisps", {"hidden": 0.0, "scale_error": [0.12]}, "known to 15% only"),
        ("stripes", {"rms_common": 0.0, "rms_own": 0.0065}, ""),
        ("stripes", {"rms_common": 0.0, "rms_own": 0.0075}, "0.38 times the white noise"),
        ("stripes", {"masked_fraction": 0.9}, ""),
    ],
)
def test_each_limit_by_itself(folder, step, changed, words):
    one = gather(folder).exposures[0]
    steps = one.steps[NAMES[0]]
    steps["wisps"]["hidden"], steps["stripes"]["row_rms_after"] = 0.1, 0.001
    steps["stripes"]["rms_common"] = steps["stripes"]["rms_own"] = 0.002
    steps[step].update(changed)
    ImagingSections().complete(one)
    found = find_suspects([one], ImagingSections.columns, ImagingSections.checks)
    told = [concern.words for suspect in found for concern in suspect.concerns]
    assert len(told) == bool(words)
    assert all(words in one for one in told)


def test_stripes_by_medians_have_no_strength_of_1_over_f(folder):
    one = gather(folder).exposures[0]
    one.steps[NAMES[0]]["stripes"].update(white_noise=0.0, rms_common=0.0, rms_own=0.0)
    ImagingSections().complete(one)
    assert "flicker_over_white" not in one.numbers


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
    labels = [picture.label.split(":")[0] for picture in panels["imaging_before_after"].pictures]
    assert labels == ["before", "after", "difference"]
    assert panels["imaging_rows"].draw().axes[0].get_ylabel() == "median of the row (DN/s)"
    page = write_report(folder).read_text()
    assert page.count('class="frame"') == 2 * (3 + 1 + 1 + 1)
    assert "differs between exposures" in page


def test_copies_that_were_not_kept_leave_their_figures_out(folder):
    for path in folder.glob("*_pre*.fits"):
        path.unlink()
    one = gather(folder).exposures[0]
    assert [panel.key for panel in ImagingSections().panels(one)] == [
        "imaging_mask",
        "imaging_wisp_curve",
        "imaging_snowballs",
        "imaging_snowball_groups",
    ]


def test_white_level_is_that_of_row_medians(rng):
    image = 5 + 0.3 * rng.normal(size=(400, 300))
    mask = rng.random(image.shape) < 0.3
    assert np.var(row_levels(image, mask)) == pytest.approx(white_level(image, mask), rel=0.25)
    striped = image + rng.normal(size=(400, 1))
    assert white_level(striped, mask) == pytest.approx(white_level(image, mask), rel=1e-6)
    assert np.isnan(row_levels(image, np.ones(image.shape, bool))).all()


def test_pictures_are_shrunk_by_averaging_and_stand_upright():
    image = np.arange(16.0).reshape(4, 4)
    image[0, 0] = np.nan
    np.testing.assert_allclose(shrink(image, 2), [[np.mean([1, 4, 5]), 4.5], [10.5, 12.5]])
    assert shrink(image, 4) is image
    pixels = colour(np.array([[0.0, 0.0], [1.0, np.nan]]), (0, 1))
    assert pixels.shape == (2, 2, 3)
    assert tuple(pixels[0, 1]) == (128, 128, 128)  # not a number, and the last row is on top
    assert tuple(pixels[1, 0]) == tuple(pixels[1, 1])


def test_a_stretch_exists_for_any_image():
    assert limits_of(np.full((3, 3), np.nan)) == (0.0, 1.0)
    assert limits_of(np.zeros((3, 3))) == (0.0, 1.0)


def test_reference_pixels_are_no_sky(folder):
    one = gather(folder).exposures[0]
    panels = {panel.key: panel for panel in ImagingSections().panels(one)}
    level = panels["imaging_rows"].draw().axes[0].lines[1].get_ydata()
    assert np.isnan(level[:4]).all()
    assert np.nanmax(np.abs(level)) < 0.05
