"""A standard pipeline as a job: products get their names all or not at all; parameters are checked by name."""

from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
from astropy.io import fits
from jwst.stpipe import Pipeline

from detectorist.atomic_files import PARTIAL
from detectorist.errors import InputError, OutputError, ParameterError, PlaceTaken
from detectorist.modes.job import Job
from detectorist.reduction import standard_pipeline
from detectorist.reduction.content_keys import made_by
from detectorist.reduction.standard_pipeline import Finished, active_steps, check_parameters
from detectorist.stage_1 import RegroupStep


class Flat(RegroupStep):
    """A step with a reference file."""

    reference_file_types: ClassVar = ["flat", "area"]


class Photom(RegroupStep):
    """Another one."""

    reference_file_types: ClassVar = ["photom", "area"]


class Tiny(Pipeline):
    """A pipeline that takes no time to import."""

    class_alias = "tiny"
    spec = ""
    step_defs: ClassVar = {"flat_field": Flat, "photom": Photom}


def write(path, data):
    fits.HDUList([fits.PrimaryHDU(), fits.ImageHDU(np.array(data), name="SCI")]).writeto(path)


@pytest.fixture
def made(tmp_path):
    """What a pipeline left: an image and a catalogue in a folder of its own, and their final paths."""
    scratch, out = tmp_path / "scratch", tmp_path / "out"
    scratch.mkdir()
    out.mkdir()
    write(scratch / "a_cal.fits", [[1.0, 2.0]])
    (scratch / "a_cat.ecsv").write_text("# new\n")
    return [(scratch / name, out / name) for name in ("a_cal.fits", "a_cat.ecsv")]


def publish(made, *, overwrite=False):
    source = made[0][0].parent.parent / "a_rate.fits"
    source.touch()
    standard_pipeline._publish(made, source, overwrite=overwrite)


def test_products_get_their_names_and_our_mark(made):
    publish(made)
    for path, target in made:
        assert target.is_file()
        assert not path.exists()
    assert made_by(made[0][1])
    assert fits.getdata(made[0][1]).tolist() == [[1.0, 2.0]]
    assert made[1][1].read_text() == "# new\n"


def test_our_own_products_are_replaced(made):
    publish(made)
    write(made[0][0], [[3.0]])
    publish(made[:1])
    assert fits.getdata(made[0][1]).tolist() == [[3.0]]


@pytest.mark.parametrize("reverse", [True, False])
def test_a_foreign_file_stops_all_of_them(made, reverse):
    """None has its name then, in whatever order they come."""
    write(made[0][1], [[9.0]])
    with pytest.raises(PlaceTaken, match=r"a_cal.fits: was not written by detectorist"):
        publish(made[::-1] if reverse else made)
    assert fits.getdata(made[0][1]).tolist() == [[9.0]]
    assert not made[1][1].exists()
    publish(made, overwrite=True)
    assert fits.getdata(made[0][1]).tolist() == [[1.0, 2.0]]


def test_the_scratch_folder_goes_also_after_a_failure(tmp_path):
    with standard_pipeline._scratch(tmp_path) as folder:
        assert folder.name.startswith(PARTIAL)
        (folder / "x").touch()
    with pytest.raises(RuntimeError), standard_pipeline._scratch(tmp_path):
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "out").touch()
    with pytest.raises(OutputError, match="out"), standard_pipeline._scratch(tmp_path / "out"):
        pass


def test_a_product_by_its_ending():
    made = Finished([Path("a_cal.fits"), Path("a_calints.fits")], {})
    assert made.ending_in("_calints.fits") == Path("a_calints.fits")
    with pytest.raises(InputError, match="the standard pipeline wrote no i2d.fits; see the log"):
        made.ending_in("_i2d.fits")


def job(*settings):
    return Job("a_stage2", "imaging/stage2", (), "/out", settings=settings, references="none")


def test_steps_that_run():
    assert active_steps(Tiny, job()) == ["flat_field", "photom"]
    assert active_steps(Tiny, job("photom.skip=true")) == ["flat_field"]


def test_types_of_references_are_those_of_the_steps_that_run():
    assert standard_pipeline._types(Tiny, job()) == ["area", "flat", "photom"]
    assert standard_pipeline._types(Tiny, job("photom.skip=true")) == ["area", "flat"]


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("photom.skipp=true", 'no parameter "skipp"'),
        ("fotom.skip=true", "fotom"),
        ("photom.skip=perhaps", "perhaps"),
    ],
)
def test_wrong_parameters_are_named_before_anything_runs(setting, message):
    with pytest.raises(ParameterError, match=message):
        check_parameters(Tiny, job(setting))
    check_parameters(Tiny, job("photom.skip=true"))
