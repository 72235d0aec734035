"""What is written: headers, times, truth, and the same bytes for the same seed."""

import hashlib
import os

import numpy as np
import pytest
import xarray as xr
from numpy.testing import assert_allclose, assert_array_equal
from stdatamodels.jwst import datamodels

from detectorist.errors import OutputError, ParameterError
from detectorist.simulate.core import exposure_times as exposure
from detectorist.simulate.lrs.references import build_lrs_cache
from detectorist.simulate.lrs.scene import LrsScene
from detectorist.simulate.lrs.truth import drift_image, expected_noise, expected_white_scatter

SIZE = {"ints": 5, "groups": 6, "segments": 2, "seed": 4}


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("simulated")
    calls = []
    paths = LrsScene().write(folder, **SIZE, progress=lambda done, total, what: calls.append((done, total, what)))
    return folder, paths, calls


def digests(folder):
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_names_and_progress(written):
    folder, paths, calls = written
    assert [path.name for path in paths] == [f"jw09999001001_04103_00001-seg00{k}_mirimage_uncal.fits" for k in (1, 2)]
    assert [call[:2] for call in calls] == [(k, 5) for k in range(1, 6)]
    assert {path.name for path in folder.iterdir()} == {*(path.name for path in paths), "truth.nc", "crds"}


def test_same_seed_same_bytes_and_no_other(written, tmp_path):
    LrsScene().write(tmp_path / "again", **SIZE)
    assert digests(written[0]) == digests(tmp_path / "again")
    LrsScene().write(tmp_path / "other", **{**SIZE, "seed": 5})
    first, other = digests(written[0]), digests(tmp_path / "other")
    changed = {name for name in first if first[name] != other[name]}
    assert changed == {name for name in first if not name.startswith("crds/")}


def test_headers(written):
    starts = []
    for number, path in enumerate(written[1], start=1):
        with datamodels.Level1bModel(path) as model:
            meta = model.meta
            assert (meta.exposure.type, meta.exposure.readpatt) == ("MIR_LRS-SLITLESS", "FASTR1")
            assert (meta.exposure.segment_number, meta.exposure.total_segments) == (number, 2)
            assert (meta.exposure.nints, meta.exposure.ngroups) == (5, 6)
            assert meta.exposure.group_time == pytest.approx(0.15904)
            assert (meta.subarray.name, meta.subarray.xstart, meta.subarray.ystart) == ("SLITLESSPRISM", 1, 529)
            assert meta.filename == path.name
            assert model.data.dtype == np.uint16
            n_ints = meta.exposure.integration_end - meta.exposure.integration_start + 1
            assert model.data.shape == (n_ints, 6, 416, 72)
            assert_array_equal(
                model.int_times["integration_number"],
                np.arange(meta.exposure.integration_start, meta.exposure.integration_end + 1),
            )
            starts.append(meta.exposure.integration_start)
    assert starts == [1, 4]


def test_integration_times(written):
    tables = []
    for path in written[1]:
        with datamodels.Level1bModel(path) as model:
            tables.append(np.array(model.int_times))
            begin, end = model.meta.exposure.start_time, model.meta.exposure.end_time
    table = np.concatenate(tables)
    start, mid, stop = (table[f"int_{m}_MJD_UTC"] for m in ("start", "mid", "end"))
    assert_allclose((stop - start) * 86_400, 6 * 0.15904, atol=2e-6)
    assert_allclose(np.diff(mid) * 86_400, 7 * 0.15904, atol=2e-6)
    assert_allclose((start[0] - begin) * 86_400, 0.15904, atol=2e-6)
    assert_allclose(stop[-1], end)
    assert np.all(start[1:] > stop[:-1])


def test_barycentric_times_against_light_travel_time():
    """Earth's own light travel time differs by the way to L2 only: 1.5 million km, five seconds."""
    from astropy.coordinates import SkyCoord, get_body_barycentric
    from astropy.time import Time

    mjd = 61_222.0 + np.array([0.0, 90.0, 180.0, 270.0])
    target = SkyCoord(80.0, 10.0, unit="deg")
    time = Time(mjd, format="mjd", scale="utc")
    earth = get_body_barycentric("earth", time, ephemeris="builtin")
    light_s = earth.dot(target.cartesian).to_value("km") / 299_792.458
    tdb_minus_utc_s = 69.184
    got = (exposure.barycentric_mjd(mjd, 80.0, 10.0) - mjd) * 86_400
    assert np.abs(got - tdb_minus_utc_s - light_s).max() < 5.2
    assert np.ptp(light_s) > 600


