"""Let crds look FITS keywords up in a table; it would walk through the whole schema of the models for each of them."""

from __future__ import annotations

from functools import cache
from typing import Any

from stdatamodels.jwst.datamodels import JwstDataModel
from stdatamodels.schema import walk_schema

#: crds's own look-up, which keeps what it found.
LOOK_UP = "cached_dm_find_fits_keyword"


@cache
def look_keywords_up() -> None:
    """Have crds use the table from now on; do nothing with other versions of crds."""
    from crds.jwst import locate

    kept: Any = getattr(locate, LOOK_UP, None)
    if hasattr(kept, "uncached"):
        kept.uncached = places_of


def places_of(keyword: str) -> list[str]:
    """Return where the metadata have a keyword: ["meta.exposure.type"] for EXP_TYPE."""
    return list(_places().get(keyword.upper(), ()))


@cache
def _places() -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}

    def note(part: dict[str, Any], path: list[str], combiner: Any, ctx: Any, recurse: Any) -> bool:
        if path and path[0] == "extra_fits":
            return True
        keyword = part.get("fits_keyword")
        if keyword:
            found.setdefault(keyword, []).append(".".join(path))
        return False

    with JwstDataModel() as model:
        walk_schema(model.schema, note)
    return found
