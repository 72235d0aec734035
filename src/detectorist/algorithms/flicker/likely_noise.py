"""No more is noise than noise of known strength makes likely.

Light that changes slowly along the columns can pass for slow noise, whatever separates the two. How strong the noise
is, differences of groups tell (`group_spectrum`). Where an estimate of it is stronger, octave by octave of what changes
from row to row, the rest is light: of noise N and light L that were taken together, independent, the best part to
subtract is N^2 / (N^2 + L^2), and a correction by it leaves less than there was.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from scipy import fft, special

from detectorist.algorithms.flicker.readout import Readout
from detectorist.algorithms.flicker.spectrum import FlickerNoise, covariance_of_means

#: By how much the variance of an octave may exceed that of the noise: up to twice, what is subtracted too much is less
#: than the noise was, and neither weights of the fit nor shapes of spectra are known exactly. And by how many standard
#: deviations of a variance that few numbers tell, where light is known to be.
EXACTNESS, SIGMA = 2.0, 3.0
#: How seldom chance may take noise for light where none is known to be: an image has some forty octaves, and rows that
#: are held without need keep several times the noise that they would be left with.
BY_CHANCE = 1e-4
#: Power of light over that of noise from which an octave is not taken for noise: half of its amplitude.
EVIDENT = 0.25


def hold_to_likely(
    pattern: np.ndarray, noise: FlickerNoise, readout: Readout, *, light: np.ndarray | None = None
) -> np.ndarray:
    """Return an estimate of noise whose rows vary no more than noise does; the same array where they do not.

    Parameters
    ----------
    pattern : ndarray of float32, shape (ny, nx)
        Noise as estimated.
    noise : FlickerNoise
        Its true strength.
    readout : Readout
    light : ndarray of float, shape (ny,), optional
        Power of light in waves over the rows (`light_waves`), where nothing else tells it from noise.

    Notes
    -----
    Of n waves whose noise is known and whose light is not, James and Stein's part (n - 2) / sum(waves**2 / noise) is
    subtracted in octaves where light is no weaker than that noise: with any light, what is left is then nearer to the
    light on average than the waves as they are (James & Stein 1961, Proc. 4th Berkeley Symp. 1, 361). Of the two
    slowest octaves, one wave and two, nothing can be taken with that certainty. Elsewhere the estimate stands while it
    is likely.

    Means of outputs' rows are changed, not what varies within a row, and not the mean of an output.
    """
    expected = row_spectrum(noise, readout, len(pattern))
    changed = None
    for first, last, _ in readout.outputs:
        rows = pattern[:, first:last].mean(axis=1, dtype=np.float64)
        waves = fft.dct(rows, norm="ortho")
        part = _likely_part(waves, expected)
        if light is not None:
            part = np.minimum(part, _certain_part(waves, expected, light))
        if (part == 1).all():
            continue
        changed = pattern.copy() if changed is None else changed
        changed[:, first:last] += (fft.idct(waves * part, norm="ortho") - rows).astype(np.float32)[:, None]
    return pattern if changed is None else changed


def row_spectrum(noise: FlickerNoise, readout: Readout, n_rows: int) -> np.ndarray:
    """Return the variance of the waves of an orthonormal cosine transform of an output's rows, (n_rows,)."""
    row_pix = readout.width + readout.overhead_pix
    apart = np.arange(n_rows) * float(row_pix)
    covariance = covariance_of_means(apart, readout.width, noise.common + noise.own, noise.scales_pix)
    tapered = covariance * (1 - np.arange(n_rows) / n_rows)
    return np.maximum(fft.dct(np.r_[tapered, 0.0], type=1)[:-1], 0.0)


def _likely_part(waves, expected):
    """Return the part of every wave that is noise, (n,); the level, wave 0, is not judged.

    An octave that noise can hardly explain tells that there is light; only then may the others have some.
    """
    part, lit = np.ones(waves.size), False
    for octave in _octaves(waves.size):
        found, likely = np.mean(waves[octave] ** 2), np.mean(expected[octave])
        number = octave.stop - octave.start
        lit |= bool(found > likely * (EXACTNESS - 1 + special.chdtri(number, BY_CHANCE) / number))
        if found > likely * (EXACTNESS + SIGMA * np.sqrt(2 / number)):
            part[octave] = likely / found
    return part if lit else np.ones(waves.size)


def light_waves(light: np.ndarray, usable: np.ndarray) -> np.ndarray:
    """Return the power of waves that light makes in the means of rows, or may well make, (ny,).

    Light has no preferred direction: as strong as its waves along the rows are, those from row to row may be, and of
    the two the stronger counts. Along the rows it is measured in squares.

    light, usable : ndarray, shape (ny, nx), light as found, and True where the image told it.
    """
    ny, nx = light.shape
    squares = [slice(first, first + ny) for first in range(0, nx - ny + 1, ny)]
    along = [_waves(light[:, square].T, usable[:, square].T) ** 2 for square in squares]
    across = _waves(light, usable) ** 2
    return np.maximum(across, np.mean(along, axis=0)) if along else across


def _waves(light, usable):
    """Return the cosine transform of means of rows, over usable pixels; a row without any has the mean of all."""
    number = usable.sum(axis=1)
    total = np.where(usable, light, 0).sum(axis=1, dtype=np.float64)
    mean = total.sum() / max(int(number.sum()), 1)
    return fft.dct(np.where(number > 0, total / np.maximum(number, 1), mean), norm="ortho")


def rival_light(
    light: np.ndarray, usable: np.ndarray, noise: FlickerNoise | None, readout: Readout
) -> np.ndarray | None:
    """Return the waves of light, (ny,), if it may pass for noise in any octave; None if not, or without noise.

    light, usable : as in `light_waves`. noise : of the image, as its groups tell it.
    """
    if noise is None:
        return None
    waves = light_waves(light, usable)
    expected = row_spectrum(noise, readout, waves.size)
    return waves if any(_is_lit(octave, waves, expected) for octave in _octaves(waves.size)) else None


def _is_lit(octave, light, expected):
    return np.mean(light[octave]) > EVIDENT * np.mean(expected[octave])


def _certain_part(waves, expected, light):
    """Return the part of every wave that may be subtracted whatever the light is, (n,); 1 where there is hardly any."""
    part = np.ones(waves.size)
    for octave in _octaves(waves.size):
        if not _is_lit(octave, light, expected):
            continue
        total = np.sum(waves[octave] ** 2) / max(float(np.mean(expected[octave])), 1e-300)
        part[octave] = min(max(octave.stop - octave.start - 2, 0) / max(total, 1e-300), 1.0)
    return part


def _octaves(n: int) -> Iterator[slice]:
    """Yield runs of waves from the slowest on, each twice as long as what is before it: 1, 2-3, 4-7."""
    first = 1
    while first < n:
        yield slice(first, min(2 * first, n))
        first *= 2
