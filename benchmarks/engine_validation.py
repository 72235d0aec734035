"""What is measured for the engine's table of the documentation: called by `validation.py`."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator

import engine
from validated import Figure, Rows

#: CPU seconds that each row may take: the bars of the engine.
ASKED = {"snowballs": "≤ 0.3", "snowballs, hostile": "≤ 3"}


def end_to_end(rows: Rows, repeats: int, ints: int) -> None:
    """Measure every row of the benchmark; `repeats` and `ints` are for exposures of other modes."""
    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")
    rows.collect("one thread", figures())


def figures() -> Iterator[Figure]:
    """Measure time, memory and agreement of every row, with stock code beside it."""
    for job in engine.all_jobs(engine.MODES):
        one = engine.measure(job)
        what, known = f"{job.step}, {job.mode}", job.stock is not None
        stock_s, stock_mb = (one.stock_s, one.stock_peak / 1e6) if known else (None, None)
        yield Figure("engine", f"{what}: CPU, s", one.ours_s, ASKED.get(job.step, ""), "{:.2f}", stock_s)
        yield Figure("engine", f"{what}: memory above its arrays, MB", one.ours_peak / 1e6, "", "{:.0f}", stock_mb)
        if known:
            words = f"{what}: values and flags of {one.values:,} that differ"
            yield Figure("engine", words, one.differing, "0", "{:.0f}")
