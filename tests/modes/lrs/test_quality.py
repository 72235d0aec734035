"""Figures of merit of spectra through time, measured on spectra whose truth is known."""

import numpy as np
import pytest

from detectorist.algorithms.spectra.light_curves import sum_wavelengths
from detectorist.algorithms.spectra.quick_transit import QuickTransit, transit_curve
from detectorist.modes.exposure import Exposure
from detectorist.modes.lrs.measurements import measure
from detectorist.modes.lrs.quality import summarise
from detectorist.modes.lrs.report import LrsSections
from detectorist.report.quality_checks import find_suspects

N_INTS, N_ROWS, ERROR = 120, 80, 8.0
RECORDS = {
    "seg001, integrations 1 to 60": {
        "drop_groups": {"n_groups": 20, "groups": [0, 19]},
        "inspect_dq_flags": {"counts": {"JUMP_DET": 1}, "n_pixels": 100},
        "extract_1d_optimal": {"aperture": [32.0, 40.0]},
        "background_subtract": {"columns": [12, 22, 50, 68]},
        "reference_pixel": {"columns_unmeasured": 0},
    },
    "seg002, integrations 61 to 120": {"inspect_dq_flags": {"counts": {"JUMP_DET": 3}, "n_pixels": 100}},
}


@pytest.fixture
def spectra(rng):
    """Spectra with white noise of their stated errors and a transit of 1.5 %."""
    hours = np.linspace(0, 4, N_INTS)
    curve = transit_curve(hours, 2.0, 1.6, 0.2, 0.015)
    wavelength = np.linspace(13, 4.6, N_ROWS)
    star = np.linspace(500, 3000, N_ROWS)
    return {
        "flux": star * curve[:, None] + ERROR * rng.normal(size=(N_INTS, N_ROWS)),
        "flux_error": np.full((N_INTS, N_ROWS), ERROR),
        "quality": np.zeros((N_INTS, N_ROWS), np.uint8),
        "wavelength": wavelength,
        "background": np.full((N_INTS, N_ROWS), 30.0),
        "x_shift": 0.003 * rng.normal(size=N_INTS),
        "y_shift": 0.004 * rng.normal(size=N_INTS),
        "psf_sigma": 1.8 + 0.001 * rng.normal(size=N_INTS),
        "time_mjd_utc": 60000 + hours / 24,
    }


@pytest.fixture
def frames(rng):
    columns = np.arange(72)
    image = 200 * np.exp(-0.5 * ((columns - 36) / 1.7) ** 2) * np.ones((N_ROWS * 5, 1))
    noise = 0.1 * rng.normal(size=image.shape)
    return {"raw": image + 30 + noise, "clean": image + noise}


def told(numbers):
    sections = LrsSections()
    one = Exposure("e", "lrs", "done", ".", numbers=numbers)
    return [c.words for s in find_suspects([one], sections.columns, sections.checks) for c in s.concerns]


def test_numbers_of_a_good_exposure(spectra, frames):
    numbers = measure(spectra, frames=frames, records=RECORDS)
    assert numbers["n_integrations"] == N_INTS
    assert numbers["white_ratio"] == pytest.approx(1, abs=4 / np.sqrt(N_INTS))
    assert numbers["white_ratio_error"] == pytest.approx(0.85 / np.sqrt(N_INTS), rel=0.4)
    assert numbers["white_residual_ppm"] == pytest.approx(numbers["white_scatter_ppm"], rel=0.4)
    assert numbers["pull_width"] == pytest.approx(1, abs=0.05)
    assert abs(numbers["depth_pct"] - 1.5) < 4 * numbers["depth_error_pct"]
    assert numbers["transit_mid_h"] == pytest.approx(2.0, abs=0.05)
    assert numbers["motion_pix"] == pytest.approx(0.005, rel=0.2)
    assert numbers["groups_used"] == 18
    assert numbers["jumps_pct"] == pytest.approx(2.0)
    assert numbers["trace_column"] == pytest.approx(36, abs=0.1)
    assert numbers["aperture_offset_pix"] < 0.1
    assert numbers["background_error_pct"] < 0.1
    assert numbers["spikes_ppm"] == 0
    assert told(numbers) == []
    assert all(isinstance(value, int | float | str) for value in numbers.values())


