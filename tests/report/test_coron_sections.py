"""Coronagraphy in the report: what a run over a database leaves, and what becomes of it."""

import json
import tomllib

import numpy as np
import pytest
from astropy.io import fits

from detectorist.crds_source import ReferenceSource
from detectorist.modes.coron.obs_record import ObsRecord, write_obs_record
from detectorist.modes.coron.report import CoronSections
from detectorist.report.concerns import find_suspects
from detectorist.report.gather import FAILED, gather

NAMES = ("jw1_00001_nrcalong", "jw1_00002_nrcalong")


def write_record(folder, name, state="done", error="", steps=None):
    record = ObsRecord(name, "NIRCAM_F444W", "SCI", state, error=error, seconds=7.0)
    write_obs_record(
        folder,
        [record],
        inputs={name: f"raw/{name}_uncal.fits"},
        steps={name: {"jump": {"rejection_threshold": 4.0}, **(steps or {})}},
        parameters={"stage_1overf": "ints", "steps": {"jump": {"rejection_threshold": 4.0, "skip": None}}},
        source=ReferenceSource("crds", "jwst_1.pmap"),
    )


@pytest.fixture
def folder(tmp_path, rng):
    """One exposure done, with products, and one that failed."""
    folder = tmp_path / "out" / "stage1"
    folder.mkdir(parents=True)
    write_record(folder, NAMES[0])
    write_record(folder, NAMES[1], "failed", "raw/x_uncal.fits: no such file", {"dark_current": {"skip": True}})
    records = json.loads((folder / "record.json").read_text())
    records[NAMES[0]]["subtract_1overf"] = {"state": "COMPLETE", "stripes_rms": 0.02, "images_unmeasured": 2}
    (folder / "record.json").write_text(json.dumps(records))
    cube = 1 + 0.1 * rng.normal(size=(6, 40, 48))
    cube[:, 3, 4] = np.nan
    flags = np.zeros(cube.shape, np.int32)
    flags[:, 3, 4] = 1
    errors = fits.ImageHDU(np.full(cube.shape, 0.1), name="ERR")
    for kind, data in (("rate", cube[:5].mean(axis=0)), ("rateints", cube)):
        primary = fits.PrimaryHDU(header=fits.Header({"NINTS": 6, "CORONMSK": "MASKA335R"}))
        hdus = [primary, fits.ImageHDU(data, name="SCI"), fits.ImageHDU(flags, name="DQ")]
        fits.HDUList([*hdus, *([errors] if kind == "rateints" else [])]).writeto(folder / f"{NAMES[0]}_{kind}.fits")
    return folder


def test_later_runs_add_to_what_is_there(folder):
    resolved = tomllib.loads((folder / "resolved.toml").read_text())
    assert list(resolved["exposures"]) == list(NAMES)
    assert resolved["inputs"] == [f"raw/{name}_uncal.fits" for name in NAMES]
    assert resolved["steps"]["jump"] == {"rejection_threshold": 4.0}


def test_states_and_reasons(folder):
    done, failed = gather(folder.parent).exposures
    assert (done.state, done.mode, done.seconds) == ("done", "coron", 7.0)
    assert (failed.state, failed.message) == (FAILED, "raw/x_uncal.fits: no such file")
    sections = CoronSections()
    for exposure in (done, failed):
        sections.complete(exposure)
    suspects = find_suspects([done, failed], sections.columns, sections.checks)
    assert [suspect.exposure.name for suspect in suspects] == [NAMES[1], NAMES[0]]
    assert suspects[0].concerns[0].words == "failed: raw/x_uncal.fits: no such file"
    assert "could not be measured in 2 images" in suspects[1].concerns[0].words


def test_figures_of_a_coronagraphic_exposure(folder):
    exposure = gather(folder).exposures[0]
    panels = {panel.key: panel for panel in CoronSections().panels(exposure)}
    assert list(panels) == ["coron_rate", "coron_mosaic", "coron_flags"]
    assert [picture.label.split(":")[0] for picture in panels["coron_rate"].pictures] == ["rate", "median", "scatter"]
    assert panels["coron_rate"].beside
    # Six tiles of 40 x 48 in three columns, with gaps.
    assert panels["coron_mosaic"].pictures[0].pixels.shape == (2 * 44 - 4, 3 * 52 - 4, 3)
    assert CoronSections().thumbnail(exposure).shape == (40, 48, 3)
    assert [panel.key for panel in CoronSections().panels(exposure, brief=True)] == ["coron_rate"]


