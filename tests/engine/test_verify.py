"""Comparing products: what differs is found, counted and named."""

import numpy as np
import pytest
from astropy.io import fits
from typer.testing import CliRunner

from detectorist.cli.verify import verify as command
from detectorist.errors import InputError, OutputError
from detectorist.reduction import verify


def write(folder, name, **arrays):
    folder.mkdir(exist_ok=True)
    hdus = [fits.PrimaryHDU(), *(fits.ImageHDU(array, name=key) for key, array in arrays.items())]
    fits.HDUList(hdus).writeto(folder / name)


def make_raw(folder, name):
    """Write a raw file, as far as its headers go, and return its path."""
    path = folder / f"{name}_uncal.fits"
    fits.HDUList([fits.PrimaryHDU(), fits.ImageHDU(np.zeros((1, 2, 4, 4), np.uint16), name="SCI")]).writeto(path)
    return str(path)


def test_equal_products_are_equal(tmp_path, rng):
    image = rng.normal(size=(5, 6)).astype(np.float32)
    image[2, 2] = np.nan
    for folder in ("stock", "engine"):
        write(tmp_path / folder, "a_rate.fits", SCI=image, DQ=np.ones((5, 6), np.uint32))
    found = list(verify.compare_folders(tmp_path / "stock", tmp_path / "engine"))
    assert [(d.product, d.extension, d.n_values, d.n_differing) for d in found] == [
        ("rate", "SCI", 30, 0),
        ("rate", "DQ", 30, 0),
    ]


def test_a_last_bit_is_one_ulp_and_flags_are_named():
    image = np.full((4, 4), 1000, np.float32)
    other = image.copy()
    other[1, 1] = np.nextafter(other[1, 1], np.float32(2000))
    got = verify.compare_arrays("rate", "SCI", image, other)
    assert (got.n_differing, got.worst_ulp) == (1, 1.0)
    other[2, 2] = np.nan
    assert verify.compare_arrays("rate", "SCI", image, other).worst_ulp == np.inf
    flags = np.zeros((4, 4), np.uint8)
    other = flags.copy()
    other[0, :3] = 4
    other[0, 0] |= 2
    got = verify.compare_arrays("ramp", "GROUPDQ", flags, other)
    assert (got.n_differing, got.flags) == (3, {"SATURATED": 1, "JUMP_DET": 3})


def test_another_shape_or_extension_is_an_error(tmp_path):
    write(tmp_path / "stock", "a_rate.fits", SCI=np.zeros((3, 3), np.float32))
    write(tmp_path / "engine", "a_rate.fits", SCI=np.zeros((3, 4), np.float32))
    with pytest.raises(InputError, match="shape"):
        list(verify.compare_folders(tmp_path / "stock", tmp_path / "engine"))
    write(tmp_path / "other", "a_rate.fits", ERR=np.zeros((3, 3), np.float32))
    with pytest.raises(InputError, match="extensions"):
        list(verify.compare_folders(tmp_path / "stock", tmp_path / "other"))


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        verify.verify(tmp_path / "a_uncal.fits")


def test_a_file_that_cannot_be_read_is_named_before_references_are_looked_for(monkeypatch, tmp_path):
    import typer

    monkeypatch.delenv("CRDS_PATH", raising=False)
    (tmp_path / "a_uncal.fits").write_text("words")
    app = typer.Typer()
    app.command()(command)
    told = CliRunner().invoke(app, [str(tmp_path / "a_uncal.fits")])
    assert isinstance(told.exception, InputError)
    assert "a_uncal.fits: not readable" in str(told.exception)


def test_rates_are_refused_before_anything_runs(tmp_path):
    write(tmp_path, "a_rate.fits", SCI=np.zeros((4, 5), np.float32))
    with pytest.raises(InputError, match=r"a_rate\.fits: SCI of shape \(4, 5\) .*; a ramp .* is needed"):
        verify.verify(tmp_path / "a_rate.fits")
    write(tmp_path, "b_rate.fits", ERR=np.zeros((4, 5), np.float32))
    with pytest.raises(InputError, match=r"b_rate\.fits: no SCI array .*; a ramp"):
        verify.verify(tmp_path / "b_rate.fits")


def test_the_command_tells_and_fails_when_something_differs(monkeypatch, tmp_path):
    import typer

    cost = verify.Cost(10.0, 9.0, 2500.0)
    differences = [verify.Difference("rate", "DQ", 100, 3, flags={"JUMP_DET": 3})]

    def answer(*args, **kwargs):
        return verify.Verification(differences, cost, verify.Cost(1.0, 1.0, 800.0), {"jump": "compiled engine"})

    monkeypatch.setattr(verify, "verify", answer)
    monkeypatch.setenv("CRDS_PATH", str(tmp_path))
    app = typer.Typer()
    app.command()(command)
    first, second = make_raw(tmp_path, "a"), make_raw(tmp_path, "b")
    result = CliRunner().invoke(app, [first])
    assert result.exit_code == 1
    assert "JUMP_DET 3" in result.output
    assert "DIFFER" in result.output
    differences[:] = [verify.Difference("rate", "DQ", 100, 0)]
    result = CliRunner().invoke(app, [first])
    assert result.exit_code == 0
    assert "every value and every flag is identical" in result.output
    result = CliRunner().invoke(app, [first, second])
    assert result.exit_code == 0
    assert "2 of 2 exposures" in result.output


def test_settings_are_for_both_runs_and_unknown_ones_are_refused(monkeypatch, tmp_path):
    import typer

    got = []
    cost = verify.Cost(10.0, 9.0, 2500.0)

    def answer(file, *, folder, steps, tell):
        got.append(steps)
        return verify.Verification([], cost, cost, {})

    monkeypatch.setattr(verify, "verify", answer)
    monkeypatch.setenv("CRDS_PATH", str(tmp_path))
    app = typer.Typer()
    app.command()(command)
    file = make_raw(tmp_path, "a")
    assert CliRunner().invoke(app, [file, "--set", "ramp_fit.algorithm=LIKELY"]).exit_code == 0
    assert got == [{"ramp_fit": {"algorithm": "LIKELY"}}]
    for setting, words in (
        ("ramp_fitt.algorithm=LIKELY", 'did you mean "ramp_fit"'),
        ("engine=stock", "step.parameter"),
    ):
        told = CliRunner().invoke(app, [file, "--set", setting])
        assert words in str(told.exception)


@pytest.mark.parametrize(
    ("error", "said"),
    [(InputError("a_uncal.fits: one\ntwo"), "a_uncal.fits: one two"), (SystemExit(-1), "CRDS has no reference files")],
)
def test_a_run_that_fails_ends_with_its_reason_in_one_line(monkeypatch, error, said):
    def fail(**order):
        raise error

    monkeypatch.setenv("CRDS_SERVER_URL", "https://crds.example.org")
    monkeypatch.setattr(verify, "run_here", fail)
    with pytest.raises(SystemExit) as ended:
        verify.main("{}")
    assert said in str(ended.value.code)
    assert "\n" not in str(ended.value.code)


def test_a_file_in_the_place_of_the_output_folder_is_named_and_stays(monkeypatch, tmp_path):
    import typer

    monkeypatch.setenv("CRDS_PATH", str(tmp_path))
    taken = tmp_path / "x.fits"
    taken.write_text("mine")
    app = typer.Typer()
    app.command()(command)
    told = CliRunner().invoke(app, [make_raw(tmp_path, "a"), "-o", str(taken)])
    assert isinstance(told.exception, OutputError)
    assert f"{taken}: cannot be written" in str(told.exception)
    assert taken.read_text() == "mine"
