"""Names in a header that references are chosen by: jwst leaves out those that its schemas do not list."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from stdatamodels.jwst.datamodels import JwstDataModel
from stdatamodels.schema import walk_schema

from detectorist.errors import InputError
from detectorist.fits_files import read_keywords
from detectorist.libraries.asdf_extensions import load_extensions
from detectorist.parameters import nearest

#: Keywords with names.
KEYWORDS = ("DETECTOR", "SUBARRAY", "FILTER", "PUPIL", "READPATT")


def require_known_names(path: Path) -> None:
    """Refuse a name that jwst does not know: it would go on as if the header did not say it.

    Raises
    ------
    InputError
    """
    keywords = read_keywords(path)
    for keyword in KEYWORDS:
        found = keywords.text(keyword)
        if found and found not in known_names()[keyword]:
            raise InputError(
                f"{path}: {keyword} is {found}{nearest(found, known_names()[keyword])}, which jwst does not know; "
                "references are chosen by it",
                found=found,
            )


@cache
def known_names() -> dict[str, tuple[str, ...]]:
    """Return the values that jwst accepts of each keyword."""
    found: dict[str, tuple[str, ...]] = {}

    def visit(schema: dict[str, Any], *_: Any) -> None:
        if (keyword := schema.get("fits_keyword")) in KEYWORDS:
            found[str(keyword)] = tuple(_listed(schema))

    load_extensions()  # before asdf does it slowly
    with JwstDataModel() as model:
        walk_schema(model.schema, visit)
    return found


def _listed(schema: dict[str, Any]) -> Iterator[str]:
    """Yield the values that a schema lists, also where it joins several lists."""
    yield from schema.get("enum", ())
    for joined in ("anyOf", "oneOf", "allOf"):
        for part in schema.get(joined, ()):
            yield from _listed(part)
