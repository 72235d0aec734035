"""Time, memory and quality of the NIRCam imaging corrections, on scenes whose truth is known.

    python benchmarks/imaging.py SCENES              # CPU seconds, passes over the data, peak memory
    python benchmarks/imaging.py SCENES --quality    # errors against the truth
    python benchmarks/imaging.py SCENES --variants   # other noise, sky levels, masks and scan directions
    python benchmarks/imaging.py SCENES --choice     # no threshold against the best of 19 thresholds

SCENES is a folder with nircam_rate.npz, nircam_truth.npz, groupdq.npz and groupdq_truth.npz: a full frame of 2048 x
2048 in DN/s with stars, galaxies, 1/f noise, offsets of columns and a wisp of strength 0.72, and the group flags of a
ramp of 9 groups with 12 snowballs.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

import imaging_scores as scores
from detectorist.algorithms.destripe import Destriped, destripe
from detectorist.algorithms.flicker import Readout, alternating_readout
from detectorist.algorithms.snowballs import flag_snowballs
from detectorist.algorithms.stripes import median_stripes
from detectorist.algorithms.wisps import find_wisps
from measure import cpu_seconds, passes, peak_above

SKY = 0.30
N_OUTPUTS = 4
#: Strength of the scenes' wisp.
WISP_SCALE = 0.72
GIGABYTE = 1e9


def readout_of(shape: tuple[int, int]) -> Readout:
    """Return the readout of the scenes."""
    return alternating_readout(shape[1], N_OUTPUTS)


def run_stripes(image: np.ndarray, bad: np.ndarray, readout: Readout, **settings) -> Destriped:
    """Destripe one image."""
    return destripe(image[None], bad[None], readout=readout, **settings)


def timed_calls(z, t, flags) -> Iterator[tuple[str, float, Callable[[], object], list[np.ndarray]]]:
    """Yield (name, passes asked, call, arrays that it reads)."""
    rate, clean, arrays = z["rate"], z["rate_nowisp"], [z["rate"], z["err"], z["dq"]]
    bad = t["bad"] | t["ref"]
    readout = readout_of(rate.shape)
    mask = run_stripes(clean, bad, readout).mask
    template = z["wisp_template"][None]
    yield "snowballs", 400, lambda: flag_snowballs(flags), [flags]
    yield "stripes with source mask", 1500, lambda: run_stripes(clean, bad, readout), arrays
    yield "stripes, mask given", 700, lambda: run_stripes(clean, bad, readout, mask=mask), arrays
    yield (
        "stripes by medians, mask given",
        700,
        lambda: run_stripes(clean, bad, readout, mask=mask, method="median"),
        arrays,
    )
    yield "wisps, mask given", 400, lambda: find_wisps(rate, bad, template, mask=mask), arrays
    yield "wisps with source mask", float("nan"), lambda: find_wisps(rate, bad, template), arrays


def time_table(folder: Path) -> Table:
    """Measure the time and memory of every correction."""
    z, t = _load(folder / "nircam_rate.npz"), _load(folder / "nircam_truth.npz")
    flags = _load(folder / "groupdq.npz")["groupdq"]
    table = Table("correction", "CPU s", "passes", "asked", "peak above input, GB (asked <= 0.35)", title=str(folder))
    for name, asked, call, arrays in timed_calls(z, t, flags):
        cpu = float(np.median(cpu_seconds(call)))
        limit = f"<= {asked:.0f}" if np.isfinite(asked) else "-"
        peak = peak_above(call) / GIGABYTE
        table.add_row(name, f"{cpu:.3f}", f"{passes(call, arrays):.0f}", limit, f"{peak:.2f}")
    return table


def quality_table(folder: Path) -> Table:
    """Measure errors against the truth of one scene."""
    z, t = _load(folder / "nircam_rate.npz"), _load(folder / "nircam_truth.npz")
    table = Table("quality", "measured", "asked", title=str(folder))
    flags, events = _load(folder / "groupdq.npz")["groupdq"], _load(folder / "groupdq_truth.npz")
    got = scores.score_snowballs(events, flags, flag_snowballs(flags).groupdq)
    table.add_row("snowballs found", f"{got['found']} of {got['of']}", "all")
    table.add_row("false components", str(got["false"]), "0")
    table.add_row("flagged area over truth", f"{got['area']:.2f}", "<= 3.0")
    table.add_row("rings of cores in the next group", f"{got['rings']} of {got['rings_of']}", "all")
    bad = t["bad"] | t["ref"]
    fit = find_wisps(z["rate"], bad, z["wisp_template"][None]).fit
    error = fit.scale[0] - WISP_SCALE
    table.add_row("wisp scale error", f"{error:+.4f} ({error / fit.error[0]:+.1f} sigma)", "<= 0.003")
    image, stripes = z["rate_nowisp"], t["horiz"] + t["vert"]
    for name, asked, value in _stripe_rows(z, t, image, stripes, SKY, readout_of(image.shape)):
        table.add_row(name, value, asked)
    return table


def _stripe_rows(z, t, image, stripes, sky, readout, **settings) -> Iterator[tuple[str, str, str]]:
    got = _scored(z, t, image, stripes, sky, readout, **settings)
    yield "1/f left, rows (DN/s rms)", "<= .0016", f"{got['rows']:.5f}"
    yield "1/f left, columns", "<= .0008", f"{got['columns']:.5f}"
    yield "1/f left, background pixels", "<= .0067", f"{got['pixels']:.5f}"
    yield "offset of the sky", "<= 2e-4", f"{got['offset']:+.1e}"
    yield "flux of bright sources", "<= 0.1 %", f"{got['flux_pct']:+.3f} %"
    yield "pull of background pixels", "0.95-1.05", f"{got['pull']:.3f}"


def _scored(z, t, image, stripes, sky, readout, **settings) -> dict[str, float]:
    bad = t["bad"] | t["ref"]
    found = run_stripes(image, bad, readout, **settings)
    corrected = image - found.horizontal[0] - found.vertical[0]
    err = np.sqrt(np.maximum(z["err"] ** 2 + found.variance_change[0], 0))
    return scores.score_stripes(t, corrected, err, added={"image": image, "stripes": stripes}, sky=sky)


def variants(z, t) -> Iterator[tuple[str, np.ndarray, np.ndarray, float, Readout, np.ndarray | None]]:
    """Yield (name, image, its stripes, sky, readout, mask) of scenes with other noise, sky and masks."""
    rng = np.random.default_rng(5)
    bad = t["bad"] | t["ref"]
    clean, readout = t["clean"], readout_of(t["clean"].shape)
    columns = t["vert"]
    for sky in (0.05, 1.5, 5.0):
        stripes = t["horiz"] + columns
        yield f"sky {sky}", np.where(bad, 0, clean + stripes + sky - SKY), stripes, sky, readout, None
    noises = ((1.0, 0.004, 0.003), (1.0, 0.02, 0.03), (0.7, 0.007, 0.01), (1.4, 0.007, 0.01))
    for slope, common, own in noises:
        noise = scores.pink_image(rng, readout, len(clean), common=common, own=own, slope=slope)
        stripes = np.where(bad, 0, noise + columns)
        yield f"slope {slope}, rms {np.hypot(common, own):.3f}", clean + stripes, stripes, SKY, readout, None
    turned = alternating_readout(clean.shape[1], N_OUTPUTS, fast_direction=-1, slow_direction=-1)
    noise = scores.pink_image(rng, turned, len(clean), common=0.007, own=0.01, slope=1.0)
    stripes = np.where(bad, 0, noise + columns)
    yield "scan directions turned", clean + stripes, stripes, SKY, turned, None
    stripes = t["horiz"] + columns
    for fraction in (0.3, 0.6):
        mask = (t["src"] > 0.004) | scores.blobs(rng, clean.shape, fraction)
        yield f"{100 * mask.mean():.0f} % masked", clean + stripes, stripes, SKY, readout, mask


def variants_table(folder: Path) -> Table:
    """Measure what stripes are left in scenes with other noise, sky levels, masks and scan directions."""
    z, t = _load(folder / "nircam_rate.npz"), _load(folder / "nircam_truth.npz")
    table = Table("variant", "rows", "columns", "pixels", "offset", "flux %", "pull", title=str(folder))
    for name, image, stripes, sky, readout, mask in variants(z, t):
        got = _scored(z, t, image.astype(np.float32), stripes, sky, readout, mask=mask)
        table.add_row(
            name,
            *(f"{got[key]:.5f}" for key in ("rows", "columns", "pixels")),
            f"{got['offset']:+.1e}",
            f"{got['flux_pct']:+.3f}",
            f"{got['pull']:.3f}",
        )
    return table


def choice_table(folder: Path) -> Table:
    """Compare our default with medians at the best of 19 thresholds, on 40 quarters of frames from empty to crowded."""
    z, t = _load(folder / "nircam_rate.npz"), _load(folder / "nircam_truth.npz")
    rng = np.random.default_rng(8)
    size = 1024
    readout = alternating_readout(size, N_OUTPUTS)
    white = float(np.median(z["err"]))
    ratios = []
    for number in range(40):
        y, x = rng.integers(0, t["src"].shape[0] - size, 2)
        crowding = 10 ** rng.uniform(-2, 1.5)
        light = crowding * t["src"][y : y + size, x : x + size]
        noise = scores.pink_image(rng, readout, size, common=0.007, own=0.0095, slope=1.0)
        noise += 0.004 * rng.normal(size=size)
        noise -= noise.mean()
        sigma = white * np.sqrt(1 + 3 * light)
        image = (SKY + light + noise + sigma * rng.normal(size=light.shape)).astype(np.float32)
        bad = np.zeros(image.shape, bool)
        ours = run_stripes(image, bad, readout)
        everywhere = light <= max(scores.BACKGROUND, float(np.percentile(light, 30)))
        mine = (noise - ours.horizontal[0] - ours.vertical[0])[everywhere].std()
        theirs = []
        mask = run_stripes(image, bad, readout, method="median").mask
        for thresh in np.arange(0.05, 0.96, 0.05):
            found = median_stripes(image, mask, n_outputs=N_OUTPUTS, thresh=float(thresh))
            theirs.append((noise - found.horizontal_image() - found.vertical_image())[everywhere].std())
        ratios.append(mine / min(theirs))
        print(
            f"{number:3d} light x {crowding:6.2f} masked {ours.mask.mean():.2f} ours / best {ratios[-1]:.3f}",
            flush=True,
        )
    table = Table("choice", "measured", "asked", title=str(folder))
    table.add_row("better than medians at their best", f"{100 * np.mean(np.array(ratios) < 1):.0f} %", ">= 95 %")
    table.add_row("noise over that of the best medians, median", f"{np.median(ratios):.3f}", "< 1")
    return table


def _load(path: Path) -> dict[str, np.ndarray]:
    with np.load(path) as stored:
        return {name: stored[name] for name in stored.files}


def main() -> None:
    """Print the tables that were asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scenes", nargs="+", type=Path, help="folders of scenes")
    parser.add_argument("--quality", action="store_true", help="errors against the truth")
    parser.add_argument("--variants", action="store_true", help="other noise, sky levels, masks and scan directions")
    parser.add_argument("--choice", action="store_true", help="no threshold against the best of 19")
    chosen = parser.parse_args()
    wanted = [name for name in ("quality", "variants", "choice") if getattr(chosen, name)]
    tables = {"quality": quality_table, "variants": variants_table, "choice": choice_table, "time": time_table}
    console = Console(width=120)
    for folder in chosen.scenes:
        for name in wanted or ["time"]:
            console.print(tables[name](folder))


if __name__ == "__main__":
    main()
