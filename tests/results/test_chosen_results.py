"""`Result` and `Results` of records, without a reduction: states, errors, what plots and arrays refuse."""

from pathlib import Path

import pytest

from detectorist.campaign.ledger import Entry
from detectorist.errors import ReductionFailed
from detectorist.modes.job import CRASHED, DONE, SKIPPED, UNPROCESSABLE, Job, JobRecord
from detectorist.results.results import Results


def entry(folder, name, state, message="", error=""):
    job = Job(name, "lrs", (), str(folder / name))
    return Entry(job, state, 1, "", JobRecord(name, state, error, message, output_dir=str(folder / name)))


@pytest.fixture
def results(tmp_path):
    entries = [
        entry(tmp_path, "a", CRASHED, "no memory\nTraceback: long", "MemoryError"),
        entry(tmp_path, "b", UNPROCESSABLE, "  b_uncal.fits: SCI is empty  ", "InputError"),
        entry(tmp_path, "c", SKIPPED, "a failed"),
        entry(tmp_path, "d", CRASHED),
    ]
    return Results.from_entries(tmp_path, {one.job.name: one for one in entries})


def test_errors_are_one_line_each(results):
    assert results.errors == {"a": "no memory", "b": "b_uncal.fits: SCI is empty", "d": CRASHED}
    assert [one.name for one in results.failed] == ["a", "b", "d"]
    assert results["c"].error == "a failed"
    assert results.done == []
    assert results.concerns["b"] == ["cannot be processed: b_uncal.fits: SCI is empty"]


def test_a_mapping_by_name_and_by_number(results):
    assert list(results) == ["a", "b", "c", "d"]
    assert (results[0].name, results[-1].name, len(results)) == ("a", "d", 4)
    assert "a" in results
    assert "x" not in results
    assert results.get("x") is None
    assert 9 not in results
    with pytest.raises(KeyError, match="x"):
        results["x"]
    with pytest.raises(IndexError):
        results[9]


def test_all_failures_are_raised_with_their_reasons(results):
    with pytest.raises(ReductionFailed, match="3 of 4 exposures failed: a: no memory; b: b_uncal.fits: SCI is empty"):
        results.raise_for_failures()


@pytest.mark.parametrize(("ask", "what"), [("plot", "plotted"), ("to_xarray", "read")])
def test_what_failed_can_be_neither_plotted_nor_read(results, ask, what):
    with pytest.raises(ReductionFailed, match=f"b cannot be {what}: unprocessable: b_uncal.fits: SCI is empty"):
        getattr(results["b"], ask)()
    with pytest.raises(ReductionFailed, match="3 of 4 exposures failed"):
        getattr(results, ask)()
    assert results["b"].figures == {}


def test_a_run_without_exposures_says_so(tmp_path):
    empty = Results.from_entries(tmp_path, {})
    empty.raise_for_failures()
    assert repr(empty) == f"0 results: none; products in {tmp_path}"
    for ask in (empty.plot, empty.to_xarray):
        with pytest.raises(ReductionFailed, match=f"{tmp_path}: nothing was reduced"):
            ask()


def test_only_skipped_exposures_are_nothing_reduced(tmp_path):
    results = Results.from_entries(tmp_path, {"c": entry(tmp_path, "c", SKIPPED, "a failed")})
    results.raise_for_failures()
    with pytest.raises(ReductionFailed, match="nothing was reduced"):
        results.plot()


def test_text_and_page_name_every_failure(results, tmp_path):
    lines = repr(results).splitlines()
    assert lines[0] == f"4 results: 2 crashed, 1 unprocessable, 1 skipped; products in {tmp_path}"
    assert repr(results["a"]).splitlines()[0] == "a: crashed: no memory"
    page = results._repr_html_()
    assert all(one in page for one in ("no memory", "SCI is empty", "a failed"))


def test_a_done_result_is_ok_and_has_no_error(tmp_path):
    results = Results.from_entries(tmp_path, {"e": entry(tmp_path, "e", DONE, "left over")})
    one = results["e"]
    assert (one.ok, one.error, one.state) == (True, "", DONE)
    assert one.folder == Path(tmp_path / "e")
    assert results.errors == {}
