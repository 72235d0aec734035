"""Names of products: what a file is called says what it is, in whatever case and however it is packed."""

from pathlib import Path

import pytest

from detectorist.product_names import exposure_name, product_of, sibling, stem_of, without_ending

STEM = "jw09999002001_02101_00001_nrcb4"


@pytest.mark.parametrize(
    ("name", "stem", "product"),
    [
        (f"{STEM}_uncal.fits", STEM, "uncal"),
        (f"{STEM}_uncal.fits.gz", STEM, "uncal"),
        (f"{STEM}_rate.fits.gz", STEM, "rate"),
        (f"{STEM}_rateints.fits", STEM, "rateints"),
        (f"{STEM}_ramp.asdf", STEM, "ramp"),
        (f"{STEM.upper()}_RATE.FITS", STEM.upper(), "rate"),
        (f"folder_rate.fits/{STEM}_calints.fits", STEM, "calints"),
        (f"{STEM}_rate_pre1f.fits", f"{STEM}_rate_pre1f", ""),
        ("mine.fits", "mine", ""),
        ("generate.fits", "generate", ""),
        ("mine", "mine", ""),
    ],
)
def test_stem_and_product(name, stem, product):
    assert stem_of(name) == stem_of(Path(name)) == stem
    assert product_of(name) == product


def test_segments_belong_to_one_exposure_unless_asked_apart():
    first = "jw09999001001_04103_00001-seg001_mirimage_uncal.fits"
    second = first.replace("seg001", "seg002")
    assert exposure_name(first) == exposure_name(second) == "jw09999001001_04103_00001_mirimage"
    assert exposure_name(first, segments=False) == "jw09999001001_04103_00001-seg001_mirimage"


def test_another_product_of_the_same_exposure():
    assert sibling(Path("raw/X_uncal.fits.gz"), "rate") == Path("raw/X_rate.fits")
    assert without_ending("a.b.fits") == "a.b"
