"""Wide light and 1/f noise of an image, each estimated with the other subtracted, in two rounds.

Light that is not known is taken for noise, and noise for light. The prior of the light is what the round before has
seen: in more rounds noise would become light, little by little.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from detectorist.algorithms.flicker.reference_rows import ReferenceRows
from detectorist.algorithms.flicker.smoother import Sketch, estimate_flicker_coarsely
from detectorist.algorithms.flicker.spectrum import FlickerNoise, hold_own_noise
from detectorist.algorithms.flicker.wide_light import (
    light_over_darkest,
    map_wide_light,
    mask_wings,
    solve_wide_light,
)

#: Sketch of the noise over the rms of noise that the groups tell, from which it is light.
MORE_THAN_NOISE = 3.0


def model_wide_light(
    image: np.ndarray,
    bad: np.ndarray,
    left_out: np.ndarray,
    light: np.ndarray,
    sketch: Sketch,
    references: ReferenceRows | None,
    settings: dict[str, Any],
) -> tuple[Sketch, np.ndarray, np.ndarray, dict[str, float]]:
    """Return a sketch of the noise, the light to subtract, and wings of compact sources to mask.

    Parameters
    ----------
    image : ndarray of float32, shape (ny, nx)
    bad, left_out : ndarray of bool, shape (ny, nx)
        Pixels that cannot be used, and sources.
    light : ndarray of float32, shape (ny, nx) or ()
        Light that is known already.
    sketch : Sketch
        First estimate of the noise, or what has been taken for it.
    references : ReferenceRows, optional
    settings : dict
        `readout`, `columns` and `group_noise` of `estimate_flicker`.

    Returns
    -------
    sketch : Sketch
    light : ndarray of float32, shape (ny, nx)
        About the level of the sketch.
    wings : ndarray of bool, shape (ny, nx)
    beside : dict
        Settings of `estimate_flicker` for what is left, see `WideLight`.
    """
    readout, group_noise = settings["readout"], settings["group_noise"]
    usable = ~(bad | left_out)
    sketch = estimate_flicker_coarsely(image - light, ~usable, sketch=sketch, **settings)
    if references is not None and _is_light(sketch, usable, group_noise):
        sketch = _without_noise(sketch, image.shape, group_noise)
    noise, level = sketch.noise, np.float32(sketch.level)
    known = {
        "white": sketch.white,
        "readout": readout,
        "references": references,
        "any_light": group_noise is not None,
    }
    found = solve_wide_light(image, usable, map_wide_light(image - sketch.total(), usable), noise=noise, **known)
    light = found.light - level
    noise = hold_own_noise(noise, readout, found.own_part)
    sketch = estimate_flicker_coarsely(image - light, ~usable, noise=noise, sketch=sketch, **settings)
    wings = mask_wings(image - light - sketch.total(), usable, left_out)
    found = solve_wide_light(image, usable & ~wings, light_over_darkest(light), noise=noise, **known)
    light = found.light - level
    if found.unmasked > 0:
        # Outliers are told by the sketch: beside light that was still wrong it hides one side of the pixels.
        sketch = estimate_flicker_coarsely(image - light, ~usable | wings, noise=noise, sketch=sketch, **settings)
    return sketch, light, wings, {"least_own": found.own_part, "unmasked_light": found.unmasked}


def _is_light(sketch: Sketch, usable: np.ndarray, group_noise: FlickerNoise | None) -> bool:
    """Return whether a sketch varies much more than noise can: a nebula that no mask hides is in it."""
    if group_noise is None:
        return False
    return float(sketch.expected[usable].std(dtype=float)) > MORE_THAN_NOISE * group_noise.rms


def _without_noise(sketch: Sketch, shape: tuple[int, int], noise: FlickerNoise) -> Sketch:
    """Return a sketch without any noise: beside so much light that is nearer to the truth than the light itself.

    Reference pixels must tell the two apart afterwards: without any, all that is slow would stay light.
    """
    offsets = np.full(shape[1], sketch.level)
    return sketch._replace(offsets=offsets, expected=np.zeros(shape, np.float32), noise=noise)
