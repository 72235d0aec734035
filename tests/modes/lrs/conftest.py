"""A small simulated exposure, made once, and the references to reduce it."""

import os
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # test modules share `nuisance`


@pytest.fixture(scope="session")
def exposure(tmp_path_factory):
    """A folder with two segments of four integrations of eight groups each, `truth.nc` and `crds/`."""
    from detectorist.simulate.lrs.scene import LrsScene

    folder = tmp_path_factory.mktemp("exposure")
    LrsScene().write(folder, ints=8, groups=8, segments=2, seed=3)
    return folder


@pytest.fixture
def no_crds(monkeypatch):
    """An environment in which no source of references is configured."""
    for name in [name for name in os.environ if name.startswith("CRDS_")]:
        monkeypatch.delenv(name)


@pytest.fixture
def segments(exposure):
    """The raw files of the exposure, in order."""
    return sorted(exposure.glob("*_uncal.fits"))
