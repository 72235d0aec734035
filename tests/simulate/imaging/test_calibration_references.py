"""References for fluxes: of a simulated star they give the flux that it has."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from photutils.aperture import CircularAnnulus, CircularAperture, aperture_photometry

from detectorist.simulate.imaging import calibration_references as references
from detectorist.simulate.imaging.components import ImagingComponents, Stars
from detectorist.simulate.imaging.sky import Source, source_image
from detectorist.simulate.imaging.window import make_window


def scene_of(**detector):
    return ImagingComponents().with_("detector", size=64, **detector)


@pytest.mark.parametrize("fwhm", [7.0, 10.0])
def test_aperture_corrections_give_all_the_light_of_a_star(fwhm):
    stars = Stars(fwhm_pix=fwhm)
    image = 3.0 + source_image([Source(150.0, 150.0, 1e5)], stars, (301, 301), (0.0, 0.0)).astype(float)
    for row in references.aperture_table(stars, "F200W"):
        ring = CircularAnnulus((150, 150), row["skyin"], row["skyout"])
        circle = CircularAperture((150, 150), row["radius"])
        sky = aperture_photometry(image, ring)["aperture_sum"][0] / ring.area
        seen = aperture_photometry(image, circle)["aperture_sum"][0]
        assert (seen - sky * circle.area) * row["apcorr"] == pytest.approx(1e5, rel=0.01)
        assert seen - 3.0 * circle.area == pytest.approx(row["eefraction"] * 1e5, rel=0.015)
        assert references.encircled(stars, row["radius"]) == pytest.approx(row["eefraction"], rel=1e-6)


@pytest.mark.parametrize(
    ("name", "scale", "brightness"), [("NRCB4", 0.031, 1.0), ("NRCALONG", 0.063, 0.4)], ids=["short", "long"]
)
def test_pixels_have_the_size_of_their_channel(name, scale, brightness):
    scene = scene_of(name=name, filter="F444W" if name == "NRCALONG" else "F200W")
    window = make_window(scene.detector)
    models = dict(references.pixel_references(scene, window))
    assert sorted(models) == ["area", "photom"]
    for model in models.values():
        assert model.meta.photometry.pixelarea_arcsecsq == pytest.approx(scale**2)
        assert model.meta.photometry.pixelarea_steradians == pytest.approx(scale**2 * 2.3504431e-11, rel=1e-6)
    (row,) = models["photom"].phot_table
    assert (row["filter"], row["pupil"]) == (scene.detector.filter, "CLEAR")
    assert row["photmjsr"] == pytest.approx(brightness)
    assert models["area"].data.shape == window.shape
    assert np.all(models["area"].data == 1)


def test_magnitudes_of_vega_follow_its_spectrum():
    # F ~ wavelength ** -2: five magnitudes in a decade.
    found = {}
    for name in ("F200W", "F430M", "WLP4"):
        models = dict(references.catalog_references(scene_of(filter=name)))
        (row,) = models["abvegaoffset"].abvega_offset
        assert row["filter"] == name
        found[name] = row["abvega_offset"]
        assert {str(one["filter"]) for one in models["apcorr"].apcorr_table} == {name}
    assert found["F430M"] - found["F200W"] == pytest.approx(5 * np.log10(2.15), abs=1e-6)
    assert_allclose(found["WLP4"], 1.85)  # no wavelength in its name
