"""Whatever is wrong with input, parameters or places: one sentence, an exit code, and nothing half-written."""

import os
import shutil
import sys

import numpy as np
import pytest
from astropy.io import fits

from detectorist.campaign import api
from detectorist.cli import main
from detectorist.errors import InputError, OutputError, ParameterError, ReferenceMissing, TooFewPixels
from detectorist.modes.lrs.reduction import reduce_exposure
from detectorist.reduction.runner import Request

pytestmark = pytest.mark.filterwarnings("default")


@pytest.fixture
def reduce(exposure, tmp_path):
    """Return a function that reduces files into tmp_path/out and says what is wrong."""

    def run(files, *settings, **kwargs):
        kwargs.setdefault("references", str(exposure / "crds"))
        return reduce_exposure(Request(files, tmp_path / "out", settings=settings, **kwargs)).spectra

    return run


@pytest.fixture(scope="session")
def rates(exposure, tmp_path_factory):
    """One segment's count rates."""
    folder = tmp_path_factory.mktemp("rates")
    files = sorted(exposure.glob("*_uncal.fits"))[:1]
    reduce_exposure(Request(files, folder, references=str(exposure / "crds")))
    return next((folder / "stage_1").glob("*_rateints.fits"))


def products_in(folder):
    return [p for p in folder.rglob("*") if p.suffix in (".fits", ".nc") and "references" not in p.parts]


@pytest.mark.parametrize(
    ("setting", "kind", "words"),
    [
        ("drop_groups.drop_groups=[50]", ParameterError, "seg001.*50.*8"),
        ("drop_groups.drop_groups=[0,1,2,3,4,5,6,7]", ParameterError, "all"),
        ("set_custom_gain.skip=false set_custom_gain.gain_value=0", ParameterError, "gain"),
        ("clean_outliers.skip=true", ParameterError, "clean_outliers.skip is True: no spectra"),
        ("extract_1d_optimal.skip=true", ParameterError, "extract_1d_optimal.skip is True: no spectra"),
        ("ramp_fit.skip=true", ParameterError, "ramp_fit.skip is True: no spectra"),
        ("extraction=magic", ParameterError, "magic"),
        ("clean_outlier.poly_order=3", ParameterError, 'did you mean "clean_outliers"'),
    ],
)
def test_parameters(reduce, segments, tmp_path, setting, kind, words):
    with pytest.raises(kind, match=words):
        reduce(segments, *setting.split())
    assert not (tmp_path / "out" / "stage_2").exists()


@pytest.mark.parametrize(
    ("setting", "kind", "words"),
    [
        (
            "extract_1d_optimal.trace_position=constant extract_1d_optimal.aperture_center=200",
            ParameterError,
            "192 to 208|196 to 204",
        ),
        ("background_subtract.columns=given background_subtract.bkg_col_left_start=30", ParameterError, "30.*22|left"),
        ("background_subtract.columns=given background_subtract.bkg_col_right_end=90", ParameterError, "90"),
        ("clean_outliers.outlier_threshold=-1", ParameterError, "outlier_threshold"),
        ("clean_outliers.spatial_profile_left_idx=60", ParameterError, "60"),
    ],
)
def test_parameters_of_stage_2(reduce, rates, tmp_path, setting, kind, words):
    with pytest.raises(kind, match=words):
        reduce([rates], *setting.split())
    assert not (tmp_path / "out" / "stage_2").exists()


def test_unknown_recipe(reduce, segments):
    with pytest.raises(ParameterError, match='did you mean "default"'):
        reduce(segments, recipe="defualt")


def test_truncated_file(reduce, segments, tmp_path):
    path = tmp_path / segments[0].name
    data = segments[0].read_bytes()
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(InputError, match=path.name):
        reduce([path])
    assert products_in(tmp_path / "out") == []


def test_missing_segment_in_the_middle(reduce, exposure, segments, tmp_path):
    first, last = (shutil.copy(segment, tmp_path) for segment in segments)
    for path in (first, last):
        fits.setval(path, "NINTS", value=10)
    fits.setval(last, "INTSTART", value=7)
    fits.setval(last, "INTEND", value=10)
    with pytest.raises(InputError, match="integrations 5 to 6 are missing"):
        reduce([first, last])


def test_segments_of_two_observations(reduce, segments, tmp_path):
    other = tmp_path / segments[1].name
    shutil.copy(segments[1], other)
    fits.setval(other, "OBSERVTN", value="099")
    with pytest.raises(InputError, match=r"different time series: observation.observation_number is 001 and 099"):
        reduce([segments[0], other])


def test_output_that_cannot_be_written(reduce, exposure, segments, tmp_path):
    (tmp_path / "out").write_text("a file where the folder should be")
    with pytest.raises(OutputError, match="out: cannot be written"):
        reduce(segments)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_read_only_output(reduce, segments, tmp_path):
    (tmp_path / "out").mkdir(mode=0o500)
    with pytest.raises(OutputError, match="cannot be written"):
        reduce(segments)


def test_output_folder_of_the_input_keeps_the_input(exposure, tmp_path):
    """Rates reduced into the folder they came from are read, never replaced."""
    rates = tmp_path / "stage_1"
    rates.mkdir()
    reduce_exposure(Request(sorted(exposure.glob("*_uncal.fits"))[:1], tmp_path, references=str(exposure / "crds")))
    path = next(rates.glob("*_rateints.fits"))
    before = path.read_bytes()
    reduce_exposure(Request([path], tmp_path, references=str(exposure / "crds"), overwrite=True))
    assert path.read_bytes() == before


