import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from detectorist.algorithms.spectra.background import measure_background

OPTIONS = st.fixed_dictionaries(
    {
        "method": st.sampled_from(["row_wise", "constant", "col_wise"]),
        "smoothing_length": st.one_of(st.none(), st.integers(1, 40)),
    }
)


def noise(seed):
    return np.random.default_rng(seed).normal(size=(2, 12, 72))


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 1000), scale=st.floats(1e-3, 1e4), offset=st.floats(-1e4, 1e4), options=OPTIONS)
def test_scale_and_offset_pass_through(seed, scale, offset, options):
    data = noise(seed)
    one = measure_background(data, **options)
    other = measure_background(scale * data + offset, **options)
    assert_allclose(other.image, scale * one.image + offset, rtol=1e-6, atol=1e-7 * (scale + abs(offset)))
    assert_allclose(other.variance, scale**2 * one.variance, rtol=1e-3, atol=1e-12 * offset**2)


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 1000), options=OPTIONS)
def test_the_trace_has_no_influence(seed, options):
    data = noise(seed)
    bright = data.copy()
    bright[..., 30:45] += 1e5
    one, other = (measure_background(d, **options) for d in (data, bright))
    assert_allclose(other.image, one.image)
