"""Load the extensions of asdf by the fast parser of YAML.

asdf and the packages that extend it describe themselves in some fifty manifests, which asdf reads by PyYAML's own
parser when the first file is opened: .3 s of CPU time in every process. The parser of libyaml makes the same of them.
"""

from __future__ import annotations

import sys
from functools import cache
from types import SimpleNamespace
from typing import Any

#: Reads manifests, and has PyYAML under this name.
READER, PARSERS = "asdf.extension._manifest", "yaml"


@cache
def load_extensions() -> None:
    """Load the extensions that asdf would load when it is first used; once per process."""

    import asdf
    import yaml

    reader = sys.modules.get(READER)
    if getattr(reader, PARSERS, None) is not yaml or not getattr(yaml, "__with_libyaml__", False):
        return  # another version of asdf, or no libyaml: asdf loads them when it needs them
    setattr(reader, PARSERS, SimpleNamespace(safe_load=_load))
    try:
        asdf.get_config().extensions  # noqa: B018 - made when it is asked for
    finally:
        setattr(reader, PARSERS, yaml)


def _load(text: Any) -> Any:
    import yaml

    return yaml.load(text, Loader=yaml.CSafeLoader)
