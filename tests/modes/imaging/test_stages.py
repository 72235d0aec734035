"""`--through stage3`: calibrated images and mosaics from our rates, against the truth of the simulator."""

import json

import numpy as np
import pytest
import xarray as xr
from astropy.io import fits
from photutils.aperture import CircularAnnulus, CircularAperture, aperture_photometry
from stdatamodels.jwst import datamodels

from detectorist import reduce_imaging
from detectorist.campaign.plan import PlanRequest, make_jobs
from detectorist.cli import main
from detectorist.errors import ParameterError
from detectorist.modes import load_mode
from detectorist.reduction.content_keys import made_by
from detectorist.simulate.imaging.scene import ImagingScene

pytestmark = pytest.mark.filterwarnings("default")
SIZE = 160


@pytest.fixture(scope="module")
def raw(tmp_path_factory):
    """Three dithered exposures of a field of stars, without what costs time here."""
    folder = tmp_path_factory.mktemp("field")
    scene = ImagingScene().with_detector(size=SIZE, outputs=1, pattern="SHALLOW4")
    scene = scene.without("wisps", "snowballs", "cosmic_rays", "flicker", "galaxies", "bad_pixels")
    scene.with_("stars", per_frame=9000.0, min_dn_s=30.0, max_dn_s=300.0).write(folder, groups=5, exposures=3, seed=4)
    return folder


#: Stage 1 without steps whose kernels take longer to load than all the rest.
QUICK = ("stripes.skip=true", "wisps.skip=true", "stage3.tweakreg.skip=true")


@pytest.fixture(scope="module")
def out(raw, tmp_path_factory):
    folder = tmp_path_factory.mktemp("out")
    entries = reduce_imaging(raw, folder, references=raw / "crds", through="stage3", settings=QUICK, workers=0)
    assert {name: entry.record.message for name, entry in entries.items() if entry.state != "done"} == {}
    return folder, entries


NAME = "jw09999_simulated-field_nircam_f200w"


def test_what_is_written(out):
    folder, entries = out
    stems = [f"jw09999002001_02101_0000{k}_nrcb4" for k in (1, 2, 3)]
    assert list(entries) == [*stems, *(f"{stem}_stage2" for stem in stems), NAME]
    for stem in stems:
        for product in ("rate", "cal", "i2d", "a3001_crf"):
            assert (folder / f"{stem}_{product}.fits").is_file()
    for ending in ("i2d.fits", "segm.fits", "cat.ecsv", "resolved.toml", "record.json", "detectorist.log"):
        assert (folder / f"{NAME}_{ending}").is_file()
    assert not list(folder.glob(".partial*"))


def test_provenance(out):
    folder, entries = out
    with datamodels.open(folder / f"{NAME}_i2d.fits") as mosaic:
        steps = mosaic.meta.cal_step
        assert (steps.photom, steps.flat_field, steps.resample, steps.outlier_detection) == ("COMPLETE",) * 4
        assert mosaic.meta.bunit_data == "MJy/sr"
    assert made_by(folder / f"{NAME}_i2d.fits")
    assert {file.path.rpartition("_")[2] for file in entries[NAME].record.inputs} == {"cal.fits"}
    assert entries[NAME].record.resolved["steps"]["tweakreg"]["skip"] is True
    assert entries[NAME].record.steps["exposure"]["images"] == 3


def test_fluxes_of_stars_are_true(raw, out):
    folder, _ = out
    truth = xr.open_dataset(raw / "jw09999002001_02101_00001_nrcb4_truth.nc", engine="h5netcdf").load()
    light = truth.sources.values
    peaks = [place for place in np.argwhere(light > 4) if light[tuple(place)] == _around(light, *place).max()]
    inner = [(y, x) for y, x in peaks if 45 < y < SIZE - 45 and 45 < x < SIZE - 45]
    assert len(inner) >= 3
    with (
        datamodels.open(folder / "jw09999002001_02101_00001_nrcb4_cal.fits") as first,
        datamodels.open(folder / f"{NAME}_i2d.fits") as mosaic,
    ):
        unit = first.meta.photometry.conversion_megajanskys
        places = np.array([mosaic.meta.wcs.invert(*first.meta.wcs(x, y)) for y, x in inner])
        got, error = _net(mosaic.data, mosaic.err, places)
    expected, _ = _net(light * unit, np.ones_like(light), np.array(inner)[:, ::-1])
    pulls = (got - expected) / error
    # Drizzled pixels share noise: errors of sums are a little larger than those of independent pixels.
    assert np.abs(pulls.mean()) < 4 / np.sqrt(pulls.size)
    assert np.abs(got / expected - 1).max() < 0.05


def _around(image, y, x):
    return image[max(y - 3, 0) : y + 4, max(x - 3, 0) : x + 4]


def _net(data, err, places, radius=4.0):
    """Return flux and error in apertures without their background."""
    aperture, ring = CircularAperture(places, radius), CircularAnnulus(places, 8, 11)
    inside = aperture_photometry(data, aperture, error=err)
    beside = aperture_photometry(data, ring)["aperture_sum"] / ring.area
    return np.array(inside["aperture_sum"] - aperture.area * beside), np.array(inside["aperture_sum_err"])