def test_noise_that_wavelengths_share_is_told(spectra, rng):
    spectra["flux"] *= 1 + 3e-3 * rng.normal(size=(N_INTS, 1))
    numbers = measure(spectra)
    assert numbers["white_ratio_at_least"] > 1.15
    assert any("noise that all wavelengths share is left" in words for words in told(numbers))


@pytest.mark.parametrize("n_ints", [16, 24, 36])
def test_half_again_as_much_noise_is_told_of_few_integrations(spectra, n_ints, rng):
    """Scatter of exactly 1.7 times the errors, which few integrations know to 15 % only."""
    some = {name: value[:n_ints] if np.shape(value)[:1] == (N_INTS,) else value for name, value in spectra.items()}
    white = rng.normal(size=n_ints)
    error = sum_wavelengths(*(some[name] for name in ("wavelength", "flux", "flux_error"))).error
    flat = np.median(some["flux"], axis=0) * np.ones((n_ints, 1))
    some["flux"] = flat * (1 + 1.7 * np.median(error) * (white - white.mean()) / white.std())[:, None]
    numbers = measure(some)
    assert numbers["white_ratio"] > 1.5
    assert any("the white light scatters" in words for words in told(numbers))
    some["flux"] = flat * (1 + np.median(error) * (white - white.mean()) / white.std())[:, None]
    assert not any("the white light scatters" in words for words in told(measure(some)))


def test_a_transit_that_the_first_fit_does_not_match_is_no_noise(spectra):
    """Limbs that are softer than those of a transit: the scatter from one integration to the next has none of it."""
    z = np.abs(24 * (spectra["time_mjd_utc"] - 60000) - 2.0) / 0.9
    tails = 0.015 / (1 + z**14) - 0.015 * (z < 1)
    spectra["flux"] *= 1 - tails[:, None]
    numbers = measure(spectra)
    assert numbers["white_residual_ppm"] > 1.1 * numbers["white_scatter_ppm"]
    assert numbers["white_ratio"] == pytest.approx(1, abs=4 / np.sqrt(N_INTS))
    assert "noise that all wavelengths share" not in " ".join(told(numbers))


def test_noise_that_lasts_is_told(spectra, rng):
    spectra["flux"] *= (
        1 + 1.5e-3 * np.convolve(rng.normal(size=N_INTS + 14), np.ones(15) / np.sqrt(15), "valid")[:, None]
    )
    assert any("noise lasts longer than an integration" in words for words in told(measure(spectra)))


def test_a_depth_that_depends_on_the_motion_is_told(spectra, rng):
    inside = np.abs(24 * (spectra["time_mjd_utc"] - 60000) - 2.0) < 0.8
    spectra["x_shift"] = 0.03 * inside + 0.002 * rng.normal(size=N_INTS)
    spectra["flux"] *= 1 + 0.1 * spectra["x_shift"][:, None]
    numbers = measure(spectra)
    assert numbers["depth_shift_by"] == "movement across dispersion"
    assert any("changes by" in words and "movement across dispersion" in words for words in told(numbers))


def test_movement_along_the_dispersion_is_undone_before_light_is_summed(spectra, rng):
    """In transit the star lies .03 pixels lower: light of that part of the brightest row leaves the sum."""
    hours = 24 * (spectra["time_mjd_utc"] - 60000)
    spectra["y_shift"] = -0.03 * (np.abs(hours - 2.0) < 0.8) + 0.002 * rng.normal(size=N_INTS)
    slope = np.gradient(np.median(spectra["flux"], axis=0))
    spectra["flux"] -= 8 * spectra["y_shift"][:, None] * slope
    as_it_is = measure(spectra)
    assert as_it_is["depth_shift_by"] == "movement along dispersion"
    assert any("movement along dispersion" in words for words in told(as_it_is))
    known = {**spectra, "detector_row": np.arange(N_ROWS), "y_shift_left": 8 * spectra["y_shift"]}
    numbers = measure(known)
    assert abs(numbers["depth_pct"] - 1.5) < 3 * numbers["depth_error_pct"] < abs(as_it_is["depth_pct"] - 1.5)
    assert told(numbers) == []


