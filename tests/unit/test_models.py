"""What we add to a datamodel survives copying, saving and reopening by someone who has only `jwst`."""

import gc

import numpy as np
import pytest
from astropy.io import fits
from numpy.testing import assert_array_equal
from stdatamodels.jwst import datamodels

from detectorist import models
from detectorist.entry_points import STAGE_1, STAGE_2
from detectorist.errors import InputError


def copied(model, tmp_path):
    return model.copy()


def reopened(model, tmp_path):
    path = tmp_path / "model.fits"
    model.save(str(path))
    return type(model)(str(path))


@pytest.fixture(params=[copied, reopened])
def survive(request, tmp_path):
    return lambda model: request.param(model, tmp_path)


def test_open_as_copies_a_model(make_lrs_ramp):
    ramp = make_lrs_ramp(n_ints=1, n_groups=3)
    got = models.open_as(ramp, datamodels.RampModel)
    got.data[...] = 0
    assert ramp.data.max() > 0
    assert models.open_as(ramp, datamodels.RampModel, copy=False) is ramp


def test_open_as_reads_an_uncal_as_a_ramp_without_rounding(make_lrs_ramp, tmp_path):
    ramp = make_lrs_ramp(n_ints=1, n_groups=3)
    uncal = datamodels.Level1bModel(data=ramp.data.astype(np.uint16))
    uncal.update(ramp)
    path = tmp_path / "jw_uncal.fits"
    uncal.save(str(path))
    for source in (str(path), path, uncal):
        got = models.open_as(source, datamodels.RampModel)
        assert type(got) is datamodels.RampModel
        assert_array_equal(got.data, ramp.data.astype(np.uint16))
        assert models.group_flags(got).shape == got.data.shape
        assert got.meta.exposure.type == "MIR_LRS-SLITLESS"


@pytest.mark.parametrize(
    ("shape", "kind", "message"),
    [
        ((4, 5), datamodels.CubeModel, "SCI of shape .4, 5.* one image per integration .rateints. with 3 dimensions"),
        ((3, 4, 5), datamodels.RampModel, "a ramp .uncal or ramp file. with 4 dimensions"),
        ((3, 4, 5), datamodels.ImageModel, "one image .rate. with 2 dimensions"),
    ],
)
def test_open_as_tells_products_apart(tmp_path, shape, kind, message):
    found = {2: datamodels.ImageModel, 3: datamodels.CubeModel}[len(shape)](data=np.zeros(shape, np.float32))
    found.meta.filename = "jw_product.fits"
    with pytest.raises(InputError, match=rf"jw_product.fits: .*{message}") as caught:
        models.open_as(found, kind)
    assert caught.value.numbers["found_shape"] == list(shape)
    path = tmp_path / "jw_product.fits"
    found.save(str(path))
    with pytest.raises(InputError, match=message):
        models.open_as(path, kind)


def test_open_as_refuses_what_is_no_data(tmp_path):
    with pytest.raises(InputError, match=r"nowhere.fits: no such file"):
        models.open_as(tmp_path / "nowhere.fits", datamodels.RampModel)
    with pytest.raises(InputError, match="of type list: a JWST datamodel or the path of a file is needed"):
        models.open_as([1, 2], datamodels.RampModel)
    text = tmp_path / "notes.fits"
    text.write_text("not a FITS file")
    with pytest.raises(InputError, match=r"notes.fits: not readable as a RampModel .*; is the file complete\?"):
        models.open_as(text, datamodels.RampModel)


def test_open_as_names_a_truncated_file(make_lrs_ramp, tmp_path):
    path = tmp_path / "jw_uncal.fits"
    make_lrs_ramp(n_ints=1, n_groups=3).save(str(path))
    path.write_bytes(path.read_bytes()[:60_000])
    with pytest.raises(InputError, match=r"jw_uncal.fits: not readable as a RampModel"):
        models.open_as(path, datamodels.RampModel)
    gc.collect()


