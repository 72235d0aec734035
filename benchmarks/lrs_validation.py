"""What is measured for the validation tables of MIRI LRS: called by `validation.py`."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

import lrs
import lrs_scores as scores
from detectorist.algorithms.ramps import linearity, refpix
from detectorist.algorithms.spectra import alignment, extraction
from measure import passes
from validated import Figure, Rows

#: The scene that the outputs of other packages belong to.
PEER_SCENE = "20261120"
#: CPU time of ExoTiC-MIRI 1.0.0 (jwst 1.8.2) in passes over the data, on the same scene and by the same definition; it
#: needs an environment of its own, so these were measured once.
PEER_PASSES = {
    "CleanOutliers": 29_000,
    "background": 153,
    "box with widths": 48,
    "optimal": 53,
    "Align": 3_500,
    "reference pixels, smoothed": 271,
}
TOPIC_OF_TIME = {
    "CleanOutliers": "clean_outliers",
    "Align": "align_spectra",
    "background": "background",
    "box with widths": "extraction",
    "optimal": "extraction",
    "InspectDQ": "inspect_dq_flags",
    "reference pixels, smoothed": "reference_pixel",
    "reference pixels, auto": "reference_pixel",
}


CAUGHT = "outliers of 8 sigma and more found on the trace, worst window height"
FALSE = "sound pixels taken for outliers"
BACKGROUND = "error of a row's background, rms, DN/s"
PULL = {"box": "pull width, box", "optimal": "pull width, optimal (median profile)"}
WHITE = "scatter of the white light over that of someone who knows every bad pixel's true value"
SHIFTS = ("error of the shift across the dispersion, rms, pixel", "error of the shift along it, rms, pixel")
#: What is done to the drift, and with which parameters.
DRIFT = {
    "drift without any correction, DN": None,
    "drift left, whole columns, DN": {},
    "drift left, running median over 31 rows, DN": {"smoothing_length": 31},
    "drift left, auto, DN": {"smoothing": "auto"},
}
#: The same in every fifth group of one integration, where outputs of ExoTiC-MIRI are at hand; its windows are twice as
#: long as it is told when odd and even rows are apart.
PEER_DRIFT = (
    ("drift left in one integration, whole columns, DN", None, "odd_even"),
    ("drift left in one integration, running median over 21 rows, DN", 21, "odd_even_smooth11"),
)


def figures(folder: Path, *, times: bool) -> Iterator[Figure]:
    """Measure one scene."""
    rows = Rows()
    quality(rows, folder)
    ramp_quality(rows, folder)
    if times:
        cpu_times(rows, folder)
    peers = os.environ.get("DETECTORIST_PEERS")
    if peers and folder.name == PEER_SCENE:
        peer_quality(rows, folder, Path(peers))
    for row in rows:
        for value in row.values.values():
            yield Figure(row.topic, row.what, value, row.wanted, row.form, row.peer)


def quality(rows: Rows, folder: Path) -> None:
    """Measure errors against the truth of one scene."""
    name = folder.name
    z, t = load(folder / "miri_lrs_rateints.npz"), load(folder / "miri_lrs_truth.npz")
    done = lrs.clean(z)
    found = scores.score_outliers(z, t, done.flagged)
    rows.add(name, "clean_outliers", CAUGHT, "{:.1%}", "≥ 98 %", found["caught_worst"])
    rows.add(name, "clean_outliers", FALSE, "{:.1e}", "≤ 1e-4", found["false"])
    background = np.nanmedian(z["data"] - done.frames, axis=2)
    rows.add(name, "background", BACKGROUND, "{:.2f}", "", background_error(t, background))
    box = extraction.extract_box(done.frames, done.errors, background_variance=done.variance)
    best = extraction.extract_optimal(
        done.frames, done.profile, done.errors, median_spatial_profile=True, background_variance=done.variance
    )
    rows.add(name, "extraction", PULL["box"], "{:.2f}", "0.95–1.05", pull(t, box.flux, box.error))
    rows.add(name, "extraction", PULL["optimal"], "{:.2f}", "0.95–1.05", pull_optimal(t, best.flux, best.error))
    rows.add(name, "extraction", WHITE, "{:.3f}", "≤ 1.04", white(z, t, box.flux))
    shifts = alignment.measure_shifts(done.frames, done.errors, done.unusable, background_variance=done.variance)
    errors = scores.shift_errors(t, shifts.x_pix, shifts.y_pix)
    forms = (("{:.4f}", "≤ 0.0016"), ("{:.3f}", "≤ 0.015"))
    for what, value, (form, wanted) in zip(SHIFTS, errors, forms, strict=True):
        rows.add(name, "align_spectra", what, form, wanted, value)


def background_error(t: dict, level: np.ndarray) -> float:
    """Return the rms error of the background of the scored rows, at the trace."""
    return float(np.std((level - t["bkg"][: len(level), :, 36])[:, scores.ROWS]))


def pull(t: dict, flux: np.ndarray, error: np.ndarray) -> float:
    """Return the pull width of box spectra."""
    return scores.pull_width(flux, error, scores.truth_spectrum(t))


def pull_optimal(t: dict, flux: np.ndarray, error: np.ndarray) -> float:
    """Return the pull width of optimal spectra of 17 columns."""
    return scores.pull_width(flux, error, scores.truth_spectrum(t, slice(28, 45)))


def white(z: dict, t: dict, flux: np.ndarray) -> float:
    """Return the white-light scatter over an oracle's."""
    return scores.white_light_ratio(z, t, flux) / scores.oracle_ratio(z, t)


