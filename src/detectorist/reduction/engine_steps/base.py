"""The base of the engine's steps: when they run in the engine, and what they log about it."""

from __future__ import annotations

import logging
import threading
from abc import abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache, partial
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from jwst.stpipe import Step

from detectorist.engine import PROVEN_STCAL, NotCovered
from detectorist.parameters import require_cores

log = logging.getLogger(__name__)

_replacing = threading.RLock()


if TYPE_CHECKING:
    from jwst.stpipe import Step as Mixable
else:
    Mixable = object  # always mixed into a stock step, which is a Step already


class EngineStep(Mixable):
    """A mix-in for a standard step: the arithmetic is done by the engine, everything else by the standard step.

    The standard `process` runs unchanged, with references, metadata and skipping, but calls our function instead of
    stcal's. That function returns the same arrays, or calls stcal's where the engine does not support the exposure.
    """

    stock: ClassVar[type[Step]]
    #: Where the function is looked up by the stock step, and under which name.
    place: ClassVar[tuple[Any, str]]

    spec = """
        engine = option("auto", "stock", default="auto") # auto: compiled, same results; stock: the standard code
    """

    @staticmethod
    @abstractmethod
    def covered(*args: Any, **kwargs: Any) -> Any:
        """Do what the standard function does, or raise NotCovered."""

    @staticmethod
    @abstractmethod
    def kernel() -> Any:
        """Return the compiled kernel that takes longest to compile."""

    def process(self, step_input: Any) -> Any:
        """Run the standard step, with the engine unless `engine` is "stock"."""
        if hasattr(self, "maximum_cores"):
            require_cores(self.maximum_cores)
        if self.engine == "stock":
            return super().process(step_input)
        with replaced(*self.place, self._in_engine(getattr(*self.place))):
            return super().process(step_input)

    @classmethod
    def get_config_reftype(cls) -> str:
        """Take the standard step's parameters from CRDS: stpipe would look them up under the name of this class."""
        return cls.stock.get_config_reftype()

    @staticmethod
    def get_stpipe_loggers() -> tuple[str, ...]:
        """Let stpipe show and record our log lines as well."""
        return (*Step.get_stpipe_loggers(), "detectorist")

    def _in_engine(self, stock: Callable[..., Any]) -> Callable[..., Any]:
        """Return a function that tries `covered`, falls back to `stock`, and logs which of the two it was."""
        return partial(self._run_covered, stock)

    def _run_covered(self, stock: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        try:
            self.prepare_engine()
            result = self.covered(*args, **kwargs)
        except NotCovered as reason:
            log.info("%s: standard code, because %s", self.class_alias, reason)
            return stock(*args, **kwargs)
        log.info("%s: compiled engine", self.class_alias)
        return result

    def prepare_engine(self) -> None:
        """Inform the user before the engine runs: of an untested stcal, or of a compilation."""
        warn_of_unproven_version(version("stcal"))
        announce_compilation(self.kernel())


def announce_compilation(kernel: Any) -> None:
    """Log that a kernel has yet to be compiled, if so."""
    module = kernel.__module__.rsplit(".", 1)[-1]
    if not any(Path(kernel.stats.cache_path).glob(f"{module}.{kernel.__name__}-*.nbi")):
        log.info("compiling %s for this machine (once; about ten seconds)", kernel.__name__)


@contextmanager
def replaced(owner: Any, name: str, function: Any) -> Iterator[None]:
    """Use `function` instead of `owner.name` while the context lasts; owner is a module or a class.

    One thread at a time. A standard step that runs in another thread meanwhile gets the same results.
    """
    with _replacing:
        original = getattr(owner, name)
        setattr(owner, name, function)
        try:
            yield
        finally:
            setattr(owner, name, original)


@cache
def warn_of_unproven_version(installed: str) -> None:
    """Warn once per process that the engine was not verified with the installed stcal."""
    if installed != PROVEN_STCAL:
        log.warning(
            "the compiled engine was tested with stcal %s, but %s is installed: results may differ in the last bit; "
            "check with `detectorist verify FILE`, or use `--set engine=stock`",
            PROVEN_STCAL,
            installed,
        )


def float32(array: np.ndarray, what: str) -> np.ndarray:
    """Return the array if it is float32; other types are rounded differently by the standard code."""
    if array.dtype.newbyteorder("=") != np.float32:
        raise NotCovered(f"the {what} is {array.dtype}, not float32")
    return array


def native(array: np.ndarray) -> np.ndarray:
    """Return the array in C order and in the byte order of the machine, without a copy if it is already."""
    return np.ascontiguousarray(array, array.dtype.newbyteorder("="))


def in_place(data: np.ndarray) -> np.ndarray:
    """Return the ramp if a kernel can change it in place."""
    if not (data.dtype == np.float32 and data.dtype.isnative and data.flags.c_contiguous and data.flags.writeable):
        raise NotCovered(f"the ramp is {data.dtype}, in another order, or read-only")
    return data
