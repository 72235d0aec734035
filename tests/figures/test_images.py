"""Every figure against a picture of it that was looked at, drawn from simulated data.

    DETECTORIST_UPDATE_FIGURES=1 pytest tests/figures      # draw the pictures anew, then look at them

Pictures are small and hold no text, which fonts would move and move the axes with: labels have a test of their own.
"""

import os
from pathlib import Path

import numpy as np
import pytest
from matplotlib.legend import Legend
from matplotlib.testing.compare import calculate_rms
from matplotlib.text import Text
from PIL import Image

from detectorist.algorithms.ramps import linearity
from detectorist.algorithms.spectra import alignment, trace
from detectorist.algorithms.spectra.light_curves import LightCurve
from detectorist.algorithms.spectra.quick_transit import fit_quick_transit
from detectorist.figures import (
    alignment as alignment_figures,
)
from detectorist.figures import (
    background,
    cleaning,
    coronagraph,
    dq_flags,
    extraction,
    image_quality,
    ktc,
    late_groups,
    one_over_f,
    rateints_outliers,
    refpix,
    snowballs,
    sources,
    stripes,
    time_series,
    time_series_quality,
    wisps,
)
from detectorist.figures import linearity as linearity_figures

BASELINE = Path(__file__).parent / "baseline"
DPI = 40
#: Root mean square of grey levels, of 255. Colours of the stored pictures are rounded, which costs up to 3.
TOLERANCE = 3.5

N_INTS, N_ROWS, N_COLS = 10, 80, 60


def rng():
    return np.random.default_rng(7)


def simulated_cube():
    """Frames with a trace at column 36 that widens, a background that rises, and noise: data, error, profile."""
    columns, rows = np.arange(N_COLS), np.arange(N_ROWS)[:, None]
    width = 1.5 + 0.01 * (N_ROWS - rows)
    profile = np.exp(-0.5 * ((columns - 36) / width) ** 2)
    profile /= profile.sum(axis=1, keepdims=True)
    flux = 200 + 20 * rows + 150 * np.sin(rows / 2.5)
    level = 30 - 0.2 * rows
    wobble = 1 + 0.01 * np.sin(np.arange(N_INTS))[:, None, None]
    data = wobble * flux * profile + level + 3 * rng().normal(size=(N_INTS, N_ROWS, N_COLS))
    return data, np.full(data.shape, 3.0), np.broadcast_to(profile, data.shape).copy()


def simulated_spectra():
    """The arrays of an LRS dataset with a transit."""
    generator = rng()
    wavelength = np.linspace(13, 4.6, N_ROWS)
    n = 24
    dip = np.where((np.arange(n) > 8) & (np.arange(n) < 16), 0.985, 1.0)[:, None]
    error = np.full((n, N_ROWS), 4.0)
    flux = 2000 * np.exp(-((wavelength - 5) ** 2) / 20) * dip + error * generator.normal(size=error.shape)
    return {
        "wavelength": wavelength,
        "flux": flux,
        "flux_error": error,
        "background": 30 + 2 * wavelength + generator.normal(size=flux.shape),
        "x_shift": 0.003 * generator.normal(size=n),
        "y_shift": 0.004 * generator.normal(size=n),
        "psf_sigma": 1.8 + 0.001 * generator.normal(size=n),
        "time_mjd_utc": 60000 + np.arange(n) / 500,
    }


def simulated_image():
    """An image with a source, stripes and a wisp: image, stripes, wisp, tiers of the source mask."""
    rows, columns = np.mgrid[:96, :96]
    source = 3 * np.exp(-(np.hypot(rows - 30, columns - 60) ** 2) / 60)
    pattern = np.repeat(0.05 * np.cumsum(rng().normal(size=96))[:, None] / 3, 96, axis=1)
    wisp = 0.3 * np.exp(-((rows - 60 - 10 * np.sin(columns / 15)) ** 2) / 20)
    image = 0.3 + source + pattern + wisp + 0.05 * rng().normal(size=rows.shape)
    return image, pattern, wisp, np.digitize(source, [0.05, 0.2, 0.6, 1.5])


def simulated_events():
    return [[0, 1, 30.0, 60.0, 9.0, 4.0], [0, 3, 70.0, 20.0, 6.0, 0.0], [0, 3, 50.0, 80.0, 4.0, 0.0]]


