"""References for the stock steps that our steps work beside."""

import os

import pytest


@pytest.fixture(scope="session")
def simulated_cache(tmp_path_factory):
    """The folder of a CRDS cache with references of an ordinary MIRI LRS detector."""
    from detectorist.simulate.references import build_lrs_cache

    return build_lrs_cache(tmp_path_factory.mktemp("references") / "crds", n_groups=20)


@pytest.fixture
def lrs_references(simulated_cache):
    """Point this process at the simulated references, and back at what it had after the test."""
    from detectorist import crds_source

    before = {name: value for name, value in os.environ.items() if name.startswith("CRDS_")}
    crds_source.use_references(simulated_cache)
    yield simulated_cache
    for name in [name for name in os.environ if name.startswith("CRDS_")]:
        del os.environ[name]
    os.environ.update(before)
