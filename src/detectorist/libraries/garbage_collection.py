"""Keep Python's garbage collector from traversing a million live objects again and again.

stpipe collects garbage before each step to release the ramp of the step before. With imported packages and parsed
schemas this takes 0.15 s per step, twenty times per exposure: more than all compiled steps together. And while packages
are imported, Python collects, for .7 s in all, where there is next to no garbage.
"""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from detectorist.libraries.asdf_extensions import load_extensions
from detectorist.libraries.global_state import ProcessWideChange

#: Memory by which a process must have grown for garbage to be worth collecting: less than any ramp that a step drops.
WORTH_BYTES = 16_000_000
#: New objects, and collections of young ones, after which Python looks for garbage; by default 700, 10, 10. Imports
#: make a million objects and no garbage; what holds a ramp is collected by itself, see `WhenMemoryGrew`.
RARELY = (50_000, 50, 100)


@dataclass
class _Heap:
    """What is known of this process without a look at its objects: to count frozen ones takes 0.04 s."""

    frozen: bool = False  #: by `settle`
    imports_only: bool = False  #: nothing but packages has been loaded yet, so that there is no ramp to collect


_heap = _Heap()


def collect_rarely() -> None:
    """Look for garbage less often in a process that begins, and is ours alone: the command, and its workers."""
    gc.set_threshold(*RARELY)
    _heap.imports_only = True


def frozen_heap() -> AbstractContextManager[None]:
    """Exclude all live objects from garbage collection; objects made inside are collected as usual.

    May be nested and used from several threads: the heap thaws when the last one leaves. A heap frozen elsewhere, as
    workers do for their whole life, is left frozen.
    """
    return _FROZEN.in_force()


def settle() -> None:
    """Freeze the heap until `unsettle`. A command that has only imported yet does not look for garbage before."""
    if not _heap.imports_only:
        gc.collect()  # a ramp may be in it
    _freeze_imports()
    _heap.frozen, _heap.imports_only = True, False


def unsettle() -> None:
    """Collect garbage as before."""
    gc.unfreeze()
    _heap.frozen = False


def _freeze_imports() -> None:
    """Exclude everything alive from garbage collection, and what the first file would load for good."""
    if "asdf" in sys.modules:
        load_extensions()
    gc.freeze()


def _is_frozen() -> bool:
    return _heap.frozen or gc.get_freeze_count() > 0


def freeze_what_was_loaded() -> None:
    """Exclude also what was loaded since the heap was frozen, between two jobs, when no ramp is alive."""
    if _is_frozen():
        gc.collect()
        gc.freeze()


def freeze_what_is_loaded() -> None:
    """Exclude also what was loaded since the heap was frozen, without a look at it: no ramp may be alive.

    What a job imports and builds before it reads its first ramp would be traversed each time that a ramp is let go of.
    """
    if _is_frozen():
        gc.freeze()


@contextmanager
def released_at_its_end(pipeline: Any) -> Iterator[None]:
    """Let go of a pipeline, and of what its steps keep of an exposure, when the context ends.

    Pipeline and steps refer to each other, and nobody looks for garbage among what was frozen with them.
    """
    try:
        yield
    finally:
        for name in pipeline.step_defs:
            vars(getattr(pipeline, name)).clear()
        vars(pipeline).clear()


def release_models() -> None:
    """Let go of models that nothing refers to any more, before as much is read once again.

    They refer to themselves, and would wait for a step that finds the process grown (`WhenMemoryGrew`): too late, where
    that is the next part of an exposure.
    """
    gc.collect()


def release_young_models() -> None:
    """Let go of models made since the last such call, in a fraction of the time that looking at all objects takes."""
    gc.collect(1)


class WhenMemoryGrew:
    """Stands in for the module `gc` in stpipe: collects garbage where a ramp may be in it, and not before other steps.

    resident_bytes : function
        Returns the memory that the process holds, 0 where the system does not tell.
    """

    def __init__(self, resident_bytes: Callable[[], int]):
        self._resident_bytes = resident_bytes
        self._least = resident_bytes()

    def collect(self, *args: Any) -> int:
        """Collect garbage if the process holds more than after the last collection by WORTH_BYTES; see `gc.collect`."""
        now = self._resident_bytes()
        if 0 < now < self._least + WORTH_BYTES:
            self._least = min(self._least, now)
            return 0
        found = gc.collect(*args)
        self._least = self._resident_bytes()
        return found

    def __getattr__(self, name: str) -> Any:
        """Return what else `gc` has."""
        return getattr(gc, name)


def _resident_bytes() -> int:
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        return 0


def _freeze() -> Callable[[], None]:
    """Freeze the heap, let stpipe collect where it is worth while, and return what undoes both."""
    frozen_before = _is_frozen()
    if not frozen_before:
        gc.collect()
        _freeze_imports()
    stpipe_step: Any = sys.modules.get("stpipe.step")
    if stpipe_step is not None:
        stpipe_step.gc = WhenMemoryGrew(_resident_bytes)

    def thaw() -> None:
        if stpipe_step is not None:
            stpipe_step.gc = gc
        if not frozen_before:
            gc.unfreeze()

    return thaw


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