def simulated_shifts():
    data, err, _ = simulated_cube()
    level = np.median(data[:, :, :20], axis=2, keepdims=True)
    data = data - level
    template = alignment.build_template(data, err)
    return data, template, alignment.measure_shifts(data, err)


def simulated_coron():
    """Integrations of a halo with an outlier in two of them: rates, flags."""
    rows, columns = np.mgrid[:64, :64]
    halo = 200 / (1 + np.hypot(rows - 31.5, columns - 31.5) ** 2 / 20)
    rates = halo + 2 * rng().normal(size=(12, 64, 64))
    flagged = np.zeros(rates.shape, bool)
    for i, y, x in ((4, 20, 50), (4, 10, 12), (7, 40, 8)):
        rates[i, y, x] += 80
        flagged[i, y, x] = True
    return rates, flagged


def draw_alignment():
    return alignment_figures.draw_trace_positions(simulated_shifts()[2])


def draw_alignment_fits():
    return alignment_figures.draw_fits(*simulated_shifts())


def draw_background():
    data, _, _ = simulated_cube()
    level = np.median(data[:, :, 8:17], axis=2, keepdims=True) + np.zeros(data.shape)
    return background.draw_background(data, level, np.ones((N_INTS, N_ROWS)), regions=[(8, 17), (50, 58)])


def draw_cleaned_columns():
    after, _, _ = simulated_cube()
    before, replaced = after.copy(), np.zeros(after.shape, bool)
    for row, column in ((20, 36), (50, 35), (60, 38)):
        before[3, row, column] += 5000
        replaced[3, row, column] = True
    return cleaning.draw_cleaned_columns(before, after, replaced, columns=(26, 47))


def draw_profiles():
    return cleaning.draw_profiles(simulated_cube()[2], columns=(26, 47))


def draw_flags():
    dq = np.zeros((6, 40, 30), np.uint32)
    dq[:, 5:15, 10] |= 1
    dq[::2, 30:35, 20:25] |= 4
    return dq_flags.draw_flags(dq, bits={"DO_NOT_USE": 1, "JUMP_DET": 4})


def draw_psf_fits():
    data, err, _ = simulated_cube()
    return extraction.draw_psf_fits(trace.fit_trace(data, err))


def draw_aperture():
    return extraction.draw_aperture(simulated_cube()[0], (32, 40))


def draw_spectra():
    arrays = simulated_spectra()
    return extraction.draw_spectra(arrays["wavelength"], arrays["flux"], arrays["flux_error"], units="DN/s")


def draw_linearity():
    groups = np.arange(60)
    signal = 400.0 * groups[:, None, None] * np.exp(-0.5 * ((np.arange(40) - 36) / 2) ** 2) + 9000
    raw = np.repeat((signal - 1e-6 * signal**2)[None], 2, axis=0) * np.ones((1, 1, 20, 1))
    raw = raw + 5 * rng().normal(size=raw.shape)
    fit = linearity.fit_linearity(raw.astype(np.float32), row_idx_start_used=2, row_idx_end_used=18)
    return linearity_figures.draw_linearity(fit)


def draw_refpix():
    drift = np.cumsum(rng().normal(size=(12, 1, 4)), axis=0) + 3 * np.sin(np.arange(60) / 9)[None, :, None]
    drift -= drift[:1]
    return refpix.draw_reference_correction(9000 + drift + 2 * rng().normal(size=drift.shape), drift)


def draw_rows():
    image, pattern, _, tier = simulated_image()
    return image_quality.draw_rows(image, image - pattern, tier > 0)


def draw_stripes():
    image, pattern, _, tier = simulated_image()
    return stripes.draw_stripes(image, image - pattern, pattern, tier > 0)


def draw_sources():
    image, _, _, tier = simulated_image()
    return sources.draw_sources(image, tier)


def draw_wisps():
    image, _, wisp, tier = simulated_image()
    return wisps.draw_wisps(image, image - wisp, wisp, tier > 0)


def draw_wisp_curve():
    scales = np.linspace(0.5, 1.1, 25)
    return wisps.draw_wisp_curve(scales, 0.01 * np.hypot(1, scales - 0.8), best=0.8, error=0.02)


def draw_snowballs():
    flagged = np.zeros((96, 96), bool)
    rows, columns = np.mgrid[:96, :96]
    for _, _, y, x, radius, _ in simulated_events():
        flagged |= np.hypot(rows - y, columns - x) < radius
    return snowballs.draw_snowballs(flagged, simulated_events(), n_groups=6)


