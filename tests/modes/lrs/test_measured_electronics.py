"""The default recipe on the electronics of a real array: what they add is small against photon and read noise."""

import numpy as np
import pytest

from detectorist.modes.lrs.reduction import reduce_exposure
from detectorist.reduction.runner import Request
from detectorist.simulate.lrs.comparison import compare_lrs
from detectorist.simulate.lrs.scene import LrsScene

pytestmark = pytest.mark.filterwarnings("default")

N_INTS, N_GROUPS = 16, 12
ELECTRONIC = ("reset_decay", "first_frame", "last_frame", "emi", "drift")


def reduced(scene, folder):
    files = scene.write(folder / "raw", ints=N_INTS, groups=N_GROUPS, segments=1, seed=21)
    request = Request(files, folder / "out", references=str(folder / "raw" / "crds"))
    return compare_lrs(reduce_exposure(request).spectra.dataset, folder / "raw" / "truth.nc", n_bins=8)


def test_the_figures_of_the_pipeline_hold(tmp_path):
    """Beside the same exposure, with the same photons and reads, without electronics."""
    scene = LrsScene().with_measured_electronics()
    real, ideal = reduced(scene, tmp_path / "real"), reduced(scene.without(*ELECTRONIC), tmp_path / "ideal")
    # 16 values know their scatter to 18 %: three times that above what is allowed to more.
    assert real.scatter < 1.1 * (1 + 3 / np.sqrt(2 * N_INTS)) * real.expected_scatter
    added = np.std((real.white - ideal.white) / real.white_truth, ddof=1)
    assert added < 0.5 * real.expected_scatter  # in quadrature an eighth of the noise
    assert abs(real.mean_depth_pull) < 3
    assert abs(real.mean_depth_pull - ideal.mean_depth_pull) < 1
    assert real.chi2 / real.depth.size < 1 + 4 * np.sqrt(2 / real.depth.size)
