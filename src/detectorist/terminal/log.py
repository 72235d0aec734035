"""The log of the steps on the terminal."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

#: Loggers of ours and of the standard pipeline.
LOGGERS = ("detectorist", "jwst", "stcal", "stpipe")


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