def draw_snowball_groups():
    return snowballs.draw_snowball_groups(simulated_events(), (96, 96), n_groups=6)


def draw_coronagraphic_stripes():
    rates, _ = simulated_coron()
    pattern = np.repeat(5 * rng().normal(size=(64, 1)), 64, axis=1)
    return one_over_f.draw_coronagraphic_stripes(rates[0] + pattern, pattern, unit="DN/s")


def draw_offsets():
    offset = 35 * rng().normal(size=(4, 48, 48)) + 500
    measured = np.ones(offset.shape, bool)
    measured[:, 20:24, 20:24] = False
    return ktc.draw_offsets(offset, measured, rng().normal(size=(48, 48)))


def draw_rateints_outliers():
    return rateints_outliers.draw_rateints_outliers(*simulated_coron())


def draw_late_groups():
    rates, _ = simulated_coron()
    left_out = np.arange(8)[:, None, None] > 7 - 0.02 * rates[0]
    return late_groups.draw_late_groups(rates[0], left_out)


def draw_lrs_frames():
    data, _, _ = simulated_cube()
    frames = {name: data[0] for name in ("raw", "clean", "example_raw", "example_clean")}
    return time_series_quality.draw_frames(frames, 3)


def draw_white_light():
    flux = 1 + 5e-4 * rng().normal(size=24)
    hours = np.arange(24) / 20
    return time_series.draw_white_light(LightCurve(flux, np.full(24, 5e-4)), hours, fit_quick_transit(hours, flux))


def draw_noise():
    flux = 1 + 5e-4 * rng().normal(size=64)
    fit = fit_quick_transit(np.arange(64) / 20, flux)
    return time_series.draw_noise(LightCurve(flux, np.full(64, 5e-4)), fit, np.full(64, 4e-4))


def draw_radial_noise():
    radius = np.arange(4.0, 60.0, 3.0)
    noise = 1 + 30 * np.exp(-radius / 6)
    return coronagraph.draw_radial_noise({"one": (radius, noise), "all": (radius, noise / 3)}, 1e4)


def draw_contrast():
    separation = np.linspace(0.2, 3.0, 40)
    limit = 0.5 + 90 * np.exp(-separation / 0.4)
    return coronagraph.draw_contrast({"rolls": (separation, limit), "mean": (separation, limit / 1.4)}, star=1e5)


def draw_flicker_spectrum():
    white = rng().normal(size=(4, 64, 64))
    mask = np.zeros((64, 64), bool)
    mask[28:36, 28:36] = True
    walk = np.cumsum(rng().normal(size=(4, 64, 1)), axis=1)
    return coronagraph.draw_flicker_spectrum({"before": white + walk, "after": white}, mask)


def of_spectra(draw):
    return lambda: draw(simulated_spectra())


FIGURES = {
    "alignment": draw_alignment,
    "alignment_fits": draw_alignment_fits,
    "aperture": draw_aperture,
    "background": draw_background,
    "cleaned_columns": draw_cleaned_columns,
    "contrast": draw_contrast,
    "coronagraphic_stripes": draw_coronagraphic_stripes,
    "flags": draw_flags,
    "late_groups": draw_late_groups,
    "linearity": draw_linearity,
    "flicker_spectrum": draw_flicker_spectrum,
    "radial_noise": draw_radial_noise,
    "lrs_background": of_spectra(time_series_quality.draw_background),
    "lrs_errors": of_spectra(time_series_quality.draw_errors),
    "lrs_frames": draw_lrs_frames,
    "lrs_groups": lambda: time_series_quality.draw_groups([9.0, 2.0, 0.1, -0.1, 0.05, -4.0], [0, 1, 6]),
    "lrs_light_curves_2d": of_spectra(time_series.draw_light_curves),
    "lrs_noise": draw_noise,
    "lrs_profile": lambda: time_series_quality.draw_profile(simulated_cube()[2][0]),
    "lrs_replaced": lambda: time_series_quality.draw_replaced(rng().random((N_ROWS, N_COLS)) > 0.98),
    "lrs_spectroscopic": of_spectra(time_series_quality.draw_spectroscopic),
    "lrs_spectrum": of_spectra(time_series.draw_spectrum),
    "lrs_trace": of_spectra(time_series.draw_trace),
    "lrs_white_light": draw_white_light,
    "offsets": draw_offsets,
    "profiles": draw_profiles,
    "psf_fits": draw_psf_fits,
    "rateints_outliers": draw_rateints_outliers,
    "reference_pixels": draw_refpix,
    "rows": draw_rows,
    "snowball_groups": draw_snowball_groups,
    "snowballs": draw_snowballs,
    "sources": draw_sources,
    "spectra": draw_spectra,
    "stripes": draw_stripes,
    "wisp_curve": draw_wisp_curve,
    "wisps": draw_wisps,
}