def ramp_quality(rows: Rows, folder: Path) -> None:
    """Measure what is left of the drift of the outputs."""
    name, ramp, t = folder.name, load(folder / "miri_ramp.npz")["data"], load(folder / "miri_ramp_truth.npz")
    for what, parameters in DRIFT.items():
        after = ramp
        if parameters is not None:
            drift = refpix.measure_reference_drift(ramp[..., :4], **parameters).drift
            after = refpix.subtract_reference_drift(ramp, drift)
        wanted = "≤ 1.6" if "auto" in what else ""
        rows.add(name, "reference_pixel", what, "{:.2f}", wanted, scores.drift_left(t, ramp, after))


def peer_quality(rows: Rows, folder: Path, peers: Path) -> None:
    """Score the outputs of ExoTiC-MIRI on the same scene by the same functions."""
    z, t = load(folder / "miri_lrs_rateints.npz"), load(folder / "miri_lrs_truth.npz")
    cleaned = load(peers / "exotic_clean_first6.npz")
    n = len(cleaned["data"])
    first = {k: v[:n] if v.ndim == 3 else v for k, v in z.items()}
    n_hits = int(t["outlier"][:n].sum())
    truth = {**t, "outlier": t["outlier"][:n], "outlier_amp_sigma": t["outlier_amp_sigma"][:n_hits]}
    flagged = cleaned["dq"] != first["dq"]
    found = scores.score_outliers(first, truth, flagged)
    rows.add_peer("clean_outliers", CAUGHT, found["caught_worst"])
    rows.add_peer("clean_outliers", FALSE, found["false"])
    rows.add_peer("background", BACKGROUND, background_error(t, load(peers / "exotic_bkg_rowwise.npz")["bkg_per_row"]))
    box, best = load(peers / "exotic_box.npz"), load(peers / "exotic_opt_medianprofile1.npz")
    rows.add_peer("extraction", PULL["box"], pull(t, box["spec"].astype(float), box["err"]))
    rows.add_peer("extraction", PULL["optimal"], pull_optimal(t, best["spec"].astype(float), best["err"]))
    rows.add_peer("extraction", WHITE, white(z, t, box["spec"].astype(float)))
    moved = load(peers / "exotic_align.npz")
    either_sign = zip(
        scores.shift_errors(t, moved["x"], moved["y"]), scores.shift_errors(t, -moved["x"], -moved["y"]), strict=True
    )
    for what, values in zip(SHIFTS, either_sign, strict=True):
        rows.add_peer("align_spectra", what, min(values))
    ramp, drift = load(folder / "miri_ramp.npz")["data"][:1], load(folder / "miri_ramp_truth.npz")["drift"][:1, ::5]
    for what, length, name in PEER_DRIFT:
        ours = refpix.measure_reference_drift(ramp[..., :4], smoothing_length=length).drift
        ours = refpix.subtract_reference_drift(ramp, ours)[:, ::5]
        theirs = load(peers / f"exotic_refpix_{name}_int0.npz")["data"][None]
        of_ours, of_theirs = (scores.drift_left({"drift": drift}, ramp[:, ::5], after) for after in (ours, theirs))
        rows.add(folder.name, "reference_pixel", what, "{:.2f}", "", of_ours)
        rows.add_peer("reference_pixel", what, of_theirs)


