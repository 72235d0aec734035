"""DropGroupsStep: named groups, and groups found in the data."""

from collections import deque

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from detectorist import models
from detectorist.algorithms import dq
from detectorist.errors import InputError, ParameterError
from detectorist.stage_1 import DropGroupsStep


@pytest.mark.parametrize(
    ("drop", "expected"),
    [
        ([0, 1, 2, 3, 4, -1], [0, 1, 2, 3, 4, 7]),  # the example of the ExoTiC-MIRI manual, refused there
        ([6], [6]),
        ([7, -1, -8], [0, 7]),
        (3, [3]),
    ],
)
def test_named_groups_in_all_pixels_and_integrations(make_lrs_ramp, drop, expected):
    ramp = make_lrs_ramp(n_ints=2, n_groups=8)
    step = DropGroupsStep(drop_groups=drop)
    got = step.run(ramp)
    wanted = np.zeros(8, np.uint8)
    wanted[expected] = dq.DO_NOT_USE
    assert_array_equal(got.groupdq, np.broadcast_to(wanted[:, None, None], ramp.data.shape))
    assert got.groupdq.dtype == np.uint8
    assert_array_equal(got.data, ramp.data)
    assert step.record["groups"] == expected


@pytest.mark.parametrize(
    "drop",
    [range(5), tuple(range(5)), np.arange(5), np.arange(5.0), {0, 1, 2, 3, 4}, [np.int64(0), 1, 2, 3, 4]],
)
@pytest.mark.parametrize("how", ["constructor", "call", "attribute"])
def test_indices_in_whatever_holds_numbers(make_lrs_ramp, drop, how):
    ramp = make_lrs_ramp(n_ints=1, n_groups=8)
    if how == "call":
        got = DropGroupsStep.call(ramp, drop_groups=drop)
    else:
        step = DropGroupsStep(drop_groups=drop) if how == "constructor" else DropGroupsStep()
        step.drop_groups = drop
        got = step.run(ramp)
    assert list(np.nonzero(got.groupdq[0, :, 0, 0])[0]) == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(
    "make",
    [
        lambda: (group for group in (0, 1)),
        lambda: map(int, "01"),
        {0: "a", 1: "b"}.keys,
        {"a": 0, "b": 1}.values,
        lambda: frozenset({0, 1}),
        lambda: deque([0, 1]),
    ],
    ids=["generator", "map", "keys", "values", "frozenset", "deque"],
)
@pytest.mark.parametrize("how", ["constructor", "call", "attribute"])
def test_indices_that_can_be_gone_through(make_lrs_ramp, make, how):
    """Also only once: the step can be run again."""
    ramp = make_lrs_ramp(n_ints=1, n_groups=4)
    step = DropGroupsStep(drop_groups=make()) if how == "constructor" else DropGroupsStep()
    if how == "attribute":
        step.drop_groups = make()
    results = [DropGroupsStep.call(ramp, drop_groups=make())] if how == "call" else [step.run(ramp), step.run(ramp)]
    for got in results:
        assert list(np.nonzero(got.groupdq[0, :, 0, 0])[0]) == [0, 1]


def test_flags_are_added_and_twice_is_once(make_lrs_ramp):
    ramp = make_lrs_ramp(n_ints=1, n_groups=6)
    ramp.groupdq[0, 1:4, 5, 5] = dq.JUMP_DET
    ramp.groupdq[0, 2, 6, 6] = dq.DO_NOT_USE
    once = DropGroupsStep.call(ramp, drop_groups=[2])
    assert once.groupdq[0, 2, 5, 5] == dq.JUMP_DET | dq.DO_NOT_USE
    assert once.groupdq[0, 1, 5, 5] == dq.JUMP_DET
    assert once.groupdq[0, 2, 6, 6] == dq.DO_NOT_USE
    assert_array_equal(DropGroupsStep.call(once, drop_groups=[2]).groupdq, once.groupdq)


