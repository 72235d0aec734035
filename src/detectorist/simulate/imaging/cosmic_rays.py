"""Energetic particles in NIRCam ramps: single hits and snowballs, frame by frame of one integration."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from detectorist.simulate.core import detector
from detectorist.simulate.core.random_streams import stream
from detectorist.simulate.imaging.components import DetectorHits, Snowballs

#: Pixels of the whole detector: rates of events are for all of them.
FRAME_PIX = 2048**2


@dataclass(frozen=True)
class Snowball:
    """One large event.

    Attributes
    ----------
    frame : int
        First frame (from 0, counting every frame since the reset) that holds its charge.
    y, x : float
        Centre, pixel.
    radius, core_radius : float
        Of the halo and of the saturated core at the time of the hit, pixel.
    seed : tuple of int
        Of the ragged edge.
    """

    frame: int
    y: float
    x: float
    radius: float
    core_radius: float
    seed: tuple[int, int, int]


def draw_hits(
    hits: DetectorHits, shape: tuple[int, int, int], frame_s: float, rng: np.random.Generator
) -> detector.CosmicRays:
    """Draw single hits for all frames, shape (n_frames, ny, nx): `group` of the result counts frames; sorted by it."""
    share = shape[1] * shape[2] / FRAME_PIX
    struck = detector.draw_cosmic_rays(
        shape,
        rng,
        hits_per_group=hits.hits_per_s * share * frame_s,
        median_charge_e=hits.median_charge_e,
        spread_dex=hits.spread_dex,
        neighbour_fraction=hits.neighbour_fraction,
    )
    order = np.argsort(struck.group, kind="stable")
    return detector.CosmicRays(struck.group[order], struck.row[order], struck.column[order], struck.charge_e[order])


def draw_snowballs(
    snowballs: Snowballs, shape: tuple[int, int, int], frame_s: float, seed: int, integration: int
) -> list[Snowball]:
    """Draw the snowballs of one integration of shape (n_frames, ny, nx), in the order of time."""
    rng = stream(seed, "snowballs", integration)
    n_frames, ny, nx = shape
    n = rng.poisson(snowballs.per_s * ny * nx / FRAME_PIX * n_frames * frame_s)
    low, high, slope = snowballs.min_radius_pix, snowballs.max_radius_pix, snowballs.slope
    lot = rng.random(n)
    radius = (low**-slope - lot * (low**-slope - high**-slope)) ** (-1 / slope)
    frames, ys, xs = np.sort(rng.integers(0, n_frames, n)), rng.uniform(0, ny, n), rng.uniform(0, nx, n)
    return [
        Snowball(
            int(frames[k]), float(ys[k]), float(xs[k]), float(radius[k]), float(snowballs.core_fraction * radius[k]),
            (seed, integration, k),
        )
        for k in range(n)
    ]  # fmt: skip


def _box(event: Snowball, half: int, shape: tuple[int, int]) -> tuple[slice, slice] | None:
    row, column = round(event.y), round(event.x)
    rows = slice(max(row - half, 0), min(row + half + 1, shape[0]))
    columns = slice(max(column - half, 0), min(column + half + 1, shape[1]))
    return (rows, columns) if rows.start < rows.stop and columns.start < columns.stop else None


def _distance(event: Snowball, box: tuple[slice, slice]) -> np.ndarray:
    yy, xx = np.mgrid[box]
    return np.hypot(yy - event.y, xx - event.x)


def deposit(event: Snowball, snowballs: Snowballs, electrons: np.ndarray, full_well_e: float) -> None:
    """Add the charge of a snowball to `electrons` (ny, nx), in place.

    The halo falls off exponentially from beside the core to its edge; the core contains more than the full well.
    """
    box = _box(event, int(event.radius + 4 * snowballs.ragged_pix) + 2, electrons.shape)
    if box is None:
        return
    distance = _distance(event, box)
    rng = np.random.default_rng(event.seed)
    ragged = distance + snowballs.ragged_pix * rng.normal(size=distance.shape)
    span = max(event.radius - event.core_radius, 1e-3)
    fall = np.log(snowballs.core_charge_e / snowballs.edge_charge_e)
    charge = snowballs.core_charge_e * np.exp(-fall * np.clip((ragged - event.core_radius) / span, 0, None))
    charge = np.where(ragged < event.radius, rng.poisson(charge), 0)
    electrons[box] += np.where(distance < event.core_radius, 3 * full_well_e, charge).astype(electrons.dtype)


def widen(event: Snowball, snowballs: Snowballs, electrons: np.ndarray, full_well_e: float, age_s: float) -> None:
    """Let charge of the core spill into the ring around it, in place: `age_s` after the event."""
    radius = core_radius(event, snowballs, age_s)
    box = _box(event, int(radius) + 2, electrons.shape)
    if box is not None:
        part = electrons[box]
        part[_distance(event, box) < radius] = full_well_e


def core_radius(event: Snowball, snowballs: Snowballs, age_s: float) -> float:
    """Return the radius of the full core at an age, pixel."""
    return event.core_radius + snowballs.widening_pix * (1 - np.exp(-age_s / snowballs.widening_s))


def afterglow(
    events: list[Snowball], snowballs: Snowballs, shape: tuple[int, int], n_frames: int, frame_s: float
) -> np.ndarray | None:
    """Return the current (e-/s) in this integration from cores of the one before; None without events."""
    if not events:
        return None
    current = np.zeros(shape, np.float32)
    for event in events:
        age_s = (n_frames - event.frame) * frame_s
        radius = core_radius(event, snowballs, age_s)
        box = _box(event, int(radius) + 2, shape)
        if box is not None:
            glow = snowballs.afterglow_e_s * np.exp(-age_s / snowballs.afterglow_s)
            current[box] = np.maximum(current[box], np.where(_distance(event, box) < radius, glow, 0.0))
    return current
