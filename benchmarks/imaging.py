"""Time, memory and quality of the NIRCam imaging corrections, on scenes whose truth is known.

    python benchmarks/imaging.py                     # CPU seconds, passes over the data, peak memory
    python benchmarks/imaging.py --quality           # errors against the truth, variants, whole reductions: 15 minutes
    python benchmarks/imaging.py --only stripes      # one topic of them
    python benchmarks/imaging.py SCENE --quality     # another scene

SCENE is a folder with nircam_rate.npz, nircam_truth.npz, groupdq.npz and groupdq_truth.npz: a full frame of 2048 x
2048 in DN/s with stars, galaxies, 1/f noise, offsets of columns and a wisp of strength 0.72, and the group flags of a
ramp of 9 groups with 12 snowballs. Without one a scene is made.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

import imaging_scenes as scenes
import imaging_scores as scores
from detectorist.algorithms.flicker.destripe import Destriped, destripe
from detectorist.algorithms.flicker.readout import Readout, alternating_readout
from detectorist.algorithms.flicker.row_medians import median_stripes
from detectorist.algorithms.flicker.smoother import estimate_flicker
from detectorist.algorithms.ramps.snowballs import flag_snowballs
from detectorist.algorithms.wisps.masked_wisps import fit_wisps
from detectorist.algorithms.wisps.wisps import find_wisps
from imaging_limits import least_error, least_rows
from imaging_scenes import Scene
from imaging_whole import whole_figures
from measure import cpu_seconds, passes, peak_above
from validated import Figure

GIGABYTE = 1e9
#: CPU time in passes of the best of CEERS, stcal and snowblind by the same definition, measured once.
PEER_PASSES = {"snowballs": 545, "stripes": 15_000, "stripes, mask given": 650, "wisps, mask given": 964}
N_SNOWBALL_SEEDS, N_REALISATIONS, N_EXPOSURES = 10, 100, 40
THRESHOLDS = np.arange(0.05, 0.96, 0.05)


def run_stripes(image: np.ndarray, bad: np.ndarray, readout: Readout, **settings) -> Destriped:
    """Destripe one image."""
    return destripe(image[None], bad[None], readout=readout, **settings)


def timed_calls(scene: Scene) -> Iterator[tuple[str, str, float, Callable[[], object], list[np.ndarray]]]:
    """Yield (topic, name, passes asked, call, arrays that it reads)."""
    z, bad, readout = scene.rates[0], scene.bad, scenes.readout_of()
    rate, clean, arrays = z["rate"], z["rate_nowisp"], [z["rate"], z["err"], z["dq"]]
    flags = scene.flags[0]
    mask = run_stripes(clean, bad, readout).mask
    template = z["wisp_template"][None]
    yield "snowballs", "snowballs", 400, lambda: flag_snowballs(flags), [flags]
    yield "stripes", "stripes", 1500, lambda: run_stripes(clean, bad, readout), arrays
    yield "stripes", "stripes, mask given", 700, lambda: run_stripes(clean, bad, readout, mask=mask), arrays
    yield "wisps", "wisps, mask given", 400, lambda: find_wisps(rate, bad, template, mask=mask), arrays
    yield "wisps", "wisps", float("nan"), lambda: find_wisps(rate, bad, template), arrays


def time_figures(scene: Scene) -> Iterator[Figure]:
    """Yield CPU time and peak memory of every correction."""
    for topic, name, asked, call, arrays in timed_calls(scene):
        peer = PEER_PASSES.get(name)
        limit = f"≤ {asked:.0f}" if np.isfinite(asked) else ""
        yield Figure(
            topic, f"CPU time of {name}, passes over the data", passes(call, arrays), limit, "{:.0f}", peer=peer
        )
        yield Figure(
            topic, f"peak memory of {name} above its input, GB", peak_above(call) / GIGABYTE, "≤ 0.35", "{:.2f}"
        )


def time_table(scene: Scene) -> Table:
    """Measure the time and memory of every correction."""
    table = Table("correction", "CPU s", "passes", "asked", "peak above input, GB (asked <= 0.35)", title=scene.name)
    for _, name, asked, call, arrays in timed_calls(scene):
        limit = f"<= {asked:.0f}" if np.isfinite(asked) else "-"
        cpu, n_passes, peak = float(np.median(cpu_seconds(call))), passes(call, arrays), peak_above(call) / GIGABYTE
        table.add_row(name, f"{cpu:.3f}", f"{n_passes:.0f}", limit, f"{peak:.2f}")
    return table


def snowball_figures(scene: Scene) -> Iterator[Figure]:
    """Yield what of the snowballs is found: of this scene, and the worst of several."""
    yield from _snowballs([scene], "")
    yield from _many_snowballs()


@cache
def _many_snowballs() -> tuple[Figure, ...]:
    return tuple(_snowballs([Scene("", seed=100 + k) for k in range(N_SNOWBALL_SEEDS)], " (worst of 10 more)"))


def _snowballs(many: list[Scene], of: str) -> Iterator[Figure]:
    found = []
    for one in many:
        flags, events = one.flags if one.folder else scenes.make_flags(one.seed)
        found.append(scores.score_snowballs({"cat": events}, flags, flag_snowballs(flags).groupdq))
    rows = (
        (f"snowballs missed, of 12{of}", max(one["of"] - one["found"] for one in found), "0", "{:.0f}", 0),
        (f"false components of flags{of}", max(one["false"] for one in found), "0", "{:.0f}", 0),
        (f"flagged area over true area{of}", max(one["area"] for one in found), "≤ 3.0", "{:.2f}", 3.5),
        (f"cores without a ring next{of}", max(one["rings_of"] - one["rings"] for one in found), "0", "{:.0f}", 12),
    )
    for what, value, asked, form, peer in rows:
        yield Figure("snowballs", what, value, asked, form, peer=peer)


def wisp_figures(scene: Scene) -> Iterator[Figure]:
    """Yield errors of the strengths of wisps, full frame, and their pulls over many smaller frames."""
    z = scene.rates[0]
    fit = find_wisps(z["rate"], scene.bad, z["wisp_template"][None]).fit
    yield Figure("wisps", "error of the strength", fit.scale[0] - scenes.WISP_SCALE, "≤ 0.003", "{:+.4f}", peer=0.01)
    yield Figure("wisps", "its stated error", float(fit.error[0]), "", "{:.4f}")
    yield Figure("wisps", "the Cramér-Rao limit of its error", float(fit.least_error[0]), "", "{:.4f}")
    rng = np.random.default_rng([scene.seed, 5])
    two = scenes.templates()
    noisy = two + scenes.TEMPLATE_NOISE * rng.normal(size=two.shape) * (two > 1e-4)
    image = z["rate_nowisp"] + np.tensordot(scenes.TWO_SCALES, two, 1) * ~scene.bad
    found = find_wisps(image.astype(np.float32), scene.bad, noisy).fit.scale
    worst = max(found - scenes.TWO_SCALES, key=abs)
    yield Figure("wisps", "worse error of two components", worst, "≤ 0.01", "{:+.4f}")
    yield from _wisp_pulls()


@cache
def _wisp_pulls() -> tuple[Figure, ...]:
    """Frames of 512 x 512, without sources: what is left is noise."""
    size = 512
    readout, two = scenes.readout_of(size), scenes.templates(size)
    figures = []
    for name, templates, strengths in (
        ("one component", two.sum(axis=0)[None], [scenes.WISP_SCALE]),
        ("two components", two, scenes.TWO_SCALES),
    ):
        for striped in (False, True):
            rng = np.random.default_rng(6)
            pulls, errors = [], []
            for _ in range(N_REALISATIONS):
                image = scenes.SKY + np.tensordot(strengths, templates, 1)
                image += scenes.WHITE * rng.normal(size=(size, size))
                image += scenes.draw_stripes(rng, readout, size) if striped else 0
                noisy = templates + scenes.TEMPLATE_NOISE * rng.normal(size=templates.shape) * (templates > 1e-4)
                fit = fit_wisps(image, rng.random(image.shape) < 0.15, noisy, readout=readout)
                pulls.append((fit.scale - strengths) / fit.error)
                errors.append((fit.scale - strengths) / fit.least_error)
            of = f"{name}, {'stripes' if striped else 'no stripes'}, {N_REALISATIONS} frames"
            width = max(np.sqrt(np.mean(np.square(pulls), axis=0)), key=lambda value: abs(value - 1))
            figures.append(Figure("wisps", f"pull of the strength: {of}", width, "0.8–1.2", "{:.2f}"))
            if striped:
                over = float(np.sqrt(np.mean(np.square(errors))))
                figures.append(Figure("wisps", f"error over the Cramér-Rao limit: {of}", over, "", "{:.2f}"))
    return tuple(figures)


def stripe_figures(scene: Scene) -> Iterator[Figure]:
    """Yield what of the 1/f noise is left in the scene, and what light is lost."""
    z, t = scene.rates
    image, stripes, readout = z["rate_nowisp"], t["horiz"] + t["vert"], scenes.readout_of()
    got, found = scored(scene, image, stripes, scenes.SKY, readout)
    for what, key, asked, form, peer in (
        ("1/f left, rows of an output, DN/s rms", "rows", "≤ 0.0016", "{:.5f}", 0.0023),
        ("1/f left, columns, DN/s rms", "columns", "≤ 0.0008", "{:.5f}", 0.0008),
        ("1/f left, background pixels, DN/s rms", "pixels", "≤ 0.0067", "{:.5f}", 0.0087),
        ("offset of the sky, DN/s", "offset", "≤ 2e-4", "{:+.1e}", None),
        ("flux of bright sources lost or gained, %", "flux_pct", "≤ 0.1", "{:+.3f}", 0.3),
        ("pull of background pixels", "pull", "0.95–1.05", "{:.3f}", None),
    ):
        yield Figure("stripes", what, got[key], asked, form, peer=peer)
    inner = found.mask & ~found.outskirts
    dark = (image - np.where(scene.bad, 0, t["src"])).astype(np.float32)
    noise, _ = scored(scene, dark, stripes, scenes.SKY, readout, mask=inner, light=0 * t["src"])
    what = "flux error with the light taken out, bright parts masked: noise alone, %"
    yield Figure("stripes", what, noise["flux_pct"], "", "{:+.3f}")
    yield from _limits(scene, dark, found)
    light = t["src"] > scores.BACKGROUND
    yield Figure("source_mask", "light above 0.01 DN/s that is masked, %", 100 * found.mask[light].mean(), "", "{:.1f}")
    empty = (t["src"] < 1e-4) & ~scene.bad
    yield Figure("source_mask", "pixels without light that are masked, %", 100 * found.mask[empty].mean(), "", "{:.1f}")


def _limits(scene: Scene, dark: np.ndarray, found: Destriped) -> Iterator[Figure]:
    """Yield the errors that the statistics of the noise leave, the light of less and less of the sources unknown."""
    readout, sources = scenes.readout_of(), scene.rates[1]["src"]
    bright = (sources > scores.BRIGHT) & ~scene.bad
    share = bright / sources[bright].sum(dtype=float)
    noise = estimate_flicker(dark, scene.bad, readout=readout)
    masks = (
        ("all sources masked", found.mask),
        ("the light of outskirts known", found.mask & ~found.outskirts),
        ("all light known", np.zeros(sources.shape, bool)),
    )
    for of, mask in masks:
        rows = least_rows(scene.bad | mask, noise, readout)
        yield Figure("stripes", f"least 1/f in rows, {of}, DN/s rms", rows, "", "{:.5f}")
    for of, mask in masks:
        flux = 100 * least_error(share, scene.bad | mask, noise, readout)
        yield Figure("stripes", f"least 1-sigma error of the flux, {of}, %", flux, "", "{:.3f}")


def scored(scene, image, stripes, sky, readout, *, light=None, **settings) -> tuple[dict[str, float], Destriped]:
    """Destripe an image of the scene; return its scores and what was found."""
    z, t = scene.rates
    found = run_stripes(image, scene.bad, readout, **settings)
    corrected = image - found.horizontal[0] - found.vertical[0]
    err = np.sqrt(np.maximum(z["err"] ** 2 + found.variance_change[0], 0))
    added = {"image": image, "stripes": stripes}
    return scores.score_stripes(t, corrected, err, added=added, sky=sky, light=light), found


def variants(scene: Scene) -> Iterator[tuple[str, np.ndarray, np.ndarray, float, Readout, np.ndarray | None]]:
    """Yield (name, image, its stripes, sky, readout, mask) of scenes with other noise, sky and masks."""
    t = scene.rates[1]
    rng = np.random.default_rng(5)
    clean, columns, readout = t["clean"], t["vert"], scenes.readout_of()
    stripes = t["horiz"] + columns
    for sky in (0.05, 1.5, 5.0):
        yield f"sky {sky}", clean + stripes + sky - scenes.SKY, stripes, sky, readout, None
    noises = ((1.0, 0.004, 0.003), (1.0, 0.02, 0.03), (0.7, 0.007, 0.01), (1.4, 0.007, 0.01))
    for slope, common, own in noises:
        noise = scores.pink_image(rng, readout, len(clean), common=common, own=own, slope=slope) + columns
        yield f"slope {slope}, rms {np.hypot(common, own):.3f}", clean + noise, noise, scenes.SKY, readout, None
    turned = alternating_readout(clean.shape[1], scenes.N_OUTPUTS, fast_direction=-1, slow_direction=1)
    other = alternating_readout(clean.shape[1], scenes.N_OUTPUTS, slow_direction=-1)
    for name, directions in (("scan as A1, A3, A5, B2, B4", turned), ("scan as A2, A4, B1, B3, B5", other)):
        noise = scores.pink_image(rng, directions, len(clean), common=0.0072, own=0.0096, slope=1.0) + columns
        yield name, clean + noise, noise, scenes.SKY, directions, None
    for fraction in (0.05, 0.3, 0.6):
        mask = (t["src"] > 0.004) | scores.blobs(rng, clean.shape, fraction)
        yield (
            f"sources and {100 * fraction:.0f} % of the frame masked",
            clean + stripes,
            stripes,
            scenes.SKY,
            readout,
            mask,
        )


def variant_figures(scene: Scene) -> Iterator[Figure]:
    """Yield what is left of other noise, at other levels of the sky, with other masks and scan directions."""
    for name, image, stripes, sky, readout, mask in variants(scene):
        whole = np.where(scene.bad, 0, image).astype(np.float32)
        got, _ = scored(scene, whole, np.where(scene.bad, 0, stripes), sky, readout, mask=mask)
        yield Figure("variants", f"{name}: background pixels, DN/s rms", got["pixels"], "", "{:.5f}")
        yield Figure("variants", f"{name}: offset of the sky, DN/s", got["offset"], "≤ 2e-4", "{:+.1e}")
        yield Figure("variants", f"{name}: flux of bright sources, %", got["flux_pct"], "≤ 0.1", "{:+.3f}")
        yield Figure("variants", f"{name}: pull of background pixels", got["pull"], "0.95–1.05", "{:.3f}")


def choice_figures(_: Scene) -> Iterator[Figure]:
    """Yield how our default compares with medians at the best of 19 thresholds, chosen with the truth in hand."""
    yield from _choices()


@cache
def _choices() -> tuple[Figure, ...]:
    size, readout = 1024, alternating_readout(1024, scenes.N_OUTPUTS)
    rng = np.random.default_rng(8)
    ratios = np.array([_against_medians(rng, size, readout) for _ in range(N_EXPOSURES)])
    return (
        Figure("choice", "exposures, of 40, better than medians at their best, %", 100 * (ratios < 1).mean(), "≥ 95"),
        Figure("choice", "noise left over that of the best medians, median of 40", np.median(ratios), "< 1", "{:.2f}"),
        Figure("choice", "the same, worst of 40", ratios.max(), "", "{:.2f}"),
    )


def _against_medians(rng, size, readout) -> float:
    """Return the noise that the default leaves over that of medians, in one exposure from empty to crowded."""
    light = 10 ** rng.uniform(-2, 1.5) * scenes.draw_field(rng, size=size)
    noise = scenes.draw_stripes(rng, readout, size)
    image = scenes.SKY + light + noise + scenes.WHITE * np.sqrt(1 + 3 * light) * rng.normal(size=light.shape)
    image, bad = image.astype(np.float32), np.zeros(light.shape, bool)
    ours = run_stripes(image, bad, readout)
    background = light <= max(scores.BACKGROUND, float(np.percentile(light, 30)))
    mask = run_stripes(image, bad, readout, method="median").mask
    medians = (median_stripes(image, mask, n_outputs=scenes.N_OUTPUTS, thresh=float(x)) for x in THRESHOLDS)
    theirs = min((noise - one.horizontal_image() - one.vertical_image())[background].std() for one in medians)
    return float((noise - ours.horizontal[0] - ours.vertical[0])[background].std() / theirs)


TOPICS: dict[str, Callable[[Scene], Iterator[Figure]]] = {
    "snowballs": snowball_figures,
    "wisps": wisp_figures,
    "stripes": stripe_figures,
    "variants": variant_figures,
    "choice": choice_figures,
    "end_to_end": lambda _: iter(_whole()),
}


@cache
def _whole() -> tuple[Figure, ...]:
    return tuple(whole_figures())


def figures(folder: Path, *, times: bool) -> Iterator[Figure]:
    """Yield all that is measured on a folder's scene, for `validation.py`; what needs no scene is measured once."""
    scene = Scene(folder.name, folder)
    for measure in TOPICS.values():
        yield from measure(scene)
    if times:
        yield from time_figures(scene)


def quality_table(scene: Scene, topics: list[str]) -> Table:
    """Measure errors against the truth."""
    table = Table("topic", "what", "measured", "asked", "best peer", title=scene.name)
    for topic in topics:
        for one in TOPICS[topic](scene):
            peer = "" if one.peer is None else f"{one.peer:g}"
            table.add_row(one.topic, one.what, one.form.format(one.measured), one.asked, peer)
    return table


def main() -> None:
    """Print the tables that were asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scenes", nargs="*", type=Path, help="folders of scenes; by default one is made")
    parser.add_argument("--seed", type=int, default=1, help="seed of the scene that is made")
    parser.add_argument("--quality", action="store_true", help="errors against the truth")
    parser.add_argument("--only", choices=TOPICS, action="append", help="errors of one topic; repeatable")
    chosen = parser.parse_args()
    console = Console(width=140)
    for scene in [Scene(folder.name, folder) for folder in chosen.scenes] or [Scene("made", seed=chosen.seed)]:
        if chosen.quality or chosen.only:
            console.print(quality_table(scene, chosen.only or list(TOPICS)))
        else:
            console.print(time_table(scene))


if __name__ == "__main__":
    main()
