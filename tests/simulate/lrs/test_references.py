"""References describe the simulated detector."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from stdatamodels.jwst import datamodels

from detectorist.errors import OutputError
from detectorist.simulate.lrs.references import build_cache
from detectorist.simulate.lrs.scene import LrsScene


class TestCache:
    def test_own_files_take_the_place_of_made_ones(self, tmp_path):
        mine = tmp_path / "mine.fits"
        datamodels.GainModel(data=np.full((416, 72), 5.0, np.float32)).save(mine)
        cache = build_cache(tmp_path / "crds", n_groups=4, files={"gain": mine})
        stored = cache / "references/jwst/miri/sim_miri_gain_0001.fits"
        assert stored.read_bytes() == mine.read_bytes()

    def test_a_missing_file_is_named(self, tmp_path):
        with pytest.raises(OutputError, match=r"nowhere\.fits: no such file"):
            build_cache(tmp_path / "crds", n_groups=4, files={"gain": tmp_path / "nowhere.fits"})
        assert not (tmp_path / "crds").exists()

    def test_what_is_left_out_is_left_out_of_the_references(self, tmp_path):
        cache = build_cache(tmp_path / "crds", LrsScene().only("star"), n_groups=4) / "references/jwst/miri"
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
