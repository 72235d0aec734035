"""Reuse by content: what a product was made from, and whether it is on disk as it was written."""

import warnings

import numpy as np
import pytest
from astropy.io import fits

from detectorist import __version__
from detectorist.reduction import content_keys, products


def test_the_key_changes_with_everything_that_matters(tmp_path):
    source = tmp_path / "a_uncal.fits"
    source.write_bytes(b"1")

    def key(parameters=None, references="crds"):
        return content_keys.content_key(source, parameters or {"jump": {"x": 1, "output_dir": "a"}}, references)

    first = key()
    assert key({"jump": {"x": 1, "output_dir": "elsewhere"}}) == first
    assert key({"jump": {"x": 2}}) != first
    assert key(references=str(tmp_path)) != first
    source.write_bytes(b"2")
    assert key() != first


def test_a_reference_of_ones_own_counts_by_its_arrays(tmp_path):
    source = tmp_path / "a_uncal.fits"
    source.write_bytes(b"1")

    def key(date, value):
        primary = fits.PrimaryHDU()
        primary.header["DATE"] = date
        hdus = fits.HDUList([primary, fits.ImageHDU(np.full(3, value), name="SCI")])
        hdus.writeto(tmp_path / "gain.fits", overwrite=True)
        return content_keys.content_key(source, {"jump": {"override_gain": str(tmp_path / "gain.fits")}}, "crds")

    assert key("2020", 1.0) == key("2021", 1.0)
    assert key("2021", 1.0) != key("2021", 2.0)


def test_an_open_model_has_no_key(make_lrs_rateints):
    assert content_keys.content_key(make_lrs_rateints(2, 4, 40), {}, "crds") is None


@pytest.fixture
def product(make_lrs_rateints, tmp_path):
    return products.write_model(make_lrs_rateints(2, 4, 40), tmp_path / "a_rateints.fits", key="abc")


def test_a_product_is_known_by_its_key_and_content(product, make_lrs_rateints, tmp_path):
    assert content_keys.is_whole(product)
    assert content_keys.is_whole(product, "abc")
    assert not content_keys.is_whole(product, "other")
    assert content_keys.made_by(product) == __version__
    foreign = tmp_path / "foreign_rateints.fits"
    make_lrs_rateints(2, 4, 40).save(str(foreign))
    assert not content_keys.is_whole(foreign)
    assert content_keys.made_by(foreign) is None
    assert not content_keys.is_whole(tmp_path / "missing.fits", "abc")
    assert content_keys.made_by(tmp_path / "missing.fits") is None


def test_the_seal_is_valid_fits(product):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with fits.open(product, checksum=True) as hdus:
            hdus.verify("exception")
            assert all({"CHECKSUM", "DATASUM"} <= set(hdu.header) for hdu in hdus)
            assert all(hdus[0].header.comments[name] for name in ("DT_KEY", "DT_HASH", "DT_VERS"))


@pytest.mark.filterwarnings("ignore")
def test_no_damage_goes_unnoticed(product, rng):
    """One bit anywhere, in headers, arrays or metadata; only the blanks after the first header hold nothing."""
    whole = product.read_bytes()
    end = whole.index(b"END" + b" " * 77) + 3
    with fits.open(product) as hdus:
        places = [*range(0, end, 97), *rng.integers(hdus[0].fileinfo()["datLoc"], len(whole), 100)]
    for place in places:
        changed = bytearray(whole)
        changed[place] ^= 1 << int(rng.integers(7))
        product.write_bytes(changed)
        assert not content_keys.is_whole(product), place
    for other in (b"", whole[:10], whole[:2880], whole[:-2880], whole[:-1], whole + b" " * 2880):
        product.write_bytes(other)
        assert not content_keys.is_whole(product), len(other)
    product.write_bytes(whole)
    assert content_keys.is_whole(product, "abc")


def test_a_product_without_a_key_is_known_by_its_content(make_lrs_rateints, tmp_path):
    path = products.write_model(make_lrs_rateints(2, 4, 40), tmp_path / "a_rateints.fits")
    assert content_keys.is_whole(path)
    assert not content_keys.is_whole(path, "abc")


def test_a_product_is_recognised_by_its_header_which_holds_the_hash_of_the_rest(product):
    told = content_keys.product_hash(product)
    assert content_keys.has_hash(product, told)
    whole = product.read_bytes()
    for place in (400, len(whole) // 2, len(whole) - 3000):
        changed = bytearray(whole)
        changed[place] ^= 1
        product.write_bytes(changed)
        assert not content_keys.has_hash(product, told), place
    product.write_bytes(whole)
    assert content_keys.has_hash(product, told)
    content_keys.seal(product, "another key")
    assert not content_keys.has_hash(product, told)


@pytest.mark.parametrize("content", [b"", b"some text", b"S" * 9000])
def test_other_files_are_recognised_by_all_of_their_content(content, tmp_path):
    path = tmp_path / "notes.txt"
    path.write_bytes(content)
    told = content_keys.product_hash(path)
    assert content_keys.has_hash(path, told)
    path.write_bytes(content + b".")
    assert not content_keys.has_hash(path, told)


def test_a_file_that_took_over_the_seal_of_another_is_recognised_by_all_of_its_content(product, tmp_path):
    """Keywords that a datamodel does not know go on from file to file."""
    heir = tmp_path / "heir.fits"
    with fits.open(product) as hdus:
        hdus["SCI"].data += 1
        hdus.writeto(heir)
    assert fits.getval(heir, "DT_HASH")
    assert not content_keys.product_hash(heir).startswith("header:")
    assert content_keys.has_hash(heir, content_keys.product_hash(heir))
