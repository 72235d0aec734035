"""What the ledger is told of an input, or why it cannot be read."""

import pytest

from detectorist.campaign.worker import describe_input
from detectorist.errors import InputError


def test_a_file_is_described_by_its_content(tmp_path):
    path = tmp_path / "a_uncal.fits"
    path.write_bytes(b"abc")
    link = tmp_path / "b_uncal.fits"
    link.symlink_to(path)
    assert describe_input(link).path == str(link)
    assert describe_input(link).sha256 == describe_input(path).sha256
    assert describe_input(path).size == 3


def test_a_link_to_nothing_is_said_with_what_it_names(tmp_path):
    link = tmp_path / "a_uncal.fits"
    link.symlink_to("annex/gone.fits")
    with pytest.raises(InputError, match=r"a_uncal\.fits: a link to annex/gone\.fits, which is not there$"):
        describe_input(link)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(InputError, match=r"a_uncal\.fits: cannot be read \(No such file or directory\)$"):
        describe_input(tmp_path / "a_uncal.fits")
