"""Dithered exposures show one sky: their headers and the distortion put every source where the first one has it."""

import numpy as np
import pytest

from detectorist.simulate.imaging.scene import ImagingScene


@pytest.mark.parametrize("detector", ["NRCB4", "NRCALONG"])
def test_sources_keep_their_coordinates(detector, tmp_path):
    from jwst.assign_wcs import AssignWcsStep
    from stdatamodels.jwst import datamodels

    from detectorist.crds_source import use_references

    scene = ImagingScene().with_detector(name=detector, size=64, outputs=1, pattern="RAPID")
    files = scene.without("snowballs", "cosmic_rays").write(tmp_path, groups=2, exposures=3, seed=1)
    use_references(tmp_path / "crds")
    dithers = [scene.observe(groups=2, exposures=3, seed=1).dither(number) for number in range(3)]
    places = []
    for file, (x, y) in zip(files, dithers, strict=True):
        with datamodels.RampModel(str(file)) as raw:
            image = datamodels.ImageModel(data=np.zeros((64, 64), np.float32))
            image.update(raw)
        placed = AssignWcsStep.call(image)
        assert placed.meta.cal_step.assign_wcs == "COMPLETE"
        places.append(placed.meta.wcs(20.0 + x, 40.0 + y, with_bounding_box=False))
    degrees = np.array(places) * (np.cos(np.radians(places[0][1])), 1.0)
    # A plain scale on a curved sky: a hundredth of a pixel over 40.
    assert np.abs(degrees - degrees[0]).max() * 3600 < 0.01 * 0.03
    assert np.abs(np.diff(dithers, axis=0)).max() > 5
