"""Run `detectorist ARGUMENTS` in this process and say where its CPU time went: a JSON object on the last line.

    python benchmarks/command_parts.py run lrs sim/*_uncal.fits -o out --references sim/crds --quiet

Parts exclude each other: what a step writes counts as writing. One exposure at a time: others run in processes of their
own.
"""

from __future__ import annotations

import argparse
import functools
import json
import resource
import sys
import time
from collections.abc import Callable
from importlib import import_module
from typing import Any

#: Part -> functions, as "module:function" or "module:Class.method"; the steps of the pipelines have parts of their own.
PARTS = {
    "checks of the input": ("detectorist.reduction.inputs.headers:require_sound",),
    "hashes": (
        "detectorist.reduction.file_hash:file_hash",
        "detectorist.reduction.content_keys:seal",
        "detectorist.reduction.content_keys:is_whole",
    ),
    "reading": ("detectorist.models:open_as",),
    "writing": (
        "detectorist.reduction.products:write_model",
        "detectorist.reduction.products:write_dataset",
        "detectorist.reduction.products:write_text",
    ),
    "figures": ("detectorist.figures.display:show_or_write",),
    "report": ("detectorist.report.page:write_report",),
    "plan and ledger": ("detectorist.campaign.plan:plan_run",),
    "figures of merit": (
        "detectorist.modes.lrs.measurements:measure",
        "detectorist.modes.imaging.quality:measure",
        "detectorist.modes.coron.quality:measure",
    ),
}
WINGS = ("lrs", "imaging", "coron")


class Clock:
    """CPU seconds of this process by part; a part that runs within another one stops that one's clock."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._running: list[str] = []
        self._since = time.process_time()

    def _book(self) -> None:
        now = time.process_time()
        part = self._running[-1] if self._running else "other"
        self.seconds[part] = self.seconds.get(part, 0.0) + now - self._since
        self._since = now

    def stop(self) -> None:
        """Book what has run since the last change."""
        self._book()

    def timed(self, part: str | Callable[..., str], function: Callable[..., Any]) -> Callable[..., Any]:
        """Return a function with its time booked under a part, or under what `part` says of its arguments."""

        @functools.wraps(function)
        def run(*args: Any, **kwargs: Any) -> Any:
            self._book()
            self._running.append(part if isinstance(part, str) else part(*args, **kwargs))
            try:
                return function(*args, **kwargs)
            finally:
                self._book()
                self._running.pop()

        return run

    def imported(self) -> None:
        """Book everything since the process began as imports."""
        self._since = time.process_time()
        self.seconds["imports"] = self._since


def watch(clock: Clock, mode: str) -> None:
    """Put clocks around the functions of all parts, wherever they have been imported to, and around every step."""
    for part, targets in PARTS.items():
        for target in targets:
            module, _, name = target.partition(":")
            if any(f".{wing}." in module for wing in WINGS if wing != mode):
                continue
            original = getattr(import_module(module), name)
            replacement = clock.timed(part, original)
            for found in list(sys.modules.values()):
                if getattr(found, "__name__", "").startswith("detectorist"):
                    for key, value in list(vars(found).items()):
                        if value is original:
                            setattr(found, key, replacement)
    from jwst.stpipe import Pipeline
    from stpipe import Step

    def part_of(step: Any, *args: Any, **kwargs: Any) -> str:
        return "other" if isinstance(step, Pipeline) else f"step {step.name or step.class_alias}"

    Step.run = clock.timed(part_of, Step.run)


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", help="always `run`")
    parser.add_argument("mode", choices=WINGS)
    _, rest = parser.parse_known_args()
    mode = sys.argv[2]
    clock = Clock()
    from detectorist.cli.app import app

    for name in (f"detectorist.modes.{mode}.reduction", "detectorist.report.page", "detectorist.campaign.run"):
        import_module(name)
    clock.imported()
    watch(clock, mode)
    code = app(["run", mode, *rest], standalone_mode=False)
    if code:
        sys.exit(code)
    clock.stop()
    used = resource.getrusage(resource.RUSAGE_SELF)
    total = used.ru_utime + used.ru_stime
    print(json.dumps({"parts": clock.seconds, "total": total, "peak_bytes": used.ru_maxrss * 1024}))


if __name__ == "__main__":
    main()
