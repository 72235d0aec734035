"""Light that a first sketch has taken for noise: sought anew where reference pixels and groups tell the noise."""

import numpy as np
import pytest

from detectorist.algorithms.flicker import destripe as whole
from detectorist.algorithms.flicker import light_and_noise
from detectorist.algorithms.flicker.light_and_noise import model_wide_light
from detectorist.algorithms.flicker.readout import alternating_readout
from detectorist.algorithms.flicker.reference_rows import reference_rows
from detectorist.algorithms.flicker.smoother import Sketch, estimate_flicker
from detectorist.algorithms.flicker.spectrum import FlickerNoise
from detectorist.algorithms.flicker.wide_light import map_wide_light

SIZE, WHITE = 512, 0.02
READOUT = alternating_readout(SIZE, 4)
ROW_PIX = READOUT.width + READOUT.overhead_pix
#: What groups tell: noise of rows of 0.002.
NOISE = FlickerNoise(WHITE**2, np.array([1.0, 20.0]) * ROW_PIX, np.full(2, 2e-6), np.zeros(2))


@pytest.fixture
def scene(rng):
    """An image of light that outputs and rows share, its reference pixels, and the light, without the sky."""
    y, x = np.mgrid[:SIZE, :SIZE] / SIZE
    light = 0.1 * np.exp(-(((x - 0.8) / 0.3) ** 2) - ((y - 0.5) / 0.35) ** 2)
    reference = np.ones((SIZE, SIZE), bool)
    reference[4:-4, 4:-4] = False
    light[reference] = 0
    rows = 0.002 * rng.normal(size=(SIZE, 1))
    image = rows + np.where(reference, 0, 0.25 + light) + WHITE * rng.normal(size=light.shape)
    return image.astype(np.float32), reference, light


@pytest.mark.parametrize(("taken", "found"), [(1.0, True), (0.02, False)])
def test_a_sketch_that_is_more_than_noise_can_be_tells_no_light(scene, monkeypatch, taken, found):
    """It has taken a nebula, which would be sought in what is left; a sketch as strong as noise is believed."""
    image, reference, light = scene
    rows = np.repeat(taken * light.reshape(SIZE, 4, -1).mean(axis=2), SIZE // 4, axis=1).astype(np.float32)
    monkeypatch.setattr(light_and_noise, "estimate_flicker_coarsely", lambda *_, sketch, **__: sketch)
    seen, solve = [], light_and_noise.solve_wide_light
    monkeypatch.setattr(light_and_noise, "solve_wide_light", lambda *a, **k: seen.append(a[2]) or solve(*a, **k))
    sketch = Sketch(0.25, np.full(SIZE, 0.25), rows, WHITE, NOISE)
    settings = {"readout": READOUT, "columns": False, "group_noise": NOISE}
    told, nothing = reference_rows(image[None], reference), np.zeros(reference.shape, bool)
    last, *_ = model_wide_light(image, reference, nothing, np.float32(0), sketch, told, settings)
    expected = map_wide_light(image - (0 if found else rows), ~reference)
    np.testing.assert_allclose(seen[0], expected, atol=1e-5)
    assert np.any(last.expected) == (not found)


def test_without_reference_pixels_a_sketch_is_believed(scene, monkeypatch):
    """Nothing would tell light from slow noise afterwards."""
    image, reference, light = scene
    monkeypatch.setattr(light_and_noise, "estimate_flicker_coarsely", lambda *_, sketch, **__: sketch)
    sketch = Sketch(0.25, np.full(SIZE, 0.25), light.astype(np.float32), WHITE, NOISE)
    settings = {"readout": READOUT, "columns": False, "group_noise": NOISE}
    nothing = np.zeros(reference.shape, bool)
    last, *_ = model_wide_light(image, reference, nothing, np.float32(0), sketch, None, settings)
    assert last is sketch


def test_steps_at_borders_tell_nothing_in_a_crowded_field(rng):
    image = (0.25 + WHITE * rng.normal(size=(SIZE, SIZE))).astype(np.float32)
    covered = np.zeros(image.shape, bool)
    covered[:, 128:256] = True
    image[:, 128:256] += 0.01
    flat, bad = np.ones(image.shape), np.zeros(image.shape, bool)
    changed = []
    for unmasked_light in (0.0, WHITE**2):
        found = estimate_flicker(image, covered, readout=READOUT, noise=own_noise(), unmasked_light=unmasked_light)
        changed.append(whole._with_steps(found, image, bad, flat, READOUT) is not found)
    assert changed == [True, False]


def own_noise():
    return FlickerNoise(WHITE**2, np.array([20.0, 200.0]) * ROW_PIX, np.full(2, 1e-6), np.full(2, 1e-5))
