"""Coronagraphy in the report: what a run over a database leaves, and what becomes of it."""

import json
import tomllib

import numpy as np
import pytest
from astropy.io import fits

from detectorist.campaign.obs_record import ObsRecord, write_obs_record
from detectorist.crds_source import ReferenceSource
from detectorist.report.concerns import find_suspects
from detectorist.report.gather import FAILED, gather
from detectorist.report.sections_coron import CoronSections

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
    for kind, data in (("rate", cube[:5].mean(axis=0)), ("rateints", cube)):
        primary = fits.PrimaryHDU(header=fits.Header({"NINTS": 6, "CORONMSK": "MASKA335R"}))
        hdus = [primary, fits.ImageHDU(data, name="SCI"), fits.ImageHDU(flags, name="DQ")]
        fits.HDUList(hdus).writeto(folder / f"{NAMES[0]}_{kind}.fits")
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
