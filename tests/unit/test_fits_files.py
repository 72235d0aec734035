"""FITS files as the package reads them: keywords with types, arrays, and one sentence for what cannot be read."""

import gzip

import numpy as np
import pytest
from astropy.io import fits

from detectorist.errors import InputError, NoSuchFile
from detectorist.fits_files import opened, opened_with_counts, read_array, read_keywords, read_plane, require_headers
from detectorist.libraries import idle_cores


@pytest.fixture
def path(tmp_path):
    """A file with keywords in both headers, a cube, an image and a table."""
    primary = fits.PrimaryHDU()
    primary.header["DETECTOR"] = ("NRCA1", "a name")
    primary.header["NGROUPS"] = 7
    primary.header["TGROUP"] = 10.7
    primary.header["NINTS"] = 2.0
    primary.header["IS_PSF"] = True
    primary.header["TARGPROP"] = None
    sci = fits.ImageHDU(np.arange(24.0).reshape(2, 3, 4), name="SCI")
    sci.header["ROLL_REF"] = 12.5
    sci.header["DETECTOR"] = "shadowed"
    table = fits.BinTableHDU(np.zeros(3, [("ROW", "i2")]), name="TABLE")
    image = fits.ImageHDU(np.arange(12, dtype=np.int16).reshape(3, 4), name="DQ")
    target = tmp_path / "x_rate.fits"
    fits.HDUList([primary, sci, table, image]).writeto(target)
    return target


def test_keywords_have_types_and_the_first_header_goes_before_sci(path):
    found = read_keywords(path)
    assert found.text("DETECTOR") == "NRCA1"
    assert found.whole("NGROUPS") == 7
    assert found.whole("NINTS") == 2
    assert isinstance(found.whole("NINTS"), int)
    assert found.number("TGROUP") == 10.7
    assert isinstance(found.number("NGROUPS"), float)
    assert found.number("ROLL_REF") == 12.5
    assert found.axes == (2, 3, 4)
    assert found.known()["DETECTOR"] == "NRCA1"
    assert found.known()["ROLL_REF"] == 12.5
    assert "TARGPROP" not in found.known()


def test_what_is_missing_or_empty_is_none(path):
    found = read_keywords(path)
    for name in ("TARGPROP", "NOTHERE"):
        assert found.value(name) is found.text(name) is found.number(name) is found.whole(name) is None


@pytest.mark.parametrize(
    ("read", "name", "needed"),
    [
        ("whole", "DETECTOR", "a whole number"),
        ("whole", "TGROUP", "a whole number"),
        ("whole", "IS_PSF", "a whole number"),
        ("number", "DETECTOR", "a number"),
        ("number", "IS_PSF", "a number"),
    ],
)
def test_a_value_of_another_type_is_an_error_with_file_keyword_and_value(path, read, name, needed):
    keywords = read_keywords(path)
    with pytest.raises(InputError, match=rf"x_rate\.fits: {name} is .*{keywords.value(name)}.*; {needed} is needed"):
        getattr(keywords, read)(name)


@pytest.mark.filterwarnings("ignore::astropy.io.fits.verify.VerifyWarning")
def test_a_damaged_card_is_an_error_when_it_is_asked_for(path):
    content = path.read_bytes()
    path.write_bytes(content.replace(b"'NRCA1   '", b"'NRCA1    ", 1))
    found = read_keywords(path)
    assert found.whole("NGROUPS") == 7
    with pytest.raises(InputError, match="DETECTOR is not readable"):
        found.text("DETECTOR")
    assert found.known()["NGROUPS"] == 7
    assert "DETECTOR" not in found.known()


def test_arrays_come_by_extension_and_images_by_their_axes(path):
    np.testing.assert_array_equal(read_array(path, "SCI"), np.arange(24.0).reshape(2, 3, 4))
    np.testing.assert_array_equal(read_plane(path), np.arange(12).reshape(3, 4))


def test_a_missing_extension_is_named_with_those_that_are_there(path):
    with pytest.raises(InputError, match=r"extensions are PRIMARY, SCI, TABLE, DQ; ERR with data is needed"):
        read_array(path, "ERR")
    with pytest.raises(InputError, match="not readable as a rate.*ERR"), opened(path, "a rate") as hdus:
        hdus["ERR"].data  # noqa: B018


def test_a_file_without_an_image_is_refused(tmp_path):
    fits.PrimaryHDU(np.zeros(5)).writeto(tmp_path / "line.fits")
    with pytest.raises(InputError, match="contains no image; a mask is needed"):
        read_plane(tmp_path / "line.fits", "a mask")


def test_headers_are_asked_for_before_other_readers_open_the_file(path, tmp_path):
    require_headers(path)
    damaged = tmp_path / "damaged_rate.fits"
    damaged.write_bytes(path.read_bytes().replace(b"NGROUPS ", b"NGR\xffPS ", 1))
    with pytest.raises(InputError, match=r"damaged_rate.fits: not readable as a rate \(.*; is the file complete"):
        require_headers(damaged, "a rate")


def test_compressed_files_read_alike(path, tmp_path):
    packed = tmp_path / "y_rate.fits.gz"
    packed.write_bytes(gzip.compress(path.read_bytes()))
    assert read_keywords(packed).axes == (2, 3, 4)
    np.testing.assert_array_equal(read_array(packed, "SCI"), read_array(path, "SCI"))


@pytest.mark.parametrize("content", [b"", b"not FITS"])
def test_what_is_no_fits_file_is_one_error_with_its_name(tmp_path, content):
    path = tmp_path / "x.fits"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"x\.fits: not readable as a FITS file \(.+\); is the file complete\?"):
        read_keywords(path)


def test_a_missing_file_is_said_to_be_missing(tmp_path):
    with pytest.raises(NoSuchFile, match=r"none\.fits: no such file"):
        read_keywords(tmp_path / "none.fits")


def test_our_own_errors_in_the_body_stay_what_they_are(path):
    with pytest.raises(NoSuchFile, match="another"), opened(path):
        raise NoSuchFile("another")


def test_files_are_closed_in_all_cases(path, tmp_path):
    with opened(path) as hdus:
        handle = hdus.fileinfo(0)["file"]
    assert handle.closed


@pytest.mark.parametrize("cores", [2, 3, 8])
def test_counts_are_the_same_on_any_number_of_cores(tmp_path, cores):
    path = tmp_path / "a.fits"
    counts = np.random.default_rng(1).integers(0, 65536, (1, 5, 6, 7), np.uint16)
    fits.HDUList([fits.PrimaryHDU(), fits.ImageHDU(counts, name="SCI")]).writeto(path)
    with idle_cores.used(cores), opened_with_counts(path) as hdus:
        found = hdus["SCI"].data
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, counts)
