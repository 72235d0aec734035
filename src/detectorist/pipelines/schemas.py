"""Let asdf parse each document of its schemas once, instead of for every array that is set on a datamodel.

Each assignment to a datamodel is validated; where a schema refers to another, asdf reads that one's text anew: some
three hundred times for one exposure, a second altogether. The documents are only read by validators.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from asdf import schema as asdf_schema

#: asdf's own factory of what looks documents up, and what that has for each scheme of addresses.
FACTORY, LOOKUPS = "_make_jsonschema_refresolver", "handlers"

_lock = threading.Lock()
_depth = 0
_original: Callable[[], Any] | None = None


@contextmanager
def parsed_once() -> Iterator[None]:
    """Keep parsed schema documents for as long as the context lasts; with another asdf, do nothing.

    May be nested and used from several threads.
    """
    _enter()
    try:
        yield
    finally:
        _leave()


def _enter() -> None:
    global _depth, _original  # noqa: PLW0603 - asdf's factory is one per process
    with _lock:
        if _depth == 0 and hasattr(asdf_schema, FACTORY):
            _original = getattr(asdf_schema, FACTORY)
            setattr(asdf_schema, FACTORY, _keeping_documents(_original))
        _depth += 1


def _leave() -> None:
    global _depth, _original  # noqa: PLW0603
    with _lock:
        _depth -= 1
        if _depth == 0 and _original is not None:
            setattr(asdf_schema, FACTORY, _original)
            _original = None


def _keeping_documents(make: Callable[[], Any]) -> Callable[[], Any]:
    documents: dict[str, Any] = {}

    def keeping(look_up: Callable[[str], Any]) -> Callable[[str], Any]:
        def kept(address: str) -> Any:
            if address not in documents:
                documents[address] = look_up(address)
            return documents[address]

        return kept

    def make_keeping() -> Any:
        resolver = make()
        lookups = getattr(resolver, LOOKUPS, {})
        for scheme in list(lookups):
            lookups[scheme] = keeping(lookups[scheme])
        return resolver

    return make_keeping
