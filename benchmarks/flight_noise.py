"""1/f noise of two on-sky integrations: its spectrum, and what corrections leave of it.

    DETECTORIST_THIRDPARTY=FOLDER python benchmarks/flight_noise.py

The difference of two integrations of one exposure has no sky and no star in it. Half of its pixels are hidden from
every correction and judged by. Writes docs/validation/flight_noise.md with its picture and prints the spectrum that
`simulate imaging --flicker` offers.
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from datetime import UTC, datetime
from importlib.metadata import version
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
from astropy.io import fits
from scipy import fft, ndimage

from detectorist.algorithms.flicker.destripe import destripe
from detectorist.algorithms.flicker.readout import Readout, alternating_readout
from detectorist.detectors import NIRCAM, PIXEL_TIME_S
from detectorist.figures.style import COLOURS, new_figure
from detectorist.simulate.core.flight_noise import SPECTRA
from detectorist.simulate.core.noise_spectra import draw_series
from detectorist.simulate.core.time_line import TimeLine
from measure import robust_std
from trained_prediction import trained_pattern

DOCS = Path(__file__).parents[1] / "docs"
FILES = [f"flight_nrca3_wasp39b_int{number}.fits.gz" for number in (372, 377)]
NAME, OUTPUTS, BORDER_PIX = "nrca3-2022", 4, 4
#: Groups of an integration, their time (s) and the frames averaged into one: SHALLOW2, a 256-row subarray.
GROUPS, GROUP_TIME_S, FRAMES = 12, 6.73345, 2
#: Borders of the bands in which power is averaged, Hz.
BANDS_HZ = np.geomspace(1.0, 32_000.0, 23)
#: Colours of the picture's file, and its size over that of the drawing: noise does not compress.
COLOURS_OF_FILE, SHRUNK = 24, 0.85
#: Simulated frames with the measured spectrum, corrected like the real one.
SIMULATED = 4


class Scatter(NamedTuple):
    """Standard deviations of hidden pixels, of means of outputs' rows and of columns, and what white noise makes."""

    pixels: float
    rows: float
    columns: float
    white_rows: float
    white_columns: float


