"""The part of a detector that is read, and its clocks."""

import numpy as np
import pytest

from detectorist.errors import ParameterError
from detectorist.simulate.imaging.scene import ImagingScene
from detectorist.simulate.imaging.window import make_window


@pytest.mark.parametrize(
    ("changes", "frame_s"),
    [({}, 10.73677), ({"subarray": "SUB320"}, 1.06904), ({"subarray": "SUB640"}, 4.18584)],
)
def test_frame_times_are_those_of_the_instrument(changes, frame_s):
    window = make_window(ImagingScene().with_detector(**changes).detector)
    assert window.frame_time_s == pytest.approx(frame_s, abs=2e-5)


@pytest.mark.parametrize(
    ("changes", "known"), [({"filter": "F999W"}, "filter of NIRCam.*F200W"), ({"pattern": "FAST"}, "pattern.*RAPID")]
)
def test_what_nircam_does_not_have_is_refused(changes, known):
    with pytest.raises(ParameterError, match=known):
        ImagingScene().with_detector(**changes)


def test_groups_average_their_frames():
    window = make_window(ImagingScene().with_detector(size=64, pattern="MEDIUM8").detector)
    frame = window.frame_time_s
    assert window.group_time_s == pytest.approx(10 * frame)
    assert window.n_frames_read(3) == 28
    np.testing.assert_allclose(window.group_times_s(3), np.array([4.5, 14.5, 24.5]) * frame)
