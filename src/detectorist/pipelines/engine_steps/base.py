"""What the engine's steps have in common: when they run in the engine, and how they say so."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from importlib.metadata import version
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar

import numpy as np
from jwst.stpipe import Step

from detectorist.engine import PROVEN_STCAL, NotCovered

log = logging.getLogger(__name__)

_replacing = threading.RLock()


class EngineStep:
    """Mixed into a stock step: its arithmetic is done by the engine, everything around it by the stock step itself.

    The stock `process` runs unchanged, with references, metadata and skipping, but calls our function where it would
    call stcal's. That function returns the same arrays, or hands over to stcal's where the engine does not cover the
    exposure.
    """

    stock: ClassVar[type[Step]]

    spec = """
        engine = option("auto", "stock", default="auto") # auto: compiled, same results; stock: the standard code
    """

    @classmethod
    def get_config_reftype(cls) -> str:
        """Take the stock step's parameters from CRDS: stpipe would look for some under the name of this class."""
        return cls.stock.get_config_reftype()

    @staticmethod
    def get_stpipe_loggers() -> tuple[str, ...]:
        """Let stpipe show and record our log lines beside its own."""
        return (*Step.get_stpipe_loggers(), "detectorist")

    def in_engine(
        self, covered: Callable[..., Any], stock: Callable[..., Any], kernel: Callable[[], Any]
    ) -> Callable[..., Any]:
        """Return a function that tries `covered`, falls back to `stock`, and logs which of the two it was.

        kernel : callable
            Returns the compiled kernel that `covered` uses, to tell the user of a compilation.
        """

        def run(*args: Any, **kwargs: Any) -> Any:
            try:
                warn_of_unproven_version(version("stcal"))
                _announce_compilation(kernel())
                result = covered(*args, **kwargs)
            except NotCovered as reason:
                log.info("%s: stock code, since %s", self.class_alias, reason)
                return stock(*args, **kwargs)
            log.info("%s: compiled engine", self.class_alias)
            return result

        return run


@contextmanager
def replaced(module: ModuleType, name: str, function: Callable[..., Any]) -> Iterator[None]:
    """Call `function` in the place of `module.name` for as long as the context lasts.

    One thread at a time. A stock step that runs in another thread meanwhile gets the same results.
    """
    with _replacing:
        original = getattr(module, name)
        setattr(module, name, function)
        try:
            yield
        finally:
            setattr(module, name, original)


@cache
def warn_of_unproven_version(installed: str) -> None:
    """Say once per process that the installed stcal is not the one whose bits the engine reproduces."""
    if installed != PROVEN_STCAL:
        log.warning(
            "the compiled engine was compared with stcal %s, installed is %s: results may differ in the last bit; "
            "`detectorist verify FILE` compares them on your exposure, `engine = stock` avoids it",
            PROVEN_STCAL,
            installed,
        )


def float32(array: np.ndarray, what: str) -> np.ndarray:
    """Return the array unless it holds another type, for which stock's roundings would differ."""
    if array.dtype.newbyteorder("=") != np.float32:
        raise NotCovered(f"the {what} is {array.dtype}, not float32")
    return array


def _announce_compilation(kernel: Any) -> None:
    module = kernel.__module__.rsplit(".", 1)[-1]
    if not any(Path(kernel.stats.cache_path).glob(f"{module}.{kernel.__name__}-*.nbi")):
        log.info("compiling %s for this machine, once: some ten seconds", kernel.__name__)
