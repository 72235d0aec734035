"""Exposures of one visit are one time series; a file of it that cannot be read fails alone."""

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from astropy.io import fits

from detectorist.campaign.plan import PlanRequest, plan_run
from detectorist.modes import group_exposures, load_mode
from detectorist.modes.lrs import mode

pytestmark = pytest.mark.filterwarnings("default")


def test_a_phase_curve_in_three_exposures_is_one_reduction():
    names = [
        "jw01366011001_04103_00003-seg001_mirimage_uncal.fits",
        "jw01366011001_04103_00001-seg002_mirimage_uncal.fits",
        "jw01366011001_04103_00001-seg001_mirimage_uncal.fits",
        "jw01366011001_04103_00002-seg001_mirimage_uncal.fits",
        "jw01366012001_04103_00001-seg001_mirimage_uncal.fits",
        "mine_uncal.fits",
    ]
    found = group_exposures(load_mode("lrs"), [Path("in") / name for name in names])
    assert {name: len(files) for name, files in found.items()} == {
        "jw01366011001_04103_00001-00003_mirimage": 4,
        "jw01366012001_04103_00001_mirimage": 1,
        "mine": 1,
    }


def test_a_file_apart_is_an_exposure_of_its_own():
    names = [f"jw01366011001_04103_0000{n}-seg001_mirimage_uncal.fits" for n in (1, 2, 3)]
    alone = names[1].removesuffix("_uncal.fits")
    found = group_exposures(load_mode("lrs"), map(Path, names), {alone})
    assert found == {
        "jw01366011001_04103_00001-00003_mirimage": [Path(names[0]), Path(names[2])],
        alone: [Path(names[1])],
    }


@pytest.fixture
def visit(segments, tmp_path):
    """Three exposures of two segments of four integrations, half an hour apart."""
    files = []
    for number in (1, 2, 3):
        for source in segments:
            stem, _, rest = source.name.partition("_0000")
            target = tmp_path / "raw" / f"{stem}_0000{number}{rest[1:]}"
            target.parent.mkdir(exist_ok=True)
            shutil.copy(source, target)
            with fits.open(target, mode="update") as hdus:
                hdus[0].header["EXPOSURE"] = f"0000{number}"
                hdus[0].header["FILENAME"] = target.name
                hdus[0].header["EXPSTART"] += (number - 1) / 48
                times = hdus["INT_TIMES"].data
                for column in times.names[1:]:
                    times[column] += (number - 1) / 48
                hdus.pop("ASDF") if "ASDF" in hdus else None
            files.append(target)
    return files


