"""What a report is made from: ledgers, single folders, folders of these."""

import shutil

import pytest

from detectorist.errors import InputError
from detectorist.report.gather import UNFINISHED, gather


def test_a_single_reduction_needs_no_ledger(single):
    run = gather(single)
    (exposure,) = run.exposures
    assert (exposure.name, exposure.mode, exposure.state) == ("jw01_04103_00001_mirimage", "lrs", "done")
    assert exposure.numbers["pull_width"] == 1.01
    ((part, steps),) = exposure.steps.items()
    assert part.endswith("integrations 1 to 12")
    assert steps["clean_outliers"]["n_cleaned"] == 12
    assert exposure.header["filter"] == "P750L"
    assert exposure.references == {"flat": "flat_0001.fits"}


def test_a_reduction_that_ended_early_is_told(single):
    (single / "record.json").unlink()
    (exposure,) = gather(single).exposures
    assert exposure.state == UNFINISHED
    assert "not finished" in exposure.message


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


def test_broken_files_do_not_stop_the_report(single):
    (single / "record.json").write_text("{")
    (single / "resolved.toml").write_text("= nonsense")
    next((single / "stage_1").glob("*.fits")).write_bytes(b"no FITS")
    (exposure,) = gather(single).exposures
    assert exposure.numbers == {}
    assert exposure.header == {}


def test_nothing_to_report_on_is_said(tmp_path):
    with pytest.raises(InputError, match="nothing to report on"):
        gather(tmp_path)
