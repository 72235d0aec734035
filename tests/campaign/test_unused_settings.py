"""A setting of a step that is skipped is said to have no effect."""

import pytest

from detectorist.campaign.plan import PlanRequest, gather
from detectorist.campaign.unused_settings import settings_without_effect

STEPS = {"set_custom_gain": {"skip": True, "gain_value": 6.2}, "jump": {"skip": False, "rejection_threshold": 5.0}}


@pytest.mark.parametrize("text", ["set_custom_gain.gain_value=6.2", "steps.set_custom_gain.gain_value=6.2"])
def test_a_setting_of_a_skipped_step_is_named_with_its_remedy(text):
    (note,) = settings_without_effect([text], STEPS, {}, {})
    assert note == (
        "set_custom_gain.gain_value has no effect: set_custom_gain is skipped; "
        "add --set set_custom_gain.skip=false to run it"
    )


@pytest.mark.parametrize(
    "text", ["jump.rejection_threshold=5", "set_custom_gain.skip=true", "extraction=box", "unknown.name=1"]
)
def test_settings_with_an_effect_are_not_named(text):
    assert settings_without_effect([text], STEPS, {}, {}) == []


@pytest.mark.parametrize(
    ("parameters", "remedy"),
    [({}, "add --set flag=true to run it"), ({"flag": False}, "add --set flag=true to run it"), ({"flag": True}, None)],
)
def test_a_setting_of_a_step_that_is_not_chosen(parameters, remedy):
    notes = settings_without_effect(["jump.rejection_threshold=5"], STEPS, parameters, {"jump": ("flag", True)})
    assert [note.partition("; ")[2] for note in notes] == ([remedy] if remedy else [])


@pytest.mark.parametrize(
    ("more", "n"),
    [
        ((), 1),
        (("set_custom_gain.skip=false",), 0),
        (("extract_1d_box.aperture_left_width=3",), 2),
        (("extract_1d_box.aperture_left_width=3", "extraction=box"), 1),
        (("extract_1d_optimal.aperture_left_width=3",), 1),
    ],
)
def test_a_run_tells_before_it_starts(tmp_path, more, n):
    raw = tmp_path / "jw00001001001_03101_00001_mirimage_uncal.fits"
    raw.write_bytes(b"")
    request = PlanRequest("lrs", [raw], tmp_path / "out", settings=("set_custom_gain.gain_value=6.2", *more))
    assert sum("has no effect" in note for note in gather(request).notes) == n
