"""Let asdf parse each document of its schemas once, instead of for every array that is set on a datamodel.

Each assignment to a datamodel is validated; where a schema refers to another, asdf parses it again: about three hundred
times for one exposure, a second in all. The documents are only read by validators. What looks them up is made for each
of the two thousand values of an exposure that are checked, and so is the version of asdf read from its name: half of
the time of a check.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import cache, partial
from threading import local
from typing import Any

from asdf import schema as asdf_schema
from asdf.extension import _serialization_context as asdf_context

from detectorist.libraries.global_state import ProcessWideChange

#: asdf's own factory of what looks documents up, and what that has for each scheme of addresses.
FACTORY, LOOKUPS = "_make_jsonschema_refresolver", "handlers"
#: What a resolver notes of the documents that it is in, and that where it is in none.
PLACES, NOWHERE = "_scopes_stack", [""]
#: asdf's check of a version, in the module that calls it for every value.
CHECK = "validate_version"


def parsed_once() -> AbstractContextManager[None]:
    """Keep parsed schema documents while the context lasts; do nothing with other versions of asdf.

    May be nested and used from several threads.
    """
    return _KEPT.in_force()


def _keep_documents() -> Callable[[], None]:
    """Have asdf's resolvers share what they look up, and return what puts its own factory back."""
    make, check = getattr(asdf_schema, FACTORY, None), getattr(asdf_context, CHECK, None)
    if make is None:
        return lambda: None
    setattr(asdf_schema, FACTORY, partial(_resolver, make, {}, local()))
    if check is not None:
        setattr(asdf_context, CHECK, cache(check))

    def undo() -> None:
        setattr(asdf_schema, FACTORY, make)
        if check is not None:
            setattr(asdf_context, CHECK, check)

    return undo


def _resolver(make: Callable[[], Any], documents: dict[str, Any], of_thread: local) -> Any:
    """Return a resolver of this thread that is in no document: where a check goes on, or has failed, a new one."""
    resolver = getattr(of_thread, "resolver", None)
    if resolver is None or getattr(resolver, PLACES, None) != NOWHERE:
        resolver = of_thread.resolver = _make_resolver(make, documents)
    return resolver


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
