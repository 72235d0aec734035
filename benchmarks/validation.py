"""The validation tables of the documentation: measured by the functions of the benchmarks, never written by hand.

    python benchmarks/validation.py lrs SCENE [SCENE ...]      # folders as for benchmarks/lrs.py
    python benchmarks/validation.py lrs --end-to-end 2         # whole reductions of simulated exposures
    python benchmarks/validation.py imaging SCENE [SCENE ...]  # folders as for benchmarks/imaging.py
    python benchmarks/validation.py imaging SCENE --only wisps # one topic
    python benchmarks/validation.py coron SCENE --no-times     # quality only
    python benchmarks/validation.py engine --end-to-end 1      # the engine beside stock code

Writes docs/validation/MODE.json. A topic that is not measured keeps the rows and the date it had. Where the environment
variable DETECTORIST_PEERS names a folder with the outputs of other packages on one of the scenes, they are scored by
the same functions.
"""

from __future__ import annotations

import argparse
from importlib import import_module
from pathlib import Path

from validated import Rows, store

#: Mode -> the module that measures it, and the package it is compared with.
MODES = {
    "lrs": ("lrs_validation", "ExoTiC-MIRI 1.0.0"),
    "imaging": ("imaging", "best other package"),
    "coron": ("coron_validation", "spaceKLIP"),
    "engine": ("engine_validation", "standard pipeline"),
    "concerns": ("concerns", ""),
    "false_alarms": ("false_alarms", ""),
}


def main() -> None:
    """Measure what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("mode", choices=MODES)
    parser.add_argument("scenes", nargs="*", type=Path, help="folders of scenes")
    parser.add_argument("--no-times", action="store_true", help="leave out CPU times, which need a quiet machine")
    parser.add_argument("--only", action="append", metavar="TOPIC", help="of imaging: measure this topic; repeatable")
    parser.add_argument("--end-to-end", type=int, metavar="SEEDS", default=0, help="number of whole LRS exposures")
    parser.add_argument("--ints", type=int, default=200, help="integrations of a whole LRS exposure")
    chosen = parser.parse_args()
    name, peer = MODES[chosen.mode]
    module, rows = import_module(name), Rows()
    for folder in chosen.scenes:
        for topic in chosen.only or ():
            rows.collect(folder.name, module.TOPICS[topic](module.Scene(folder.name, folder)))
        if chosen.only:
            continue
        rows.collect(folder.name, module.figures(folder, times=not chosen.no_times))
    if chosen.end_to_end:
        module.end_to_end(rows, chosen.end_to_end, chosen.ints)
    print(store(rows, chosen.mode, script=f"benchmarks/validation.py {chosen.mode}", peer=peer))


if __name__ == "__main__":
    main()
