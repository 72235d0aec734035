"""What is measured for the validation tables of NIRCam imaging: called by `validation.py`."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np

import imaging
import imaging_scores as scores
from detectorist.algorithms.dq import JUMP_DET
from detectorist.algorithms.snowballs import flag_snowballs
from detectorist.algorithms.sources import mask_sources
from detectorist.algorithms.wisps import find_wisps
from measure import passes
from validated import Figure

#: The scene that the outputs of other packages belong to.
PEER_SCENE = "20261120"
TOPIC_OF_TIME = {"snowballs": "snowballs", "stripes": "stripes", "wisps": "wisps"}
#: CPU time of the CEERS scripts in passes over the data, on the same scene and by the same definition.
PEER_PASSES = {"snowballs": 75_000, "wisps, mask given": 1_400, "stripes with source mask": 15_000}
#: What the CEERS script leaves on that scene; of its outputs only a part is at hand.
PEER_STRIPES = {"rows": 0.0023, "columns": 0.0012, "pixels": 0.0087}


def figures(folder: Path, *, times: bool) -> Iterator[Figure]:
    """Measure one scene."""
    z, t = load(folder / "nircam_rate.npz"), load(folder / "nircam_truth.npz")
    peers = Path(os.environ.get("DETECTORIST_PEERS", "")) if folder.name == PEER_SCENE else None
    peers = peers if peers and (peers / "ceers_strip.npz").is_file() else None
    yield from snowball_figures(folder, peers)
    yield from wisp_figures(z, t, peers)
    yield from mask_figures(z, t, peers)
    yield from stripe_figures(z, t, peers)
    if times:
        flags = load(folder / "groupdq.npz")["groupdq"]
        for name, asked, call, arrays in imaging.timed_calls(z, t, flags):
            wanted = f"≤ {asked:.0f}" if np.isfinite(asked) else ""
            what = f"CPU time of {name}, passes over the data"
            topic = TOPIC_OF_TIME[name.split()[0].strip(",")]
            yield Figure(topic, what, passes(call, arrays), wanted, "{:.0f}", PEER_PASSES.get(name))


def snowball_figures(folder: Path, peers: Path | None) -> Iterator[Figure]:
    """Measure what is found of the events, and what else."""
    flags, events = load(folder / "groupdq.npz")["groupdq"], load(folder / "groupdq_truth.npz")
    ours, theirs = scores.score_snowballs(events, flags, flag_snowballs(flags).groupdq), None
    if peers:
        packed = np.load(peers / "ceers_snow_9.npz")
        jumps = np.unpackbits(packed[packed.files[0]], axis=-1)[..., : flags.shape[-1]].astype(bool)
        theirs = scores.score_snowballs(events, flags, flags | np.where(jumps, JUMP_DET, 0).astype(flags.dtype))
    for what, key, of, asked, form in (
        ("events found", "found", "of", "all", "{:.0%}"),
        ("rings of cores flagged in the next group", "rings", "rings_of", "all", "{:.0%}"),
        ("false components", "false", None, "0", "{:.0f}"),
        ("flagged area over that of the events", "area", None, "≤ 3.0", "{:.2f}"),
    ):
        values = [got[key] / (got[of] if of else 1) if got else None for got in (ours, theirs)]
        yield Figure("snowballs", what, values[0], asked, form, values[1])


def wisp_figures(z, t, peers: Path | None) -> Iterator[Figure]:
    """Measure the error of the strength."""
    bad = t["bad"] | t["ref"]
    fit = find_wisps(z["rate"], bad, z["wisp_template"][None]).fit
    theirs = None
    if peers:
        stored = np.load(peers / "ceers_wisp.npz")
        theirs = abs(float(stored["scale"]) - imaging.WISP_SCALE)
    error = abs(fit.scale[0] - imaging.WISP_SCALE)
    yield Figure("wisps", f"error of the strength ({imaging.WISP_SCALE} put in)", error, "≤ 0.003", "{:.4f}", theirs)
    yield Figure("wisps", "that error in units of the stated one", error / fit.error[0], "within 3", "{:.1f}")


def mask_figures(z, t, peers: Path | None) -> Iterator[Figure]:
    """Measure how much light the source mask leaves, and how much sky it takes."""
    bad = t["bad"] | t["ref"]
    theirs = np.unpackbits(np.load(peers / "ceers_strip.npz")["mask"], axis=-1)[:, : bad.shape[1]] if peers else None
    ours = mask_sources(z["rate_nowisp"], bad, n_outputs=imaging.N_OUTPUTS).mask
    masks = [ours, None if theirs is None else theirs.astype(bool)]
    light, good = t["src"], ~bad
    bright, empty = good & (light > scores.BRIGHT), good & (light < 0.001)
    for what, measure in (
        ("bright pixels (above 0.3 DN/s) masked", lambda mask: mask[bright].mean()),
        ("light left outside the mask, share of all", lambda mask: light[good & ~mask].sum() / light[good].sum()),
        ("empty pixels (below 0.001 DN/s) masked", lambda mask: mask[empty].mean()),
    ):
        values = [None if mask is None else float(measure(mask)) for mask in masks]
        yield Figure("source_mask", what, values[0], "", "{:.2%}", values[1])


def stripe_figures(z, t, peers: Path | None) -> Iterator[Figure]:
    """Measure what is left of stripes."""
    image, stripes = z["rate_nowisp"], t["horiz"] + t["vert"]
    readout, added = imaging.readout_of(image.shape), {"image": image, "stripes": stripes}
    bad = t["bad"] | t["ref"]
    of = {"none": scores.score_stripes(t, image, z["err"], added=added, sky=imaging.SKY)}
    for method in ("flicker", "median"):
        found = imaging.run_stripes(image, bad, readout, method=method)
        err = np.sqrt(np.maximum(z["err"] ** 2 + found.variance_change[0], 0))
        left = image - found.horizontal[0] - found.vertical[0]
        of[method] = scores.score_stripes(t, left, err, added=added, sky=imaging.SKY)
    for what, key, asked, form in (
        ("rows, rms, DN/s", "rows", "≤ 0.0016", "{:.5f}"),
        ("columns, rms, DN/s", "columns", "≤ 0.0008", "{:.5f}"),
        ("background pixels, rms, DN/s", "pixels", "≤ 0.0067", "{:.5f}"),
        ("offset of the sky, DN/s", "offset", "≤ 2e-4", "{:+.1e}"),
        ("flux of bright sources changed, %", "flux_pct", "≤ 0.1", "{:+.3f}"),
        ("pull width of background pixels", "pull", "0.95–1.05", "{:.3f}"),
    ):
        peer = PEER_STRIPES.get(key) if peers else None
        yield Figure("stripes", f"left: {what}", of["flicker"][key], asked, form, peer)
        yield Figure("stripes", f'the same with `method="median"`: {what}', of["median"][key], "", form)
        yield Figure("stripes", f"before any correction: {what}", of["none"][key], "", form)


def load(path: Path) -> dict[str, np.ndarray]:
    """Return the arrays of a file."""
    with np.load(path) as stored:
        return {name: stored[name] for name in stored.files}
