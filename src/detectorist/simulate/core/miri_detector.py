"""MIRI's detector in a subarray: its fixed patterns, and the readout of one integration."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from detectorist.detectors import MIRI, MIRI_INTERFERENCE
from detectorist.simulate.core import detector
from detectorist.simulate.core.components import NonlinearityCurve
from detectorist.simulate.core.quality_flags import DEAD, DO_NOT_USE, HOT, REFERENCE_PIXEL
from detectorist.simulate.core.random_streams import stream

#: A scene of any mode: components by the names used here (those it does not have are left out), and a `subarray`.
MiriScene = Any

#: Excess rate, DN/s, from which a hot pixel is called unusable.
_HOT_UNUSABLE_DN_S = 300.0
#: Parts of the drift that all outputs share which are still there in the next group, and in the next row (ground ramps,
#: see `miri_components.MEASURED`).
_MEMORY_OF_GROUPS, _MEMORY_OF_ROWS = 0.5, 0.8
#: Response of a pixel that is unusable.
_UNUSABLE_RESPONSE = 0.5


@dataclass(frozen=True)
class FixedPatterns:
    """Fixed patterns of a detector, the same in all exposures, shape (ny, nx) each.

    Attributes
    ----------
    flat : ndarray of float
        Relative sensitivity, 1 on reference pixels.
    response : ndarray of float
        Factor by which light is multiplied: the flat, 0 on dead and reference pixels.
    pedestal_dn : ndarray of float
        Zero level.
    dark_e_s, hot_dn_s : ndarray of float
        Dark current; excess rate of hot pixels.
    reset_pattern : ndarray of float
        Relative amplitude of the reset decay, 0 on reference pixels.
    dq : ndarray of uint32
        Flags of bad and reference pixels, as in the data-quality table.
    """

    flat: np.ndarray
    response: np.ndarray
    pedestal_dn: np.ndarray
    dark_e_s: np.ndarray
    hot_dn_s: np.ndarray
    reset_pattern: np.ndarray
    dq: np.ndarray


def shape_of(scene: MiriScene) -> tuple[int, int]:
    """Return (n_rows, n_cols) of a scene's subarray."""
    return scene.subarray.n_rows, scene.subarray.n_cols


def fixed_patterns(scene: MiriScene) -> FixedPatterns:
    """Draw the fixed patterns of a scene's detector from its serial number, independent of the exposure's seed."""
    shape = shape_of(scene)

    def normal(name: str) -> np.ndarray:
        return stream(scene.detector.serial, name).normal(size=shape)

    light = np.ones(shape)
    light[:, : MIRI.n_reference_cols] = 0.0
    flat = 1 + scene.flat.scatter * normal("flat") if scene.has("flat") else np.ones(shape)
    flat = np.where(light > 0, flat, 1.0)
    dark = np.zeros(shape)
    if scene.has("dark"):
        dark = scene.dark.rate_e_s * np.clip(1 + scene.dark.scatter * normal("dark"), 0, None) * light
    reset = np.zeros(shape)
    if scene.has("reset_decay"):
        reset = (1 + scene.reset_decay.scatter * normal("reset_decay")) * light
    dq, hot, quality = _bad_pixels(scene)
    dq[:, : MIRI.n_reference_cols] = REFERENCE_PIXEL
    return FixedPatterns(
        flat=flat,
        response=flat * quality * light,
        pedestal_dn=scene.detector.pedestal_dn + scene.detector.pedestal_scatter_dn * normal("pedestal"),
        dark_e_s=dark,
        hot_dn_s=hot * light,
        reset_pattern=reset,
        dq=dq,
    )


