"""Diffraction by the primary mirror: area, width, light."""

import numpy as np
import pytest

from detectorist.algorithms.stars.contrast import PointSource
from detectorist.algorithms.stars.mirror_psf import mirror_psf, primary_mirror


def test_the_mirror_has_its_area():
    y, x = np.mgrid[-4:4:0.02, -4:4:0.02]
    # 25.4 m2 collect light (JDox); our segments are whole hexagons, without their cut corners.
    assert primary_mirror(x, y).sum() * 0.02**2 == pytest.approx(25.4, rel=0.05)


@pytest.mark.parametrize(("um", "pixel", "fwhm"), [(3.35, 0.063, 0.111), (4.44, 0.063, 0.145), (2.1, 0.031, 0.071)])
def test_widths_are_those_of_the_telescope(um, pixel, fwhm):
    """Widths (arcsec) of STPSF's images as JDox lists them, plus that of a pixel."""
    image = mirror_psf(um, pixel)
    assert image.shape == (41, 41)
    assert np.unravel_index(image.argmax(), image.shape) == (20, 20)
    assert 0.9 < image.sum() < 1
    expected = np.hypot(fwhm, 0.7 * pixel)
    assert PointSource.of(image).fwhm_pix * pixel == pytest.approx(expected, rel=0.08)
