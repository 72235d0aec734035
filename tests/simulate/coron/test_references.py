"""References describe the simulated detectors."""

import numpy as np
from numpy.testing import assert_array_equal
from stdatamodels.jwst import datamodels

from detectorist.simulate.coron.references import build_cache


class TestReferences:
    def test_both_instruments_share_one_cache(self, tmp_path):
        cache = build_cache(tmp_path / "crds", n_groups=5)
        for instrument in ("nircam", "miri"):
            kinds = {path.name.split("_")[2] for path in (cache / "references/jwst" / instrument).iterdir()}
            common = {"mask", "saturation", "ipc", "linearity", "dark", "gain", "readnoise"}
            common |= {"flat", "distortion", "photom"}
            assert kinds == common | ({"superbias"} if instrument == "nircam" else {"reset", "rscd", "emicorr"})

    def test_mask_keeps_the_meaning_of_its_flags(self, written):
        scene, folder, _ = written
        instrument = scene.mode.instrument.lower()
        with datamodels.MaskModel(
            folder / f"crds/references/jwst/{instrument}/sim_{instrument}_mask_0001.fits"
        ) as mask:
            expected = scene.observe(ints=1).patterns.dq
            assert_array_equal(mask.dq, expected)
            assert np.any(expected & (2**14 if instrument == "nircam" else 2**31))
