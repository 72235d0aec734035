"""A summary of a star subtraction for the terminal."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from detectorist.modes.coron.subtraction.api import Subtraction
from detectorist.modes.coron.subtraction.products import target_unit
from detectorist.modes.coron.subtraction.tables import TOGETHER, companion_table

#: Separations (arcsec) at which limits are said.
SAID_AT_ARCSEC = (0.5, 1.0, 2.0, 4.0)


def summarise(found: Subtraction) -> list[str]:
    """Return lines on images, limits and companions."""
    target = found.target
    n_targets, n_references = len(target.exposures), len(target.references)
    lines = [f"{found.name}: {n_targets} exposures of the target, {n_references} of a reference star"]
    return [*lines, *_limits(found), *_companions(found)]


def _limits(found: Subtraction) -> Iterator[str]:
    target = found.target
    separations = target.curve.radius_pix * target.pixel_arcsec
    if not separations.size:
        return
    star = target.settings.star_flux
    inside = [one for one in SAID_AT_ARCSEC if separations[0] <= one <= separations[-1]]
    limits = [float(target.curve.limit_at(one / target.pixel_arcsec)) for one in inside]
    said = (
        f'{limit / star:.2g} at {where:g}"' if star else f'{limit:.3g} at {where:g}"'
        for limit, where in zip(limits, inside, strict=True)
    )
    yield f"5 sigma limits ({'contrast' if star else target_unit(target)}): {', '.join(said)}"
    if not star:
        yield "contrasts need the flux of the star: --star-flux"


def _companions(found: Subtraction) -> Iterator[str]:
    table = companion_table(found.target)
    for row in table[table["exposure"] == TOGETHER]:
        janskys = f" ({1e6 * row['flux_jy']:.3g} uJy)" if np.isfinite(row["flux_jy"]) else ""
        yield (
            f'companion {row["companion"]}: {row["separation"]:.3f}" at {row["position_angle"]:.2f} deg, '
            f"flux {row['flux']:.4g} +- {row['flux_error']:.2g} {target_unit(found.target)}{janskys}, "
            f"{row['snr']:.1f} sigma"
        )
    if not len(table):
        yield "no companion above the limits"
