"""References for the stock steps that our steps work beside."""

import pytest


@pytest.fixture(scope="session")
def simulated_cache(tmp_path_factory):
    """The folder of a CRDS cache with references of an ordinary MIRI LRS detector."""
    from detectorist.simulate.lrs.references import build_cache

    return build_cache(tmp_path_factory.mktemp("references") / "crds", n_groups=20)


@pytest.fixture
def lrs_references(simulated_cache):
    """Point this process at the simulated references, for one test."""
    from detectorist import crds_source

    crds_source.use_references(simulated_cache)
    return simulated_cache
