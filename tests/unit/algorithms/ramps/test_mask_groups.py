"""Late groups of reference stars: the group of equal charge is found, bright pixels lose the rest."""

import numpy as np
import pytest

from detectorist.algorithms.ramps.mask_groups import GroupMatch, late_groups, match_groups
from detectorist.errors import ParameterError

N_GROUPS, NY, NX = 10, 90, 100
CENTRE = (45.0, 50.0)


def star(flux, centre=CENTRE, width=9.0):
    yy, xx = np.mgrid[:NY, :NX]
    return flux * np.exp(-0.5 * ((yy - centre[0]) ** 2 + (xx - centre[1]) ** 2) / width**2)


@pytest.fixture
def scenes(rng):
    """A reference star 2.5 times brighter than the target: equal charge after 4 of 10 groups."""
    time = np.arange(1, N_GROUPS + 1)[:, None, None]
    reference = 500 + star(250.0) * time + rng.normal(size=(N_GROUPS, NY, NX))
    science = 520 + star(100.0, (43.0, 52.0)) * N_GROUPS + rng.normal(size=(NY, NX))
    return reference, [science, science + 5]


@pytest.mark.parametrize("method", ["basic", "advanced"])
def test_group_of_equal_charge_is_found(scenes, method):
    reference, science = scenes
    got = match_groups(reference, science, centre=CENTRE, science_centres=[(43.0, 52.0)] * 2, mask_method=method)
    assert (got.faint, got.bright) == (3, 3)


def test_saturating_core_gets_a_group_of_its_own(scenes):
    """The core of the reference bends: its charge equals the target's later than that of the wings."""
    reference, science = scenes
    bent = np.minimum(reference, 500 + 1000.0 * np.linspace(0.2, 1, N_GROUPS)[:, None, None])
    got = match_groups(bent, science, centre=CENTRE, science_centres=[(43.0, 52.0)] * 2, mask_method="advanced")
    assert got.bright > got.faint
    mask = late_groups(bent[-1], N_GROUPS, got)
    core, wing = mask[:, 45, 50], mask[:, 45, 68]
    assert core.sum() < wing.sum()


def test_late_groups_are_masked_where_it_is_bright(scenes):
    reference, _ = scenes
    mask = late_groups(reference[-1], N_GROUPS, GroupMatch(3, 3))
    np.testing.assert_array_equal(mask[:, 45, 50], np.arange(N_GROUPS) > 3)
    assert not mask[:, 3, 3].any()
    narrow = late_groups(reference[-1], N_GROUPS, GroupMatch(3, 3), mask_window=0)
    assert narrow.sum() < mask.sum()
    assert late_groups(reference[-1], N_GROUPS, GroupMatch(3, 3), mask_sigma_med=1000).sum() < narrow.sum()


def test_nan_and_edges_are_survived(scenes):
    reference, science = scenes
    reference[:, 40:44, 40:44] = np.nan
    got = match_groups(reference, science, centre=CENTRE, science_centres=[(43.0, 52.0)] * 2)
    assert got.faint == 3
    spoilt = reference[-1].copy()
    spoilt[:20] = np.nan
    assert not late_groups(spoilt, N_GROUPS, got)[:, :15].any()
    corner = match_groups(reference, science, centre=(2.0, 3.0), science_centres=[(2.0, 3.0)] * 2)
    assert 0 <= corner.faint < N_GROUPS


def test_what_makes_no_sense_is_refused(scenes):
    reference, science = scenes
    places = {"centre": CENTRE, "science_centres": [CENTRE] * 2}
    with pytest.raises(ParameterError, match="basic or advanced"):
        match_groups(reference, science, mask_method="fancy", **places)
    with pytest.raises(ParameterError, match="no science exposure"):
        match_groups(reference, [], centre=CENTRE, science_centres=[])
    with pytest.raises(ParameterError, match="outside the image"):
        match_groups(reference, science, centre=(500.0, 5.0), science_centres=[CENTRE] * 2)
    with pytest.raises(ParameterError, match="0 to 9"):
        late_groups(reference[-1], N_GROUPS, GroupMatch(10, 10))
