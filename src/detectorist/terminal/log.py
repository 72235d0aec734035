"""The log of the steps on the terminal."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

#: Loggers of ours and of the standard pipeline.
LOGGERS = ("detectorist", "jwst", "stcal", "stpipe", "py.warnings")


def keep_warnings_off_terminal() -> None:
    """Pass warnings of libraries to the log, as one line each, without their source lines."""
    told = logging.getLogger("py.warnings")
    told.addHandler(logging.NullHandler())  # else logging prints what nobody handles

    def show(message: Any, category: type[Warning], *_: Any, **__: Any) -> None:
        told.warning("%s: %s", category.__name__, " ".join(str(message).split()))

    warnings.showwarning = show


@contextmanager
def terminal_log(*, verbose: bool = False, level: int = logging.INFO) -> Iterator[None]:
    """Show the log of the steps of this process on the terminal, if `verbose`."""
    if not verbose:
        yield
        return
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(levelname)s %(name)s: %(message)s"))
    handler.setLevel(level)
    loggers = [logging.getLogger(name) for name in LOGGERS]
    for logger in loggers:
        logger.addHandler(handler)
    try:
        yield
    finally:
        for logger in loggers:
            logger.removeHandler(handler)
        handler.close()
