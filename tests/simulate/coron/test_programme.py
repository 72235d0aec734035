"""Which exposures a programme has."""

import pytest

from detectorist.errors import ParameterError
from detectorist.simulate.coron.programme import plan_visits
from detectorist.simulate.coron.scene import CoronScene


class TestProgramme:
    def test_kinds_rolls_and_dithers(self):
        visits = plan_visits(rolls=2, dithers=3, backgrounds=True)
        assert [visit.kind for visit in visits] == ["SCI", "SCI", "REF", "REF", "REF", "SCI_BG", "REF_BG"]
        assert [visit.number for visit in visits] == list(range(7))
        assert visits[1].roll_deg - visits[0].roll_deg == 10
        assert [visit.dither for visit in visits if visit.kind == "REF"] == [0, 1, 2]
        assert len({(visit.observation, visit.exposure) for visit in visits}) == 7

    def test_no_reference_star_no_background_of_it(self):
        kinds = [visit.kind for visit in plan_visits(rolls=1, dithers=0, backgrounds=True)]
        assert kinds == ["SCI", "SCI_BG"]

    @pytest.mark.parametrize("wrong", [{"ints": 0}, {"groups": 1}, {"rolls": 4}, {"dithers": 6}, {"seed": -1}])
    def test_impossible_numbers(self, wrong, tmp_path):
        with pytest.raises(ParameterError, match=next(iter(wrong))):
            CoronScene().write(tmp_path / "sim", **wrong)
        assert not (tmp_path / "sim").exists()

    def test_another_place_is_refused_not_ignored(self):
        with pytest.raises(ParameterError, match="this coronagraph is on NRCALONG"):
            CoronScene().with_("detector", subarray="SUB640").observe(ints=1).window  # noqa: B018
