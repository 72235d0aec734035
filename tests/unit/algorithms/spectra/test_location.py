"""Where the trace lies, whether there is one, and which columns are free of it and of neighbours."""

import numpy as np
import pytest

from detectorist.algorithms.spectra.background_shape import fit_shape, measure_levels
from detectorist.algorithms.spectra.location import locate_trace, mean_image
from detectorist.errors import TooFewPixels

NY, NX = 416, 72
ROWS, COLUMNS = np.arange(NY), np.arange(NX)


def make(rng, *, column=37.4, tilt=0.0025, peak=500.0, neighbour=None, gradient=0.004, n_ints=12):
    spectrum = peak * np.exp(-(395 - ROWS) / 120.0) * (ROWS < 396)
    center = column + tilt * (ROWS - 250)
    image = spectrum[:, None] * np.exp(-0.5 * ((COLUMNS - center[:, None]) / 1.6) ** 2)
    sky = (30 + 150 * ((400 - ROWS) / 400) ** 3)[:, None] * (1 + gradient * (COLUMNS - 36))
    if neighbour:
        share, at = neighbour
        image = image + share * spectrum[:, None] * np.exp(-0.5 * ((COLUMNS - at) / 1.6) ** 2)
    return (image + sky + 4 * rng.normal(size=(n_ints, NY, NX))).astype(np.float32), sky


@pytest.mark.parametrize(("column", "tilt"), [(35.1, 0.0), (37.4, 0.0025), (39.2, -0.004), (36.0, 0.01)])
def test_the_line_comes_back(rng, column, tilt):
    data, _ = make(rng, column=column, tilt=tilt)
    data[:, rng.integers(0, NY, 50), rng.integers(0, NX, 50)] = 1e4
    found = locate_trace(data)
    assert abs(found.center_at(250) - column) < 0.03
    assert abs(found.tilt - tilt) < 3e-4
    assert found.significance > 50
    free = np.array(found.background_columns)
    assert free.min() >= 4
    line = column + tilt * (ROWS - 250)
    assert np.min(np.abs(free[:, None] - line)) >= 7.5
    assert free.size > 25


@pytest.mark.parametrize("gradient", [0.0, 0.02])
def test_noise_and_gradients_are_no_trace(rng, gradient):
    data, _ = make(rng, peak=0.0, gradient=gradient)
    assert locate_trace(data).significance < 5


@pytest.mark.parametrize("bend", [1e-4, -3e-4])
def test_a_bright_and_bent_background_hides_no_faint_star(rng, bend):
    """A background that rises from one side to the other and bends: a straight line leaves a third of the star."""

    def on_the_background(peak):
        data, sky = make(rng, peak=peak, gradient=0.012)
        return (data + sky * (1 + bend * (COLUMNS - 36.0) ** 2)).astype(np.float32)

    found = locate_trace(on_the_background(40.0))
    assert found.significance > 8
    assert abs(found.center_at(250) - 37.4) < 1
    assert locate_trace(on_the_background(0.0)).significance < 6


@pytest.mark.parametrize("column", [35.1, 37.4, 38.0, 39.2])
def test_outputs_of_different_levels_do_not_hide_a_star(rng, column):
    """As without a reference-pixel correction: columns of four outputs in turn, up to 60 DN/s apart.

    The fitted line follows the levels by fractions of a pixel; whether there is a star must not hang on them.
    """
    levels = np.array([-25.0, 5.0, 35.0, -10.0])[COLUMNS % 4]
    star, _ = make(rng, column=column, peak=250.0, n_ints=4)
    found = locate_trace(star + levels)
    assert found.significance > 30
    assert abs(found.center_at(250) - column) < 1
    empty, _ = make(rng, peak=0.0, n_ints=4)
    assert locate_trace(empty + levels).significance < 5


@pytest.mark.parametrize(("share", "at"), [(0.02, 60), (0.02, 12)])
def test_a_neighbour_is_left_out_of_the_background(rng, share, at):
    data, sky = make(rng, neighbour=(share, at))
    columns = np.array(locate_trace(data).background_columns)
    assert np.abs(columns - at).min() > 2
    found = measure_levels(data, columns=columns, shape=fit_shape(mean_image(data), columns, center=37.4))
    bright = slice(300, 390)
    error = (found.image[:, bright, 37] - sky[bright, 37]).mean()
    sigma = np.sqrt(found.variance[:, bright].mean() / (len(data) * 90))
    # The shape, measured on the same pixels, is about as uncertain as the levels.
    assert abs(error) < 5 * sigma


def test_levels_are_as_uncertain_as_they_say(rng):
    data, sky = make(rng, gradient=0.01)
    columns = np.array(locate_trace(data).background_columns)
    shape = fit_shape(mean_image(data), columns, center=37.4)
    found = measure_levels(data, columns=columns, shape=shape)
    pull = (found.image[:, 100:390, 37] - sky[100:390, 37]) / np.sqrt(found.variance[:, 100:390])
    assert abs(pull.mean()) < 0.3
    assert abs(pull.std() - 1) < 0.08


def test_nothing_usable(rng):
    with pytest.raises(TooFewPixels):
        locate_trace(np.full((2, 40, 72), np.nan, np.float32))


def test_bright_columns_of_a_detector_are_no_trace(rng):
    """Columns with levels of their own, as a real array in the dark shows them."""
    data, _ = make(rng, peak=0.0, gradient=0.0)
    data[..., [28, 29, 63, 66]] += np.array([4.0, 3.0, 4.2, 3.8], np.float32)
    assert locate_trace(data).significance < 5
    star, _ = make(rng, peak=20.0, gradient=0.0)
    assert locate_trace(star).significance > 8


@pytest.mark.parametrize("bend", [0.0, 1e-4, -1e-4])
def test_a_background_that_brightens_takes_its_shape_with_it(rng, bend):
    """By 2 % from the first to the last integration, on a background that rises by 40 % across the columns."""
    n_ints = 40
    brightness = np.linspace(0.99, 1.01, n_ints)[:, None, None]
    sky = 400 * ((410 - ROWS) / 400)[:, None] ** 3 * (1 + 0.012 * (COLUMNS - 36) + bend * (COLUMNS - 36.0) ** 2)
    offset = rng.normal(0, 2, (n_ints, 1, 1))  # of the electronics: brightens nothing
    truth = sky * brightness + offset
    data = (truth + 4 * rng.normal(size=(n_ints, NY, NX))).astype(np.float32)
    columns = np.r_[4:19, 60:72]  # unequally far from the trace
    found = measure_levels(data, columns=columns, shape=fit_shape(mean_image(data), columns, center=37.4))
    error = (found.image - truth)[:, 50:350, 34:41].mean(axis=(1, 2))
    noise = np.sqrt(found.variance[:, 50:350].mean() / 300)
    change = np.polyfit(brightness.ravel() - 1, error, 1)[0] / (noise / np.std(brightness) / np.sqrt(n_ints))
    assert abs(change) < 3.5


def test_a_dark_and_flat_background_keeps_its_shape(rng):
    """Rows that do not differ tell no brightness; the gradient across the columns stays what it is."""
    truth = np.broadcast_to(10 + 0.1 * (COLUMNS - 36), (6, NY, NX))
    data = (truth + rng.normal(size=truth.shape)).astype(np.float32)
    columns = np.r_[4:19, 60:72]
    found = measure_levels(data, columns=columns, shape=fit_shape(mean_image(data), columns, center=37.4))
    error = (found.image - truth)[:, :, 37].mean(axis=1)
    assert np.abs(error).max() < 5 * np.sqrt(found.variance.mean() / NY)
