"""What kind of exposure a file is of."""

import subprocess
import sys

import pytest
from astropy.io import fits

from detectorist.reduction.inputs.exposure_types import exposure_type, is_acquisition_type, is_target_acquisition


@pytest.fixture
def file(tmp_path):
    primary = fits.PrimaryHDU()
    primary.header["EXP_TYPE"] = "NRC_TACQ"
    primary.writeto(tmp_path / "a_uncal.fits")
    return tmp_path / "a_uncal.fits"


def test_the_header_tells(file, tmp_path):
    assert exposure_type(file) == "NRC_TACQ"
    assert is_target_acquisition(file)
    assert not is_acquisition_type("NRC_IMAGE")
    (tmp_path / "b_uncal.fits").write_bytes(b"no FITS file")
    for name in ("b_uncal.fits", "c_uncal.fits", "d.txt"):
        assert exposure_type(tmp_path / name) == ""


def test_a_run_with_nothing_to_do_needs_no_datamodels(file):
    """They take longer to import than all else that such a run does."""
    code = (
        "import sys; from pathlib import Path; from detectorist.campaign.chosen_files import files_of_mode; "
        "from detectorist.modes import load_mode; "
        "files_of_mode(load_mode('imaging'), [Path(sys.argv[1]).with_name('c_uncal.fits')]); "
        "from detectorist.reduction.inputs.exposure_types import exposure_type; exposure_type(Path(sys.argv[1])); "
        "print([name for name in ('stdatamodels', 'jwst', 'numba', 'matplotlib') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code, str(file)], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
