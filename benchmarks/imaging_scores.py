"""What the quality rows of `imaging.py` mean: results against the truth of a scene."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from detectorist.algorithms.dq import JUMP_DET, SATURATED, has
from detectorist.algorithms.flicker.smoother import Readout
from measure import robust_std

#: Light (DN/s) below which a pixel is background, and above which it is bright.
BACKGROUND, BRIGHT = 0.01, 0.3
#: Pixels of reference columns and rows at each edge.
EDGE = 4


def score_stripes(
    truth,
    corrected: np.ndarray,
    err: np.ndarray,
    *,
    added: dict[str, np.ndarray],
    sky: float,
    light: np.ndarray | None = None,
) -> dict[str, float]:
    """Return what stripes left in an image that was made of light, sky and noise plus `added` stripes.

    light : what is in the image beside the sky, by default that of the truth, which says where it is bright either way.

    rows: rms of the row means of each output. columns, pixels: rms. offset: of the sky. flux_pct: change of bright
    sources. pull: width of (image - light) / err of background pixels.
    """
    good = ~(truth["bad"] | truth["ref"])
    sources = truth["src"]
    light = sources if light is None else light
    left = np.where(good, corrected - (added["image"] - added["stripes"]), np.nan)
    background = good & (sources <= BACKGROUND)
    bright = good & (sources > BRIGHT)
    inner = left[EDGE:-EDGE]
    rows = np.concatenate([np.nanmean(part, axis=1) for part in np.array_split(inner, 4, axis=1)])
    pull = (corrected - sky - light)[background] / err[background]
    return {
        "rows": float(np.nanstd(rows)),
        "columns": float(np.nanstd(np.nanmean(inner[:, EDGE:-EDGE], axis=0))),
        "pixels": float(left[background].std()),
        "offset": float(np.median(left[background])),
        "flux_pct": float(100 * left[bright].sum() / sources[bright].sum()),
        "pull": robust_std(pull),
    }


def score_snowballs(truth, before: np.ndarray, after: np.ndarray) -> dict[str, float]:
    """Return events found, false components, flagged area over that of the events, and cores with a whole ring.

    An event (group, y, x, radius) is found when more than 99 % of its disk is flagged. A component of 20 new pixels or
    more far from all events is false. A ring is what lies 0.5 to 2 pixels outside a core, in the group after the event.
    """
    new = has(after, JUMP_DET) & ~has(before, JUMP_DET)
    flagged = has(after, JUMP_DET | SATURATED)
    ny, nx = new.shape[-2:]
    yy, xx = np.mgrid[:ny, :nx]
    near = np.zeros((ny, nx), bool)
    found = rings = cores = 0
    area = 0.0
    for group, y, x, radius in truth["cat"]:
        distance = np.hypot(yy - y, xx - x)
        found += flagged[0, int(group)][distance < radius].mean() > 0.99
        near |= distance < max(3.3 * radius + 15, radius + 45)
        area += float((distance < radius).sum())
        if group + 1 < new.shape[1]:
            ring = (distance > 0.4 * radius + 0.5) & (distance < 0.4 * radius + 2)
            cores += 1
            rings += flagged[0, int(group) + 1][ring].mean() > 0.95
    false = 0
    for plane in new[0]:
        labels, n = ndimage.label(plane & ~near)
        false += int((np.bincount(labels.ravel())[1:] >= 20).sum()) if n else 0
    groups = np.unique(truth["cat"][:, 0]).astype(int)
    own = sum(int(new[0, group][near].sum()) for group in groups)
    return {
        "found": int(found),
        "of": len(truth["cat"]),
        "false": false,
        "area": own / area,
        "rings": int(rings),
        "rings_of": cores,
    }


def pink_image(rng: np.random.Generator, readout: Readout, n_rows: int, *, common: float, own: float, slope: float):
    """Return 1/f noise of given rms on the time line of a readout, (n_rows, nx): common to the outputs and of each."""
    n = n_rows * (readout.width + readout.overhead_pix)
    frequency = np.fft.rfftfreq(n)
    frequency[0] = np.inf

    def stream():
        waves = rng.normal(size=frequency.size) + 1j * rng.normal(size=frequency.size)
        line = np.fft.irfft(waves * frequency ** (-slope / 2), n)
        return line / line.std()

    shared = stream()
    image = np.zeros((n_rows, max(last for _, last, _ in readout.outputs)))
    for first, last, direction in readout.outputs:
        line = (common * shared + own * stream()).reshape(n_rows, -1)[:, : readout.width]
        image[:, first:last] = line[:: readout.slow_direction, ::direction]
    return image


def blobs(rng: np.random.Generator, shape: tuple[int, int], fraction: float) -> np.ndarray:
    """Return round patches (ny, nx) bool that cover about `fraction` of an image."""
    mask = np.zeros(shape, bool)
    while mask.mean() < fraction:
        radius = rng.uniform(5, 60)
        y, x = rng.uniform(0, shape[0]), rng.uniform(0, shape[1])
        rows = slice(max(int(y - radius), 0), int(y + radius) + 1)
        columns = slice(max(int(x - radius), 0), int(x + radius) + 1)
        yy, xx = np.mgrid[rows, columns]
        cut = mask[rows, columns]
        cut |= np.hypot(yy - y, xx - x)[: cut.shape[0], : cut.shape[1]] < radius
    return mask
