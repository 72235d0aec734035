"""Events of a running campaign; the command line shows them as bars, lines or JSON."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

PLANNED, STARTED, PROGRESS, FINISHED, RETRIED, ENDED = "planned", "started", "progress", "finished", "retried", "ended"
COMPILING = "compiling"


@dataclass(frozen=True)
class Event:
    """One thing that happened.

    Attributes
    ----------
    kind : str
        PLANNED (numbers: total, reused, workers), COMPILING (kernels, before the first run on a machine; numbers: done,
        total, and at first workers), STARTED, PROGRESS (numbers: done, total), FINISHED (numbers:
        state, seconds, peak_bytes, and merits: its figures of merit), RETRIED (a worker died) or ENDED (numbers: a
        count per state).
    name : str
        The exposure; "" for the campaign itself.
    text : str
    time : float
        Seconds since 1970.
    """

    kind: str
    name: str = ""
    text: str = ""
    time: float = 0.0
    numbers: dict[str, Any] = field(default_factory=dict)


Report = Callable[[Event], None]
