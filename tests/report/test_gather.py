"""The data of a report: ledgers, and folders of these."""

import json
import shutil

import pytest

from detectorist.campaign.ledger import Ledger
from detectorist.errors import InputError, OutputError
from detectorist.report.gather import gather


def test_an_exposure_with_its_own_ledger(single):
    run = gather(single)
    (exposure,) = run.exposures
    assert (exposure.name, exposure.mode, exposure.state) == ("jw01_04103_00001_mirimage", "lrs", "done")
    assert exposure.numbers["pull_width"] == 1.01
    ((part, steps),) = exposure.steps.items()
    assert part.endswith("integrations 1 to 12")
    assert steps["clean_outliers"]["n_cleaned"] == 12
    assert exposure.header["filter"] == "P750L"
    assert exposure.references == {"flat": "flat_0001.fits", "readnoise": "noise_0001.fits"}


def test_the_truth_of_a_simulated_exposure_is_read(single):
    told = {"numbers": {"depth_pct": 1.2, "odd": "text"}, "lines": ["0.3 sigma off"]}
    (single / "truth.json").write_text(json.dumps(told))
    (exposure,) = gather(single).exposures
    assert exposure.truth == {"depth_pct": 1.2}
    assert exposure.truth_lines == ["0.3 sigma off"]
    (single / "truth.json").write_text("{")
    assert gather(single).exposures[0].truth == {}


def test_a_ledger_knows_states_and_reasons(campaign):
    run = gather(campaign)
    states = {exposure.name: exposure.state for exposure in run.exposures}
    assert sorted(states.values()) == ["crashed", "done", "done", "done", "unprocessable", "waiting"]
    bad = next(exposure for exposure in run.exposures if exposure.state == "unprocessable")
    assert bad.error == "InputError"
    assert bad.evidence == {"n_found": 0}
    done = run.exposures[0]
    assert done.seconds == 10.0
    assert done.numbers["white_ratio"] == 1.02
    assert run.commands[0]["command"].startswith("detectorist run")


def test_a_moved_folder_is_read_where_it_is_now(campaign, tmp_path):
    moved = shutil.move(campaign, tmp_path / "elsewhere")
    exposure = gather(tmp_path / "elsewhere").exposures[0]
    assert exposure.folder.parent == moved
    assert exposure.resolved["recipe"] == "best"


def test_runs_below_a_folder_come_together(single, campaign, tmp_path):
    run = gather(tmp_path)
    assert len(run.exposures) == 7
    assert list(run.modes) == ["lrs"]


def test_broken_products_do_not_stop_the_report(single):
    next((single / "stage_1").glob("*.fits")).write_bytes(b"no FITS")
    (exposure,) = gather(single).exposures
    assert exposure.header == {}
    assert exposure.numbers["pull_width"] == 1.01


def test_a_ledger_that_cannot_be_read_is_the_error_that_status_has(single):
    (single / "ledger.sqlite").write_bytes(b"garbage" * 1000)
    with pytest.raises(OutputError, match="the ledger cannot be used") as error:
        gather(single)
    with pytest.raises(OutputError) as same:
        Ledger(single, read_only=True)
    assert str(error.value) == str(same.value)


def test_nothing_to_report_on_is_said(tmp_path):
    with pytest.raises(InputError, match="nothing to report on"):
        gather(tmp_path)