def read_difference(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """Return the difference of the integrations over sqrt(2): the noise of one, DN/s, and which pixels to use."""
    first, second = (fits.getdata(folder / name).astype(float) for name in FILES)
    noise = (second - first) / np.sqrt(2)
    finite = np.isfinite(noise)
    noise -= np.median(noise[finite])
    usable = finite & (np.abs(noise) < 6 * robust_std(noise))
    usable[:BORDER_PIX] = usable[:, :BORDER_PIX] = usable[:, -BORDER_PIX:] = False
    # The star's own photons are noise as well.
    local = ndimage.median_filter(np.where(usable, np.abs(noise), 0), 15)
    return np.where(finite, noise, 0), usable & (local < 1.35 * np.median(local))


def readout() -> Readout:
    """Return the order in which the pixels were read."""
    return alternating_readout(2048, OUTPUTS, fast_direction=-1)


def correlations(noise: np.ndarray, usable: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the covariance over readout time within outputs and between them, (n_lags,) each; gaps are left out."""
    count = usable.sum(axis=0)
    columns = np.where(usable, noise, 0).sum(axis=0) / np.maximum(count, 1)
    series = np.array([_in_time(np.where(usable, noise - columns, 0)), _in_time(usable.astype(float))])
    n = series.shape[-1]
    values, seen = fft.rfft(series, fft.next_fast_len(2 * n, real=True))
    # Sums over outputs hold all pairs; those of an output with itself are what is within.
    sums = [(np.abs(one.sum(axis=0)) ** 2, (np.abs(one) ** 2).sum(axis=0)) for one in (values, seen)]
    (all_products, own_products), (all_pairs, own_pairs) = [[fft.irfft(part)[: n // 3] for part in one] for one in sums]
    within = own_products / np.maximum(own_pairs, 1)
    return within, (all_products - own_products) / np.maximum(all_pairs - own_pairs, 1)


def _in_time(image):
    """Return the samples of every output, pauses at the ends of rows included, (n_outputs, n_samples)."""
    parts = [image[:, first:last][:, ::direction] for first, last, direction in readout().outputs]
    return np.array([np.pad(one, ((0, 0), (0, readout().overhead_pix))).ravel() for one in parts])


def power(covariance: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return frequencies (Hz) and one-sided power densities of a covariance, tapered (Blackman & Tukey 1958)."""
    n = covariance.size
    tapered = covariance * 0.5 * (1 + np.cos(np.pi * np.arange(n) / n))
    both = np.r_[tapered, tapered[-2:0:-1]]
    return fft.rfftfreq(both.size, PIXEL_TIME_S), 2 * PIXEL_TIME_S * fft.rfft(both).real


def frame_to_rate() -> float:
    """Return the noise of a rate, DN/s, over that of a frame, e-, for noise that is independent from frame to frame.

    The variance of the slope of n groups is 12 / (n (n**2 - 1)) of theirs, over the group time squared.
    """
    return float(np.sqrt(12 / (GROUPS * (GROUPS**2 - 1)) / FRAMES) / GROUP_TIME_S / NIRCAM["NRCA3"].gain)


def spectrum_of_a_frame(noise: np.ndarray, usable: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, float]:
    """Return frequencies, power common to the outputs and of each alone, e-**2/Hz, and the white noise, e- rms.

    All of a single frame.
    """
    within, between = correlations(noise, usable)
    frequency, total = power(within)
    _, common = power(between)
    white = np.median(total[frequency > BANDS_HZ[-2]])
    which = [(frequency >= low) & (frequency < high) for low, high in pairwise(BANDS_HZ)]
    factor = frame_to_rate() ** -2
    shared = factor * np.array([common[band].mean() for band in which])
    own = factor * np.array([(total - common)[band].mean() - white for band in which])
    centres = np.sqrt(BANDS_HZ[1:] * BANDS_HZ[:-1])
    return centres, shared, _falling(own), float(np.sqrt(factor * white / 2 / PIXEL_TIME_S))


def _falling(density):
    """Return densities with those beyond the last positive one, where white noise hides all, a tenth of it."""
    known = np.flatnonzero(density <= 0)
    end = known[0] if known.size else density.size
    return np.r_[density[:end], np.full(density.size - end, 0.1 * density[end - 1])]


def judge(left: np.ndarray, judged: np.ndarray) -> Scatter:
    """Return the scatter of hidden pixels, and of the means of rows and columns over them."""
    values = np.where(judged, left, np.nan)
    values = np.where(np.abs(values - np.nanmedian(values)) < 5 * robust_std(values), values, np.nan)
    pixel = float(np.nanstd(values))
    rows, counts = [], []
    for part in np.split(values, OUTPUTS, axis=1):
        number = np.isfinite(part).sum(axis=1)
        means = np.nanmean(part[number > 60], axis=1)
        rows.append(means - np.median(means))
        counts.append(number[number > 60])
    number = np.isfinite(values).sum(axis=0)
    columns = np.nanmean(values[:, number > 40], axis=0)
    white_rows = pixel * np.sqrt(np.mean(1 / np.concatenate(counts)))
    white_columns = pixel * np.sqrt(np.mean(1 / number[number > 40]))
    return Scatter(pixel, np.concatenate(rows).std(), columns.std(), white_rows, white_columns)


class Columns(NamedTuple):
    """Offsets of columns, rms; the error with which seen pixels tell one; and what is left of hidden ones at best."""

    offsets: float
    error: float
    least: float


def column_limit(left: np.ndarray, usable: np.ndarray, hidden: np.ndarray) -> Columns:
    """Return how well columns can be known, if each is independent of the others and their offsets are Gaussian.

    left : (ny, nx), without noise of rows. What seen and hidden pixels of a column have in common is its offset.
    """
    pixel = robust_std(left[usable])
    means, errors = [], []
    for part in (usable & ~hidden, usable & hidden):
        number = part.sum(axis=0)
        means.append(np.where(part, left, 0).sum(axis=0) / np.maximum(number, 1))
        errors.append(np.where(number > 20, pixel**2 / np.maximum(number, 1), np.inf))
    known = np.isfinite(errors).all(axis=0)
    common = float(np.cov(*(one[known] for one in means))[0, 1])
    seen, white = (float(one[known].mean()) for one in errors)
    return Columns(*(float(np.sqrt(one)) for one in (common, seen, common * seen / (common + seen) + white)))


def _standard(noise, hidden):
    from jwst.clean_flicker_noise.clean_flicker_noise import median_clean

    return noise - median_clean(noise, ~hidden, 2, fit_by_channel=True)


def _rows_alone(noise, hidden):
    nothing = np.zeros(noise.shape, bool)
    return destripe(noise[None].astype(np.float32), hidden[None], readout=readout(), mask=nothing).horizontal[0]


def _destripe(method: str) -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
    def estimate(noise, hidden):
        nothing = np.zeros(noise.shape, bool)
        found = destripe(noise[None].astype(np.float32), hidden[None], readout=readout(), mask=nothing, method=method)
        return found.horizontal[0] + found.vertical[0]

    return estimate


METHODS: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "none": lambda noise, hidden: np.zeros_like(noise),
    "standard clean_flicker_noise, median by channel": _standard,
    "medians of rows and columns (CEERS)": _destripe("median"),
    "flicker": _destripe("flicker"),
}


def simulated(shape: tuple[int, int], white: float, rng: np.random.Generator) -> np.ndarray:
    """Return the noise of an integration with the measured spectrum and no columns, DN/s."""
    line = TimeLine(*shape, n_outputs=OUTPUTS, fast_direction=-1)
    samples, spectrum = line.frame_clocks, SPECTRA[NAME]
    shared = draw_series(samples, PIXEL_TIME_S, spectrum.common, (0, np.inf), rng)
    series = [shared + draw_series(samples, PIXEL_TIME_S, spectrum.own, (0, np.inf), rng) for _ in range(OUTPUTS)]
    return frame_to_rate() * line.images(np.array(series))[0] + white * rng.standard_normal(shape)


def picture(noise: np.ndarray, usable: np.ndarray, left: dict[str, np.ndarray], target: Path) -> None:
    """Draw the noise before and after, and its spectrum."""
    from PIL import Image

    figure, axes = new_figure(len(left) + 1, 1, size=(8.5, 7.5), height_ratios=[*([1] * len(left)), 1.8])
    for axis, (name, image) in zip(axes, left.items(), strict=False):
        smooth = ndimage.uniform_filter1d(np.where(usable, image, 0), 16, axis=1)
        axis.imshow(smooth, origin="lower", aspect="auto", vmin=-0.05, vmax=0.05, cmap="cividis")
        axis.set(title=name, xticks=[], ylabel="row")
    frequency, common, own, white = spectrum_of_a_frame(noise, usable)
    for density, label, colour in zip(
        (common, own), ("common to the outputs", "each output alone"), COLOURS, strict=False
    ):
        axes[-1].loglog(frequency, density, "o-", color=colour, label=label)
    axes[-1].axhline(white**2 * 2 * PIXEL_TIME_S, color=COLOURS[-1], ls=":", label=f"white noise, {white:.1f} e-")
    axes[-1].set(xlabel="frequency (Hz)", ylabel="power of a frame (e-$^2$ / Hz)")
    axes[-1].legend(frameon=False)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    drawn = Image.open(buffer).convert("RGB")
    size = round(SHRUNK * drawn.width), round(SHRUNK * drawn.height)
    drawn.resize(size, Image.Resampling.LANCZOS).quantize(COLOURS_OF_FILE).save(target, optimize=True)


def page(
    rows: dict[str, Scatter], limits: list[Scatter], known: list[Scatter], columns: Columns, trained: Scatter
) -> str:
    """Return the page of the documentation."""
    lines = [
        "# 1/f noise in flight",
        "",
        f"Measured {datetime.now(UTC).date().isoformat()} by `benchmarks/flight_noise.py` (detectorist "
        f"{version('detectorist')}, jwst {version('jwst')}). Two integrations of one exposure (NRCA3, 256 x 2048 "
        "pixels through four outputs, SHALLOW2, 12 groups; 2022-07-22, programme 1366): their difference over "
        "$\\sqrt 2$ has neither sky nor star in it. Half of the pixels, drawn at random, were hidden from every "
        "correction; the table is of those. DN/s.",
        "",
        "| correction | pixels | rows (of an output) | columns |",
        "|---|---|---|---|",
    ]
    lines += [f"| {name} | {one.pixels:.4f} | {one.rows:.4f} | {one.columns:.4f} |" for name, one in rows.items()]
    white = rows["flicker"]
    lines += [
        f"| white noise of the hidden pixels alone | | {white.white_rows:.4f} | {white.white_columns:.4f} |",
        "",
        "How much better could it be? Simulated frames with the spectrum below and the same gaps, where everything is "
        f"known: `flicker` leaves rows of {_mean(limits, 'rows')}; with the true noise subtracted they have "
        f"{_mean(known, 'rows')}. `flicker` estimates the spectrum, too; given the true one its rows come out the same "
        "within 2 %: what is left is what the white noise of the pixels that were seen allows.",
        "",
        f"Columns of real frames have offsets of their own, {columns.offsets:.4f} rms (what seen and hidden pixels of "
        f"a column have in common), and the seen pixels give each to {columns.error:.4f}. Were the offsets Gaussian "
        f"and independent of each other, the hidden pixels' columns would keep {columns.least:.4f} at best.",
        "",
        "A check that knows neither spectrum nor order of readout: linear rules that predict the mean of the hidden "
        "pixels of a row from seen ones of 5 to 17 rows of all outputs, and of a column from 3 to 9 columns, their "
        "weights trained on the hidden pixels of the other rows and columns themselves, leave "
        f"{trained.rows:.4f} and {trained.columns:.4f}.",
        "",
        "![noise before and after, and its spectrum](../images/flight_noise.png)",
        "",
        "The spectrum, of a single frame in electrons, is that of "
        "`detectorist simulate imaging -o sim --flicker nrca3-2022`.",
        "",
    ]
    return "\n".join(lines)


def _mean(many, field):
    values = [getattr(one, field) for one in many]
    return f"{np.mean(values):.4f} ({min(values):.4f} to {max(values):.4f})"


def main() -> None:
    """Measure, and write the page and its picture."""
    noise, usable = read_difference(Path(os.environ["DETECTORIST_THIRDPARTY"]))
    for values in spectrum_of_a_frame(noise, usable):
        print(np.array2string(np.asarray(values), precision=3, separator=", ", max_line_width=110))
    hidden = np.random.default_rng(3).random(noise.shape) < 0.5
    patterns = {name: estimate(noise, ~usable | hidden) for name, estimate in METHODS.items()}
    rows = {name: judge(noise - pattern, usable & hidden) for name, pattern in patterns.items()}
    columns = column_limit(noise - _rows_alone(noise, ~usable | hidden), usable, hidden)
    learned = trained_pattern(noise, usable & ~hidden, usable & hidden, OUTPUTS)
    limits, known = [], []
    white = spectrum_of_a_frame(noise, usable)[-1] * frame_to_rate()
    for seed in range(SIMULATED):
        made, pure = (simulated(noise.shape, one, np.random.default_rng([seed, 366])) for one in (white, 0.0))
        limits.append(judge(made - METHODS["flicker"](made, ~usable | hidden), usable & hidden))
        known.append(judge(made - pure, usable & hidden))
    picture(
        noise,
        usable,
        {name: noise - pattern for name, pattern in patterns.items()},
        DOCS / "images" / "flight_noise.png",
    )
    (DOCS / "validation" / "flight_noise.md").write_text(
        page(rows, limits, known, columns, judge(noise - learned, usable & hidden))
    )
    print((DOCS / "validation" / "flight_noise.md").read_text())


if __name__ == "__main__":
    main()