def picture(figure, path):
    """Save a figure small and without text, and return its pixels."""
    for part in figure.findobj(Text):
        part.set_visible(False)
    for part in figure.findobj(Legend):
        part.set_visible(False)
    for axis in figure.axes:
        axis.tick_params(which="both", labelbottom=False, labelleft=False, labelright=False, labeltop=False)
        for along in (axis.xaxis, axis.yaxis):
            along.offsetText.set_visible(False)
    figure.savefig(path, dpi=DPI)
    return read_picture(path)


def read_picture(path):
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB")).astype(int)


def unlabelled(figure):
    """Return the axes of a figure without a label; axes that share one with others have theirs, colour bars one."""
    if figure.get_supxlabel() and figure.get_supylabel():
        return []
    found = []
    for axis in figure.axes:
        named_x = any(other.get_xlabel() for other in axis.get_shared_x_axes().get_siblings(axis))
        named_y = any(other.get_ylabel() for other in axis.get_shared_y_axes().get_siblings(axis))
        if axis.get_label() == "<colorbar>":
            named_x = named_y = named_x or named_y
        if not (named_x and named_y):
            found.append(axis)
    return found


def spoil(figure):
    """Make another drawing of it."""
    for axis in figure.axes:
        for line in axis.lines:
            line.set_data(line.get_xdata(), np.zeros(len(line.get_xdata())))
        for collection in list(axis.collections):
            collection.remove()
        for image in axis.images:
            image.set_data(np.asarray(image.get_array())[::-1])


@pytest.mark.parametrize("name", FIGURES)
def test_a_figure_looks_as_it_did(name, tmp_path):
    figure = FIGURES[name]()
    assert unlabelled(figure) == []
    stored = BASELINE / f"{name}.png"
    drawn = picture(figure, tmp_path / f"{name}.png")
    if os.environ.get("DETECTORIST_UPDATE_FIGURES"):
        Image.fromarray(drawn.astype(np.uint8)).quantize(256, method=Image.Quantize.MEDIANCUT).save(
            stored, optimize=True
        )
    wanted = read_picture(stored)
    assert drawn.shape == wanted.shape
    assert calculate_rms(wanted, drawn) < TOLERANCE
    spoil(figure)
    assert calculate_rms(wanted, picture(figure, tmp_path / f"{name}.png")) > 1.5 * TOLERANCE


def test_every_figure_has_a_picture_and_every_picture_a_figure():
    assert {path.stem for path in BASELINE.glob("*.png")} == set(FIGURES)
    modules = (
        *(alignment_figures, background, cleaning, dq_flags, extraction, image_quality, ktc, late_groups),
        *(
            linearity_figures,
            time_series,
            coronagraph,
            time_series_quality,
            one_over_f,
            rateints_outliers,
            refpix,
            snowballs,
            sources,
        ),
        *(stripes, wisps),
    )
    here = Path(__file__).read_text()
    for module in modules:
        for name in vars(module):
            if name.startswith("draw_") and vars(module)[name].__module__ == module.__name__:
                assert f".{name}" in here, f"{module.__name__}.{name} has no picture"


def test_images_beside_each_other_have_their_stretch():
    from detectorist.figures.image_panel import draw_images
    from detectorist.figures.picture import Picture
    from detectorist.figures.stretch import Stretch

    image = np.linspace(-1, 9, 12).reshape(3, 4)
    image[0, 0] = np.nan
    figure = draw_images(
        [Picture(image, "linear", Stretch(0, 8), "DN/s"), Picture(image, "soft", Stretch(-1, 9, soft=0.5))],
        title="Two",
    )
    left, right = (axis.images[0] for axis in figure.axes[:2])
    assert float(left.norm(4.0)) == pytest.approx(0.5)
    assert float(right.norm(1.0)) > 0.3  # linear would be 0.2
    assert left.get_array().mask[0, 0]
    figure.savefig("/dev/null", format="png")
