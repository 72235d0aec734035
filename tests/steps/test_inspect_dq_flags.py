"""Counting flags: exact, and nothing changes."""

import logging

import numpy as np
import pytest

from detectorist import models
from detectorist.algorithms import _flags_nb
from detectorist.algorithms.flags import count_flags
from detectorist.errors import InputError
from detectorist.stage_2 import InspectDQFlagsStep


@pytest.fixture
def flagged(make_lrs_rateints):
    model = make_lrs_rateints(n_ints=2, ny=40, nx=30)
    model.dq[0, :5, :4] = 1
    model.dq[:, 7, 7] = 1 | 4 | 2**31
    return model


def test_counts_are_exact_and_the_model_is_unaltered(flagged, caplog):
    before = {name: np.array(getattr(flagged, name)) for name in ("data", "err", "dq")}
    step = InspectDQFlagsStep()
    with caplog.at_level(logging.INFO, logger="detectorist"):
        out = step.run(flagged)
    expected = {"DO_NOT_USE": 22, "JUMP_DET": 2, "REFERENCE_PIXEL": 2}
    assert step.record["counts"] == expected
    assert step.record["n_good"] == flagged.dq.size - 22
    for name, value in before.items():
        np.testing.assert_array_equal(getattr(out, name), value)
        np.testing.assert_array_equal(getattr(flagged, name), value)
    lines = [record.message for record in caplog.records if "pixels (" in record.message]
    assert len(lines) == 3
    assert any("JUMP_DET: 2 pixels" in line for line in lines)


def test_counts_survive_saving(flagged, tmp_path):
    InspectDQFlagsStep.call(flagged).save(tmp_path / "inspected.fits")
    with models.open_as(tmp_path / "inspected.fits", type(flagged)) as again:
        assert models.records(again)["inspect_dq_flags"]["counts"]["DO_NOT_USE"] == 22


def test_figure_is_written_beside_the_product(flagged, tmp_path):
    InspectDQFlagsStep.call(flagged, draw_dq_flags=True, output_dir=str(tmp_path))
    written = list(tmp_path.glob("*_inspect_dq_flags.png"))
    assert len(written) == 1
    assert written[0].stat().st_size > 1000


def test_figure_of_no_flags(make_lrs_rateints, tmp_path):
    InspectDQFlagsStep.call(make_lrs_rateints(ny=20, nx=20), draw_dq_flags=True, figure_path=str(tmp_path / "f.png"))
    assert (tmp_path / "f.png").exists()


def test_wrong_instrument_is_refused(nircam_rateints):
    with pytest.raises(InputError, match="NIRCAM"):
        InspectDQFlagsStep.call(nircam_rateints)


def test_count_flags_equals_a_count_bit_by_bit(rng):
    dq = rng.integers(0, 2**32, (3, 11, 7), dtype=np.uint32) & rng.integers(0, 2**32, (3, 11, 7), dtype=np.uint32)
    dq[0] = 0
    counts = count_flags(dq)
    for bit in range(32):
        np.testing.assert_array_equal(counts[:, bit], ((dq >> np.uint32(bit)) & 1).sum(axis=(1, 2)))
    np.testing.assert_array_equal(counts[:, 32], (dq == 0).sum(axis=(1, 2)))
    np.testing.assert_array_equal(count_flags(dq.astype(np.uint8))[:, :8], counts_of(dq.astype(np.uint8)))


def counts_of(dq):
    return np.stack([((dq >> np.uint8(bit)) & 1).sum(axis=(1, 2)) for bit in range(8)], axis=1)


def test_kernel_equals_its_python(rng):
    values = rng.integers(0, 2**32, 200, dtype=np.uint32)
    values[::5] = 0
    compiled, plain = np.zeros(33, np.int64), np.zeros(33, np.int64)
    _flags_nb.count_bits(values, compiled)
    _flags_nb.count_bits.py_func(values, plain)
    np.testing.assert_array_equal(compiled, plain)
