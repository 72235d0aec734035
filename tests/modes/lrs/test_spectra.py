"""Spectra through time in a file that grows: what is read back, what is left behind, how much memory it takes."""

import tracemalloc

import numpy as np
import pytest
import xarray as xr

from detectorist.errors import InputError, OutputError
from detectorist.modes.lrs.spectra import LrsSpectra, SegmentSpectra

N_ROWS = 40


def make_segment(n_ints, first=0, rng=None):
    rng = np.random.default_rng(first) if rng is None else rng
    spectra = rng.normal(size=(4, n_ints, N_ROWS))
    spectra[0, 0, :3] = np.nan
    times = 61000.0 + np.arange(first, first + n_ints) / 1000
    return SegmentSpectra(
        wavelength=np.where(np.arange(N_ROWS) < 5, np.nan, np.linspace(14, 5, N_ROWS)),
        flux=spectra[0],
        flux_error=np.abs(spectra[1]),
        background=spectra[2].astype(np.float32),
        x_shift=spectra[3, :, 0],
        y_shift=spectra[3, :, 1],
        y_shift_left=spectra[3, :, 1],
        psf_sigma=spectra[3, :, 2],
        n_outliers=rng.integers(0, 9, (n_ints, N_ROWS, 5)).astype(np.int16),
        quality=rng.integers(0, 16, (n_ints, N_ROWS)).astype(np.uint8),
        time_mjd_utc=times,
        time_bjd_tdb=times + 2400000.503,
        integration_number=np.arange(first + 1, first + n_ints + 1),
        exposure=np.ones(n_ints, np.int16),
        units="DN/s",
        origin={"target": "WASP-43", "program": "01366"},
    )


def write(path, segments):
    spectra = LrsSpectra(path, author="someone")
    for segment in segments:
        spectra.add(segment)
    spectra.finish()
    return spectra


def test_blocks_are_joined_in_order_of_wavelength(tmp_path):
    segments = [make_segment(3), make_segment(70, 3), make_segment(1, 73)]
    found = write(tmp_path / "stage_2" / "x.nc", segments).dataset
    rows = np.arange(N_ROWS - 1, 4, -1)  # the first five have no wavelength, all others fall with the row
    assert dict(found.sizes) == {"integration_number": 74, "wavelength": N_ROWS - 5, "region_width": 5}
    np.testing.assert_array_equal(found["detector_row"], rows)
    np.testing.assert_array_equal(found["wavelength"], segments[0].wavelength[rows])
    for name, variable in found.data_vars.items():
        if name == "detector_row":
            continue
        wanted = np.concatenate([getattr(segment, name) for segment in segments])
        assert variable.dtype == wanted.dtype
        np.testing.assert_array_equal(variable, wanted[:, rows] if wanted.ndim > 1 else wanted)
    np.testing.assert_array_equal(found["integration_number"], np.arange(1, 75))
    np.testing.assert_array_equal(found["region_width"], np.arange(5))
    assert found["flux"].attrs["units"] == "DN/s"
    assert found["wavelength"].attrs["units"] == "microns"
    assert "integration_number" not in found.data_vars


def test_wavelengths_can_be_selected(tmp_path):
    found = write(tmp_path / "x.nc", [make_segment(3)]).dataset
    near = found.flux.sel(wavelength=7, method="nearest")
    assert near.dims == ("integration_number",)
    assert abs(float(near.wavelength) - 7) < 0.15
    part = found.flux.sel(wavelength=slice(6, 8))
    assert part.wavelength.min() >= 6
    assert part.wavelength.max() <= 8
    assert part.sizes["wavelength"] == int(((found.wavelength >= 6) & (found.wavelength <= 8)).sum())


def test_attributes_tell_the_origin_and_are_never_blank(tmp_path):
    found = write(tmp_path / "x.nc", [make_segment(3)]).dataset.attrs
    assert found["author"] == "someone"
    assert found["target"] == "WASP-43"
    assert found["program"] == "01366"
    assert found["conventions"] == found["Conventions"] == "CF-1.11"
    assert found["history"].startswith(found["code"])
    assert not {"contact", "recipe", "visit"} & set(found)
    assert all(str(value) for value in found.values())


def test_no_wavelength_at_all(tmp_path):
    spectra = LrsSpectra(tmp_path / "x.nc")
    segment = make_segment(2)
    segment.wavelength[:] = np.nan
    with pytest.raises(InputError, match="no row of the detector has a wavelength"):
        spectra.add(segment)
    spectra.discard()


def test_it_can_be_written_again_by_xarray(tmp_path):
    spectra = write(tmp_path / "x.nc", [make_segment(4)])
    spectra.save(tmp_path / "y.nc")
    xr.testing.assert_identical(xr.load_dataset(tmp_path / "y.nc", engine="h5netcdf"), spectra.dataset)
    with spectra.opened() as dataset:
        for name, variable in spectra.dataset.variables.items():
            np.testing.assert_array_equal(dataset[name], variable.values)


def test_nothing_has_its_name_before_it_is_whole(tmp_path):
    spectra = LrsSpectra(tmp_path / "x.nc")
    spectra.add(make_segment(2))
    assert not (tmp_path / "x.nc").exists()
    spectra.discard()
    assert list(tmp_path.iterdir()) == []
    spectra.discard()


def test_other_wavelengths(tmp_path):
    spectra = LrsSpectra(tmp_path / "x.nc")
    spectra.add(make_segment(2))
    other = make_segment(2, 2)
    other.wavelength[10] += 1
    with pytest.raises(InputError, match="different wavelength maps"):
        spectra.add(other)
    spectra.discard()


def test_a_folder_that_is_a_file(tmp_path):
    (tmp_path / "stage_2").write_text("")
    with pytest.raises(OutputError, match=r"x\.nc: cannot be written"):
        LrsSpectra(tmp_path / "stage_2" / "x.nc")


def test_memory_grows_by_no_more_than_the_file(tmp_path):
    """The file is made in memory, and segments are not kept beside it: forty of them would take 10 MB."""
    peaks, sizes = {}, {}
    rng = np.random.default_rng(1)
    for count in (4, 40):
        segments = (make_segment(128, 128 * number, rng) for number in range(count))
        tracemalloc.start()
        write(tmp_path / f"{count}.nc", segments)
        peaks[count] = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        sizes[count] = (tmp_path / f"{count}.nc").stat().st_size
    growth = sizes[40] - sizes[4]
    assert peaks[40] - peaks[4] < 1.5 * growth
