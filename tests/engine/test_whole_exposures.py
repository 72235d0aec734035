"""Whole simulated exposures through stage 1, stock against engine, every product and flag."""

import os

import pytest

from detectorist.crds_source import use_references
from detectorist.pipelines.verify import verify


@pytest.fixture(autouse=True)
def crds_environment_is_put_back():
    before = {name: value for name, value in os.environ.items() if name.startswith("CRDS_")}
    yield
    for name in [name for name in os.environ if name.startswith("CRDS_")]:
        del os.environ[name]
    os.environ.update(before)


def simulate_lrs(folder):
    from detectorist.simulate.builder import LrsScene

    LrsScene().write(folder, ints=6, groups=12, segments=1, seed=5)


@pytest.mark.long
def test_nothing_differs(tmp_path):
    simulate_lrs(tmp_path)
    use_references(str(tmp_path / "crds"))
    result = verify(next(tmp_path.glob("*_uncal.fits")), steps={"emicorr": {"skip": False}})
    assert result.identical, [entry for entry in result.differences if entry.n_differing]
    assert {"jump", "ramp_fit", "saturation", "linearity"} <= set(result.steps)
    assert result.steps["jump"] == result.steps["ramp_fit"] == "compiled engine"
