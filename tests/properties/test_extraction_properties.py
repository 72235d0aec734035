import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from detectorist.algorithms.spectra.extraction import aperture_weights, extract_box, extract_optimal


@settings(deadline=None, max_examples=40)
@given(center=st.floats(8, 30), left=st.floats(0, 6), right=st.floats(0, 6), whole=st.booleans())
def test_an_aperture_has_its_width(center, left, right, whole):
    if whole:
        center, left, right = round(center), round(left), round(right)
    weights = aperture_weights(40, aperture_center=center, aperture_left_width=left, aperture_right_width=right)
    assert_allclose(weights.sum(), left + right + 1)
    assert ((weights > -0.13) & (weights < 1.13)).all()


@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 999), scale=st.floats(1e-3, 1e3), gain=st.floats(0.1, 20))
def test_units_and_scale_pass_through(seed, scale, gain):
    rng = np.random.default_rng(seed)
    profile = np.exp(-0.5 * ((np.arange(40) - 20) / 2) ** 2) * np.ones((6, 1))
    err = rng.uniform(1, 3, (3, 6, 40))
    data = 500 * profile + err * rng.normal(size=err.shape)
    window = {"aperture_center": 20, "aperture_left_width": 5, "aperture_right_width": 5}
    variance = rng.uniform(0, 2, (3, 6))
    for call in (extract_box, lambda d, e, **k: extract_optimal(d, profile, e, **k)):
        one = call(data, err, background_variance=variance, **window)
        scaled = call(scale * data, scale * err, background_variance=scale**2 * variance, **window)
        electrons = call(data, err, background_variance=variance, units="electron/s", gain=gain, **window)
        for other, factor in ((scaled, scale), (electrons, gain)):
            assert_allclose(other.flux, factor * one.flux, rtol=1e-9)
            assert_allclose(other.error, factor * one.error, rtol=1e-9)