def run(files, out, references):
    """Run the command; return its exit code and what it said."""
    command = [sys.executable, "-m", "detectorist", "run", "lrs", *map(str, files)]
    done = subprocess.run(
        [*command, "-o", str(out), "--references", str(references), "--recipe", "exotic-short"],
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def test_three_exposures_are_one_file_with_their_gaps(visit, exposure, tmp_path):
    code, said = run([visit[k] for k in (4, 1, 0, 5, 2, 3)], tmp_path / "out", exposure / "crds")
    assert code == 0, said
    (path,) = (tmp_path / "out").rglob("stage_2_output.nc")
    with xr.open_dataset(path, decode_times=False) as dataset:
        assert dataset.exposure.values.tolist() == [1] * 8 + [2] * 8 + [3] * 8
        assert dataset.integration_number.values.tolist() == [*range(1, 9)] * 3
        steps = np.diff(dataset.time_mjd_utc.values)
        cadence = np.median(steps)
        np.testing.assert_allclose(steps[[7, 15]], 1 / 48 - 7 * cadence, rtol=1e-6)
        np.testing.assert_allclose(np.delete(steps, [7, 15]), cadence, rtol=1e-3)
        assert np.isfinite(dataset.flux.values).mean() > 0.95


@pytest.mark.parametrize(
    ("damaged", "exposures", "numbers"),
    [
        pytest.param(
            [1], [1] * 4 + [2] * 8 + [3] * 8, [*range(1, 5), *range(1, 9), *range(1, 9)], marks=pytest.mark.long
        ),
        ([2, 3], [1] * 8 + [3] * 8, [*range(1, 9)] * 2),
    ],
    ids=["last segment of an exposure", "an exposure"],
)
def test_a_damaged_file_fails_alone_and_the_series_goes_on(visit, exposure, tmp_path, damaged, exposures, numbers):
    for k in damaged:
        visit[k].write_bytes(visit[k].read_bytes()[:300_000])
    code, said = run(visit, tmp_path / "out", exposure / "crds")
    assert code == 3, said
    for k in damaged:
        assert f"{visit[k].name}: cannot be read" in said
        assert "is the file complete?" in said
    (path,) = (tmp_path / "out").rglob("stage_2_output.nc")
    with xr.open_dataset(path, decode_times=False) as dataset:
        assert dataset.exposure.values.tolist() == exposures
        assert dataset.integration_number.values.tolist() == numbers


def test_a_damaged_segment_in_the_middle_leaves_a_gap_that_is_said(exposure, tmp_path):
    from detectorist.simulate.lrs.scene import LrsScene

    files = LrsScene().write(tmp_path / "raw", ints=6, groups=8, segments=3, seed=4)
    Path(files[1]).write_bytes(b"")
    code, said = run(files, tmp_path / "out", tmp_path / "raw" / "crds")
    assert code == 3, said
    assert Path(files[1]).name in said
    log = (tmp_path / "out" / "detectorist.log").read_text()
    assert "integrations 3 to 4 are missing between" in log
    with xr.open_dataset(tmp_path / "out" / "stage_2" / "stage_2_output.nc", decode_times=False) as dataset:
        assert dataset.integration_number.values.tolist() == [1, 2, 5, 6]


def test_a_bad_row_of_int_times_costs_that_row(segments, exposure, tmp_path):
    target = tmp_path / segments[0].name
    shutil.copy(segments[0], target)
    with fits.open(target, mode="update") as hdus:
        hdus["INT_TIMES"].data["int_mid_BJD_TDB"][2] = 0
    code, said = run([target, segments[1]], tmp_path / "out", exposure / "crds")
    assert code == 0, said
    with xr.open_dataset(tmp_path / "out" / "stage_2" / "stage_2_output.nc", decode_times=False) as dataset:
        times = dataset.time_bjd_tdb.values
        assert np.flatnonzero(~np.isfinite(times)).tolist() in ([], [2])
        steps = np.diff(dataset.time_mjd_utc.values)
        np.testing.assert_allclose(steps, steps[0], rtol=1e-2)
        known = np.isfinite(times)
        assert known.sum() >= 7
        np.testing.assert_allclose(np.diff(times[known][3:]), 1.0 * np.diff(times[known][3:])[0], rtol=1e-2)
    assert "INT_TIMES" in (tmp_path / "out" / "detectorist.log").read_text()


def test_a_file_that_is_alone_is_not_looked_at(tmp_path, monkeypatch):
    looked = []
    monkeypatch.setattr(mode, "_is_readable", lambda path: looked.append(path) or path.name == "a.fits")
    files = [tmp_path / "a.fits", tmp_path / "b.fits"]
    for file in files:
        file.touch()
    assert mode.damaged_files(files[1:]) == []
    assert not looked
    assert mode.damaged_files(files) == files[1:]
    looked.clear()
    assert mode.damaged_files(files, {str(files[0])}) == files[1:]
    assert looked == files[1:]


def test_files_that_were_reduced_as_they_are_are_not_looked_at_again(segments, exposure, tmp_path, monkeypatch):
    files = [shutil.copy(path, tmp_path / path.name) for path in segments]
    assert run(files, tmp_path / "out", exposure / "crds")[0] == 0
    looked = []
    monkeypatch.setattr(mode, "_is_readable", lambda path: not looked.append(path.name))
    request = PlanRequest("lrs", files, tmp_path / "out", references=str(exposure / "crds"))
    plan_run(request)
    assert not looked
    with open(files[0], "ab") as handle:
        handle.write(bytes(2880))
    plan_run(request)
    assert {*looked} == {segments[0].name}
