"""Products of a subtraction: their names, curves of figures, HISTORY; sources that are files, folders or neither."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from detectorist.errors import InputError, NoSuchFile, OutputError
from detectorist.modes.coron.subtraction.api import _files, _plans
from detectorist.modes.coron.subtraction.products import curves_of, history_of, paths_of, require_free, target_unit


def test_names_of_all_products(tmp_path):
    names = [path.name for path in paths_of(["a", "b"], "nircam_x", tmp_path)]
    assert names == [
        *("a_psfsub.fits", "a_psfalign.fits", "b_psfsub.fits", "b_psfalign.fits", "nircam_x_psfsub_north.fits"),
        *("nircam_x_contrast.ecsv", "nircam_x_companions.ecsv", "nircam_x_contrast.png"),
    ]


def test_a_product_in_the_way_is_named(tmp_path):
    paths = paths_of(["a"], "x", tmp_path)
    require_free(paths, overwrite=False)
    paths[1].touch()
    with pytest.raises(OutputError, match=r"a_psfalign.fits: exists already; allow overwriting it"):
        require_free(paths, overwrite=False)
    require_free(paths, overwrite=True)


def test_curves_of_one_exposure_and_of_several(make_exposure, make_target):
    assert list(curves_of(make_target(make_exposure("a")))) == ["a"]
    curves = curves_of(make_target(make_exposure("a"), make_exposure("b")))
    assert list(curves) == ["a", "b", "together"]
    assert_allclose(curves["together"][0], np.array([4, 8, 12]) * 0.063)
    assert_allclose(curves["together"][1], 1.5)


def test_history_says_what_was_subtracted(make_exposure, make_target):
    exposure = make_exposure("a")
    target = make_target(exposure, most_modes=7, ring_pix=5.0)
    assert history_of(exposure, target) == (
        "star subtracted: 2 KL modes (at most 7) on rings of 5 pixels about column 15.00, row 15.00 (from 0); "
        "references: r1_cal.fits moved by +0.250, -0.500 pixel"
    )
    assert target_unit(target) == "MJy/sr × pixel"


@pytest.fixture
def folder(tmp_path):
    """Rates of two exposures, of which one is calibrated, and products of an earlier subtraction."""
    below = tmp_path / "stage1"
    below.mkdir()
    for name in ("a_rate", "a_cal", "b_rate", "b_rateints", "a_psfsub", "a_psfalign", "x_psfsub_north"):
        (below / f"{name}.fits").touch()
    return tmp_path


def test_of_an_exposure_the_calibrated_image_is_taken(folder):
    below = folder / "stage1"
    assert _files(folder) == _files([str(folder)]) == [below / "a_cal.fits", below / "b_rate.fits"]
    assert _files(below / "a_rate.fits") == [below / "a_rate.fits"]
    assert _files([below / "b_rate.fits", folder]) == [below / "b_rate.fits", below / "a_cal.fits"]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("a_psfsub.fits", "a_psfsub.fits: its star is subtracted already"),
        ("a_psfalign.fits", "a_psfalign.fits: its star is subtracted already"),
        ("b_rateints.fits", r"b_rateints.fits: images named \*_rate.fits or \*_cal.fits are needed"),
        ("x_psfsub_north.fits", r"x_psfsub_north.fits: images named \*_rate.fits or \*_cal.fits are needed"),
    ],
)
def test_other_products_are_refused_by_name(folder, name, message):
    with pytest.raises(InputError, match=message):
        _files(folder / "stage1" / name)


def test_sources_without_images_are_named(tmp_path):
    with pytest.raises(NoSuchFile, match="gone: no such file or folder"):
        _files(tmp_path / "gone")
    with pytest.raises(InputError, match=rf"{tmp_path}: no \*_rate.fits or \*_cal.fits is there"):
        _files(tmp_path)
    with pytest.raises(InputError, match="no source: no"):
        _files([])


class Tables(dict):
    """A database: rows by concatenation."""

    @property
    def obs(self):
        """As that of a database."""
        return self


def rows(**types):
    return [{"FITSFILE": f"/d/{name}_rate.fits", "TYPE": kind} for name, kind in types.items()]


def test_a_plan_for_each_concatenation_with_a_target():
    database = Tables(
        JWST_NIRCAM_X=rows(a="SCI", b="REF", c="SCI_BG", d="TA"), JWST_MIRI_Y=rows(e="REF"), JWST_MIRI_Z=rows(f="SCI")
    )
    plans = {
        name: {kind: [path.name for path in found] for kind, found in one.items()} for name, one in _plans(database)
    }
    nothing = {"SCI": [], "REF": [], "SCI_BG": [], "REF_BG": []}
    assert plans == {
        "nircam_x": nothing | {"SCI": ["a_rate.fits"], "REF": ["b_rate.fits"], "SCI_BG": ["c_rate.fits"]},
        "miri_z": nothing | {"SCI": ["f_rate.fits"]},
    }


def test_without_a_target_there_is_no_plan():
    with pytest.raises(
        InputError, match=r"no exposure of a science target \(TYPE SCI\) among 1 files; is IS_PSF right"
    ):
        list(_plans(Tables(JWST_MIRI_Y=rows(e="REF"))))
