"""The default recipe on rates with one nuisance at a time: white light and its depth in units of the expected error."""

import logging

import numpy as np
import pytest
from astropy.io import fits
from nuisance import N_COLS, N_ROWS, ROWS, Nuisance

from detectorist.errors import InputError
from detectorist.modes.lrs.pipeline import LrsPipeline

pytestmark = pytest.mark.filterwarnings("default")
USED = slice(150, 392)


@pytest.fixture
def reduce(tmp_path, make_lrs_rateints, no_crds):
    """Return a function that reduces rates with the default recipe, without references."""
    path = tmp_path / "wavelengths.fits"
    wavelengths = np.broadcast_to(14 - 0.025 * ROWS[:, None], (N_ROWS, N_COLS))
    fits.HDUList([fits.PrimaryHDU(), fits.ImageHDU(wavelengths.astype(np.float32), name="WAVELENGTH")]).writeto(path)

    def run(data, err, dq, **parameters):
        model = make_lrs_rateints(data=data, err=err)
        model.dq = dq
        pipeline = LrsPipeline(
            output_dir=str(tmp_path / "out"),
            wavelength_map=str(path),
            steps={"flat_field": {"skip": True}},
            **parameters,
        )
        pipeline.reference_source = "none"
        return pipeline.run(model), pipeline

    return run


def rows_of(dataset):
    """Return flux and error by row of the detector, whatever the order of wavelengths in the file."""
    order = np.argsort(-dataset.wavelength.values)
    return dataset.flux.values[:, order], dataset.flux_error.values[:, order]


def white_light(scene, reduce):
    """Return (scatter over expected, error of the depth in sigma, width of pulls) of the integrations not lost."""
    data, err, dq, flux, noise = scene.make()
    spectra, _ = reduce(data, err, dq)
    got, error = (array[:, USED] for array in rows_of(spectra.dataset))
    good = np.arange(scene.n_ints) != (-1 if scene.lost is None else scene.lost)
    got, error, true, noise = got[good], error[good], flux[good][:, USED], noise[USED]
    whole = np.isfinite(got).all(axis=0)
    assert whole.mean() > 0.97
    scale = np.median(got / true, axis=0)[whole]
    expected = true[:, whole] * scale
    ratio = got[:, whole].sum(axis=1) / expected.sum(axis=1)
    sigma = np.sqrt((noise[whole] ** 2 * scale**2).sum()) / expected.sum(axis=1).mean()
    design = np.stack([np.ones(good.sum()), scene.time[good], -scene.transit[good]], axis=1)
    solution = np.linalg.lstsq(design, ratio, rcond=None)[0]
    depth_error = sigma * np.sqrt(np.linalg.inv(design.T @ design)[2, 2])
    pulls = (got[:, whole] - expected) / error[:, whole]
    return ratio.std() / sigma, solution[2] / depth_error, 1.4826 * np.median(np.abs(pulls))


CASES = {
    "nothing": {},
    "faint": {"peak": 200.0},
    "column 35": {"column": 35.2},
    "column 39": {"column": 39.3, "tilt": -0.004},
    "tilted": {"tilt": 0.01},
    "undersampled, with wings, pointing jump, width step": {"wings": True, "jump_pix": 0.15, "widening": 0.03},
    "large pointing jump": {"jump_pix": 0.5},
    "width step": {"widening": 0.04, "peak": 400.0},
    "background gradient": {"gradient": 0.012, "curvature": 1e-4, "peak": 400.0},
    "neighbour on the right": {"neighbour": (0.01, 60), "peak": 300.0},
    "neighbour on the left": {"neighbour": (0.003, 13), "peak": 300.0},
    "settling": {"settling": 0.003},
    "telegraph pixels": {"telegraph": 0.003},
    "showers": {"showers": 3},
    "lost integration": {"lost": 30},
    "gain of the errors wrong by 30 %": {"error_factor": 1.3**0.5},
}


@pytest.mark.parametrize("case", CASES)
def test_nuisances_leave_the_light_curve_at_its_noise(case, reduce):
    """48 integrations know their scatter to 10 %, and the background takes a few per cent: 1.35 is three sigma."""
    scatter, depth_sigma, pull = white_light(Nuisance(**CASES[case]), reduce)
    assert scatter < 1.35
    assert abs(depth_sigma) < 3
    assert abs(pull - 1) < 0.06


def test_a_frame_without_a_source_is_refused(reduce, rng):
    data = (100 + 3 * rng.normal(size=(6, N_ROWS, N_COLS))).astype(np.float32)
    err, dq = np.full(data.shape, 3, np.float32), np.zeros(data.shape, np.uint32)
    with pytest.raises(InputError, match=r"no trace found: the brightest column stands out by \d\.\d sigma, 8 are"):
        reduce(data, err, dq)
    spectra, _ = reduce(data, err, dq, min_trace_sigma=0.0)
    assert np.abs(np.nanmedian(spectra.dataset.flux)) < 3


@pytest.mark.parametrize("columns", [slice(29, 46), slice(36, 40)], ids=["trace", "core"])
def test_light_is_never_made_up(reduce, caplog, columns):
    """Rows whose trace was not measured have no flux and say so; the others are as before."""
    data, err, dq, flux, _ = Nuisance(n_ints=10).make()
    data[:, 330:360, columns] = np.nan
    dq[:, 330:360, columns] |= 3
    with caplog.at_level(logging.WARNING, logger="detectorist"):
        spectra, _ = reduce(data, err, dq)
    got, _ = rows_of(spectra.dataset)
    quality = spectra.dataset.quality.values[:, np.argsort(-spectra.dataset.wavelength.values)]
    assert np.isnan(got[:, 330:360]).all()
    assert (quality[:, 330:360] & 1).all()
    assert "more than half of their light in pixels that were not measured" in caplog.text
    beside = np.r_[200:328, 362:390]
    assert np.abs(np.nanmedian(got[:, beside] / flux[:, beside]) - 1) < 0.02


def test_one_lost_core_pixel_costs_precision_not_the_flux(reduce):
    data, err, dq, flux, _ = Nuisance(n_ints=24).make()
    data[:, 330:334, 38] = np.nan
    dq[:, 330:334, 38] |= 1
    got, error = rows_of(reduce(data, err, dq)[0].dataset)
    ratio = (got / flux)[:, 330:334].mean() / np.nanmedian((got / flux)[:, 300:360])
    assert abs(ratio - 1) < 0.02
    assert 1.05 < np.median(error[:, 330:334]) / np.median(error[:, 320:345]) < 3