def test_segments_share_the_integrations():
    assert exposure.segment_bounds(10, 3) == [(0, 4), (4, 7), (7, 10)]
    assert exposure.segment_bounds(2, 2) == [(0, 1), (1, 2)]


class TestRefusals:
    def test_no_overwriting_unless_told_so(self, written):
        before = digests(written[0])
        with pytest.raises(OutputError, match="already"):
            LrsScene().write(written[0], **SIZE)
        assert digests(written[0]) == before

    def test_overwriting_leaves_no_segment_of_before(self, tmp_path):
        small = {"ints": 3, "groups": 2, "seed": 1}
        LrsScene().write(tmp_path, segments=3, **small)
        paths = LrsScene().write(tmp_path, segments=1, overwrite=True, **small)
        assert sorted(tmp_path.glob("*_uncal.fits")) == paths

    def test_other_files_stay(self, tmp_path):
        (tmp_path / "notes.txt").write_text("mine")
        LrsScene().write(tmp_path, ints=1, groups=2, segments=1, overwrite=True)
        assert (tmp_path / "notes.txt").read_text() == "mine"

    def test_a_file_where_the_folder_should_be(self, tmp_path):
        (tmp_path / "file").write_text("")
        with pytest.raises(OutputError, match="cannot be written"):
            LrsScene().write(tmp_path / "file" / "sim", ints=1, groups=2, segments=1)

    @pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
    def test_folder_without_permission(self, tmp_path):
        tmp_path.chmod(0o500)
        with pytest.raises(OutputError, match="cannot be written"):
            LrsScene().write(tmp_path, ints=1, groups=2, segments=1)

    def test_nothing_is_written_for_impossible_numbers(self, tmp_path):
        with pytest.raises(ParameterError):
            LrsScene().write(tmp_path / "sim", ints=1, segments=2)
        assert not (tmp_path / "sim").exists()

    def test_an_interrupted_write_leaves_no_file_behind(self, tmp_path):
        model = datamodels.Level1bModel(data=np.zeros((1, 2, 4, 4), np.uint16))
        with pytest.raises(ValueError, match="unknown filetype"):
            exposure.save_reproducibly(model, tmp_path / "file.unknown", "2026-07-01T00:00:00")
        assert list(tmp_path.iterdir()) == []


@pytest.fixture
def truth(written):
    with xr.open_dataset(written[0] / "truth.nc", engine="h5netcdf") as opened:
        return opened.load()


class TestTruth:
    def test_is_what_was_exposed(self, truth):
        observed = LrsScene().observe(**SIZE)
        for number in (1, 4):
            light = observed.light(number - 1)
            light[:, :4] = 0
            assert_allclose(truth.light.sel(integration=number), light, rtol=1e-6)
            assert_allclose(truth.spectrum.sel(integration=number), observed.star_rate(number - 1))
        assert_allclose(truth.spectrum_electrons, 3.1 * truth.spectrum)
        assert_allclose(truth.x_shift, observed.pointing.x_pix)

    def test_spectrum_is_what_the_pixels_hold(self, truth):
        star = truth.light - truth.background
        rows = slice(100, 390)
        assert_allclose(star[:, rows, 4:].sum("column"), truth.spectrum[:, rows], rtol=2e-4)

    def test_light_curves(self, truth):
        star = truth.spectrum / LrsScene().without("jitter").observe(**SIZE).spectrum
        assert_allclose(star[:, 100:380], truth.light_curve[:, 100:380], rtol=5e-3)
        assert truth.white_light.min() < 0.995
        assert truth.depth.sel(row=324) > truth.depth.sel(row=200)

    def test_drift_and_cosmic_rays_are_those_in_the_data(self, tmp_path):
        scene = LrsScene().only("star", "drift", "cosmic_rays").with_("cosmic_rays", hits_per_s=10.0)
        with xr.open_dataset(_write(scene, tmp_path) / "truth.nc", engine="h5netcdf") as truth:
            with datamodels.Level1bModel(next(tmp_path.glob("*_uncal.fits"))) as model:
                raw = model.data[1].astype(float)
            bare = scene.only("star").observe(ints=2, groups=8, segments=1).read_out(1).raw
            hits = truth.cosmic_ray_hits.values
            charge = np.zeros((8, 416, 72))
            for _, group, row, column, electrons in hits[:, hits[0] == 2].T:
                charge[int(group) :, int(row), int(column)] += electrons / 3.1
            left = raw - bare - drift_image(truth, 2) - charge
            assert charge.max() > 100
            assert np.abs(left).max() <= 1.01
            struck = truth.cosmic_ray_group.sel(integration=2).values
            assert_array_equal(struck >= 0, charge[-1] > 0)
            assert_array_equal(np.argmax(charge > 0, axis=0)[struck >= 0], struck[struck >= 0])

    def test_expected_noise_follows_from_what_is_stored(self, truth):
        assert_allclose(expected_noise(truth, n_groups=5)[:, :, 4:], truth.expected_noise[:, :, 4:], rtol=1e-3)
        assert np.all(expected_noise(truth, n_groups=4) > expected_noise(truth, n_groups=5))

    def test_white_scatter_of_many_ideal_ramps(self, truth):
        """Slopes of simulated ramps, photon and read noise only, scatter as the truth says they must."""
        scene = LrsScene().only("star", "photon_noise", "read_noise")
        observed = scene.observe(ints=60, groups=6, segments=1)
        box = (slice(0, 5), slice(100, 390), slice(32, 41))
        white = [
            np.tensordot(_last_minus_first(5), observed.read_out(i).raw[box], axes=(0, 0)).sum() for i in range(60)
        ]
        truth = truth.assign(light=truth.light - truth.background, dark=0 * truth.dark, hot=0 * truth.hot)
        truth["flat"] = truth["response"] = truth.flat * 0 + 1
        expected = expected_white_scatter(truth, rows=slice(100, 390), columns=slice(32, 41), n_groups=5)
        assert abs(np.std(white) / np.mean(white) / expected - 1) < 4 / np.sqrt(2 * 60)


