"""The frozen heap: garbage made inside is collected, and nothing stays frozen."""

import ctypes
import gc
import weakref
from contextlib import suppress

import numpy as np
import pytest

from detectorist.libraries import garbage_collection
from detectorist.libraries.garbage_collection import (
    RARELY,
    WORTH_BYTES,
    WhenMemoryGrew,
    collect_rarely,
    freeze_what_is_loaded,
    freeze_what_was_loaded,
    frozen_heap,
    release_models,
    release_young_models,
    released_at_its_end,
    settle,
    unsettle,
)


@pytest.fixture(autouse=True)
def nothing_is_frozen(monkeypatch):
    """Other tests in this process may have frozen the heap for their whole session, or run the command."""
    monkeypatch.setattr(garbage_collection, "_heap", garbage_collection._Heap())
    was_frozen, thresholds = gc.get_freeze_count() > 0, gc.get_threshold()
    gc.unfreeze()
    yield
    gc.set_threshold(*thresholds)
    if was_frozen:
        gc.freeze()


class Node:
    pass


def make_cycle():
    node = Node()
    node.itself = node
    return weakref.ref(node)


def test_garbage_made_inside_is_collected():
    with frozen_heap():
        node = make_cycle()
        assert gc.get_freeze_count() > 0
        gc.collect()
        assert node() is None


def test_everything_thaws_when_the_last_one_leaves():
    with frozen_heap():
        with frozen_heap():
            pass
        assert gc.get_freeze_count() > 0
    assert gc.get_freeze_count() == 0
    with pytest.raises(ZeroDivisionError), frozen_heap():
        _ = 1 / 0
    assert gc.get_freeze_count() == 0


def test_a_heap_that_was_frozen_before_stays_so():
    gc.freeze()
    try:
        with frozen_heap():
            pass
        assert gc.get_freeze_count() > 0
    finally:
        gc.unfreeze()


@pytest.fixture
def looked(monkeypatch):
    """Every search for garbage."""
    found = []
    monkeypatch.setattr(gc, "collect", lambda *args: found.append(args))
    return found


def test_the_command_freezes_its_imports_without_looking_for_garbage(looked):
    collect_rarely()
    try:
        settle()
        assert gc.get_freeze_count() > 0
        with frozen_heap():
            pass
        assert gc.get_freeze_count() > 0
        assert not looked
        freeze_what_was_loaded()  # between two jobs
        assert len(looked) == 1
        settle()  # for the jobs of another mode
        assert len(looked) == 2
        unsettle()
        settle()  # for another run of the same process
        assert len(looked) == 3
    finally:
        unsettle()
    assert gc.get_freeze_count() == 0
    freeze_what_was_loaded()
    assert gc.get_freeze_count() == 0


def test_in_a_process_of_others_garbage_is_looked_for_before(looked):
    gc.set_threshold(*RARELY)  # as they may have chosen themselves
    settle()
    unsettle()
    assert looked


def test_garbage_of_others_is_not_frozen():
    node = make_cycle()
    with frozen_heap():
        assert node() is None


def test_what_was_loaded_since_is_frozen_too_and_garbage_is_not():
    freeze_what_was_loaded()
    assert gc.get_freeze_count() == 0  # nothing was frozen before
    with frozen_heap():
        kept, dropped = [Node()], make_cycle()
        before = gc.get_freeze_count()
        freeze_what_was_loaded()
        assert gc.get_freeze_count() > before
        assert dropped() is None
        assert not any(one is kept for one in gc.get_objects())


def test_the_command_collects_rarely():
    collect_rarely()
    assert gc.get_threshold() == RARELY


@pytest.mark.parametrize(
    ("resident", "collected"),
    [
        ([100, 100, 101], False),  # as much as before
        ([100, 100 + WORTH_BYTES, 100], True),
        ([WORTH_BYTES, 100, 100 + WORTH_BYTES], True),  # less for a while, and then more
        ([0, 0, 0], True),  # a system that does not tell
    ],
)
def test_a_step_is_worth_a_collection_when_memory_grew(resident, collected):
    told = iter([*resident, *resident[-1:] * 3])
    stand_in = WhenMemoryGrew(lambda: next(told))
    node = make_cycle()
    stand_in.collect()
    stand_in.collect()
    assert (node() is None) == collected
    assert stand_in.get_threshold() == gc.get_threshold()


def test_stpipe_has_its_own_collector_again():
    from stpipe import step

    with frozen_heap():
        assert isinstance(step.gc, WhenMemoryGrew)
    assert step.gc is gc


def give_back_freed_memory():
    """Hand what other tests have left in the heap to the system: it may do so itself while the test measures."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def test_a_large_array_in_a_cycle_is_released_before_the_next_step():
    from stpipe import step

    with frozen_heap():
        give_back_freed_memory()
        step.gc.collect()  # the least that the process holds
        node = Node()
        node.itself, node.ramp = node, np.ones(WORTH_BYTES)  # 128 MB: more than is ever kept
        dropped = weakref.ref(node)
        del node
        step.gc.collect()
        assert dropped() is None


def test_what_was_made_since_the_last_look_is_let_go():
    with frozen_heap():
        gc.collect()
        node = make_cycle()
        release_young_models()
        assert node() is None


def test_models_that_refer_to_themselves_are_let_go():
    with frozen_heap():
        model = Node()
        model.itself = model
        alive = weakref.ref(model)
        del model
        assert alive() is not None
        release_models()
        assert alive() is None


def test_what_was_loaded_before_the_first_ramp_is_looked_at_no_more(looked):
    freeze_what_is_loaded()
    assert gc.get_freeze_count() == 0  # a heap that is not frozen stays so
    settle()
    already, looked[:] = gc.get_freeze_count(), []
    loaded = [Node() for _ in range(100)]
    freeze_what_is_loaded()
    assert gc.get_freeze_count() >= already + len(loaded)
    assert not looked
    unsettle()


@pytest.mark.parametrize("fails", [False, True])
def test_a_pipeline_that_is_frozen_and_what_its_steps_keep_are_released_at_its_end(fails):
    class Pipeline:
        step_defs = ("jump",)

        def __init__(self):
            self.jump = Node()
            self.jump.parent = self
            self.kept = Node()
            self.jump.stripes = Node()

    pipeline = Pipeline()
    kept = [weakref.ref(one) for one in (pipeline.kept, pipeline.jump.stripes, pipeline.jump)]
    gc.freeze()
    with suppress(ZeroDivisionError), released_at_its_end(pipeline):
        assert all(one() is not None for one in kept)
        assert 1 / (0 if fails else 1)
    assert all(one() is None for one in kept)
    gc.unfreeze()
