"""Stage 1 in chunks of integrations gives the bits of the whole."""

import gc

import numpy as np
import pytest

from detectorist import models
from detectorist.algorithms.ramps import groups
from detectorist.errors import InputError, ParameterError
from detectorist.reduction import chunks
from detectorist.reduction.inputs import exposure_parts
from detectorist.reduction.ramp_store import RampStore

pytestmark = pytest.mark.filterwarnings("default")  # stock steps warn as they please

ARRAYS = ("data", "err", "dq", "var_poisson", "var_rnoise")
#: First integrations that differ, neighbours of jumps: all that a chunk could get wrong.
DELICATE = (
    "rscd.skip=false",
    "lastframe.skip=false",
    "ipc.skip=false",
    "reference_pixel.skip=false",
    "reference_pixel.smoothing=gaussian",
    "group_background_subtract.skip=false",
    "jump.flag_4_neighbors=true",
    "jump.rejection_threshold=4",
    "jump.min_jump_to_flag_neighbors=4",
    "jump.after_jump_flag_time1=0.2",
)


#: Steps that choose for themselves, or fit something to every integration: the recipe "best".
CHOOSING = (
    "emicorr.skip=false",
    "emicorr.algorithm=joint",
    "emicorr.fit_ints_separately=true",
    "drop_groups.drop_groups=auto",
    "reference_pixel.skip=false",
    "reference_pixel.smoothing=auto",
    "jump.ints_separately=true",
    "jump.find_small_hits=true",
    "jump.flag_4_neighbors=false",
)


@pytest.fixture(autouse=True, scope="module")
def collections_are_short():
    """Stock steps collect garbage after every step, through everything that was ever imported."""
    import detectorist.modes.lrs.pipeline  # noqa: F401

    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.fixture
def rates(lrs_exposure, tmp_path):
    """Return a function that runs stage 1 on the second segment of the exposure."""
    from detectorist.crds_source import use_references
    from detectorist.modes.lrs.own_references import make_references
    from detectorist.modes.lrs.pipeline import LrsPipeline
    from detectorist.modes.lrs.reduction import build_pipeline
    from detectorist.modes.lrs.segments import order_segments
    from detectorist.reduction.recipes.recipe_files import load_recipe

    use_references(lrs_exposure / "crds")

    def run(*settings, segment=0):
        recipe = load_recipe("lrs", "short").with_settings(settings)
        folder = tmp_path / str(len(list(tmp_path.iterdir())))
        pipeline = build_pipeline(
            LrsPipeline, None, steps=recipe.steps, output_dir=str(folder), reuse=False, **recipe.parameters
        )
        pipeline.choose_engine(pipeline.engine)
        found = order_segments(sorted(lrs_exposure.glob("*_uncal.fits")))
        make_references(pipeline, found[segment])
        return pipeline.detector(found[segment])

    return run


def assert_same_bits(one, other):
    for name in ARRAYS:
        a, b = getattr(one, name), getattr(other, name)
        assert a.dtype == b.dtype, name
        assert a.shape == b.shape, name
        assert a.tobytes() == b.tobytes(), name


@pytest.mark.parametrize(
    ("settings", "segment", "chunk_ints"),
    [
        ((*DELICATE, *CHOOSING), 0, 2),
        pytest.param((*DELICATE, "ramp_fit.algorithm=LIKELY"), 0, 2, marks=pytest.mark.long),
        pytest.param(DELICATE, 0, 2, marks=pytest.mark.long),
        pytest.param(CHOOSING, 0, 2, marks=pytest.mark.long),
        pytest.param((*DELICATE, "engine=stock"), 0, 3, marks=pytest.mark.long),
        pytest.param((*DELICATE, "engine=stock"), 1, 2, marks=pytest.mark.long),
        pytest.param((), 1, 2, marks=pytest.mark.long),
    ],
    ids=["all", "likelihood", "delicate", "choosing", "stock code", "second segment", "recipe"],
)
def test_chunks_give_the_bits_of_the_whole(rates, settings, segment, chunk_ints, monkeypatch):
    monkeypatch.setattr(groups, "MIN_DECIDING_INTS", 3)
    monkeypatch.setattr(groups, "DECIDING_SAMPLES", 1)
    whole = rates(*settings, segment=segment)
    parts = rates(*settings, f"chunk_ints={chunk_ints}", segment=segment)
    assert_same_bits(whole, parts)
    assert (whole.dq > 0).any()
    if "emicorr.skip=false" in settings:
        assert whole.meta.cal_step.emicorr == "COMPLETE"
    for name in ("subarray", "exposure", "cal_step"):
        ours, theirs = getattr(parts.meta, name).instance, getattr(whole.meta, name).instance
        assert ours.pop("primary_cosmic_rays", 0) == pytest.approx(theirs.pop("primary_cosmic_rays", 0), rel=0.2)
        assert ours == theirs
    found, wanted = models.records(parts), models.records(whole)
    assert found.keys() == wanted.keys()
    assert found["drop_groups"] == wanted["drop_groups"]
    np.testing.assert_array_equal(parts.int_times, whole.int_times)


@pytest.mark.long
def test_a_linearity_of_ones_own_is_that_of_the_whole(rates):
    settings = (
        "set_custom_linearity.skip=false",
        "set_custom_linearity.group_idx_start_fit=1",
        "set_custom_linearity.group_idx_end_fit=6",
        "set_custom_linearity.group_idx_start_derive=1",
    )
    assert_same_bits(rates(*settings), rates(*settings, "chunk_ints=2"))