@pytest.mark.parametrize("drop", [None, "None", []])
def test_no_group_is_skipped_with_a_message(make_lrs_ramp, drop):
    ramp = make_lrs_ramp(n_ints=1, n_groups=4)
    got = DropGroupsStep.call(ramp, drop_groups=drop)
    assert_array_equal(got.groupdq, 0)
    assert models.state(got, "drop_groups") == "SKIPPED"
    assert models.records(got)["drop_groups"]["reason"] == "no groups were given"


@pytest.mark.parametrize(
    ("drop", "message"),
    [
        ([8], r"uncal.fits: drop_groups contains 8, but there are 8 groups \(-8 to 7 are possible\)"),
        ([0, -9], "contains -9, but there are 8 groups"),
        (list(range(8)), "would drop all 8 groups; at least one must stay"),
        ([*range(7), -1], "would drop all 8 groups"),
        ("first", 'a list of integers, or "auto" is needed'),
        ([0.5], "a list of integers"),
    ],
)
def test_impossible_groups_are_refused(make_lrs_ramp, drop, message):
    with pytest.raises(ParameterError, match=message):
        DropGroupsStep.call(make_lrs_ramp(n_ints=1, n_groups=8), drop_groups=drop)


def test_flags_survive_saving_and_stock_ramp_fit(make_lrs_ramp, lrs_references, tmp_path):
    """The groups dropped have no influence on the slope."""
    from jwst.ramp_fitting import RampFitStep

    ramp = make_lrs_ramp(n_ints=1, n_groups=8)
    spoiled = ramp.copy()
    spoiled.data[:, 0] += 500
    spoiled.data[:, -1] -= 500
    for model, name in ((ramp, "clean"), (spoiled, "spoiled")):
        DropGroupsStep.call(model, drop_groups=[0, -1]).save(str(tmp_path / f"{name}.fits"))
    clean, _ = RampFitStep.call(str(tmp_path / "clean.fits"))
    got, _ = RampFitStep.call(str(tmp_path / "spoiled.fits"))
    assert_array_equal(got.data, clean.data)


def test_auto_on_simulated_ramps(tmp_path):
    """A pulled-down last group goes, few others do; a segment's choice is that of the others.

    What reset decay and RSCD add to all pixels alike goes with the background: it costs no group.
    """
    from detectorist.simulate.lrs.scene import LrsScene

    files = LrsScene().write(tmp_path / "sim", ints=6, groups=30, segments=2, seed=5)
    lists = []
    for file in files:
        step = DropGroupsStep(drop_groups="auto")
        got = step.run(str(file))
        lists.append(step.record["groups"])
        assert_array_equal(np.flatnonzero((got.groupdq & 1).all(axis=(0, 2, 3))), step.record["groups"])
    for chosen in lists:
        assert chosen[-1] == 29
        assert 1 <= len(chosen) <= 14
    assert abs(len(lists[0]) - len(lists[1])) <= 3
    clean = (
        LrsScene()
        .without("reset_decay", "rscd", "last_frame")
        .write(tmp_path / "clean", ints=4, groups=30, segments=1, seed=5)
    )
    step = DropGroupsStep(drop_groups="auto")
    step.run(str(clean[0]))
    assert step.record["groups"] == []


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_auto_needs_a_value_in_every_group(make_lrs_ramp, value):
    """The choice would be none at all, and the rates of all integrations wrong."""
    ramp = make_lrs_ramp(n_ints=2, n_groups=8)
    ramp.data[1, 3] = value
    with pytest.raises(InputError, match=r"integration 2: group 3 has no finite value.*drop_groups.drop_groups"):
        DropGroupsStep(drop_groups="auto").run(ramp)
    DropGroupsStep(drop_groups=[0, -1]).run(ramp)


def test_auto_says_where_it_cannot_tell(make_lrs_ramp, caplog):
    ramp = make_lrs_ramp(n_ints=2, n_groups=8)
    ramp.data[:] = np.arange(8)[:, None, None] * 1_000.0
    ramp.data[1] = 65_535  # one integration that is saturated leaves no pixel that is sound in all of them
    with caplog.at_level("WARNING", "detectorist"):
        step = DropGroupsStep(drop_groups="auto")
        step.run(ramp)
    assert step.record["groups"] == []
    assert "which ones depart cannot be told" in caplog.text
