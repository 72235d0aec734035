"""Products: whole or not at all, and never in the place of an input or of a foreign file."""

import numpy as np
import pytest
import xarray as xr
from matplotlib.figure import Figure

from detectorist.errors import OutputError, PlaceTaken
from detectorist.figures.display import write_figure
from detectorist.reduction import products


def test_an_input_is_never_overwritten(tmp_path, make_lrs_rateints):
    path = tmp_path / "a_rateints.fits"
    model = make_lrs_rateints(2, 4, 40)
    model.save(str(path))
    before = path.read_bytes()
    with pytest.raises(OutputError, match="would overwrite the input"):
        products.write_model(model, path, never_over=path)
    assert path.read_bytes() == before


def test_a_dataset_survives(tmp_path):
    dataset = xr.Dataset({"flux": (("t", "w"), np.arange(6.0).reshape(2, 3))})
    path = products.write_dataset(dataset, tmp_path / "deep" / "a.nc")
    with xr.open_dataset(path, engine="h5netcdf") as got:
        xr.testing.assert_identical(got.load(), dataset)


@pytest.mark.filterwarnings("ignore")  # astropy's, on damaged files
@pytest.mark.parametrize("length", [0, 10, 3000])
def test_what_is_left_of_a_file_may_be_replaced_and_a_foreign_file_may_not(tmp_path, make_lrs_rateints, length):
    source = tmp_path / "a_uncal.fits"
    source.write_bytes(b"raw")
    target = tmp_path / "a_rateints.fits"
    products.require_ours(target, source, overwrite=False)
    make_lrs_rateints(2, 4, 40).save(str(target))
    with pytest.raises(OutputError, match="a_rateints.fits: was not written by detectorist"):
        products.require_ours(target, source, overwrite=False)
    products.require_ours(target, source, overwrite=True)
    target.write_bytes(target.read_bytes()[:length])
    products.require_ours(target, source, overwrite=False)
    products.write_model(make_lrs_rateints(2, 4, 40), target)
    products.require_ours(target, source, overwrite=False)
    with pytest.raises(OutputError, match="would overwrite the input"):
        products.require_ours(target, target, overwrite=True)


def test_a_dataset_of_another_program_is_not_replaced(tmp_path):
    target, source = tmp_path / "a.nc", tmp_path / "raw.fits"
    source.touch()
    products.write_dataset(xr.Dataset({"x": ("y", [1.0])}), target)
    with pytest.raises(PlaceTaken, match=r"a\.nc: was not written by detectorist and is not overwritten"):
        products.require_ours(target, source, overwrite=False)
    products.require_ours(target, source, overwrite=True)
    target.write_bytes(target.read_bytes()[:100])  # what is left of a damaged one
    products.require_ours(target, source, overwrite=False)
    products.write_dataset(xr.Dataset({"x": ("y", [1.0])}, attrs={"code": "detectorist 0.1"}), target)
    products.require_ours(target, source, overwrite=False)


def test_pictures_are_known_by_their_mark(tmp_path):
    figure = Figure(figsize=(1, 1))
    write_figure(figure, tmp_path / "ours.png")
    figure.savefig(tmp_path / "theirs.png")
    (tmp_path / "text.png").write_text("no picture")
    for name, content in (("empty", b""), ("lost", bytes(5000)), ("cut", (tmp_path / "ours.png").read_bytes()[:900])):
        (tmp_path / f"{name}.png").write_bytes(content)
    for path in tmp_path.iterdir():
        if path.stem in ("theirs", "text"):
            with pytest.raises(PlaceTaken, match="was not written by detectorist"):
                products.require_ours(path, overwrite=False)
        products.require_ours(path, overwrite=path.stem in ("theirs", "text"))
