"""`run lrs --wavelength-map FILE`: a file that is not there is said before anything is reduced."""

import pytest

from detectorist.errors import NoSuchFile
from detectorist.modes.lrs.command import options


def test_a_map_that_is_not_there_is_a_bad_argument(tmp_path):
    with pytest.raises(NoSuchFile, match=r"--wavelength-map is .*none\.fits: no such file"):
        options(tmp_path / "none.fits")
    (tmp_path / "map.fits").touch()
    assert options(tmp_path / "map.fits").overrides == [f"wavelength_map={tmp_path / 'map.fits'}"]
