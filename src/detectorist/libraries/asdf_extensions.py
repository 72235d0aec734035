"""Load the extensions of asdf by the fast parser of YAML, and without what they can store.

asdf and the packages that extend it describe themselves in some fifty manifests, which asdf reads by PyYAML's own
parser when the first file is opened: .3 s of CPU time in every process. The parser of libyaml makes the same of them.

Then asdf looks for the classes that extensions store among the modules that are imported. Where one of these answers
by importing what it lacks, as astropy's masked values do and packages that wait (`waiting_packages`), that is .3 s for
classes of which nothing can be there yet. asdf looks again when it meets a class that it does not know.
"""

from __future__ import annotations

import sys
from functools import cache
from types import SimpleNamespace
from typing import Any

from detectorist.libraries.waiting_packages import is_waiting

#: Reads manifests, and has PyYAML under this name.
READER, PARSERS = "asdf.extension._manifest", "yaml"
#: Looks for classes, by this function.
MANAGER, RESOLVER = "asdf.extension._manager", "_resolve_type"
#: A module that makes masked classes of those of a package, and imports the package for it.
_MASKED, _BASES = "astropy.utils.masked.core", "astropy.coordinates"
_OF_BASES = frozenset(f"Masked{name}" for name in ("Angle", "Latitude", "Longitude", "EarthLocation"))


@cache
def load_extensions() -> None:
    """Load the extensions that asdf would load when it is first used; once per process."""

    import asdf
    import yaml

    _resolve_loaded_only(sys.modules.get(MANAGER))
    reader = sys.modules.get(READER)
    if getattr(reader, PARSERS, None) is not yaml or not getattr(yaml, "__with_libyaml__", False):
        return  # another version of asdf, or no libyaml: asdf loads them when it needs them
    setattr(reader, PARSERS, SimpleNamespace(safe_load=_load))
    try:
        asdf.get_config().extensions  # noqa: B018 - made when it is asked for
    finally:
        setattr(reader, PARSERS, yaml)


def _resolve_loaded_only(manager: Any) -> None:
    """Let asdf find classes of modules that have been loaded; another version of asdf is left as it is."""
    usual = getattr(manager, RESOLVER, None)
    if usual is None:
        return

    def resolve(path: str) -> Any:
        module, _, name = path.rpartition(".")
        if is_waiting(module) or (module == _MASKED and name in _OF_BASES and _BASES not in sys.modules):
            return None
        return usual(path)

    setattr(manager, RESOLVER, resolve)


def _load(text: Any) -> Any:
    import yaml

    return yaml.load(text, Loader=yaml.CSafeLoader)
