"""GetDefaultGain and GetDefaultReadNoise: what CRDS has, as a model or a number."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from stdatamodels.jwst import datamodels

from detectorist.errors import OutputError, ReferenceMissing
from detectorist.reference import GetDefaultGain, GetDefaultReadNoise

STEPS = [(GetDefaultGain, datamodels.GainModel, "gain"), (GetDefaultReadNoise, datamodels.ReadnoiseModel, "readnoise")]


@pytest.mark.parametrize(("step", "kind", "name"), STEPS)
def test_model_and_median(make_lrs_ramp, make_lrs_rateints, lrs_references, step, kind, name):
    ramp = make_lrs_ramp(n_ints=1, n_groups=3)
    model = step.call(ramp)
    assert isinstance(model, kind)
    for data in (ramp, make_lrs_rateints()):
        median = step.call(data, median_value=True)
        assert type(median) is float
        assert_allclose(median, np.median(model.data[model.data > 0]), rtol=1e-6)


def test_read_noise_is_that_of_a_difference(make_lrs_ramp, lrs_references):
    """The simulator reads with its own noise; the reference holds sqrt(2) times that, in DN."""
    from detectorist.simulate.lrs.scene import LrsScene

    median = GetDefaultReadNoise.call(make_lrs_ramp(n_ints=1, n_groups=3), median_value=True)
    assert_allclose(median, np.sqrt(2) * LrsScene().read_noise.rms_dn, rtol=0.05)


@pytest.mark.parametrize(("step", "kind", "name"), STEPS)
def test_save_to_a_folder_or_a_file(make_lrs_ramp, lrs_references, tmp_path, step, kind, name):
    ramp = make_lrs_ramp(n_ints=1, n_groups=3)
    step.call(ramp, save=True, save_path=str(tmp_path / "folder"))
    step.call(ramp, save=True, save_path=str(tmp_path / "mine.fits"), median_value=True)
    written = [tmp_path / "folder" / f"jw09999001001_04103_00001-seg001_mirimage_{name}.fits", tmp_path / "mine.fits"]
    for path in written:
        with datamodels.open(str(path)) as again:
            assert isinstance(again, kind)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["folder", "mine.fits"]


def test_a_folder_that_cannot_be_written(make_lrs_ramp, lrs_references, tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OutputError, match="cannot be written"):
        GetDefaultGain.call(make_lrs_ramp(n_ints=1, n_groups=3), save=True, save_path=str(tmp_path / "file" / "x"))


@pytest.mark.parametrize(("step", "kind", "name"), STEPS)
def test_override_is_taken(make_lrs_ramp, tmp_path, step, kind, name):
    own = kind(data=np.full((416, 72), 7.0, np.float32))
    own.data[0, 0], own.data[0, 1] = np.nan, 0.0
    own.save(str(tmp_path / "own.fits"))
    override = {f"override_{name}": str(tmp_path / "own.fits")}
    assert step.call(make_lrs_ramp(n_ints=1, n_groups=3), median_value=True, **override) == 7.0
    nothing = kind(data=np.zeros((416, 72), np.float32))
    nothing.save(str(tmp_path / "nothing.fits"))
    override = {f"override_{name}": str(tmp_path / "nothing.fits")}
    with pytest.raises(ReferenceMissing, match=rf"{name} reference .* has no positive value"):
        step.call(make_lrs_ramp(n_ints=1, n_groups=3), **override)


@pytest.mark.parametrize(("step", "kind", "name"), STEPS)
def test_no_reference_is_an_error_with_a_sentence(make_lrs_ramp, monkeypatch, step, kind, name):
    """CRDS without a configuration ends the process: that must not reach the caller."""

    def leave(*args):
        raise SystemExit(-1)

    monkeypatch.setattr(step, "get_reference_file", leave)
    with pytest.raises(ReferenceMissing, match=rf"uncal.fits: no {name} reference .*set CRDS_PATH .*override_{name}"):
        step.call(make_lrs_ramp(n_ints=1, n_groups=3))
    monkeypatch.setattr(step, "get_reference_file", lambda *args: "N/A")
    with pytest.raises(ReferenceMissing, match=rf"CRDS has no {name} reference for these data"):
        step.call(make_lrs_ramp(n_ints=1, n_groups=3))
