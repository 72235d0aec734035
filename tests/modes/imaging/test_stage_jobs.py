"""Jobs of stages 2 and 3: which exposures make one mosaic, what waits for what, what is skipped."""

from dataclasses import replace
from pathlib import Path

import pytest
from stdatamodels.jwst.datamodels import RampModel

from detectorist.modes import load_mode
from detectorist.modes.imaging import mosaic
from detectorist.modes.imaging.stages import BASE_BYTES, STAGE_3_BYTES_PER_PIXEL, STAGE_3_DISK_BYTES_PER_PIXEL
from detectorist.modes.job import Job, JobRecord

NY, NX = 8, 12


@pytest.fixture
def job(tmp_path):
    """Return a function that writes a raw exposure and returns the job of its stage 2."""

    def make(number, *, target="NGC 1", band="F200W", pupil="CLEAR", program="01345", catalog=None):
        name = f"jw{number:011d}_nrca3"
        raw = RampModel((1, 2, NY, NX))
        meta = raw.meta
        meta.instrument.name, meta.instrument.filter, meta.instrument.pupil = "NIRCAM", band, pupil
        meta.target.proposer_name, meta.target.catalog_name = target, catalog
        meta.observation.program_number = program
        path = tmp_path / f"{name}_uncal.fits"
        raw.save(str(path))
        return Job(f"{name}_stage2", "imaging/stage2", (), str(tmp_path), options={"first": str(path)})

    return make


def mosaics(*jobs):
    return {one.name: list(one.after) for one in load_mode("imaging/stage3").jobs_after(jobs)}


def test_a_mosaic_for_each_target_and_filter(job):
    a, b, c, d = job(1), job(2), job(3, band="F356W"), job(4, target="NGC 2")
    assert mosaics(a, b, c, d) == {
        "jw01345_ngc-1_nircam_f200w": [a.name, b.name],
        "jw01345_ngc-1_nircam_f356w": [c.name],
        "jw01345_ngc-2_nircam_f200w": [d.name],
    }


@pytest.mark.parametrize(
    ("header", "name"),
    [
        ({"target": "HD 1 (b)/../x"}, "jw01345_hd-1-b-x_nircam_f200w"),
        ({"target": "BD+30 3639"}, "jw01345_bd+30-3639_nircam_f200w"),
        ({"target": None, "catalog": "M 31"}, "jw01345_m-31_nircam_f200w"),
        ({"target": None}, "jw01345_field_nircam_f200w"),
        ({"pupil": "F162M", "band": "F150W2"}, "jw01345_ngc-1_nircam_f162m"),
    ],
)
def test_names_of_mosaics_are_names_of_files(job, header, name):
    assert list(mosaics(job(1, **header))) == [name]


def test_an_exposure_without_a_filter_or_readable_header_is_in_no_mosaic(job, tmp_path):
    nameless, good, damaged = job(1, band=None, pupil=None), job(2), job(3)
    (tmp_path / damaged.options["first"]).write_bytes(b"no FITS")
    assert mosaics(nameless, good, damaged) == {"jw01345_ngc-1_nircam_f200w": [good.name]}


def test_a_calibrated_image_waits_for_its_rate(job):
    stage_1 = job(1)
    (after,) = load_mode("imaging/stage2").jobs_after([stage_1])
    assert (after.name, after.after, after.mode) == (f"{stage_1.name}_stage2", (stage_1.name,), "imaging/stage2")


def test_all_images_of_a_mosaic_are_in_memory(job):
    stage = load_mode("imaging/stage3")
    (whole,) = stage.jobs_after([job(1), job(2), job(3)])
    told = stage.predict(whole)
    pixels = NY * NX * 4  # three images and the mosaic
    memory, disk = int(BASE_BYTES + STAGE_3_BYTES_PER_PIXEL * pixels), STAGE_3_DISK_BYTES_PER_PIXEL * pixels
    assert told == type(told)(memory, disk)


@pytest.mark.parametrize(("stage", "reason"), [("stage2", "no rate image of a: "), ("stage3", "no calibrated image")])
def test_without_earlier_products_a_stage_is_skipped_with_its_reason(tmp_path, stage, reason):
    job = Job("b", f"imaging/{stage}", (), str(tmp_path), after=("a",))
    skipped = load_mode(f"imaging/{stage}").reduce(job, lambda *_: None).skipped
    assert reason in skipped
    assert "failed" in skipped


def test_summaries_of_records_without_numbers():
    record = JobRecord("a", "done")
    assert load_mode("imaging/stage2").summarise(record) == []
    assert load_mode("imaging/stage3").summarise(record) == ["0 images; no catalogue"]


@pytest.mark.parametrize(
    ("found", "settings", "left_out"),
    [
        ("N/A", (), ("source_catalog",)),
        ("N/A", ("source_catalog.override_apcorr=mine.fits",), ()),
        ("jwst_nircam_apcorr_0001.fits", (), ()),
        ("missing: no source of references", (), ()),
    ],
)
def test_without_aperture_corrections_there_is_a_mosaic_and_no_catalogue(
    found, settings, left_out, job, monkeypatch, caplog
):
    monkeypatch.setattr(mosaic, "find_references", lambda path, types, source: {"apcorr": found})
    one = replace(job(1), settings=settings)
    with caplog.at_level("WARNING"):
        assert mosaic._steps_without_references(one, Path("a_cal.fits")) == left_out
    assert ("there is no catalogue of sources" in caplog.text) == bool(left_out)
