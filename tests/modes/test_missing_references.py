"""References that a mode lacks are named with detector and subarray; what steps can do without is a concern."""

import shutil

import pytest

from detectorist.crds_source import use_references
from detectorist.errors import ReferenceMissing
from detectorist.modes import MODES, load_mode
from detectorist.modes.quality import MISSING_REFERENCES
from detectorist.pipelines import Coron1Pipeline, ImagingPipeline, LrsPipeline
from detectorist.reduction import missing_references
from detectorist.reduction.missing_references import missing_types

pytestmark = pytest.mark.filterwarnings("default")

PIPELINES = {"lrs": LrsPipeline, "imaging": ImagingPipeline, "coron": Coron1Pipeline}
PLACES = {"lrs": "MIRIMAGE, subarray SLITLESSPRISM", "imaging": "NRCB4, subarray ", "coron": "MIRIMAGE, subarray MASK"}


@pytest.fixture(params=sorted(MODES))
def exposure(request, raw_of):
    """Return (mode, pipeline, raw file, source) of a small exposure."""
    folder = raw_of(request.param)
    source = use_references(folder / "crds")
    return request.param, PIPELINES[request.param](), sorted(folder.glob("*_uncal.fits"))[0], source


def lacking(monkeypatch, *types):
    """Let CRDS know nothing of some types."""
    best = missing_references.best_references
    monkeypatch.setattr(
        missing_references,
        "best_references",
        lambda path, kinds: {k: "NOT FOUND n/a" if k in types else v for k, v in best(path, kinds).items()},
    )


def test_nothing_is_missing_from_simulated_references(exposure):
    _, pipeline, path, source = exposure
    assert missing_types(pipeline, pipeline.step_defs, path, source) == ""


@pytest.mark.parametrize("kind", ["gain", "readnoise"])
def test_what_no_slope_can_be_fitted_without(exposure, monkeypatch, kind):
    mode, pipeline, path, source = exposure
    lacking(monkeypatch, kind, "linearity")
    with pytest.raises(ReferenceMissing, match=rf"no reference of type .*{kind}.* for {PLACES[mode]}") as caught:
        missing_types(pipeline, pipeline.step_defs, path, source)
    assert str(caught.value).startswith(str(path))


def test_a_reference_of_ones_own_is_none_that_is_missing(exposure, monkeypatch):
    _, pipeline, path, source = exposure
    lacking(monkeypatch, "gain")
    for step in ("jump", "ramp_fit", "gain_scale"):
        getattr(pipeline, step).override_gain = "mine.fits"
    assert missing_types(pipeline, pipeline.step_defs, path, source) == ""


def test_what_steps_are_skipped_without_is_a_concern(exposure, monkeypatch):
    mode, pipeline, path, source = exposure
    lacking(monkeypatch, "dark", "saturation")
    missing = missing_types(pipeline, ["saturation", "dark_current", "jump", "ramp_fit"], path, source)
    assert missing == "saturation, dark"
    section = load_mode(mode).section()
    (check,) = [check for check in section.checks if check.key == MISSING_REFERENCES.key]
    assert "saturation, dark" in check.apply(missing).words


def copied(folder, tmp_path):
    """Return a copy of a folder of references and the file of the mask in it."""
    target = shutil.copytree(folder, tmp_path / "refs")
    (mask,) = target.rglob("*_mask_*.fits")
    mask.chmod(0o644)
    return target, mask


def test_a_file_that_a_folder_lacks_is_named(exposure, tmp_path):
    """Of such a folder crds says that a server does not answer."""
    _, pipeline, path, source = exposure
    folder, mask = copied(source.name, tmp_path)
    mask.unlink()
    with pytest.raises(ReferenceMissing, match=rf"refs: reference files are missing: mask \({mask.name}\); copy"):
        missing_types(pipeline, pipeline.step_defs, path, use_references(folder))


def test_a_reference_that_was_cut_short_is_named(exposure, tmp_path):
    """jwst fails on a shape that an array cannot have; a download that broke off leaves such files."""
    _, pipeline, path, source = exposure
    folder, mask = copied(source.name, tmp_path)
    content = mask.read_bytes()
    mask.write_bytes(content[:6000])
    with pytest.raises(ReferenceMissing, match=rf"{mask.name}: 6000 bytes, its header promises \d+.* reference"):
        missing_types(pipeline, pipeline.step_defs, path, use_references(folder))
    mask.write_bytes(content)
    assert missing_types(pipeline, pipeline.step_defs, path, use_references(folder)) == ""
