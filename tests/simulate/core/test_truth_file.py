"""How a truth is stored: units beside values, the whole scene as text, first hits, nothing half written."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
import xarray as xr

from detectorist.simulate.core.truth_file import first_group_struck, scene_as_text, with_attributes, write_truth
from detectorist.simulate.imaging.scene import ImagingScene


def test_variables_carry_unit_and_meaning():
    dataset = xr.Dataset(with_attributes({"sky": (("y",), np.ones(3), "DN/s", "level of the sky")}))
    assert dataset["sky"].attrs == {"units": "DN/s", "long_name": "level of the sky"}


def test_the_scene_is_told_in_full():
    scene = ImagingScene().with_("sky", level_dn_s=0.7)
    told = json.loads(scene_as_text(scene))
    assert told["sky"]["level_dn_s"] == 0.7
    assert told["detector"]["name"] == "NRCB4"
    assert set(told) == {*scene.components(), "detector"}


def test_the_first_of_several_hits_counts_and_none_past_the_end():
    hits = SimpleNamespace(row=np.array([0, 0, 1, 2]), column=np.array([1, 1, 2, 0]), group=np.array([5, 3, 0, 9]))
    found = first_group_struck(hits, (3, 3), n_groups=8)
    np.testing.assert_array_equal(found, [[-1, 3, -1], [-1, -1, 0], [-1, -1, -1]])
    assert (first_group_struck(None, (2, 2), 8) == -1).all()


def test_a_truth_that_cannot_be_written_leaves_nothing(tmp_path):
    dataset = xr.Dataset({"a": ("x", np.arange(3.0))})
    write_truth(dataset, tmp_path / "t.nc", {})
    before = (tmp_path / "t.nc").read_bytes()
    with pytest.raises(ValueError, match="no_such"):
        write_truth(dataset, tmp_path / "t.nc", {"a": {"no_such_encoding": 1}})
    assert [path.name for path in tmp_path.iterdir()] == ["t.nc"]
    assert (tmp_path / "t.nc").read_bytes() == before
