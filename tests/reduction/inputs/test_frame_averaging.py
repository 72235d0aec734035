"""A factor of group_scale that no averaging on board explains is said, with its numbers."""

from types import SimpleNamespace

import pytest

from detectorist.modes import MODES, load_mode
from detectorist.modes.quality import ODD_FRAME_DIVISOR, inputs_in_words
from detectorist.reduction.inputs import frame_averaging
from detectorist.reduction.inputs.frame_averaging import odd_frame_divisor


@pytest.fixture
def told(monkeypatch, tmp_path):
    """Return what is said of (NFRAMES, FRMDIVSR)."""

    def tell(n_frames, divisor, *, skip=False):
        meta = {"exposure.nframes": n_frames, "exposure.frame_divisor": divisor}
        monkeypatch.setattr(frame_averaging, "read_header", lambda path: meta)
        return odd_frame_divisor(SimpleNamespace(group_scale=SimpleNamespace(skip=skip)), tmp_path / "a_uncal.fits")

    return tell


@pytest.mark.parametrize(
    ("n_frames", "divisor"), [(1, 1), (4, 4), (8, 8), (5, 4), (5, 8), (3, 4), (4, None), (None, 4)]
)
def test_what_is_divided_on_board(told, n_frames, divisor):
    assert told(n_frames, divisor) == ""


@pytest.mark.parametrize(
    ("n_frames", "divisor", "factor"), [(4, 1, "0.25"), (4, 2, "0.5"), (4, 8, "2"), (5, 16, "3.2")]
)
def test_what_is_not(told, caplog, n_frames, divisor, factor):
    words = told(n_frames, divisor)
    assert words == f"NFRAMES is {n_frames} and FRMDIVSR {divisor}: all groups are multiplied by {factor}"
    assert words in caplog.text
    assert inputs_in_words({ODD_FRAME_DIVISOR.key: words}) == [words]


def test_nothing_is_scaled_where_the_step_is_skipped(told):
    assert told(4, 1, skip=True) == ""


@pytest.mark.parametrize("mode", MODES)
def test_it_is_a_concern_of_every_mode(mode):
    (check,) = [check for check in load_mode(mode).section().checks if check.key == ODD_FRAME_DIVISOR.key]
    assert "multiplied by 0.25" in check.apply("all groups are multiplied by 0.25").words
