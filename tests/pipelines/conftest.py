"""A small simulated exposure, made once, and the references to reduce it."""

import os

import pytest


@pytest.fixture(scope="session")
def exposure(tmp_path_factory):
    """A folder with two segments of four integrations of eight groups each, `truth.nc` and `crds/`."""
    from detectorist.simulate.builder import LrsScene

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


@pytest.fixture(autouse=True)
def crds_environment_is_put_back():
    """Reductions point the process at their references; the next test starts where this one did."""
    before = {name: value for name, value in os.environ.items() if name.startswith("CRDS_")}
    yield
    for name in [name for name in os.environ if name.startswith("CRDS_")]:
        del os.environ[name]
    os.environ.update(before)
