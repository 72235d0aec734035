"""Keep Python's garbage collector from walking over a million living objects before every step.

stpipe collects garbage before each step so that a ramp of the step before is released. Imported packages and parsed
schemas make that 0.15 s a step, twenty times per exposure: more than all compiled steps together.
"""

from __future__ import annotations

import gc
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

from detectorist.reduction.global_state import ProcessWideChange


def frozen_heap() -> AbstractContextManager[None]:
    """Take everything alive now out of the collector's sight; what is made inside is collected as ever.

    May be nested and used from several threads: the heap thaws when the last one leaves. A heap that somebody else has
    frozen, as a worker does for its whole life, is left alone.
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
