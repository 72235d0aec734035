"""What is wrong with the ramps of a NIRCam image, or with how they are asked for, is said before they are fitted."""

import re

import numpy as np
import pytest
from astropy.io import fits
from jwst.pipeline import Detector1Pipeline
from stdatamodels.jwst.datamodels import Level1bModel

from detectorist.campaign import api
from detectorist.errors import InputError, ParameterError, ReferenceMissing
from detectorist.modes.imaging.pipeline import ImagingPipeline
from detectorist.modes.imaging.reduction import reduce_exposure
from detectorist.reduction.runner import Request

pytestmark = pytest.mark.filterwarnings("default")


@pytest.fixture
def small(tmp_path):
    """A small raw exposure with its references."""
    from detectorist.simulate.imaging.scene import ImagingScene

    scene = ImagingScene().with_detector(size=64, outputs=1, pattern="RAPID")
    scene.write(tmp_path / "sim", groups=3, seed=1)
    return tmp_path / "sim"


def reduce_small(small, folder, files=None, **changes):
    files = files or sorted(small.glob("*_uncal.fits"))
    return reduce_exposure(Request(files, folder, references=str(small / "crds"), **changes))


def test_interim_files_are_optional(small, tmp_path):
    settings = ["wisps.skip=true", "stripes.skip=true", "save_calibrated_ramp=true", "delete_interim=true"]
    made = reduce_small(small, tmp_path / "out", settings=settings)
    assert {path.name for path in (tmp_path / "out").iterdir()} == {made.rate.name, "detectorist.log"}
    assert made.products == (made.rate,)


def test_a_name_in_capitals_is_reduced_as_any(small, tmp_path):
    path = next(small.glob("*_uncal.fits"))
    capital = tmp_path / path.name.upper()
    capital.write_bytes(path.read_bytes())
    settings = ["wisps.skip=true", "stripes.skip=true", "delete_interim=true"]
    usual, made = (reduce_small(small, tmp_path / one.suffix, [one], settings=settings) for one in (path, capital))
    assert made.rate.name == f"{capital.name.removesuffix('_UNCAL.FITS')}_rate.fits"
    np.testing.assert_array_equal(fits.getdata(made.rate, "SCI"), fits.getdata(usual.rate, "SCI"))


@pytest.mark.long
def test_snowballs_as_a_hook_of_the_standard_pipeline(small, tmp_path):
    from detectorist.crds_source import use_references

    use_references(small / "crds")
    hook = {"post_hooks": ["detectorist.stage_1.SnowballsStep"]}
    steps = {"jump": {**hook, "expand_large_events": False}, "ramp_fit": {"skip": True}, "persistence": {"skip": True}}
    ramp = Detector1Pipeline.call(str(next(small.glob("*_uncal.fits"))), steps=steps)
    assert ramp.meta.cal_step.snowballs == "COMPLETE"
    steps["jump"]["expand_large_events"] = True
    with pytest.raises(ParameterError, match="expand_large_events is on"):
        Detector1Pipeline.call(str(next(small.glob("*_uncal.fits"))), steps=steps)


def test_a_saturated_frame(small, tmp_path):
    path = next(small.glob("*_uncal.fits"))
    with Level1bModel(path) as model:
        model.data[:] = 65_535
        model.save(str(tmp_path / "full_uncal.fits"))
    with pytest.raises(InputError, match="no pixel could be fitted|usable pixels"):
        reduce_small(small, tmp_path / "out", [tmp_path / "full_uncal.fits"], settings=["wisps.skip=true"])
    assert not (tmp_path / "out" / "full_rate.fits").exists()


def test_raw_files_that_are_cut_off_or_whose_header_is_of_another_size(small, tmp_path):
    path = next(small.glob("*_uncal.fits"))
    cut = tmp_path / "cut_uncal.fits"
    cut.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(InputError, match=r"cut_uncal\.fits: .*is the file complete"):
        reduce_small(small, tmp_path / "out", [cut])
    with pytest.raises(InputError, match=r"cut_uncal\.fits: .*is the file complete"):
        ImagingPipeline().run(str(cut))
    wrong = tmp_path / "wrong_uncal.fits"
    wrong.write_bytes(path.read_bytes())
    with fits.open(wrong, mode="update") as hdus:
        hdus[0].header["SUBSIZE1"] = hdus[0].header["SUBSIZE2"] = 2048
    # Headers are compared with arrays where jobs are run, for all modes alike.
    (entry,) = api.reduce("imaging", [wrong], tmp_path / "out", references=small / "crds", workers=0).values()
    assert (entry.state, entry.record.error) == ("unprocessable", "InputError")
    assert re.search(r"wrong_uncal\.fits: the header says 2048 rows .*array holds 64", entry.record.message)
    assert not list((tmp_path / "out").glob("*.fits"))


def test_what_is_wrong_is_found_before_any_ramp_is_read(small, tmp_path):
    empty = tmp_path / "no_templates"
    empty.mkdir()
    for changes, kind, words in (
        ({"settings": [f'wisps.template_dir="{empty}"']}, ReferenceMissing, "NRCB4 in F200W"),
        ({"settings": ["stripes.metod=median"]}, ParameterError, "method"),
        ({"settings": ["stripes.method=mean"]}, ParameterError, "method"),
        ({"recipe": "defualt"}, ParameterError, "default"),
    ):
        with pytest.raises(kind, match=words):
            reduce_small(small, tmp_path / "out", **changes)
    assert not list((tmp_path / "out").glob("*.fits"))


def test_without_templates_wisps_stay_in_and_it_is_said(small, tmp_path):
    made = reduce_small(small, tmp_path / "out", settings=["stripes.skip=true"])
    assert "S_WISPS" not in fits.getheader(made.rate)
    assert "wisps are not subtracted" in (tmp_path / "out" / "detectorist.log").read_text()


def test_two_files_of_one_name(small, tmp_path):
    path = next(small.glob("*_uncal.fits"))
    other = tmp_path / "elsewhere" / path.name
    other.parent.mkdir()
    other.write_bytes(path.read_bytes())
    with pytest.raises(ParameterError, match="have the same name: their products would too"):
        api.reduce("imaging", [path, other], tmp_path / "out", references=small / "crds")
    assert not (tmp_path / "out").exists()
