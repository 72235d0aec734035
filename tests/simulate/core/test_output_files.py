"""Files are whole or not there."""

import numpy as np
import pytest
from stdatamodels.jwst import datamodels

from detectorist.simulate.core import output_files


def test_an_interrupted_write_leaves_no_file_behind(tmp_path):
    model = datamodels.Level1bModel(data=np.zeros((1, 2, 4, 4), np.uint16))
    with pytest.raises(ValueError, match="unknown filetype"):
        output_files.save_reproducibly(model, tmp_path / "file.unknown", "2026-07-01T00:00:00")
    assert list(tmp_path.iterdir()) == []
