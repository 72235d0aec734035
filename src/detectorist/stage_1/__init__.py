"""Steps on ramps, before a slope is fitted, and on rates.

Imported on first use: no pipeline needs all of them, and some import large libraries.
"""

from importlib import import_module
from typing import Any

#: Steps, and the modules that they are in.
_MODULES = {
    "DropGroupsStep": "drop_groups",
    "DropIntegrationsStep": "drop_integrations",
    "FlagPersistenceStep": "flag_persistence",
    "FlagShowersStep": "flag_showers",
    "GroupBackgroundSubtractStep": "group_background_subtract",
    "MaskGroupsStep": "mask_groups",
    "RateintsOutliersStep": "rateints_outliers",
    "ReferencePixelStep": "reference_pixel",
    "RegroupStep": "regroup",
    "SnowballsStep": "snowballs",
    "StripesStep": "stripes",
    "SubtractGroupOffsetsStep": "subtract_group_offsets",
    "SubtractKtcStep": "subtract_ktc",
    "SubtractOneOverFStep": "subtract_1overf",
    "WispsStep": "wisps",
}


def __getattr__(name: str) -> Any:
    """Import a step; `__all__` names them all."""
    if name == "__all__":
        return sorted(_MODULES)
    if name in _MODULES:
        return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    """List the steps too."""
    return sorted([*globals(), *_MODULES])
