"""What is measured for the validation tables of coronagraphy: called by `validation.py`."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np

import coron
import coron_scores as scores
from detectorist.algorithms.combine import combine_integrations
from detectorist.algorithms.ramps.mask_groups import match_groups
from detectorist.algorithms.ramps.pseudo_refpix import measure_reference_drift
from measure import passes, robust_std
from validated import Figure

#: The scene that the outputs of other packages belong to.
PEER_SCENE = "20261120"
#: CPU time of spaceKLIP in passes over the data, on the same scene and by the same definition.
PEER_PASSES = {"subtract_1overf": 9_900, "subtract_ktc": 182, "rateints_outliers": 400}


def figures(folder: Path, *, times: bool) -> Iterator[Figure]:
    """Measure one scene."""
    exposure = coron.load(folder)
    peers = Path(os.environ.get("DETECTORIST_PEERS", "")) if folder.name == PEER_SCENE else None
    peers = peers if peers and (peers / "spaceklip_outliers.npz").is_file() else None
    yield from ktc_figures(exposure)
    yield from stripe_figures(exposure, peers)
    yield from outlier_figures(exposure, peers)
    yield from combined_figures(exposure)
    yield from drift_figures(seed=int(folder.name) if folder.name.isdigit() else 1)
    yield from group_figures(seed=int(folder.name) if folder.name.isdigit() else 1)
    if times:
        for topic, asked, call, data in (
            ("subtract_1overf", 2500, exposure.stripes, exposure.z["data"]),
            ("subtract_ktc", 60, exposure.ktc, exposure.ramp["data"]),
            ("rateints_outliers", 150, exposure.outliers, exposure.z["data"]),
        ):
            what = "CPU time, passes over the data"
            yield Figure(topic, what, passes(call, [data]), f"≤ {asked}", "{:.0f}", PEER_PASSES[topic])


def ktc_figures(exposure) -> Iterator[Figure]:
    """Measure what is left of the offsets of resets. What spaceKLIP leaves was measured once, on the same scene."""
    truth = exposure.ramp_truth
    left, with_jump = scores.offsets_left(exposure.ramp, truth, exposure.ktc().offset)
    yield Figure("subtract_ktc", "kTC noise put in, DN rms", float(truth["ktc"].std()), "", "{:.1f}")
    yield Figure("subtract_ktc", "left, DN rms", left, "≤ 13.5", "{:.2f}", 13.4)
    yield Figure("subtract_ktc", "left on ramps with a jump, DN rms", with_jump, "≤ 20", "{:.1f}", 837.0)


def stripe_figures(exposure, peers: Path | None) -> Iterator[Figure]:
    """Measure what is left of 1/f noise, on rates and on ramps."""
    z, t = exposure.z, exposure.t
    found = exposure.stripes()
    ways = {"before any correction": z["data"], "left": z["data"] - found.stripes}
    for model_type in ("savgol", "median"):
        ways[f"`{model_type}`, left"] = z["data"] - exposure.stripes(model_type).stripes
    theirs = {"rows": 0.089, "pixels": 0.49} if peers else {}
    for key, asked in (("rows", "≤ 0.075"), ("pixels", "≤ 0.40")):
        for name, cube in ways.items():
            value = scores.stripes_left(z, t, cube)[key]
            own = name == "left"
            yield Figure(
                "subtract_1overf",
                f"1/f noise of {key} of an integration, {name}, DN/s rms",
                value,
                asked if own else "",
                "{:.4f}",
                theirs.get(key) if own else None,
            )
    halo = scores.stripes_left(z, t, ways["left"])["halo_pct"]
    yield Figure("subtract_1overf", "light of the halo changed, %", halo, "< 0.5", "{:.2f}")
    taken = float(np.abs(exposure.companion_changes(seed=1)).max())
    what = f"flux of {coron.N_COMPANIONS} companions of 3 to 40 sigma, one at a time, most changed, sigma"
    yield Figure("subtract_1overf", what, taken, "< 0.2", "{:.3f}")
    each, mean = scores.pulls(z, t, ways["left"], found.variance, found.mean_variance)
    yield Figure("subtract_1overf", "pull width, rates of integrations", each, "0.95–1.05", "{:.3f}")
    yield Figure("subtract_1overf", "pull width, rate of the exposure", mean, "0.95–1.05", "{:.3f}")
    ramp, truth = exposure.ramp, exposure.ramp_truth
    for name, data, asked in (
        ("before any correction", ramp["data"], ""),
        ("left", ramp["data"] - exposure.ramp_stripes().stripes, "≤ 0.080"),
        ("no 1/f noise at all", ramp["data"] - truth["oneoverf"], ""),
    ):
        value = scores.slope_rows(ramp, truth, data, exposure.times)
        peer = 0.095 if peers and name == "left" else None
        what = f"on groups: rows of the slopes, {name}, DN/s rms"
        yield Figure("subtract_1overf", what, value, asked, "{:.4f}", peer)


def outlier_figures(exposure, peers: Path | None) -> Iterator[Figure]:
    """Measure what is found of the outliers, and what else."""
    z, t = exposure.z, exposure.t
    caught, false = scores.outliers_found(z, t, exposure.outliers().flagged)
    theirs: tuple[float | None, float | None] = (None, None)
    if peers:
        stored = np.load(peers / "spaceklip_outliers.npz")
        flags = np.unpackbits(stored[stored.files[0]], axis=-1)[..., : z["data"].shape[-1]].astype(bool)
        theirs = scores.outliers_found(z, t, flags.reshape(z["data"].shape))
    what = "outliers of 15 sigma and more found"
    yield Figure("rateints_outliers", what, caught, "≥ 97 %", "{:.1%}", theirs[0])
    yield Figure("rateints_outliers", "false outliers", false, "≤ 2", "{:.0f}", theirs[1])


def combined_figures(exposure) -> Iterator[Figure]:
    """Measure scatter and errors of the combined rate, of integrations of which a fifth is three times as noisy."""
    rng = np.random.default_rng(1)
    shape = (10, 200, 200)
    spread = np.where(rng.random(shape) < 0.2, 3.0, 1.0)
    rates, usable = 5.0 + spread * rng.normal(size=shape), rng.random(shape) > 0.02
    got = combine_integrations(rates, ~usable, np.zeros(shape), spread**2)
    plain = np.nanmean(np.where(usable, rates, np.nan), axis=0)
    pull = robust_std((got.rate - 5.0) / np.sqrt(got.var_read))
    yield Figure("combine", "pull width of the combined rate", pull, "0.95–1.05", "{:.3f}")
    gain = float(got.rate.std() / plain.std())
    yield Figure("combine", "its scatter over that of an unweighted mean", gain, "< 1", "{:.2f}")


def drift_figures(seed: int) -> Iterator[Figure]:
    """Measure what is left of drifts of the level, and of odd against even columns, in ramps of a subarray."""
    rng = np.random.default_rng(seed)
    shape, times = (10, 5, 160, 160), np.arange(1, 6)
    level, parity = 8 * rng.normal(size=shape[:2]), 4 * rng.normal(size=shape[:2])
    columns = np.where(np.arange(160) % 2, 1.0, -1.0)
    drift = level[..., None, None] + parity[..., None, None] * columns
    ramp = (drift + 3.0 * times[:, None, None] + 8 * rng.normal(size=shape)).astype(np.float32)
    found = measure_reference_drift(ramp, np.zeros(shape, bool), times)
    after = found.subtract(ramp)

    def of_groups(cube):
        # What all integrations share is the scene's.
        means = cube.mean(axis=(2, 3)) - cube.mean(axis=(0, 2, 3))
        return float((means - means.mean(axis=1, keepdims=True)).std())

    yield Figure(
        "saturation_refpix", "drift of the level put in, DN rms", of_groups(drift + 3.0 * times[:, None, None])
    )
    yield Figure("saturation_refpix", "left after pseudo reference pixels, DN rms", of_groups(after))
    still = (ramp - drift).astype(np.float32)
    quiet = measure_reference_drift(still, np.zeros(shape, bool), times)
    added = float(np.abs(quiet.levels).max())
    yield Figure("saturation_refpix", "most subtracted where nothing drifts, DN", added, "0", "{:.2g}")


def group_figures(seed: int) -> Iterator[Figure]:
    """Measure the last group of a reference star that is brighter by a known factor."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[:128, :128]
    star = 4000 / (1 + (np.hypot(rows - 64, columns - 64) / 6) ** 2)
    wrong = []
    for kept in range(2, 9):
        ramp = np.stack([group * star for group in range(1, 11)]) + 5 * rng.normal(size=(10, 128, 128))
        target = (kept + 1) * star + 5 * rng.normal(size=star.shape)
        match = match_groups(ramp, [target], centre=(64, 64), science_centres=[(64, 64)])
        wrong.append(abs(match.faint - kept))
    what = "error of the last group kept, of 7 brightnesses, largest"
    yield Figure("mask_groups", what, max(wrong), "0", "{:.0f}")