def test_records_survive(make_lrs_rateints, survive):
    model = make_lrs_rateints(n_ints=1)
    numbers = {"scale": np.float32(0.5), "rows": np.arange(3), "nested": {"a": (1, 2)}, "word": "x"}
    models.record_step(model, "clean_outliers", "COMPLETE", numbers)
    models.record_step(model, "drop_groups", "SKIPPED", {})
    got = models.records(survive(model))
    assert got["clean_outliers"] == {
        "state": "COMPLETE",
        "scale": 0.5,
        "rows": [0, 1, 2],
        "nested": {"a": [1, 2]},
        "word": "x",
    }
    assert got["drop_groups"]["state"] == "SKIPPED"


def test_states_are_in_the_fits_header(make_lrs_rateints, tmp_path):
    model = make_lrs_rateints(n_ints=1)
    models.record_step(model, "clean_outliers", "SKIPPED", {})
    models.record_step(model, "clean_outliers", "COMPLETE", {})
    path = tmp_path / "model.fits"
    model.save(str(path))
    header = fits.getheader(path)
    assert header["S_CLNOUT"] == "COMPLETE"
    assert header.count("S_CLNOUT") == 1


def test_state_after_a_copy_and_after_reopening(make_lrs_rateints, survive):
    """A subtracting step must still know that it has been run, whatever happened to the model in between."""
    model = make_lrs_rateints(n_ints=1)
    assert models.state(model, "background_subtract") is None
    models.record_step(model, "background_subtract", "COMPLETE", {})
    assert models.state(survive(model), "background_subtract") == "COMPLETE"


def test_state_keywords_are_unique_and_fit_a_header():
    keywords = list(models.STATE_KEYWORDS.values())
    assert len(set(keywords)) == len(keywords)
    assert all(len(keyword) <= 8 for keyword in keywords)
    aliases = {*STAGE_1.values(), *STAGE_2.values()}
    assert aliases <= set(models.STATE_KEYWORDS)


def test_provenance_is_carried_over_a_ramp_fit(make_lrs_ramp, make_lrs_rateints):
    ramp, rates = make_lrs_ramp(n_ints=1, n_groups=3), make_lrs_rateints(n_ints=1)
    models.record_step(ramp, "drop_groups", "COMPLETE", {"groups": [0]})
    models.record_step(ramp, "reference_pixel", "COMPLETE", {"x": 1})
    ramp.add_history_entry("drop_groups: done", software={"name": "detectorist", "version": "1"})
    models.record_step(rates, "reference_pixel", "COMPLETE", {"x": 2})
    for _ in range(2):
        models.carry_provenance(ramp, rates)
    assert models.records(rates)["drop_groups"]["groups"] == [0]
    assert models.records(rates)["reference_pixel"]["x"] == 2
    assert models.state(rates, "drop_groups") == "COMPLETE"
    assert [entry["description"] for entry in rates.instance["history"]["entries"]] == ["drop_groups: done"]
    assert "groups" in models.records(ramp)["drop_groups"]


def test_history_is_cut_between_words_and_is_whole_after_reopening(make_lrs_rateints, tmp_path):
    line = (
        "wisps: scale 0.8001 +- 0.0006, 0.1234 +- 0.0022 of wisps_nrcb4_f200w_1.fits, wisps_nrcb4_f200w_2.fits (x 1.0)"
    )
    model = make_lrs_rateints(n_ints=1)
    models.add_history(model, line)
    models.add_history(model, "stripes: done")
    entries = [entry["description"] for entry in model.instance["history"]["entries"]]
    assert max(map(len, entries)) <= 72
    assert " ".join(entry.strip() for entry in entries[:-1]) == line
    for name in ("once.fits", "twice.fits"):
        model.save(tmp_path / name)
        model = datamodels.CubeModel(tmp_path / name)
        assert [entry["description"] for entry in model.instance["history"]["entries"]] == entries
    assert models.history(model).splitlines()[-1] == "stripes: done"