def test_no_references_explains_three_ways(reduce, segments, no_crds):
    with pytest.raises(ReferenceMissing) as caught:
        reduce(segments, references=None)
    lines = str(caught.value).splitlines()
    assert len(lines) == 4
    assert [line.strip()[0] for line in lines[1:]] == ["1", "2", "3"]


def test_a_folder_without_references(reduce, segments, tmp_path):
    with pytest.raises(ReferenceMissing, match="server_config"):
        reduce(segments, references=str(tmp_path))


def _with_data(source, target, change):
    with fits.open(source) as hdus:
        change(hdus)
        hdus.writeto(target)
    return target


def test_not_a_number_everywhere(reduce, rates, tmp_path):
    def change(hdus):
        hdus["SCI"].data[...] = np.nan

    path = _with_data(rates, tmp_path / rates.name, change)
    with pytest.raises(TooFewPixels, match="no usable pixel"):
        reduce([path])


@pytest.mark.parametrize("value", [0.0, np.nan])
def test_errors_that_say_nothing(reduce, rates, tmp_path, value):
    """Unknown errors are estimated from the scatter: spectra and their errors stay finite."""

    def change(hdus):
        for name in ("ERR", "VAR_POISSON", "VAR_RNOISE"):
            hdus[name].data[...] = value

    path = _with_data(rates, tmp_path / rates.name, change)
    # The stock flat field makes pixels of unknown error NaN altogether: there is nothing left to save.
    dataset = reduce([path], "flat_field.skip=true").dataset
    useful = ((dataset["wavelength"] > 5.2) & (dataset["wavelength"] < 11.5)).values
    assert np.isfinite(dataset["flux"].values[:, useful]).all()
    errors = dataset["flux_error"].values[:, useful]
    assert np.isfinite(errors).all()
    assert (errors > 0).all()


def test_one_integration(reduce, tmp_path):
    from detectorist.simulate.lrs.scene import LrsScene

    raw = tmp_path / "raw"
    files = LrsScene().write(raw, ints=1, groups=8, segments=1, seed=2)
    dataset = reduce(files, references=str(raw / "crds")).dataset
    assert dataset.sizes["integration_number"] == 1
    assert np.isfinite(dataset["x_shift"]).all()


def test_one_group(reduce, segments, tmp_path):
    def change(hdus):
        hdus["SCI"].data = hdus["SCI"].data[:, :1]
        hdus[0].header["NGROUPS"] = 1

    path = _with_data(segments[0], tmp_path / segments[0].name, change)
    with pytest.raises(InputError, match=r"seg001.*1 group; .*2 are needed"):
        reduce([path])


def run_command(words, monkeypatch, capsys):
    """Return exit code and what was said on stderr."""
    monkeypatch.setattr(sys, "argv", ["detectorist", *map(str, words)])
    with pytest.raises(SystemExit) as left:
        main()
    return left.value.code, capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["missing_uncal.fits"], "missing_uncal.fits: no such file"),
        (["{segment}", "missing_uncal.fits"], "missing_uncal.fits: no such file"),
        (["{segment}", "--recipe", "shrt"], 'did you mean "exotic-short"'),
        (["{segment}", "--set", "jump.skp=true"], 'did you mean "skip"'),
        (["{segment}", "--set", "clean_outliers.poly_order=four"], "poly_order"),
        (["{segment}", "--references", "{out}"], "server_config"),
    ],
)
def test_bad_arguments(segments, exposure, tmp_path, monkeypatch, capsys, words, sentence):
    out = tmp_path / "out"
    filled = [word.format(segment=segments[0], out=out) for word in words]
    code, said = run_command(["run", "lrs", "--references", exposure / "crds", "-o", out, *filled], monkeypatch, capsys)
    assert code == 2
    assert sentence in said
    assert said.startswith("error: ")
    assert len(said.strip().splitlines()) == 1
    assert not out.exists()


def test_files_that_cannot_be_reduced(segments, exposure, tmp_path, monkeypatch, capsys):
    cut = tmp_path / segments[0].name
    cut.write_bytes(segments[0].read_bytes()[:1_000_000])
    words = ["run", "lrs", cut, "-o", tmp_path / "out", "--references", exposure / "crds", "--quiet"]
    code, said = run_command(words, monkeypatch, capsys)
    assert code == 3
    assert f"{cut}: " in said
    assert "is the file complete?" in said
    assert "Traceback" not in said
    assert products_in(tmp_path / "out") == []


def test_one_bad_exposure_does_not_stop_the_others(segments, exposure, tmp_path):
    # Of two observations: exposures of one visit would be joined to one time series.
    good, bad = (tmp_path / segments[0].name.replace("jw09999001", f"jw0999900{number}") for number in (1, 2))
    shutil.copy(segments[0], good)
    bad.write_bytes(b"not FITS at all")
    entries = api.reduce("lrs", [good, bad], tmp_path / "out", references=exposure / "crds", workers=0)
    assert [entry.state for entry in entries.values()] == ["done", "unprocessable"]
    assert "not readable" in list(entries.values())[1].record.message
    assert [path.parent.parent.name for path in (tmp_path / "out").rglob("stage_2_output.nc")] == [next(iter(entries))]
