"""NIRCam's detector: reference pixels, and maps of hot pixels."""

import numpy as np
import pytest
from astropy.io import fits

from detectorist.errors import InputError
from detectorist.simulate.core import nircam_detector, quality_flags
from detectorist.simulate.imaging.scene import ImagingScene
from detectorist.simulate.imaging.window import make_window

NOISE = ("photon_noise", "read_noise", "flicker", "drift", "columns", "reset_noise")
EVENTS = ("cosmic_rays", "snowballs", "bad_pixels")
QUIET = ImagingScene().with_detector(size=64, outputs=1, pattern="RAPID").without(*NOISE, *EVENTS)


def test_reference_pixels_see_no_light_but_the_drifts():
    scene = ImagingScene().with_detector(size=2048)
    window = make_window(scene.detector)
    assert window.name == "FULL"
    assert window.reference_pixels().sum() == 2048**2 - 2040**2
    patterns = nircam_detector.fixed_patterns(scene, window)
    assert patterns.response[window.reference_pixels()].max() == 0
    assert (patterns.dq[window.reference_pixels()] == quality_flags.REFERENCE_PIXEL).all()


def test_a_hot_pixel_map_of_the_whole_detector(tmp_path):
    whole = np.zeros((2048, 2048), np.uint8)
    whole[1000:1003, 1024] = 1
    fits.PrimaryHDU(whole).writeto(tmp_path / "hot.fits.gz")
    scene = QUIET.with_("bad_pixels", hot_map=str(tmp_path / "hot.fits.gz"), dead_fraction=0.0)
    patterns = scene.observe().patterns
    assert (patterns.dq > 0).sum() == 3
    assert ((patterns.hot_dn_s > 0) == (patterns.dq > 0)).all()
    fits.PrimaryHDU(whole[:100]).writeto(tmp_path / "part.fits")
    with pytest.raises(InputError, match="whole detector"):
        scene.with_("bad_pixels", hot_map=str(tmp_path / "part.fits")).observe().patterns  # noqa: B018


def test_the_on_sky_map_of_a_detector(thirdparty):
    scene = (
        ImagingScene()
        .with_detector(size=512)
        .with_("bad_pixels", hot_map=str(thirdparty / "grizli_newhot_NRCB4.fits.gz"), dead_fraction=0.0)
    )
    patterns = scene.observe().patterns
    assert 20 < (patterns.dq > 0).sum() < 300
