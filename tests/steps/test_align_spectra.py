"""AlignSpectraStep: shifts with the right sign, one template for all segments, spectra moved back."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import erf

from detectorist.algorithms.spectra.alignment import Template
from detectorist.errors import InputError, ParameterError, TooFewPixels
from detectorist.stage_2 import AlignSpectraStep, BackgroundSubtractStep

NY = 120


def spectrum(rows):
    lines = sum(0.2 * np.exp(-0.5 * ((rows - c) / 3) ** 2) for c in (30, 55, 81, 100))
    return 3000 / (1 + np.exp(-(rows - 12) / 2)) / (1 + np.exp((rows - 110) / 2)) * (1 - lines)


@pytest.fixture
def make_moving(make_lrs_rateints, rng):
    """Return a function that makes a model of a trace moved by x, y per integration, no background."""

    def make(x, y, **kwargs):
        center = 36 + np.asarray(x, float)[:, None, None]
        cols = np.arange(72)
        light = 0.5 * (erf((cols + 0.5 - center) / 2.4) - erf((cols - 0.5 - center) / 2.4))
        data = light * spectrum(np.arange(NY) - np.asarray(y, float)[:, None])[..., None]
        err = np.sqrt(9 + data / 55)
        return make_lrs_rateints(data=data + err * rng.normal(size=data.shape), err=err, **kwargs)

    return make


@pytest.fixture
def motion():
    rng = np.random.default_rng(1)
    return 0.03 * rng.normal(size=30), 0.05 * rng.normal(size=30)


def sums(model):
    return model.data[..., 32:41].sum(axis=2, dtype=float), np.sqrt(
        (model.err[..., 32:41] ** 2).sum(axis=2, dtype=float)
    )


def test_shifts_positive_toward_higher_index(make_moving, motion):
    x, y = motion
    model = make_moving(x, y)
    spec, unc = sums(model)
    before = {name: np.array(getattr(model, name)) for name in ("data", "err", "dq")}
    step = AlignSpectraStep(align_spectra=False)
    same, same_unc, x_shifts, y_shifts = step.run(model, spec, unc)
    assert_array_equal(same, spec)
    assert_array_equal(same_unc, unc)
    for measured, error, truth in (
        (x_shifts, step.record["x_error_pix"], x),
        (y_shifts, step.record["y_error_pix"], y),
    ):
        pull = (measured - truth - np.mean(measured - truth)) / np.array(error)
        assert_allclose(pull.std(), 1.0, atol=0.5)
        assert np.corrcoef(measured, truth)[0, 1] > 0.9
    for name, value in before.items():
        assert_array_equal(getattr(model, name), value)


def test_alignment_removes_the_motion(make_moving):
    y = np.linspace(-0.3, 0.3, 20)
    model = make_moving(np.zeros(20), y)
    spec, unc = sums(model)
    aligned, aligned_unc, _, y_shifts = AlignSpectraStep.call(model, spec, unc)
    assert_allclose(y_shifts, y, atol=0.08)
    # The edge of the band moves most.
    edge = np.arange(107, 114)
    drift = [np.polyfit(y, s[:, edge], 1)[0] for s in (spec, aligned)]
    assert abs(drift[1]).max() < 0.2 * abs(drift[0]).max()
    assert (aligned_unc[:, 20:100] <= unc[:, 20:100] * 1.02).all()


def test_one_template_for_all_segments(make_moving, motion):
    x, y = motion
    first, second = make_moving(x[:15], y[:15]), make_moving(x[15:] + 0.1, y[15:] - 0.15)
    template = AlignSpectraStep().template_from(first)
    assert isinstance(template, Template)
    parts = [AlignSpectraStep.call(m, *sums(m), template) for m in (first, second)]
    measured = np.concatenate([p[2] for p in parts]), np.concatenate([p[3] for p in parts])
    truth = x + np.repeat([0, 0.1], 15), y + np.repeat([0, -0.15], 15)
    for got, expected, tolerance in zip(measured, truth, (0.002, 0.02), strict=True):
        seam = (got - expected)[15:].mean() - (got - expected)[:15].mean()
        assert abs(seam) < tolerance


def test_one_integration_and_spectra_of_its_own(make_moving):
    model = make_moving([0.1], [0.2])
    spec, unc, x, y = AlignSpectraStep.call(model)
    assert spec.shape == unc.shape == (1, NY)
    assert_allclose([x[0], y[0]], 0, atol=1e-6)
    assert_allclose(spec, sums(model)[0], rtol=1e-6)


def test_flagged_pixels_do_not_take_part(make_moving, motion):
    model = make_moving(*motion)
    model.dq[:, 50, 36] = 1
    model.dq[3, 60:62, 30:40] = 16
    reference = AlignSpectraStep.call(model)
    model.data[:, 50, 36] = 1e5
    model.data[3, 60:62, 30:40] = -500
    again = AlignSpectraStep.call(model, *reference[:2])
    assert_array_equal(again[2], reference[2])
    assert_array_equal(again[3], reference[3])


def test_after_the_other_steps(make_moving, motion):
    x, y = motion
    model = make_moving(x, y)
    model.data += 40
    model = BackgroundSubtractStep.call(model).model
    _, _, x_shifts, y_shifts = AlignSpectraStep.call(model)
    assert (x_shifts - x).std() < 0.003
    assert (y_shifts - y).std() < 0.03


def test_a_lost_integration_leaves_its_spectrum_alone(make_moving, motion, caplog):
    model = make_moving(*(m[:6] for m in motion))
    spec, unc = sums(model)
    model.data[2] = np.nan
    got, _, x, y = AlignSpectraStep.call(model, spec, unc)
    assert_array_equal(np.isnan(x), np.arange(6) == 2)
    assert np.isnan(y[2])
    assert_array_equal(got[2], spec[2])
    assert "no measurable shift" in caplog.text


def test_without_uncertainties(make_moving, motion):
    model = make_moving(*(m[:5] for m in motion))
    spec, unc, _, _ = AlignSpectraStep.call(model, sums(model)[0])
    assert unc is None
    assert spec.shape == (5, NY)


def test_figures_and_product(make_moving, motion, tmp_path):
    import xarray as xr

    model = make_moving(*(m[:5] for m in motion))
    model.meta.filename = "jw_rateints.fits"
    spec, _, x, _ = AlignSpectraStep.call(
        model,
        draw_cross_correlation_fits=True,
        draw_trace_positions=True,
        save_results=True,
        output_dir=str(tmp_path),
    )
    names = sorted(p.name for p in tmp_path.iterdir())
    assert names == [
        "jw_align_spectra.nc",
        "jw_rateints_align_spectra_fits.png",
        "jw_rateints_align_spectra_trace_positions.png",
    ]
    with xr.open_dataset(tmp_path / names[0], engine="h5netcdf") as saved:
        assert_array_equal(saved.flux, spec)
        assert_array_equal(saved.x_shift, x)
        assert (saved.y_shift_error > 0).all()


def test_from_the_command_line(make_moving, motion, tmp_path):
    from jwst.stpipe import Step

    make_moving(*(m[:4] for m in motion)).save(tmp_path / "jw_rateints.fits")
    Step.from_cmdline(
        ["detectorist.stage_2.AlignSpectraStep", str(tmp_path / "jw_rateints.fits"), f"--output_dir={tmp_path}"]
    )
    assert (tmp_path / "jw_align_spectra.nc").is_file()


def test_bad_input(make_moving, nircam_rateints, make_lrs_rateints):
    with pytest.raises(InputError, match="NIRCAM"):
        AlignSpectraStep.call(nircam_rateints)
    model = make_moving([0.0, 0.0], [0.0, 0.0])
    with pytest.raises(ParameterError, match="spec has shape"):
        AlignSpectraStep.call(model, np.ones((3, NY)))
    with pytest.raises(ParameterError, match="does not fit"):
        AlignSpectraStep.call(make_lrs_rateints(ny=40), np.ones((3, 40)), None, AlignSpectraStep().template_from(model))
    model.dq[:] = 1
    with pytest.raises(TooFewPixels):
        AlignSpectraStep.call(model)
    model.data[:] = np.nan
    with pytest.raises(InputError, match="not one finite value"):
        AlignSpectraStep.call(model)