def test_what_runs_like_the_transit_by_chance_is_not_told(spectra, rng):
    """Noise gives a regressor that resembles the transit a coefficient, and the depth moves with it."""
    inside = np.abs(24 * (spectra["time_mjd_utc"] - 60000) - 2.0) < 0.8
    told_of = 0
    for _ in range(20):
        spectra["x_shift"] = 0.01 * inside + 0.002 * rng.normal(size=N_INTS)
        told_of += measure(spectra)["depth_shift_sigma"] > 2
    assert told_of <= 1


def test_a_first_integration_that_settles_is_told(spectra):
    assert told(measure(spectra)) == []
    spectra["flux"][0] *= 0.989
    numbers = measure(spectra)
    assert numbers["first_integration_pct"] == pytest.approx(-1.1, abs=3 * 100 * numbers["white_expected_ppm"] / 1e6)
    assert any("the first integration is off the line of those after it by -1." in words for words in told(numbers))


def test_showers_that_choose_one_group_are_told(spectra, rng):
    """Showers of 12 groups at random are believed; half of them in the second group are none, in chunks or not."""
    records = {"a": {"drop_groups": {"n_groups": 12}, "flag_showers": {"hits": []}}}
    hits = [[int(k), int(group)] for k, group in zip(range(1, 25), rng.permutation(24) % 12, strict=True)]
    records["a"]["flag_showers"]["hits"] = hits
    assert told(measure(spectra, records=records)) == []
    for in_one in ([*hits, *([k, 1] for k in range(30, 42))], [hits, [[k, 1] for k in range(30, 42)]]):
        records["a"]["flag_showers"]["hits"] = in_one
        numbers = measure(spectra, records=records)
        assert (numbers["shower_group"], numbers["showers_of_one_group"]) == (1, 14)
        assert any("group 1 (from 0) looks as if a cosmic-ray shower" in words for words in told(numbers))


def test_cosmic_rays_left_are_told(spectra, rng):
    hit = rng.integers(1, N_INTS - 1, 30), rng.integers(12, 70, 30)
    spectra["flux"][hit] += 40 * ERROR
    numbers = measure(spectra)
    useful = ((spectra["wavelength"] >= 5) & (spectra["wavelength"] <= 12)).sum()
    assert numbers["spikes_ppm"] == pytest.approx(1e6 * 30 / (useful * (N_INTS - 2)), rel=0.15)
    assert any("cosmic rays are left" in words for words in told(numbers))


@pytest.mark.parametrize(("scales", "told_of"), [((1.0, 1.1), ""), ((1.05, 1.4), "1.40"), ((1.1, 0.7), "0.70")])
def test_errors_that_had_to_be_scaled_are_told(spectra, scales, told_of):
    records = {str(scale): {"extract_1d_optimal": {"error_scale": scale}} for scale in scales}
    reasons = [words for words in told(measure(spectra, records=records)) if "had to be multiplied" in words]
    assert [told_of in words for words in reasons] == [True] * bool(told_of)


@pytest.mark.parametrize(("changed", "number"), [(([], []), 0), (([7], [20, 21]), 3)])
def test_integrations_in_which_the_trace_changed_are_told(spectra, changed, number):
    records = {str(k): {"subtract_showers": {"trace_changed": part}} for k, part in enumerate(changed)}
    numbers = measure(spectra, records=records)
    reasons = [words for words in told(numbers) if "the trace is unlike that of their neighbours" in words]
    assert numbers["trace_changed"] == number
    assert [f"in {number} integrations" in words for words in reasons] == [True] * bool(number)


