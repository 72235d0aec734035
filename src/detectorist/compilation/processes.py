"""Compiles kernels in several processes: each as soon as those that it calls are compiled, and none of them twice."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any

from numba.core.dispatcher import Dispatcher

from detectorist.compilation.signatures import read


def compile_kernels(kernels: dict[str, list[Any]], processes: int, done: Callable[[int], None]) -> None:
    """Compile kernels into numba's cache; those that are there already are only loaded.

    Parameters
    ----------
    kernels : dict
        "package.module:kernel" -> the types of its arguments, once for each specialisation.
    processes : int
    done : callable
        Called as done(number) after each kernel.
    """
    found = {name: find(name) for name in kernels}
    waiting = {name: callees.intersection(found) - {name} for name, callees in _calls(found).items()}
    before = _urgency(found, waiting)
    # Forked processes need not import anything again; nothing here has threads.
    context = multiprocessing.get_context("fork")
    with ProcessPoolExecutor(processes, mp_context=context) as pool:
        running: dict[Future[None], str] = {}
        number = 0
        while waiting or running:
            ready = sorted((name for name, callees in waiting.items() if not callees), key=before.__getitem__)
            for name in ready[: max(processes - len(running), 0)]:
                del waiting[name]
                running[pool.submit(compile_one, name, kernels[name])] = name
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                name = running.pop(future)
                future.exception()  # what cannot be compiled here will say so where it is called
                for callees in waiting.values():
                    callees.discard(name)
                number += 1
                done(number)


def find(name: str) -> Any:
    """Return the kernel of a name like "package.module:kernel"."""
    module, _, kernel = name.partition(":")
    return getattr(import_module(module), kernel)


def compile_one(name: str, specialisations: Iterable[Any]) -> None:
    """Compile a kernel for each list of types, one process for all of them: they share an index on disk."""
    kernel = find(name)
    for entries in specialisations:
        kernel.compile(tuple(map(read, entries)))
    _date_anew(kernel)


def _date_anew(kernel: Any) -> None:
    """Give the index of a kernel the present time, also where its machine code was there and fits its source.

    numba goes by the content of a source, `kernel_lists.missing` by its time: a source that was installed or checked
    out again, unchanged, would make every run start processes that have nothing to compile.
    """
    module, line = kernel.py_func.__module__.rpartition(".")[2], kernel.py_func.__code__.co_firstlineno
    for index in Path(kernel.stats.cache_path).glob(f"{module}.{kernel.py_func.__name__}-{line}.py*.nbi"):
        with suppress(OSError):  # a cache that cannot be written
            os.utime(index)


def name_of(kernel: Any) -> str:
    """Return the name of a kernel, "package.module:kernel"."""
    return f"{kernel.py_func.__module__}:{kernel.py_func.__qualname__}"


def _calls(found: dict[str, Any]) -> dict[str, set[str]]:
    """Return the kernels that each kernel calls by a global name."""
    calls = {}
    for name, kernel in found.items():
        function = kernel.py_func
        named = (function.__globals__.get(word) for word in function.__code__.co_names)
        calls[name] = {name_of(other) for other in named if isinstance(other, Dispatcher)}
    return calls


def _urgency(found: dict[str, Any], calls: dict[str, set[str]]) -> dict[str, int]:
    """Return numbers that are the smaller, the more code waits for a kernel: the longest chains are begun first."""
    size = {name: len(kernel.py_func.__code__.co_code) for name, kernel in found.items()}
    callers: dict[str, set[str]] = {name: set() for name in found}
    for name, callees in calls.items():
        for callee in callees:
            callers[callee].add(name)
    chain: dict[str, int] = {}

    def length(name: str) -> int:
        if name not in chain:
            chain[name] = size[name] + max(map(length, callers[name]), default=0)
        return chain[name]

    return {name: -length(name) for name in found}
