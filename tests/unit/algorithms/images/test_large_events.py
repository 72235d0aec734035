"""Regions of jumps are told from scattered ones."""

import numpy as np

from detectorist.algorithms.images.large_events import large_events, levels_of_events


def test_regions_are_found_with_what_is_about_them():
    y, x = np.mgrid[:101, :130]
    disc = np.hypot(y - 60, x - 5) < 12
    found = large_events(disc)
    assert found.shape == disc.shape
    assert found[disc].all()
    assert not found[np.hypot(y - 60, x - 5) > 22].any()


def test_scattered_jumps_and_tracks_are_no_regions(rng):
    jumps = rng.random((200, 160)) < 0.2
    jumps[50:53] = True  # a track along a row
    assert not large_events(jumps).any()
    assert not large_events(np.zeros((9, 7), bool)).any()


def test_jumps_everywhere_are_no_regions(rng):
    jumps = rng.random((200, 160)) < 0.9
    assert not large_events(jumps).any()
    jumps[:, 60:] = False
    assert large_events(jumps)[:, :50].mean() > 0.9


def test_levels_are_those_against_what_surrounds_a_region(rng):
    y, x = np.mgrid[:200, :220]
    events = np.hypot(y - 90, x - 100) < 30
    faint = np.hypot(y - 30, x - 190) < 20
    image = 0.01 * y + rng.normal(size=y.shape) - 3 * events + 0.1 * faint
    mask = np.hypot(y - 100, x - 100) < 8
    image[mask] += 500
    levels = levels_of_events(image, events | faint, mask)
    assert np.allclose(levels[events], -3, atol=0.15)
    assert not levels[~events].any()
    assert not levels_of_events(image, events, ~events).any()


def test_light_that_is_left_between_sources_is_no_level_of_a_region(rng):
    """As of a frame on which a mask hid all of a region but the outskirts of its sources."""
    y, x = np.mgrid[:200, :220]
    events = np.hypot(y - 90, x - 100) < 60
    seen = events & (np.hypot(y - 90, x - 60) < 12)
    assert seen.sum() > 400
    image = rng.normal(size=y.shape) + 3 * seen
    assert not levels_of_events(image, events, events & ~seen).any()


def test_structure_of_light_is_no_level_of_a_region(rng):
    """As of a nebula: the region stands out, and so would others near it."""
    y, x = np.mgrid[:400, :420]
    light = 3 * np.sin(x / 25) * np.sin(y / 25)
    events = np.hypot(y - 198, x - 196) < 24
    noise = rng.normal(size=y.shape)
    assert light[events].mean() > 2
    assert not levels_of_events(light + noise, events, ~np.isfinite(noise)).any()
    levels = levels_of_events(noise + 2 * events, events, ~np.isfinite(noise))
    assert np.allclose(levels[events], 2, atol=0.15)
    # Light that is masked beside a region, and not within it.
    lit = rng.random(y.shape) < 0.6
    assert not levels_of_events(noise + 2 * lit, events, ~events & lit).any()
    # Where nothing near tells, a region is compared with what surrounds it alone.
    away = np.hypot(y - 198, x - 196) > 60
    levels = levels_of_events(noise + 2 * events, events, away)
    assert np.allclose(levels[events], 2, atol=0.15)