def linearity_quality(rows: Rows, seed: int) -> None:
    """Measure how straight long simulated ramps come out with a correction of their own."""
    from detectorist.simulate.lrs.scene import LrsScene

    n_groups = 100
    scene = LrsScene.for_long_ramps(n_groups).without("cosmic_rays", "bad_pixels", "transit")
    exposure = scene.observe(ints=4, groups=n_groups, segments=1, seed=seed)
    raw = np.stack([exposure.read_out(i).raw for i in range(3)]).astype(np.float32)
    fit = linearity.fit_linearity(raw, row_idx_start_used=300, row_idx_end_used=380)
    noiseless = scene.without("photon_noise", "read_noise", "emi", "drift", "reset_noise", "cosmic_rays")
    quiet = noiseless.observe(ints=4, groups=n_groups, segments=1, seed=seed).read_out(0).raw[None].astype(float)
    for what, ramps in (
        ("last group of bright ramps off the straight line, raw, % of the rise", quiet),
        ("the same after the correction", linearity.correct_linearity(quiet, fit.coefficients)),
    ):
        rows.add(f"seed {seed}", "linearity", what, "{:.3f}", "", bend_pct(ramps[0, 10:-1, 300:380, 34:39]))


def bend_pct(ramps: np.ndarray) -> float:
    """Return how far the last group of bright ramps is from the line through groups 10 to 40, % of the rise, median."""
    groups = np.arange(len(ramps))
    flat = ramps.reshape(len(ramps), -1)
    rise = flat[-1] - flat[0]
    flat = flat[:, rise > 0.7 * rise.max()]
    line = np.polynomial.polynomial.polyfit(groups[:30], flat[:30], 1)
    left = flat[-1] - np.polynomial.polynomial.polyval(groups[-1], line)
    return float(np.median(100 * np.abs(left) / (flat[-1] - flat[0])))


def cpu_times(rows: Rows, folder: Path) -> None:
    """Measure CPU time in passes over the data."""
    z, ramp = load(folder / "miri_lrs_rateints.npz"), load(folder / "miri_ramp.npz")
    for name, asked, call, arrays in lrs.timed_calls(z, ramp):
        topic, what = TOPIC_OF_TIME[name], f"CPU time of {name}, passes over the data"
        rows.add(folder.name, topic, what, "{:.0f}", f"≤ {asked}", passes(call, arrays))
        if name in PEER_PASSES:
            rows.add_peer(topic, what, PEER_PASSES[name])


def end_to_end(rows: Rows, n_seeds: int, n_ints: int) -> None:
    """Simulate, reduce and compare whole exposures; measure linearity on long ramps."""
    from detectorist.modes.lrs.reduction import reduce_exposure
    from detectorist.reduction.runner import Request
    from detectorist.simulate.lrs.comparison import compare_lrs
    from detectorist.simulate.lrs.scene import LrsScene

    linearity_quality(rows, seed=1)
    small_exposures(rows, 2 * n_seeds)
    for seed in range(1, n_seeds + 1):
        with tempfile.TemporaryDirectory() as folder:
            raw = Path(folder) / "raw"
            files = LrsScene().write(raw, ints=n_ints, groups=20, segments=2, seed=seed)
            request = Request(files, Path(folder) / "out", references=str(raw / "crds"))
            start = time.process_time()
            spectra = reduce_exposure(request).spectra
            seconds = time.process_time() - start
            got = compare_lrs(spectra.dataset, raw / "truth.nc")
        scene = f"seed {seed}"
        for what, form, wanted, value in (
            ("white-light scatter over that of a perfect box", "{:.2f}", "≤ 1.10", got.scatter / got.expected_scatter),
            ("mean transit depth minus truth, sigma", "{:+.1f}", "within 3", got.mean_depth_pull),
            ("transit spectrum: chi2 per bin", "{:.2f}", "about 1", got.chi2 / got.depth.size),
            (f"CPU time of the reduction, {n_ints} integrations of 20 groups, s", "{:.0f}", "", seconds),
        ):
            rows.add(scene, "end_to_end", what, form, wanted, value)


