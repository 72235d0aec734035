"""The engine's large events against those of the installed stcal and scikit-image, flag by flag."""

import types

import numpy as np
import pytest

from detectorist.engine.ellipses import ellipse_of
from detectorist.engine.snowballs import SnowballRule, flag_large_events


def random_flags(rng, shape, hostile=False):
    """Flags with cosmic rays, clusters, rings, saturated stars and growing snowballs."""
    n_ints, n_groups, ny, nx = shape
    flags = np.zeros(shape, np.uint8)
    y, x = np.ogrid[:ny, :nx]
    density = 0.15 if hostile else 0.003
    seeds = rng.random(shape) < density / 5
    for dy, dx in ((0, 0), (0, 1), (1, 0), (0, -1), (-1, 0)):
        flags |= np.where(np.roll(seeds, (dy, dx), (2, 3)), 4, 0).astype(np.uint8)
    for _ in range(60 if hostile else 15):
        i, g = rng.integers(n_ints), rng.integers(n_groups)
        cy, cx, radius, flat = rng.uniform(0, ny), rng.uniform(0, nx), rng.exponential(5), rng.uniform(0.3, 1)
        turn = rng.uniform(0, np.pi)
        u, v = (x - cx) * np.cos(turn) + (y - cy) * np.sin(turn), (y - cy) * np.cos(turn) - (x - cx) * np.sin(turn)
        distance = np.hypot(u, v / flat)
        kind = rng.integers(4)
        if kind < 2:  # snowball: core and ring
            core = distance < radius * 0.6
            flags[i, g][(distance < radius * 1.6) & ~core] |= 4
            flags[i, g:, core] = 2
            if kind == 1:  # diluted in its first group
                flags[i, g, core] = 4
        elif kind == 2:
            flags[i, g][np.abs(distance - radius) < 0.7] |= 4
        else:
            flags[i, :, distance < radius] |= 2
    flags[rng.random(shape) < 0.01] |= 1
    flags[rng.random(shape) < 0.0005] |= 2
    return flags


def stock_events(flags, rule):
    from stcal.jump.jump import flag_large_events as stock

    settings = types.SimpleNamespace(
        min_sat_area=rule.min_sat_area,
        min_jump_area=rule.min_jump_area,
        sat_required_snowball=rule.sat_required,
        expand_factor=rule.expand_factor,
        min_sat_radius_extend=rule.min_sat_axis,
        sat_expand=rule.sat_expand,
        edge_size=rule.edge_size,
        max_extended_width=rule.max_axis,
        mask_persist_grps_next_int=rule.mask_next_int,
        persist_grps_flagged=rule.next_int_groups,
        fl_jump=4,
        fl_sat=2,
    )
    return stock(flags.copy(), 4, 2, settings)


def compare(seed):
    rng = np.random.default_rng(seed)
    shape = (int(rng.integers(1, 4)), int(rng.integers(3, 7)), int(rng.integers(40, 140)), int(rng.integers(40, 140)))
    rule = SnowballRule(
        min_jump_area=float(rng.choice([5, 15, 9, 1])),
        min_sat_area=float(rng.choice([1, 1, 4])),
        expand_factor=float(rng.choice([2.0, 1.75, 2.3])),
        sat_required=bool(rng.random() < 0.8),
        min_sat_axis=float(rng.choice([2.5, 5.0, 0.5])),
        sat_expand=float(rng.choice([4, 8])),
        edge_size=int(rng.choice([25, 0, 10])),
        max_axis=float(rng.choice([400, 30])),
        mask_next_int=bool(rng.random() < 0.7),
        next_int_groups=int(rng.choice([0, 1, 3, 250])),
    )
    flags = random_flags(rng, shape, hostile=seed % 4 == 0)
    before = flags.copy()
    wanted, n_events = stock_events(flags, rule)
    got = flag_large_events(flags, rule)
    what = f"seed {seed}, {shape}, {rule}"
    np.testing.assert_array_equal(got.groupdq, wanted, err_msg=what)
    assert got.n_events == n_events, what
    np.testing.assert_array_equal(flags, before, err_msg=f"input changed, {what}")


@pytest.mark.parametrize("seed", range(10))
def test_flags_are_those_of_stcal(seed):
    compare(seed)


@pytest.mark.long
@pytest.mark.parametrize("block", range(10))
def test_a_thousand_cases(block):
    for seed in range(1000 + 100 * block, 1100 + 100 * block):
        compare(seed)


def test_ellipses_are_those_of_scikit_image():
    """Symmetric shapes, lines and single pixels included: there the last bit decides."""
    measure = pytest.importorskip("skimage.measure")
    rng = np.random.default_rng(5)
    shapes = [np.ones((1, 1)), np.ones((1, 5)), np.ones((3, 3)), np.eye(4), np.eye(4)[::-1]]
    plus = np.zeros((3, 3))
    plus[1], plus[:, 1] = 1, 1
    shapes += [plus, np.pad(plus, 1, mode="edge")]
    for _ in range(200):
        image = rng.random(rng.integers(1, 30, 2)) < rng.uniform(0.3, 0.9)
        label = measure.label(image)
        shapes += [region.image for region in measure.regionprops(label)[:3]]
    for image in shapes:
        region = measure.regionprops(np.asarray(image, np.uint8))[0]
        got = ellipse_of(region.image)
        assert got.major == region.axis_major_length - 1
        assert got.minor == region.axis_minor_length - 1
        assert got.angle_deg == np.degrees(region.orientation)
