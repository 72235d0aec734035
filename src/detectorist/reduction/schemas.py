"""Let asdf parse each document of its schemas once, instead of for every array that is set on a datamodel.

Each assignment to a datamodel is validated; where a schema refers to another, asdf parses it again: about three hundred
times for one exposure, a second in all. The documents are only read by validators.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from typing import Any

from asdf import schema as asdf_schema

from detectorist.reduction.global_state import ProcessWideChange

#: asdf's own factory of what looks documents up, and what that has for each scheme of addresses.
FACTORY, LOOKUPS = "_make_jsonschema_refresolver", "handlers"


def parsed_once() -> AbstractContextManager[None]:
    """Keep parsed schema documents while the context lasts; do nothing with other versions of asdf.

    May be nested and used from several threads.
    """
    return _KEPT.in_force()


def _keep_documents() -> Callable[[], None]:
    """Have asdf's resolvers share what they look up, and return what puts its own factory back."""
    make = getattr(asdf_schema, FACTORY, None)
    if make is None:
        return lambda: None
    setattr(asdf_schema, FACTORY, partial(_make_resolver, make, {}))
    return lambda: setattr(asdf_schema, FACTORY, make)


def _make_resolver(make: Callable[[], Any], documents: dict[str, Any]) -> Any:
    """Make one of asdf's resolvers, which finds a document among `documents` before it looks it up."""
    resolver = make()
    lookups = getattr(resolver, LOOKUPS, {})
    for scheme, look_up in list(lookups.items()):
        lookups[scheme] = partial(_document_at, look_up, documents)
    return resolver


def _document_at(look_up: Callable[[str], Any], documents: dict[str, Any], address: str) -> Any:
    if address not in documents:
        documents[address] = look_up(address)
    return documents[address]


_KEPT = ProcessWideChange(_keep_documents)
