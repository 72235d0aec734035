"""Let reference files be interpreted once, instead of at every step of every exposure that asks for them.

One coronagraphic exposure opens twelve reference files, seven of them different ones; for each, every keyword is
checked against its schema. What came of a small file is kept, and handed out as a copy, which a step may change.
"""

from __future__ import annotations

import copy
import os
import threading
from collections import OrderedDict
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import numpy as np
from asdf import AsdfFile
from asdf.treeutil import iter_tree
from stdatamodels import fits_support
from stdatamodels.jwst.datamodels import ReferenceFileModel

from detectorist.libraries.global_state import ProcessWideChange

#: Bytes of arrays up to which a file is kept, and of all files that are: those of subarrays, which are read in no time
#: beside the time that it takes to interpret them.
MOST_OF_ONE, MOST_OF_ALL = 8_000_000, 48_000_000


class Trees:
    """What is in files, by the state of each: those asked for last, as far as there is room."""

    def __init__(self, most_of_one: int = MOST_OF_ONE, most_of_all: int = MOST_OF_ALL):
        self._most_of_one, self._most_of_all = most_of_one, most_of_all
        self._kept: OrderedDict[tuple[Any, ...], tuple[Any, int]] = OrderedDict()
        self._lock = threading.Lock()

    @property
    def n_bytes(self) -> int:
        """Bytes of all arrays that are kept."""
        return sum(size for _, size in self._kept.values())

    def get(self, key: tuple[Any, ...]) -> Any:
        """Return a copy of a tree, None where it is not kept."""
        with self._lock:
            found = self._kept.get(key)
            if found is None:
                return None
            self._kept.move_to_end(key)
        return copy.deepcopy(found[0])

    def keep(self, key: tuple[Any, ...], tree: Any) -> None:
        """Keep a copy of a tree, unless it is large."""
        size = sum(node.nbytes for node in iter_tree(tree) if isinstance(node, np.ndarray))
        if size > self._most_of_one:
            return
        kept = copy.deepcopy(tree)
        with self._lock:
            self._kept[key] = kept, size
            while self.n_bytes > self._most_of_all:
                self._kept.popitem(last=False)


_TREES = Trees()


def interpreted_once() -> AbstractContextManager[None]:
    """Keep what is in reference files while the process lasts, and hand it out while the context lasts.

    May be nested and used from several threads. A file that was written to meanwhile is read again.
    """
    return _ONCE.in_force()


def _keep_trees() -> Callable[[], None]:
    """Have datamodels ask for what is kept first, and return what undoes that."""
    original = fits_support.from_fits

    def from_fits(hdulist: Any, schema: Any, context: Any, **options: Any) -> AsdfFile:
        key = _state_of(hdulist, context, options)
        if key is None:
            return original(hdulist, schema, context, **options)
        tree = _TREES.get(key)
        if tree is None:
            found = original(hdulist, schema, context, **options)
            _TREES.keep(key, found.tree)
            return found
        found = AsdfFile(ignore_unrecognized_tag=options.get("ignore_unrecognized_tag", False))
        found._tree = tree  # as datamodels do with a tree that was checked
        return found

    fits_support.from_fits = from_fits

    def undo() -> None:
        fits_support.from_fits = original

    return undo


def _state_of(hdulist: Any, context: Any, options: dict[str, Any]) -> tuple[Any, ...] | None:
    """Return by what a reference file and the model made of it are recognised; None for anything else."""
    path = hdulist.filename()
    if not isinstance(context, ReferenceFileModel) or not isinstance(path, str):
        return None
    try:
        status = os.stat(path)
    except OSError:
        return None
    rules = context._pass_invalid_values, context._strict_validation, context._validate_on_assignment
    state = os.path.abspath(path), status.st_ino, status.st_size, status.st_mtime_ns
    return (*state, type(context), *rules, *sorted(options.items()))


_ONCE = ProcessWideChange(_keep_trees)