def small_exposures(rows: Rows, n_seeds: int) -> None:
    """Measure what needs raw exposures and little of them: groups left out, times, wavelengths, parts of ramps."""
    from detectorist.algorithms.ramps import groups
    from detectorist.simulate.lrs.scene import LrsScene

    sound = LrsScene().without("reset_decay", "rscd", "last_frame")
    found = {"spoilt at the end": 0, "spoilt at the start": 0, "false": 0}
    for seed in range(1, n_seeds + 1):
        for scene in (LrsScene(), sound):
            exposure = scene.observe(ints=3, groups=20, segments=1, seed=seed)
            raw = np.stack([exposure.read_out(i).raw for i in range(3)]).astype(np.float32)
            dropped = groups.find_spoiled_groups(groups.stack_differences(raw)).groups
            if scene is sound:
                found["false"] += bool(dropped)
            else:
                found["spoilt at the end"] += 19 in dropped
                found["spoilt at the start"] += 0 in dropped
    of = f"{n_seeds} exposures of 3 integrations"
    for what, key, wanted in (
        ("the last group, pulled down, is found", "spoilt at the end", "all"),
        ("the first group, after the reset, is found", "spoilt at the start", "all"),
        ("exposures without either effect that lose a group", "false", "none"),
    ):
        rows.add(of, "drop_groups", what, "{:.0%}", wanted, found[key] / n_seeds)
    with tempfile.TemporaryDirectory() as folder:
        times_and_wavelengths(rows, Path(folder))


def times_and_wavelengths(rows: Rows, folder: Path) -> None:
    """Measure times with the table and without it, wavelengths, and slopes of parts of ramps."""
    import xarray as xr
    from jwst.assign_wcs import AssignWcsStep
    from jwst.srctype import SourceTypeStep
    from stdatamodels.jwst.datamodels import CubeModel, RampModel

    from detectorist.crds_source import use_references
    from detectorist.reference import GetIntegrationTimes, GetWavelengthMap
    from detectorist.simulate.lrs.scene import LrsScene
    from detectorist.stage_1 import RegroupStep

    (file,) = LrsScene().write(folder, ints=6, groups=12, segments=1, seed=1)
    use_references(folder / "crds")
    with xr.open_dataset(folder / "truth.nc") as opened:
        truth = opened.load()
    ramps = RampModel(file)
    table, _ = GetIntegrationTimes.call(ramps)
    error = 86400 * np.abs(table["int_mid_MJD_UTC"] - truth["time_mjd_utc"].values).max()
    rows.add("seed 1", "times", "middle of an integration, with the table of the file, error, s", "{:.1e}", "", error)
    with RampModel(file) as bare:
        bare.int_times = None
        table, _ = GetIntegrationTimes.call(bare)
    error = 86400 * np.abs(table["int_mid_MJD_UTC"] - truth["time_mjd_utc"].values).max()
    rows.add("seed 1", "times", "without it, from the header, error, s", "{:.1e}", "", error)
    rates = CubeModel(np.ones((1, *ramps.data.shape[-2:]), np.float32))
    rates.update(ramps)
    rates.meta.exposure.type = "MIR_LRS-SLITLESS"
    wavelengths = GetWavelengthMap.call(SourceTypeStep.call(AssignWcsStep.call(rates)))[:, 36]
    known = truth["wavelength"].values
    useful = (known > 5) & (known < 12)
    error = np.abs(wavelengths - known)[useful].max()
    rows.add("seed 1", "times", "wavelength at the trace, 5 to 12 micron, largest error, micron", "{:.1e}", "", error)
    parts = RegroupStep.call(ramps, n_groups=6)
    same = np.array_equal(parts.data.reshape(ramps.data.shape), ramps.data)
    rows.add("seed 1", "reshaping", "groups of a ramp that are the same bits in its parts", "{:.0%}", "all", same)


def load(path: Path) -> dict[str, np.ndarray]:
    """Return the arrays of a file."""
    with np.load(path) as stored:
        return {name: stored[name] for name in stored.files}
