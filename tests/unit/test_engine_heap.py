"""The frozen heap: garbage made inside is collected, and nothing stays frozen."""

import gc
import importlib.util
import weakref
from pathlib import Path

import pytest

import detectorist


@pytest.fixture
def frozen_heap():
    """Import the one file, without the pipelines around it."""
    path = Path(detectorist.__file__).parent / "pipelines" / "heap.py"
    spec = importlib.util.spec_from_file_location("heap", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.frozen_heap


class Node:
    pass


def make_cycle():
    node = Node()
    node.itself = node
    return weakref.ref(node)


def test_garbage_made_inside_is_collected(frozen_heap):
    with frozen_heap():
        node = make_cycle()
        assert gc.get_freeze_count() > 0
        gc.collect()
        assert node() is None


def test_everything_thaws_when_the_last_one_leaves(frozen_heap):
    with frozen_heap():
        with frozen_heap():
            pass
        assert gc.get_freeze_count() > 0
    assert gc.get_freeze_count() == 0
    with pytest.raises(ZeroDivisionError), frozen_heap():
        _ = 1 / 0
    assert gc.get_freeze_count() == 0


def test_a_heap_that_was_frozen_before_stays_so(frozen_heap):
    gc.freeze()
    try:
        with frozen_heap():
            pass
        assert gc.get_freeze_count() > 0
    finally:
        gc.unfreeze()
