"""`reduce_lrs`, `reduce_imaging`, `reduce_coron`: results that show what matters, and hide no failure."""

import inspect
import logging
import shutil

import numpy as np
import pytest
import xarray as xr
from astropy.io import fits
from matplotlib.figure import Figure

import detectorist
from detectorist.errors import ParameterError, ReductionFailed
from detectorist.report.gather import gather
from detectorist.report.group import make_group
from detectorist.report.merits import merits_of

pytestmark = pytest.mark.filterwarnings("default")


@pytest.fixture(scope="module")
def lrs(tmp_path_factory):
    """A transit of 16 integrations, and beside it an exposure that is damaged."""
    from detectorist.simulate.lrs.scene import LrsScene

    folder = tmp_path_factory.mktemp("lrs")
    (file,) = LrsScene().write(folder / "sim", ints=16, groups=10, segments=1, seed=7)
    damaged = folder / "sim" / file.name.replace("_04103_", "_04105_")
    damaged.write_bytes(file.read_bytes()[:200_000])
    files = [file, damaged]
    return folder, files, detectorist.reduce_lrs(files, folder / "out", references=folder / "sim" / "crds", workers=0)


@pytest.fixture(scope="module")
def coron(tmp_path_factory):
    from detectorist.simulate.coron.scene import CoronScene

    folder = tmp_path_factory.mktemp("coron")
    CoronScene().write(folder / "sim", ints=2, groups=4, seed=5)
    return folder, detectorist.reduce_coron(folder / "sim", folder / "out", references=folder / "sim" / "crds")


def test_text_shows_what_matters(lrs):
    folder, _, results = lrs
    text = repr(results)
    good, bad = results.done[0], results.failed[0]
    assert text.splitlines()[0] == f"2 results: 1 done, 1 unprocessable; products in {folder / 'out'}"
    assert f"{good.name}: done" in text
    assert f"{bad.name}: unprocessable: {bad.error}" in text
    assert f"{good.target}, 16 integrations, 10 groups" in text
    assert "stage_2/stage_2_output.nc" in text
    for merit in good.merits:
        assert f"{merit['title']} {merit['value']}" in " ".join(text.split())
    for concern in good.concerns:
        assert f"look: {concern}" in " ".join(text.split())
    assert max(len(line) for line in repr(good).splitlines()[1:]) <= 120


def test_numbers_are_those_of_ledger_and_report(lrs):
    folder, _, results = lrs
    good = results.done[0]
    exposures = gather(folder / "out").exposures
    (same,) = (one for one in exposures if one.name == good.name)
    assert good.numbers == same.numbers == good.record.steps["exposure"]
    group = make_group("lrs", exposures)
    assert [one["value"] for one in good.merits] == [one["value"] for one in merits_of(group, same)]
    assert good.concerns == [c.words for s in group.suspects if s.exposure is same for c in s.concerns]
    assert good.parameters["recipe"] == "default"


def test_a_failure_is_seen_and_raises_only_where_asked(lrs, caplog):
    folder, files, results = lrs
    bad = results.failed[0]
    assert not bad.ok
    assert list(results.errors) == [bad.name]
    with pytest.raises(ReductionFailed, match="1 of 2 exposures failed"):
        results.raise_for_failures()
    for ask in (bad.plot, bad.to_xarray):
        with pytest.raises(ReductionFailed, match=bad.name):
            ask()
    with caplog.at_level(logging.WARNING, "detectorist.results"):
        again = detectorist.reduce_lrs(files, folder / "out", references=folder / "sim" / "crds", workers=0)
    assert bad.name in caplog.text
    assert [one.record.started for one in again.values()] == [one.record.started for one in results.values()]
    with pytest.raises(ReductionFailed):
        detectorist.reduce_lrs(
            files, folder / "out", references=folder / "sim" / "crds", workers=0, raise_on_error=True, quiet=True
        )


def test_spectra_as_xarray(lrs):
    folder, _, results = lrs
    dataset = results.to_xarray()
    with xr.open_dataset(folder / "out" / results.done[0].name / "stage_2" / "stage_2_output.nc") as opened:
        xr.testing.assert_identical(dataset, opened.load())
    assert dataset.flux.sel(wavelength=7, method="nearest").shape == (16,)


