"""Samples that are not numbers are flagged before the first step, in every mode: fits would take them for something."""

import numpy as np
import pytest
from astropy.io import fits

from detectorist.algorithms import dq
from detectorist.campaign import api
from detectorist.modes.coron import pipeline as coron
from detectorist.modes.imaging import pipeline as imaging

pytestmark = pytest.mark.filterwarnings("default")

ROWS = slice(40, 60)


class Reached(Exception):
    """Raised where the ramps are as they should be, so that nothing more is run."""


@pytest.fixture
def lacking(raw_of, tmp_path):
    """Return a function that writes an exposure of a mode whose second group is NaN in some rows."""

    def write(mode, missing=True):
        source = sorted(raw_of(mode).glob("*_uncal.fits"))[0]
        with fits.open(source) as hdus:
            data = hdus["SCI"].data.astype(np.float32)
            if missing:
                data[:, 1, ROWS] = np.nan
            hdus["SCI"].data = data
            hdus.writeto(tmp_path / source.name, overwrite=True)
        return tmp_path / source.name

    return write


def given_to_the_first_step(mode, monkeypatch, path):
    """Return the ramps that a mode's pipeline hands to its first step."""
    seen = []

    def catch(self, ramps, *args, **kwargs):
        seen.append(ramps)
        raise Reached

    pipeline, owner, name = {
        "imaging": (imaging.ImagingPipeline, imaging.ImagingPipeline.__mro__[1], "process"),
        "coron": (coron.Coron1Pipeline, coron.Coron1Pipeline, "_run"),
    }[mode]
    if name == "_run":
        monkeypatch.setattr(owner, name, lambda self, step, ramps, *extra: catch(self, ramps))
    else:
        monkeypatch.setattr(owner, name, catch)
    with pytest.raises(Reached):
        pipeline().process(str(path))
    return seen[0]


@pytest.mark.parametrize("mode", ["imaging", "coron"])
def test_they_are_flagged_before_the_first_step(mode, lacking, monkeypatch):
    ramps = given_to_the_first_step(mode, monkeypatch, lacking(mode))
    flagged = dq.has(np.asarray(ramps.groupdq), dq.DO_NOT_USE)
    assert flagged[:, 1, ROWS].all()
    assert flagged.sum() == flagged[:, 1, ROWS].size


@pytest.mark.parametrize("missing", [True, False])
def test_an_image_that_lacks_nothing_is_left_to_the_standard_pipeline(lacking, monkeypatch, missing):
    path = lacking("imaging", missing)
    assert isinstance(given_to_the_first_step("imaging", monkeypatch, path), str) is not missing


@pytest.mark.long
@pytest.mark.parametrize("mode", ["lrs", "imaging", "coron"])
def test_rates_are_those_of_the_other_groups(mode, lacking, raw_of, tmp_path):
    rates = {}
    for missing in (True, False):
        out = tmp_path / f"out_{missing}"
        references = raw_of(mode) / "crds"
        (entry,) = api.reduce(mode, [lacking(mode, missing)], out, references=references, workers=0).values()
        assert entry.state == "done", entry.record.message
        (path,) = out.rglob("*_rateints.fits" if mode == "lrs" else "*_rate.fits")
        with fits.open(path) as hdus:
            rates[missing] = [np.array(hdus[name].data)[..., ROWS, :] for name in ("SCI", "ERR", "DQ")]
    (found, error, flags), (expected, *_) = rates[True], rates[False]
    known = np.isfinite(found) & ~dq.has(flags, dq.DO_NOT_USE)
    pulls = ((found - expected) / error)[known]
    if pulls.size:  # else no slope was left to fit, and it is said so
        assert 1.4826 * np.median(np.abs(pulls)) < 2