def test_rows_that_are_all_unusable_are_fitted_with_their_neighbours(tmp_path):
    """A group that is unusable in a whole tile, but not in the frame, must not be left out of the tile's ramps."""
    from stdatamodels.jwst import datamodels

    ramps = datamodels.RampModel(data=np.zeros((4, 5, 12, 6), np.float32))
    ramps.groupdq = np.zeros((4, 5, 12, 6), np.uint8)
    ramps.pixeldq = np.zeros((12, 6), np.uint32)
    ramps.groupdq[:, 0] |= 1  # dropped on purpose, everywhere
    ramps.groupdq[2, 3, 3:6] |= 1  # the second tile
    ramps.groupdq[1, 4, 9:] |= 2  # the last tile, saturated
    store = RampStore.make(tmp_path, 12, 4, 1, 0)
    assert [(tile.first, tile.stop) for tile in store.tiles] == [(0, 3), (3, 6), (6, 9), (9, 12)]
    store.add(ramps)
    assert store.groups_of_tiles() == [[0], [1, 2, 3]]


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("emicorr.skip=false", "emicorr fits one wave to all integrations"),
        ("jump.find_showers=true", "find_showers looks at the whole frame"),
        ("jump.expand_large_events=true", "expand_large_events looks at the whole frame"),
        ("jump.after_jump_flag_dn1=10", "median gain of the whole frame"),
    ],
)
def test_steps_that_need_the_whole_are_named(rates, setting, words):
    with pytest.raises(ParameterError, match=words):
        rates(setting, "chunk_ints=2")


@pytest.mark.parametrize(("n_ints", "chunk_ints"), [(7, 2), (8, 2), (9, 4), (5, 4), (3, 2), (10, 100), (2, 1)])
def test_chunks_cover_everything_and_none_is_single(n_ints, chunk_ints):
    parts = exposure_parts.chunks_of(n_ints, chunk_ints)
    assert [number for first, stop in parts for number in range(first, stop)] == list(range(n_ints))
    assert min(stop - first for first, stop in parts) >= 2


@pytest.mark.parametrize(("n_ints", "n_blocks"), [(1, 1), (128, 1), (129, 2), (300, 3), (1670, 14)])
def test_blocks_of_stage_2(n_ints, n_blocks):
    blocks = exposure_parts.blocks_of(n_ints)
    assert len(blocks) == n_blocks
    assert [number for first, stop in blocks for number in range(first, stop)] == list(range(n_ints))
    assert max(stop - first for first, stop in blocks) <= exposure_parts.BLOCK_INTS


@pytest.mark.parametrize("as_file", [True, False])
def test_blocks_of_rates_carry_their_numbers_and_times(make_lrs_rateints, tmp_path, as_file):
    from stdatamodels.jwst.datamodels import CubeModel

    from detectorist.times import integration_times

    whole = make_lrs_rateints(n_ints=6, ny=8)
    whole.var_poisson = np.array(whole.err**2)
    whole.meta.exposure.integration_start, whole.meta.exposure.integration_end = 11, 16
    path = tmp_path / "x_rateints.fits"
    whole.save(path)
    part = (
        exposure_parts.read_integrations(path, 2, 5, CubeModel)
        if as_file
        else exposure_parts.slice_integrations(whole, 2, 5)
    )
    for name in ("data", "err", "dq", "var_poisson"):
        np.testing.assert_array_equal(getattr(part, name), getattr(whole, name)[2:5])
    assert (part.meta.exposure.integration_start, part.meta.exposure.integration_end) == (13, 15)
    np.testing.assert_array_equal(integration_times(part).mjd_utc, integration_times(whole).mjd_utc[2:5])


@pytest.mark.long
def test_stage_2_of_a_long_segment_goes_in_blocks(lrs_exposure, tmp_path, monkeypatch):
    """No integration is lost or out of order."""
    from detectorist.modes.lrs.reduction import Request, reduce_exposure

    monkeypatch.setattr(exposure_parts, "BLOCK_INTS", 3)
    files = sorted(lrs_exposure.glob("*_uncal.fits"))[:1]
    reduced = reduce_exposure(Request(files, tmp_path, references=str(lrs_exposure / "crds"), recipe="short"))
    dataset = reduced.spectra.dataset
    assert dataset.sizes["integration_number"] == 5
    assert (np.diff(dataset["time_mjd_utc"]) > 0).all()


def test_numbers_on_which_chunks_differ_become_a_list():
    records = [{"step": {"state": "COMPLETE", "rms": 1.0}}, {"step": {"state": "COMPLETE", "rms": 2.0}}]
    assert chunks.join_records(records) == {"step": {"state": "COMPLETE", "rms": [1.0, 2.0]}}


def test_a_truncated_file(lrs_exposure, tmp_path):
    source = sorted(lrs_exposure.glob("*_uncal.fits"))[0]
    cut = tmp_path / source.name
    cut.write_bytes(source.read_bytes()[:200_000])
    n_ints = exposure_parts.count_integrations(cut)
    with pytest.raises(InputError, match=source.name):
        exposure_parts.read_integrations(cut, n_ints - 2, n_ints)
