"""Whole simulated exposures through stage 1, stock against engine, every product and flag."""

import pytest
from typer.testing import CliRunner

from detectorist.cli.app import app
from detectorist.crds_source import use_references
from detectorist.reduction.verify import compare_folders, run_here, verify

#: What `detectorist simulate` is told, and parameters of steps. All subarrays, one and four outputs, averaged and
#: single frames, from one group to a hundred, from one integration to a hundred.
SHORT = ("imaging --size 96 --outputs 4 --groups 4 --ints 2 --seed 1", {})
LONG = {
    "small frame of one output": ("imaging --size 64 --outputs 1 --groups 3 --pattern RAPID --seed 2", {}),
    "LRS": ("lrs --ints 6 --groups 12 --segments 1 --seed 5", {"emicorr": {"skip": False}}),
    "LRS, EMI of each integration": (
        "lrs --ints 4 --groups 9 --segments 1 --seed 6",
        {"emicorr": {"skip": False, "fit_ints_separately": True}},
    ),
    "LRS, one integration": ("lrs --ints 1 --groups 30 --segments 1 --seed 1", {}),
    "LRS, a hundred integrations": ("lrs --ints 100 --groups 3 --segments 1 --seed 2", {}),
    "LRS, a hundred groups": ("lrs --ints 2 --groups 100 --segments 1 --seed 3", {}),
    "LRS, two groups": ("lrs --ints 3 --groups 2 --segments 1 --seed 4", {}),
    "full frame": ("imaging --groups 3 --pattern BRIGHT2 --seed 3", {}),
    "full frame, side pixels": ("imaging --groups 2 --seed 4", {"refpix": {"use_side_ref_pixels": True}}),
    "full frame, large events": ("imaging --groups 5 --seed 5", {"jump": {"expand_large_events": True}}),
    "SUB640": ("imaging --subarray SUB640 --groups 6 --pattern SHALLOW4 --seed 5", {}),
    "SUB320": ("imaging --subarray SUB320 --groups 5 --ints 3 --pattern BRIGHT1 --seed 6", {}),
    "SUB160": ("imaging --subarray SUB160 --groups 10 --ints 10 --pattern RAPID --seed 7", {}),
    "SUB160, one group": ("imaging --subarray SUB160 --groups 1 --ints 2 --pattern RAPID --seed 8", {}),
    "SUB160, a hundred integrations": ("imaging --subarray SUB160 --groups 2 --ints 100 --pattern RAPID --seed 9", {}),
    "SUB160, a hundred groups": ("imaging --subarray SUB160 --groups 100 --pattern RAPID --seed 10", {}),
    "other detector": ("imaging --detector NRCALONG --filter F444W --subarray SUB320 --groups 4 --seed 11", {}),
    "NIRCam coronagraphy": ("coron --seed 5", {}),
    "MIRI coronagraphy": ("coron --instrument miri --seed 5", {}),
}


def simulate(folder, words):
    """Simulate an exposure, point to its references, and return it."""
    told = CliRunner().invoke(app, ["simulate", *words.split(), "--output-dir", str(folder), "--quiet"])
    assert told.exit_code == 0, told.output
    use_references(str(folder / "crds"))
    return min(folder.glob("*_uncal.fits"))


def assert_nothing_differs(differences):
    differences = list(differences)
    assert {entry.product for entry in differences} >= {"ramp", "rate"}
    assert not [entry for entry in differences if entry.n_differing]


def test_nothing_differs(tmp_path):
    words, steps = SHORT
    exposure = simulate(tmp_path, words)
    told = {}
    for engine in ("stock", "engine"):
        folder = tmp_path / engine
        folder.mkdir()
        told[engine] = run_here(str(exposure), str(folder), engine, steps)["steps"]
    assert_nothing_differs(compare_folders(tmp_path / "stock", tmp_path / "engine"))
    assert not told["stock"]
    assert {"jump", "ramp_fit", "saturation", "linearity"} <= set(told["engine"])
    assert told["engine"]["jump"] == told["engine"]["ramp_fit"] == "compiled engine"


@pytest.mark.long
@pytest.mark.parametrize("case", LONG)
def test_nothing_differs_in_any_kind_of_exposure(case, tmp_path):
    words, steps = LONG[case]
    result = verify(simulate(tmp_path, words), steps=steps)
    assert_nothing_differs(result.differences)
    if "EMI" in case:
        assert result.steps["emicorr"] == "compiled engine"