def _last_minus_first(n_groups):
    """Weights of the last read minus the first: the best slope of a bright ramp, DN/s."""
    weights = np.zeros(n_groups)
    weights[0], weights[-1] = -1, 1
    return weights / ((n_groups - 1) * 0.15904)


def _write(scene, folder):
    scene.write(folder, ints=2, groups=8, segments=1)
    return folder


class TestCache:
    def test_own_files_take_the_place_of_made_ones(self, tmp_path):
        mine = tmp_path / "mine.fits"
        datamodels.GainModel(data=np.full((416, 72), 5.0, np.float32)).save(mine)
        cache = build_lrs_cache(tmp_path / "crds", n_groups=4, files={"gain": mine})
        stored = cache / "references/jwst/miri/sim_miri_gain_0001.fits"
        assert stored.read_bytes() == mine.read_bytes()

    def test_a_missing_file_is_named(self, tmp_path):
        with pytest.raises(OutputError, match=r"nowhere\.fits: no such file"):
            build_lrs_cache(tmp_path / "crds", n_groups=4, files={"gain": tmp_path / "nowhere.fits"})
        assert not (tmp_path / "crds").exists()

    def test_what_is_left_out_is_left_out_of_the_references(self, tmp_path):
        cache = build_lrs_cache(tmp_path / "crds", LrsScene().only("star"), n_groups=4) / "references/jwst/miri"
        with datamodels.LinearityModel(cache / "sim_miri_linearity_0001.fits") as model:
            assert_array_equal(model.coeffs, np.array([0, 1])[:, None, None] * np.ones((416, 72)))
        with datamodels.ResetModel(cache / "sim_miri_reset_0001.fits") as model:
            assert not model.data.any()
        with datamodels.FlatModel(cache / "sim_miri_flat_0001.fits") as model:
            assert np.all(model.data == 1)
        with datamodels.RSCDModel(cache / "sim_miri_rscd_0001.fits") as model:
            assert model.rscd_group_skip_table["group_skip"][0] == 0

    def test_reference_pixels_are_flagged_and_usable(self, written):
        with datamodels.MaskModel(written[0] / "crds/references/jwst/miri/sim_miri_mask_0001.fits") as model:
            flags = np.array(model.dq)
        assert np.all(flags[:, :4] == 2**31)
        assert not np.any(flags[:, 4:] & 2**31)
        assert np.any(flags[:, 4:] & 1)

    def test_read_noise_reference_is_that_of_a_difference(self, written):
        with datamodels.ReadnoiseModel(written[0] / "crds/references/jwst/miri/sim_miri_readnoise_0001.fits") as model:
            assert_allclose(model.data, 6 * np.sqrt(2), rtol=1e-6)