def _bad_pixels(scene: MiriScene) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return flags, excess rate (DN/s) and relative response of the bad pixels."""
    shape = shape_of(scene)
    dq, hot, response = np.zeros(shape, np.uint32), np.zeros(shape), np.ones(shape)
    if not scene.has("bad_pixels"):
        return dq, hot, response
    bad = scene.bad_pixels
    rng = stream(scene.detector.serial, "bad_pixels")
    lot = rng.random(shape)
    rate = np.exp(rng.uniform(*np.log(bad.hot_dn_s), size=shape))
    edges = np.cumsum([bad.hot_fraction, bad.dead_fraction, bad.unusable_fraction])
    is_hot = lot < edges[0]
    is_dead = (lot >= edges[0]) & (lot < edges[1])
    is_unusable = (lot >= edges[1]) & (lot < edges[2])
    hot[is_hot] = rate[is_hot]
    response[is_dead], response[is_unusable] = 0.0, _UNUSABLE_RESPONSE
    dq[is_hot] |= HOT
    dq[is_hot & (rate >= _HOT_UNUSABLE_DN_S)] |= DO_NOT_USE
    dq[is_dead] |= DO_NOT_USE | DEAD
    dq[is_unusable] |= DO_NOT_USE
    return dq, hot, response


def collected_rate(scene: MiriScene, patterns: FixedPatterns, light_dn_s: np.ndarray) -> np.ndarray:
    """Return the rate collected under `light_dn_s` (ny, nx), dark current and hot pixels included, DN/s."""
    return light_dn_s * patterns.response + patterns.hot_dn_s + patterns.dark_e_s / scene.detector.gain


def response_curve(scene: MiriScene) -> detector.Nonlinearity:
    """Return the nonlinearity of a scene: 1:1 where it is left out."""
    left_out = NonlinearityCurve(coefficients=(0.0, 1.0))
    return (scene.nonlinearity if scene.has("nonlinearity") else left_out).curve()


def reset_decay(scene: MiriScene, patterns: FixedPatterns, n_groups: int, *, first: bool) -> np.ndarray:
    """Return the reset decay of one integration, shape (n_groups, ny, nx), DN; `first` of the exposure or later."""
    if not scene.has("reset_decay"):
        return np.zeros((n_groups, *shape_of(scene)))
    amplitude, time_constant = scene.reset_decay.of(first=first)
    return amplitude * detector.decay(n_groups, time_constant) * patterns.reset_pattern


@dataclass(frozen=True)
class Readout:
    """One integration as the converter wrote it, with the random draws behind it.

    Attributes
    ----------
    raw : ndarray of uint16, shape (n_groups, ny, nx)
    drift : Drift or None
    cosmic_rays : CosmicRays or None
    emi_phase_cycles : float
        Phase of the interference when the first pixel is read; NaN where it is left out.
    """

    raw: np.ndarray
    drift: detector.Drift | None
    cosmic_rays: detector.CosmicRays | None
    emi_phase_cycles: float


def read_out(
    scene: MiriScene,
    patterns: FixedPatterns,
    light_dn_s: np.ndarray,
    *,
    n_groups: int,
    seed: int,
    integration: int,
    first: bool | None = None,
) -> Readout:
    """Expose the detector to `light_dn_s` (ny, nx) for one integration.

    integration : int
        It selects the random streams.
    first : bool, optional
        Whether it is the first of its exposure, which starts differently. By default when `integration` is 0.
    """
    first = integration == 0 if first is None else first
    gain, frame_s = scene.detector.gain, scene.subarray.frame_time_s
    rate = collected_rate(scene, patterns, light_dn_s)
    photons = stream(seed, "photon_noise", integration) if scene.has("photon_noise") else None
    electrons = detector.accumulate_photons(rate * gain, frame_s, n_groups, photons)
    cosmic_rays = _strike(scene, electrons, seed, integration)
    np.minimum(electrons, scene.detector.full_well_e, out=electrons)
    charge_dn = electrons / gain
    if scene.has("rscd"):
        fraction = scene.rscd.first_fraction if first else scene.rscd.fraction
        missing = fraction * rate * frame_s * n_groups
        charge_dn -= missing * detector.decay(n_groups, scene.rscd.time_constant_groups)
    measured = response_curve(scene).measured(charge_dn)
    drift, phase = _add_electronics(scene, patterns, measured, seed, integration, first=first)
    return Readout(detector.digitise(measured, MIRI.max_dn), drift, cosmic_rays, phase)


def _strike(scene: MiriScene, electrons: np.ndarray, seed: int, integration: int) -> detector.CosmicRays | None:
    if not scene.has("cosmic_rays"):
        return None
    hits = scene.cosmic_rays
    struck = detector.draw_cosmic_rays(
        electrons.shape,
        stream(seed, "cosmic_rays", integration),
        hits_per_group=hits.hits_per_s * scene.subarray.frame_time_s,
        median_charge_e=hits.median_charge_e,
        spread_dex=hits.spread_dex,
        neighbour_fraction=hits.neighbour_fraction,
    )
    struck.add_to(electrons)
    return struck


def _add_electronics(
    scene: MiriScene, patterns: FixedPatterns, measured: np.ndarray, seed: int, integration: int, *, first: bool
) -> tuple[detector.Drift | None, float]:
    """Add, in place, all that has nothing to do with charge; return what was drawn."""
    n_groups = len(measured)
    n_rows, n_cols = shape_of(scene)
    drift, phase = None, float("nan")
    if scene.has("last_frame"):
        pull = np.where(np.arange(n_rows) % 2 == 0, scene.last_frame.even_dn, scene.last_frame.odd_dn)
        seen = patterns.response > 0
        measured[-1] -= seen * (pull[:, None] + scene.last_frame.fraction * measured[-1])
    if scene.has("first_frame"):
        first_group = scene.first_frame.offset_dn - scene.first_frame.parity_dn * (-1.0) ** np.arange(n_rows)
        measured[0] += first_group[:, None] * (patterns.response > 0)
    if scene.has("reset_decay"):
        measured += reset_decay(scene, patterns, n_groups, first=first)
    if scene.has("emi"):
        phase = _phase_of_interference(scene, n_groups, seed, integration)
        clocks = detector.pixel_clocks(n_rows, n_cols, row_clocks=scene.subarray.row_clocks, n_outputs=MIRI.n_outputs)
        measured += detector.interference(
            clocks,
            n_groups,
            frame_clocks=scene.subarray.frame_clocks,
            period_clocks=MIRI_INTERFERENCE.period_clocks,
            amplitudes_dn=scene.emi.amplitudes_dn,
            phase_cycles=phase,
        )
    if scene.has("drift"):
        drift = _draw_drift(scene, n_groups, seed, integration)
        measured += drift.image(n_rows, n_cols)
    measured += patterns.pedestal_dn
    if scene.has("reset_noise"):
        rng = stream(seed, "reset_noise", integration)
        measured += scene.reset_noise.rms_dn * rng.normal(size=shape_of(scene))
    if scene.has("read_noise"):
        rng = stream(seed, "read_noise", integration)
        measured += scene.read_noise.rms_dn * rng.standard_normal(measured.shape, np.float32)
    return drift, phase


def _phase_of_interference(scene: MiriScene, n_groups: int, seed: int, integration: int) -> float:
    """Return the phase, cycles, when the first pixel of an integration is read; one reset frame lies before each."""
    if not scene.emi.keep_phase:
        return float(stream(seed, "emi", integration).random())
    advance = (n_groups + 1) * scene.subarray.frame_clocks / MIRI_INTERFERENCE.period_clocks
    return float((stream(seed, "emi", 0).random() + integration * advance) % 1)


def _draw_drift(scene: MiriScene, n_groups: int, seed: int, integration: int) -> detector.Drift:
    """Draw the drift of the outputs; what all have in common has random numbers of its own."""
    size = scene.drift
    drift = detector.draw_drift(
        n_groups,
        MIRI.n_outputs,
        stream(seed, "drift", integration),
        walk_dn=size.walk_dn,
        odd_even_dn=size.odd_even_dn,
        slow_dn=size.slow_dn,
        slow_cycles=size.slow_cycles,
    )
    if not (size.common_dn or size.rows_dn):
        return drift
    rng = stream(seed, "common_drift", integration)
    common = detector.draw_correlated((1, n_groups), size.common_dn, _MEMORY_OF_GROUPS, rng)
    rows = detector.draw_correlated((n_groups, shape_of(scene)[0]), size.rows_dn, _MEMORY_OF_ROWS, rng)
    return replace(drift, level=drift.level + common.T, row_level=rows)
