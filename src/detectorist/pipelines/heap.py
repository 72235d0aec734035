"""Keep Python's garbage collector from walking over a million living objects before every step.

stpipe collects garbage before each step so that a ramp of the step before is released. Imported packages and parsed
schemas make that 0.15 s a step, twenty times per exposure: more than all compiled steps together.
"""

from __future__ import annotations

import gc
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

_lock = threading.Lock()
_depth = 0
_frozen_by_others = False


@contextmanager
def frozen_heap() -> Iterator[None]:
    """Take everything alive now out of the collector's sight; what is made inside is collected as ever.

    May be nested and used from several threads: the heap thaws when the last one leaves. A heap that somebody else has
    frozen, as a worker does for its whole life, is left alone.
    """
    _enter()
    try:
        yield
    finally:
        _leave()


def _enter() -> None:
    global _depth, _frozen_by_others  # noqa: PLW0603 - the collector is one per process
    with _lock:
        if _depth == 0:
            _frozen_by_others = gc.get_freeze_count() > 0
            if not _frozen_by_others:
                gc.collect()
                gc.freeze()
        _depth += 1


def _leave() -> None:
    global _depth  # noqa: PLW0603
    with _lock:
        _depth -= 1
        if _depth == 0 and not _frozen_by_others:
            gc.unfreeze()


if TYPE_CHECKING:
    from jwst.stpipe import Pipeline as Mixable
else:
    Mixable = object  # always mixed into a pipeline


class FrozenHeap(Mixable):
    """Mixed into a pipeline, before its stpipe class: every run of it has a frozen heap."""

    def run(self, *args: Any) -> Any:
        """Run the pipeline."""
        with frozen_heap():
            return super().run(*args)