def test_figures_are_those_of_the_report(lrs):
    _, _, results = lrs
    good = results.done[0]
    assert "lrs_white_light" in good.figures
    assert isinstance(results.plot(), Figure)
    assert good.plot("lrs_trace").axes
    with pytest.raises(ParameterError, match='no figure "lrs_trase".*did you mean "lrs_trace"'):
        good.plot("lrs_trase")


def test_notebooks_get_a_table(lrs):
    _, _, results = lrs
    page = results._repr_html_()
    assert page.count("<tr>") == 3
    assert "data:image/png;base64" in page
    assert results.failed[0].error.split(";")[0][:40] in page
    assert results.done[0].target in page
    assert "<script" not in page


def test_names_are_text_not_markup(lrs):
    from dataclasses import replace

    from detectorist.results.html import as_html

    good = lrs[2].done[0]
    exposure = replace(good.exposure, header={"target": "<script>alert(1)</script>"})
    assert "<script" not in as_html([replace(good, exposure=exposure)], good.folder)


def test_report_is_written(lrs, monkeypatch):
    folder, _, results = lrs
    opened = []
    monkeypatch.setattr("webbrowser.open", opened.append)
    page = results.report()
    assert page == folder / "out" / "report.html"
    assert page.is_file()
    assert opened == []
    results.report(show=True)
    assert opened == [page.resolve().as_uri()]


def test_results_are_a_mapping(lrs):
    _, _, results = lrs
    assert list(results) == [result.name for result in results.values()]
    assert results[0] is results[next(iter(results))]
    assert results[-1] is list(results.values())[-1]
    assert all(path.is_file() for path in results.done[0].products)
    assert results.done[0].log.is_file()


def test_coronagraphs_with_flags_and_times(coron):
    _, results = coron
    assert results.errors == {}
    tree = results.to_xarray()
    assert set(tree.children) == set(results)
    dataset = tree[results[0].name].to_dataset()
    path = next(path for path in results[0].products if path.name.endswith("_rateints.fits"))
    with fits.open(path) as hdus:
        np.testing.assert_array_equal(dataset.rateints.values, hdus["SCI"].data)
        np.testing.assert_array_equal(dataset.rateints_error.values, hdus["ERR"].data)
        np.testing.assert_array_equal(dataset.rateints_dq.values, hdus["DQ"].data)
        np.testing.assert_allclose(dataset.time_mjd_utc.values, hdus["INT_TIMES"].data["int_mid_MJD_UTC"])
    assert dataset.rateints.dims == ("integration", "row", "column")
    assert dataset.rateints.attrs["units"] == "DN/s"
    names = dict(zip(dataset.rate_dq.flag_meanings.split(), dataset.rate_dq.flag_masks, strict=True))
    assert names["DO_NOT_USE"] == 1
    assert dataset.attrs["target"] == results[0].target
    figure = results.plot()
    assert len(figure.axes) >= 2
    assert "REF" in repr(results) or len(results) == 1


def test_nothing_was_reduced(tmp_path, lrs):
    _, files, _ = lrs
    shutil.copy(files[1], tmp_path / files[1].name)
    results = detectorist.reduce_lrs(
        tmp_path, tmp_path / "out", references=files[0].parent / "crds", workers=0, quiet=True
    )
    for ask in (results.plot, results.to_xarray):
        with pytest.raises(ReductionFailed, match="1 of 1 exposures failed"):
            ask()


def test_each_mode_has_its_own_options():
    shown = inspect.signature(detectorist.reduce_imaging).parameters
    assert {"through", "wisp_templates", "recipe", "raise_on_error"} <= set(shown)
    assert "through" not in inspect.signature(detectorist.reduce_lrs).parameters
    assert detectorist.reduce_coron.__name__ == "reduce_coron"
    assert "Results" in detectorist.reduce_imaging.__doc__
    with pytest.raises(ParameterError, match='no option "wisp_template".*did you mean "wisp_templates"'):
        detectorist.reduce_imaging("sim", "out", wisp_template="x")


def test_options_stand_for_settings():
    from pathlib import Path

    from detectorist.results.api import _wanted

    wanted = _wanted("imaging", {"wisp_templates": "wisps", "through": "stage2"})
    assert wanted.through == "stage2"
    assert str(Path("wisps").resolve()) in wanted.settings[0]