def test_history_that_others_wrote_longer_than_a_card_is_whole_again(make_lrs_rateints, tmp_path):
    model = make_lrs_rateints(n_ints=1)
    model.add_history_entry("a" * 65 + " remstriping.py")
    model.add_history_entry("later")
    model.save(tmp_path / "long.fits")
    with datamodels.CubeModel(tmp_path / "long.fits") as reopened:
        assert models.history(reopened).splitlines() == ["a" * 65 + " remstriping.py", "later"]


def test_lines_of_history_are_carried_whole_and_once(make_lrs_ramp, make_lrs_rateints):
    ramp, rates = make_lrs_ramp(n_ints=1, n_groups=3), make_lrs_rateints(n_ints=1)
    lines = [f"{step}: {'word ' * 13}(detectorist 1.0)" for step in ("first", "second")]
    models.add_history(rates, lines[0])
    for line in lines:
        models.add_history(ramp, line)
    models.carry_provenance(ramp, rates)
    entries = [entry["description"] for entry in rates.instance["history"]["entries"]]
    assert entries == [entry["description"] for entry in ramp.instance["history"]["entries"]]


def test_background_variance_survives(make_lrs_rateints, survive):
    model = make_lrs_rateints(n_ints=2)
    assert models.background_variance(model) is None
    variance = np.linspace(0, 1, 2 * 416).reshape(2, 416)
    models.set_background_variance(model, variance)
    assert_array_equal(models.background_variance(survive(model)), variance.astype(np.float32))


def test_missing_arrays_mean_unknown(make_lrs_rateints, make_lrs_ramp):
    rate = datamodels.ImageModel(data=np.ones((4, 5), np.float32))
    assert np.isnan(models.errors(rate)).all()
    assert models.errors(rate).shape == (4, 5)
    assert_array_equal(models.flags(rate), np.zeros((4, 5), np.uint32))
    full = make_lrs_rateints(n_ints=1)
    assert models.errors(full)[0, 0, 0] == 3.0
    assert models.group_flags(make_lrs_ramp(n_ints=1, n_groups=2)).dtype == np.uint8


def test_reference_is_cut_to_the_subarray(make_lrs_rateints):
    model = make_lrs_rateints(n_ints=1)
    full = np.arange(1024 * 1032).reshape(1024, 1032)
    assert_array_equal(models.on_subarray(full, model), full[528:944, :72])
    assert models.on_subarray(full[528:944, :72], model).shape == (416, 72)
    assert_array_equal(models.on_subarray(full[500:], model, start=(1, 501)), full[528:944, :72])
    with pytest.raises(InputError, match=r"does not cover the subarray .416 rows, 72 columns from row 529, column 1"):
        models.on_subarray(full[600:], model, start=(1, 601))


def test_description_is_the_file_name(make_lrs_rateints):
    assert models.describe(make_lrs_rateints(n_ints=1)).endswith("_rateints.fits")
    assert models.describe(datamodels.CubeModel()) == "CubeModel"


def test_arrays_are_shared_and_metadata_are_not(make_lrs_rateints):
    model = make_lrs_rateints(n_ints=2)
    model.var_rnoise = np.ones_like(model.data)
    assert models.sharing_arrays(model).var_rnoise is model.var_rnoise
    other = models.sharing_arrays(model, without=models.VARIANCES)
    models.record_step(other, "clean_outliers", "COMPLETE", {"n": 1})
    other.data[1, 5, 5] = 77
    assert model.data[1, 5, 5] == 77
    assert all(np.shares_memory(getattr(model, name), getattr(other, name)) for name in ("data", "err", "dq"))
    assert models.state(model, "clean_outliers") is None
    assert model.hasattr("var_rnoise")
    assert "var_rnoise" not in other.instance
