"""A linearity of one's own is made where the reference is missing or corrects nothing, and only there."""

from pathlib import Path

import numpy as np
import pytest
from stdatamodels.jwst.datamodels import LinearityModel

from detectorist.modes.lrs import own_references
from detectorist.modes.lrs.segments import Segment


class Linearity:
    """Stands for the linearity step: it names a reference."""

    def __init__(self, name):
        self.name = name

    def get_reference_file(self, model, kind):
        assert kind == "linearity"
        return self.name


@pytest.fixture
def reference(tmp_path):
    """Return a function that writes a linearity reference of the full frame."""

    def write(*coefficients):
        cube = np.zeros((len(coefficients), 1024, 1032), np.float32)
        cube[:] = np.array(coefficients)[:, None, None]
        model = LinearityModel(coeffs=cube, dq=np.zeros((1024, 1032), np.uint32))
        model.meta.subarray.xstart = model.meta.subarray.ystart = 1
        path = tmp_path / "sim_linearity.fits"
        model.save(str(path))
        return str(path)

    return write


def test_no_reference_and_the_identity_know_nothing(make_lrs_ramp, reference):
    ramp = make_lrs_ramp(n_ints=1, n_groups=4)
    assert own_references.describe_reference(Linearity("N/A"), ramp) is None
    assert own_references.describe_reference(Linearity(reference(0.0, 1.0, 0.0)), ramp) is None
    # A constant shifts ramps as a whole.
    assert own_references.describe_reference(Linearity(reference(12.0, 1.0)), ramp) is None


def test_a_reference_that_corrects_is_used(make_lrs_ramp, reference):
    ramp = make_lrs_ramp(n_ints=1, n_groups=4)
    said = own_references.describe_reference(Linearity(reference(0.0, 1.0, 1e-6)), ramp)
    assert said == "sim_linearity.fits corrects 100 % of the pixels"


class Pipeline:
    """As much of a pipeline as makes references."""

    def __init__(self, name, folder):
        from detectorist.reference import SetCustomGain, SetCustomLinearity

        self.set_custom_linearity = SetCustomLinearity(method="above_pedestal", when="needed")
        self.set_custom_linearity.skip = False
        self.set_custom_gain = SetCustomGain()
        self.set_custom_gain.skip = True
        self.linearity = Linearity(name)
        self.folder, self.written, self.chunk_ints = folder, [], None


def test_dark_ramps_go_on_without_a_correction(make_lrs_ramp, tmp_path, caplog):
    pipeline = Pipeline("N/A", tmp_path)
    dark = make_lrs_ramp(n_ints=2, n_groups=20)
    dark.data = (9000 + np.random.default_rng(1).normal(0, 6, dark.data.shape)).astype(np.float32)
    records = own_references.make_references(pipeline, Segment(dark, {"model_type": "RampModel"}))
    assert records["set_custom_linearity"]["state"] == "SKIPPED"
    assert "the ramps are not corrected for non-linearity" in caplog.text
    assert pipeline.written == []
    pipeline.set_custom_linearity.when = "always"
    with pytest.raises(Exception, match="linearity"):
        own_references.make_references(pipeline, Segment(dark, {"model_type": "RampModel"}))


def test_the_reference_in_use_is_recorded(make_lrs_ramp, reference, tmp_path):
    pipeline = Pipeline(reference(0.0, 1.0, 1e-6), tmp_path)
    ramp = make_lrs_ramp(n_ints=1, n_groups=4)
    records = own_references.make_references(pipeline, Segment(ramp, {"model_type": "RampModel"}))
    assert records == {
        "set_custom_linearity": {"state": "SKIPPED", "reason": "sim_linearity.fits corrects 100 % of the pixels"}
    }
    assert not list(Path(tmp_path).glob("references/*"))
