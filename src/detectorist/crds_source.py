"""Where reference files come from: STScI's CRDS, a folder in CRDS's own layout, or nowhere.

A folder is used without any server: its `config/jwst/server_config` names the context, and a server address that
contains "serverless" makes the crds library open no socket (crds documentation, "Configuration").
"""

from __future__ import annotations

import ast
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from traceback import walk_tb
from typing import Any

from detectorist.errors import ReferenceMissing

#: Names the context of a folder.
CONFIG = Path("config", "jwst", "server_config")
#: The folder that this process was pointed at last, and when its configuration was written.
_set_last: list[Any] = []
SERVERLESS = "https://jwst-crds-serverless.stsci.edu"
THREE_WAYS = """no source of reference files is set. Use one of:
  1. STScI's CRDS: set CRDS_SERVER_URL=https://jwst-crds.stsci.edu, and CRDS_PATH to a folder for the downloaded files;
  2. an existing CRDS cache, or one written by `detectorist simulate`: --references FOLDER;
  3. simulated references, for simulated or trial data, with `detectorist run`: --references sim."""


@dataclass(frozen=True)
class ReferenceSource:
    """A source in force.

    Attributes
    ----------
    name : str
        "crds", the path of a folder, or "none".
    context : str
        The CRDS context that products will name; "" where there is none.
    """

    name: str
    context: str

    @property
    def has_pipeline_parameters(self) -> bool:
        """Whether `pars-*` files, which STScI tunes per mode, are there; elsewhere stock defaults apply."""
        return self.name == "crds"


def comes_from_crds(error: BaseException) -> bool:
    """Return whether an error, or an end of the process, was raised within crds."""
    frames = walk_tb(error.__traceback__)
    return any(str(frame.f_globals.get("__name__")).partition(".")[0] == "crds" for frame, _ in frames)


def without_crds(error: BaseException) -> ReferenceMissing:
    """Return what to say where crds cannot look up references, and would end the process."""
    server, cache = os.environ.get("CRDS_SERVER_URL"), os.environ.get("CRDS_PATH")
    if not (server or cache):
        return ReferenceMissing(THREE_WAYS)
    why = "" if isinstance(error, SystemExit) else f" ({error})"
    return ReferenceMissing(
        f"CRDS has no reference files{why}: no answer from {server or 'a server (CRDS_SERVER_URL is not set)'}, and no "
        f"cache in {cache or 'CRDS_PATH, which is not set'}; connect to the network once, or give a cache: "
        "--references FOLDER"
    )


def use_references(source: str | Path | None = None, *, optional: bool = False) -> ReferenceSource:
    """Point this process at a source of reference files.

    Parameters
    ----------
    source : str or Path, optional
        "crds", "none", or a folder in CRDS's layout. By default CRDS when the environment configures it.
    optional : bool
        Return "none" instead of an error when nothing is configured.

    Raises
    ------
    ReferenceMissing
        When nothing is configured, or the folder is not in CRDS's layout.
    """
    if source in (None, "crds"):
        if os.environ.get("CRDS_PATH") or os.environ.get("CRDS_SERVER_URL"):
            return ReferenceSource("crds", os.environ.get("CRDS_CONTEXT", ""))
        if optional and source is None:
            return _use_nothing()
        raise ReferenceMissing(THREE_WAYS)
    if source == "none":
        return _use_nothing()
    folder = Path(source).expanduser().resolve()
    context = _context_of(folder)
    _set_environment(folder, context)
    return ReferenceSource(str(folder), context)


def _use_nothing() -> ReferenceSource:
    """Let every look-up fail at once and without a socket."""
    return ReferenceSource("none", "")


def _context_of(folder: Path) -> str:
    config = folder / CONFIG
    if not folder.exists() and folder.name == "sim":
        raise ReferenceMissing(
            f"{folder}: no such folder; only `detectorist run` makes simulated references for the word sim, in "
            "OUT/references/sim_MODE: give that folder here"
        )
    if not config.is_file():
        raise ReferenceMissing(
            f"{folder}: not a CRDS cache; it must contain config/jwst/server_config, mappings/ and references/"
        )
    try:
        context = ast.literal_eval(config.read_text())["operational_context"]
    except (ValueError, SyntaxError, KeyError, TypeError) as error:
        raise ReferenceMissing(
            f"{config}: the operational_context cannot be read ({error}); is the cache complete?"
        ) from error
    if not (folder / "mappings" / "jwst" / context).is_file():
        raise ReferenceMissing(
            f"{folder}: mappings/jwst/{context}, named in its server_config, is missing; copy the whole cache"
        )
    return str(context)


def _set_environment(folder: Path, context: str) -> None:
    wanted = {
        "CRDS_PATH": str(folder),
        "CRDS_SERVER_URL": SERVERLESS,
        "CRDS_OBSERVATORY": "jwst",
        "CRDS_CONTEXT": context,
        "CRDS_READONLY_CACHE": "1",
    }
    written_ns = (folder / CONFIG).stat().st_mtime_ns
    in_force = all(os.environ.get(name) == value for name, value in wanted.items())
    if in_force and _set_last == [folder, written_ns]:
        return  # crds would read the same mappings again, for every exposure
    _set_last[:] = folder, written_ns
    os.environ.update(wanted)
    if "crds" in sys.modules:
        # crds memoises what it read from the environment when it was first used.
        from crds.client import api
        from crds.core import config, utils

        api.set_crds_server(SERVERLESS)
        config.CRDS_REF_SUBDIR_MODE = None
        utils.clear_function_caches()
