"""Keep Python's garbage collector from traversing a million live objects before every step.

stpipe collects garbage before each step to release the ramp of the step before. With imported packages and parsed
schemas this takes 0.15 s per step, twenty times per exposure: more than all compiled steps together.
"""

from __future__ import annotations

import gc
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

from detectorist.reduction.global_state import ProcessWideChange


def frozen_heap() -> AbstractContextManager[None]:
    """Exclude all live objects from garbage collection; objects made inside are collected as usual.

    May be nested and used from several threads: the heap thaws when the last one leaves. A heap frozen elsewhere, as
    workers do for their whole life, is left frozen.
    """
    return _FROZEN.in_force()


def _freeze() -> Callable[[], None]:
    """Freeze the heap, and return what thaws it."""
    if gc.get_freeze_count() > 0:
        return lambda: None
    gc.collect()
    gc.freeze()
    return gc.unfreeze


_FROZEN = ProcessWideChange(_freeze)


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