def test_a_trace_off_the_aperture_is_told(spectra, frames):
    moved = {name: np.roll(image, 8, axis=1) for name, image in frames.items()}
    numbers = measure(spectra, frames=moved, records=RECORDS)
    assert numbers["aperture_offset_pix"] == pytest.approx(8, abs=0.1)
    assert any("8.0 pixels from the middle of the aperture" in words for words in told(numbers))


def test_no_trace_is_told(spectra, frames, rng):
    empty = {name: 30 + rng.normal(size=image.shape) for name, image in frames.items()}
    assert any("no trace was found" in words for words in told(measure(spectra, frames=empty, records=RECORDS)))


def test_background_regions_that_disagree_are_told(spectra, frames):
    frames["clean"][:, 45:] += 4
    numbers = measure(spectra, frames=frames, records=RECORDS)
    assert any("background regions left and right of the trace disagree" in words for words in told(numbers))


def test_wavelengths_without_flux_leave_no_white_light(spectra):
    spectra["flux"][3] = np.nan
    numbers = measure(spectra)
    assert "has flux in all integrations" in numbers["no_white_light"]
    assert any("there is no white light curve" in words for words in told(numbers))
    assert "no white light curve" in summarise(numbers)[-1]


def test_one_integration_has_what_can_be_measured(spectra):
    single = {name: value if name == "wavelength" else value[:1] for name, value in spectra.items()}
    numbers = measure(single)
    assert numbers["n_integrations"] == 1
    assert "white_scatter_ppm" not in numbers
    assert summarise(numbers)


def test_few_integrations_of_a_transit_are_no_noise(spectra, rng):
    """Half of six integrations in transit: each second difference holds some of the ingress."""
    some = {name: value[:6] if np.shape(value)[:1] == (N_INTS,) else value for name, value in spectra.items()}
    flat = np.median(some["flux"], axis=0)
    noisy = flat + some["flux_error"] * rng.normal(size=(6, flat.size))
    some["flux"] = noisy * (1 - 0.1 * np.array([0, 0, 0.4, 1, 1, 1]))[:, None]
    numbers = measure(some)
    assert "white_ratio" not in numbers
    assert "pull_width" not in numbers
    assert told(numbers) == []
    assert "ppm expected; too few integrations" in "\n".join(summarise(numbers))


def test_a_wavelength_that_was_never_measured_is_no_warning(spectra):
    spectra["flux"][:, 20], spectra["flux_error"][:, 20] = np.nan, np.nan
    assert measure(spectra)["pull_width"] == pytest.approx(1, abs=0.05)


def test_names_that_are_added_do_not_matter(spectra):
    spectra |= {"detector_row": np.arange(N_ROWS), "exposure": np.ones(N_INTS, int)}
    assert measure(spectra)["n_integrations"] == N_INTS


def test_the_terminal_says_the_same_numbers(spectra):
    numbers = measure(spectra)
    text = "\n".join(summarise(numbers))
    assert f"{numbers['white_scatter_ppm']:.0f} ppm found" in text
    assert f"({numbers['white_ratio']:.2f} x)" in text
    assert f"transit: {numbers['depth_pct']:.4f}" in text


def test_a_depth_that_cannot_be_told_is_not_given(spectra, monkeypatch):
    flat = np.ones(N_INTS)
    unsure = QuickTransit(flat, flat, depth=0.011, depth_error=0.14, mid_h=1.9, duration_h=0.01)
    monkeypatch.setattr("detectorist.modes.lrs.measurements.fit_white_light", lambda *_: unsure)
    numbers = measure(spectra)
    assert numbers["dip_h"] == 1.9
    assert "depth_pct" not in numbers
    text = "\n".join(summarise(numbers))
    assert "a dip 1.900 h after the start" in text
    assert "transit:" not in text
