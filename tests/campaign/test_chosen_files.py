"""Which files of a folder are a run's: those of other modes and target acquisition are left out with a line."""

import numpy as np
import pytest
from astropy.io import fits

from detectorist.campaign.chosen_files import files_of_mode
from detectorist.campaign.plan import PlanRequest, gather
from detectorist.errors import ParameterError
from detectorist.modes import load_mode, mode_names, modes_of_exposure_types

TYPES = {"a": "NRC_IMAGE", "b": "NRC_CORON", "c": "MIR_4QPM", "d": "MIR_LRS-SLITLESS", "e": "NRC_TACQ"}


@pytest.fixture
def mixed(tmp_path):
    """A file of every type, one of a type that no mode has, and one that cannot be read."""

    def write(name, kind):
        path = tmp_path / f"{name}_uncal.fits"
        fits.PrimaryHDU(header=fits.Header({"EXP_TYPE": kind} if kind else {})).writeto(path)
        return path

    files = [write(name, kind) for name, kind in {**TYPES, "f": "MIR_DARK", "g": ""}.items()]
    damaged = tmp_path / "h_uncal.fits"
    damaged.write_bytes(b"SIMPLE")
    return [*files, damaged]


def test_every_type_belongs_to_one_mode():
    found = modes_of_exposure_types()
    assert {kind for name in mode_names() for kind in load_mode(name).exposure_types} == set(found)
    assert all(len(names) == 1 for names in found.values())


@pytest.mark.parametrize(("mode", "own"), [("imaging", "a"), ("coron", "bc"), ("lrs", "d")])
def test_files_of_other_modes_are_left_out(mixed, mode, own):
    kept, notes = files_of_mode(load_mode(mode), mixed)
    assert [path.name[0] for path in kept] == [*own, *"fgh"]
    assert "e_uncal.fits: target acquisition; left out" in notes
    assert len(notes) == 1 + len(set(TYPES.values()) - {TYPES[name] for name in own} - {"NRC_TACQ"})


def test_the_line_names_the_mode_and_the_first_files(tmp_path):
    files = []
    for number in range(5):
        files.append(tmp_path / f"x{number}_uncal.fits")
        fits.PrimaryHDU(header=fits.Header({"EXP_TYPE": "NRC_CORON"})).writeto(files[-1])
    named = "x0_uncal.fits, x1_uncal.fits, x2_uncal.fits and 2 more"
    why = f"{named}: exposure type NRC_CORON, which is for mode coron; left out"
    with pytest.raises(ParameterError, match=f"{why}: no exposure is left to reduce"):
        files_of_mode(load_mode("imaging"), files)
    own = tmp_path / "own_uncal.fits"
    fits.PrimaryHDU(header=fits.Header({"EXP_TYPE": "NRC_IMAGE"})).writeto(own)
    gathered = gather(PlanRequest("imaging", [*files, own], tmp_path / "out"))
    assert gathered.files == (own,)
    assert gathered.notes == (why,)


def test_copies_are_told(tmp_path):
    """They would count twice in what is made of the exposures; whether that is meant is for the user to say."""

    def write(name, seed):
        path = tmp_path / f"{name}_uncal.fits"
        data = np.random.default_rng(seed).normal(size=(80, 80)).astype(np.float32)
        fits.PrimaryHDU(data, fits.Header({"EXP_TYPE": "NRC_IMAGE"})).writeto(path)
        return path

    files = [write("one", 1), write("other", 2), write("copy", 1)]
    kept, notes = files_of_mode(load_mode("imaging"), files)
    assert kept == files
    assert notes == ["one_uncal.fits, copy_uncal.fits: the same file under several names; each is reduced by itself"]
    assert files_of_mode(load_mode("imaging"), files[:2]) == (files[:2], [])
    assert files_of_mode(load_mode("imaging"), [files[0], files[0]])[1] == []
