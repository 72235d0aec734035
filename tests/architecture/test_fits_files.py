"""FITS files are opened for reading in one place, so that types and errors are the same everywhere."""

import ast

import pytest
from imports import ROOT, modules

#: What opens a FITS file by itself, and may: the reader, and the seal, which writes into the headers of a product.
MAY_OPEN = {"detectorist.fits_files", "detectorist.reduction.content_keys"}
OPENERS = {"getheader", "getval", "getdata"}


def opens_fits(tree):
    """Yield the lines that open a FITS file by astropy."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "fits":
            if node.attr in OPENERS | {"open"}:
                yield node.lineno
        elif isinstance(node, ast.ImportFrom) and node.module == "astropy.io.fits":
            yield from (node.lineno for alias in node.names if alias.name in OPENERS | {"open"})


@pytest.mark.parametrize("name", [name for name in modules(ROOT, "detectorist") if name not in MAY_OPEN])
def test_no_other_module_opens_fits_files(name):
    found = list(opens_fits(ast.parse(modules(ROOT, "detectorist")[name].read_text())))
    assert not found, f"lines {found}: detectorist.fits_files reads FITS files"


def test_the_search_finds_what_it_looks_for():
    text = "fits.open(x)\nfits.getheader(x)\nfrom astropy.io.fits import getdata\nfits.ImageHDU(x)\nother.open(x)"
    assert list(opens_fits(ast.parse(text))) == [3, 1, 2]