def test_what_was_subtracted_is_shown_where_it_was_kept(folder, rng):
    exposure = gather(folder).exposures[0]
    for kind, shape in (("ktc", (6, 40, 48)), ("1overf", (6, 3, 40, 48))):
        hdus = [fits.PrimaryHDU(), fits.ImageHDU(rng.normal(size=shape), name="SCI")]
        fits.HDUList(hdus).writeto(folder / f"{NAMES[0]}_{kind}.fits")
    panels = {panel.key: panel for panel in CoronSections().panels(exposure)}
    labels = [picture.label for picture in panels["coron_models"].pictures]
    assert labels[0].startswith("kTC: offsets of the first integration")
    assert labels[1].startswith("1/f: stripes of the first integration, last group")
    assert panels["coron_models"].pictures[0].pixels.shape == (40, 48, 3)


def test_flags_and_outliers_are_counted(folder):
    exposure = gather(folder).exposures[0]
    exposure.numbers["outliers"] = 3
    CoronSections().complete(exposure)
    assert exposure.numbers["unusable_pct"] == pytest.approx(100 / (40 * 48))
    assert exposure.numbers["outliers_ppm"] == pytest.approx(3e6 / (6 * 40 * 48))


def change_rates(folder, change):
    """Change the rates of the integrations and their mean, in their files; a part of row 20 is bright."""
    path = folder / f"{NAMES[0]}_rateints.fits"
    with fits.open(path, mode="update") as hdus:
        cube = hdus["SCI"].data
        cube[:, 20, 10:30] += 50
        change(cube, hdus["ERR"].data, hdus["DQ"].data)
        mean = cube.mean(axis=0)
    with fits.open(folder / f"{NAMES[0]}_rate.fits", mode="update") as hdus:
        hdus["SCI"].data = mean


def most_unlike(folder):
    exposure = gather(folder).exposures[0]
    sections = CoronSections()
    sections.complete(exposure)
    words = [one.words for suspect in find_suspects([exposure], (), sections.checks) for one in suspect.concerns]
    return exposure.numbers.get("integration_unlike"), "one integration differs" in " ".join(words)


def test_integrations_that_only_noise_sets_apart_are_alike(folder):
    change_rates(folder, lambda cube, errors, flags: None)
    unlike, told = most_unlike(folder)
    assert 0.5 < unlike < 1.25
    assert not told


def test_an_integration_in_which_the_star_is_brighter_is_told(folder):
    def brighten(cube, errors, flags):
        cube[2, 20] += 0.5

    change_rates(folder, brighten)
    unlike, told = most_unlike(folder)
    assert unlike == pytest.approx(1.4826 * 5, rel=0.15)
    assert told


def test_dark_pixels_and_unusable_ones_make_no_integration_unlike(folder):
    def spoil(cube, errors, flags):
        cube[2, :20] -= 5
        cube[2, 20, 10:20] += 5
        flags[2, 20, 10:20] |= 1

    change_rates(folder, spoil)
    assert not most_unlike(folder)[1]


def test_nothing_is_compared_without_errors_or_with_two_integrations(folder):
    path = folder / f"{NAMES[0]}_rateints.fits"
    with fits.open(path, mode="update") as hdus:
        hdus["ERR"].data[:] = np.nan
    assert most_unlike(folder) == (None, False)
    with fits.open(path, mode="update") as hdus:
        for hdu in hdus[1:]:
            hdu.data = hdu.data[:2]
    assert most_unlike(folder) == (None, False)


@pytest.mark.parametrize(
    ("numbers", "words"),
    [
        ({"stripes_unmeasured": 1}, "could not be measured in 1 images"),
        ({"ktc_unmeasured_pct": 14.0}, "the offset of 14.0 % of the ramps"),
        ({"unusable_pct": 24.0}, "24.0 % of the pixels cannot be used"),
        ({"integration_unlike": 2.4}, "differs from the others by 2.4 times"),
        ({"ktc_unmeasured_pct": 0.2, "unusable_pct": 0.4, "integration_unlike": 1.0, "outliers_ppm": 2000.0}, ""),
    ],
)
def test_limits(folder, numbers, words):
    exposure = gather(folder).exposures[0]
    exposure.numbers = numbers
    told = [one.words for suspect in find_suspects([exposure], (), CoronSections.checks) for one in suspect.concerns]
    assert len(told) == bool(words)
    assert all(words in one for one in told)