def test_calibrated_images_are_our_rates_over_the_flat(raw, out):
    folder, entries = out
    truth = xr.open_dataset(raw / "jw09999002001_02101_00001_nrcb4_truth.nc", engine="h5netcdf").load()
    rate = fits.getdata(folder / "jw09999002001_02101_00001_nrcb4_rate.fits", "SCI")
    with datamodels.open(folder / "jw09999002001_02101_00001_nrcb4_cal.fits") as cal:
        unit = cal.meta.photometry.conversion_megajanskys
        np.testing.assert_allclose(cal.data, unit * rate / truth.flat.values, rtol=1e-5)
    found = entries["jw09999002001_02101_00001_nrcb4_stage2"].record.steps["exposure"]
    assert found["sky"] == pytest.approx(unit * np.nanmedian(rate / truth.flat.values), rel=1e-4)


def test_mosaic_is_deeper_than_one_image(out):
    _, entries = out
    one = entries["jw09999002001_02101_00001_nrcb4_stage2"].record.steps["exposure"]["depth_ab"]
    three = entries[NAME].record.steps["exposure"]["depth_ab"]
    assert three - one == pytest.approx(1.25 * np.log10(3), abs=0.25)


def test_nothing_is_done_twice(raw, out):
    folder, entries = out
    before = {path: path.stat().st_mtime_ns for path in folder.glob("*.fits")}
    again = reduce_imaging(raw, folder, references=raw / "crds", through="stage3", settings=QUICK, workers=0)
    assert {path: path.stat().st_mtime_ns for path in folder.glob("*.fits")} == before
    assert [entry.record.started for entry in again.values()] == [entry.record.started for entry in entries.values()]


def test_dry_run_names_all_stages(raw, tmp_path, monkeypatch, capsys):
    words = ["run", "imaging", str(raw), "-o", str(tmp_path), "--references", str(raw / "crds"), "--dry-run", "--json"]
    monkeypatch.setattr("sys.argv", ["detectorist", *words, "--through", "stage3"])
    with pytest.raises(SystemExit) as left:
        main()
    assert not left.value.code
    told = json.loads(capsys.readouterr().out)
    assert [job["name"] for job in told["jobs"]][-1] == NAME
    steps = {one["first"]: one["steps"] for one in told["configurations"]}
    assert steps[NAME] == ["tweakreg", "skymatch", "outlier_detection", "resample", "source_catalog"]
    (calibration,) = (one for one in told["configurations"] if one["first"].endswith("_stage2"))
    assert calibration["references"]["photom"] == "sim_nircam_photom_0001.fits"
    assert calibration["exposures"] == 3


def test_wrong_words_are_refused_before_anything_starts(raw, tmp_path):
    def jobs(*settings, through="stage3"):
        files = sorted(raw.glob("*_uncal.fits"))
        make_jobs(
            PlanRequest("imaging", files, tmp_path, references=str(raw / "crds"), overrides=settings, through=through)
        )

    with pytest.raises(ParameterError, match='no step "resampel".*resample'):
        jobs("stage2.resampel.pixfrac=0.5")
    with pytest.raises(ParameterError, match='no parameter "pixfrack"'):
        jobs("stage3.resample.pixfrack=0.5")
    with pytest.raises(ParameterError, match="pixfrac"):
        jobs("stage3.resample.pixfrac=wide")
    with pytest.raises(ParameterError, match="--through stage4"):
        jobs(through="stage4")


def test_missing_references_are_named(raw, tmp_path):
    import shutil

    cache = tmp_path / "crds"
    shutil.copytree(raw / "crds", cache)
    (cache / "references/jwst/nircam/sim_nircam_photom_0001.fits").unlink()
    entries = reduce_imaging(
        sorted(raw.glob("*_uncal.fits"))[:1],
        tmp_path / "out",
        references=cache,
        through="stage2",
        settings=QUICK[:2],
        workers=0,
    )
    rate, cal = entries.values()
    assert rate.state == "done"
    assert cal.state != "done"
    assert "photom (sim_nircam_photom_0001.fits)" in cal.record.message


def test_sections_show_the_images(out):
    from detectorist.report.gather import gather

    folder, _ = out
    exposures = {exposure.name: exposure for exposure in gather(folder).exposures}
    for name, mode in ((f"{NAME}", "imaging/stage3"), ("jw09999002001_02101_00002_nrcb4_stage2", "imaging/stage2")):
        section = load_mode(mode).section()
        (panel,) = section.panels(exposures[name])
        assert panel.pictures[0].unit == "MJy/sr"
        assert section.thumbnail(exposures[name]).dtype == np.uint8
        assert panel.key in section.notes()


def test_report_is_written(out):
    from detectorist.report.page import write_report

    folder, _ = out
    page = write_report(folder).read_text()
    assert "NIRCam mosaics" in page
    assert "mag" in page
    assert fits.getval(folder / f"{NAME}_i2d.fits", "BUNIT", "SCI") == "MJy/sr"
