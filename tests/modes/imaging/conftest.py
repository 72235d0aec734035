"""A field that several tests of imaging reduce."""

import pytest


@pytest.fixture(scope="session")
def simulated(tmp_path_factory):
    """A field through four outputs, without reference pixels: no drifts of the outputs, which only those can tell."""
    from detectorist.simulate.imaging.scene import ImagingScene

    folder = tmp_path_factory.mktemp("field")
    scene = ImagingScene().with_detector(size=512, outputs=4).without("drift").with_("snowballs", per_s=1.5)
    scene.write(folder, seed=4)
    return folder
