"""Figures of merit of a NIRCam image: measured once, at the reduction, and stored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np

from detectorist.algorithms import dq
from detectorist.algorithms.images.residuals import measure_row_noise
from detectorist.algorithms.images.spikes import find_spikes
from detectorist.algorithms.medians import typed_median
from detectorist.modes.quality import (
    OF_INPUTS,
    Check,
    Column,
    inputs_in_words,
    without_unknown,
)

#: A wisp is found from so many of its errors; one of any strength may hide where none of its light is seen.
FOUND_SIGMA, ANY_STRENGTH = 3.0, 99.0
#: Pixels between those whose median is the level of the image.
LEVEL_EVERY = 8

#: Scatter of rows over white noise up to which it is usual: light of sources too faint to be masked makes up to 1.15.
ROWS_OVER_WHITE = 1.2
#: Pattern that was subtracted over what second differences of the ramps say of 1/f noise, up to which it is usual.
STRIPES_OVER_GROUPS = 2.0
#: Names of the numbers that open the report.
MERITS = ("row_ratio", "column_ratio", "stripes_rms", "wisp_scale", "wisp_hidden_pct", "snowballs", "sky")
COLUMNS = (
    Column("snowballs", "snowballs", "", "Large events found", "d", compared=False),
    Column("flagged_pct", "flagged", "%", "Samples of the ramps that the snowball step flagged", ".2f", indexed=False),
    Column(
        "wisp_scale",
        "wisp",
        "",
        "Strength of the wisp template that was subtracted",
        ".3f",
        compared=False,
        error="wisp_error",
    ),
    Column("wisp_hidden_pct", "wisp hidden", "%", "Part of the wisp under sources", ".0f", compared=False),
    Column(
        "wisp_uncovered_pct",
        "without template",
        "%",
        "Usable pixels without a value of the wisp templates, which stay as they are",
        ".1f",
        compared=False,
        indexed=False,
    ),
    Column(
        "wisp_goodness",
        "wisp residual",
        "",
        "Scatter of the image over what noise gives, at the fit",
        ".2f",
        indexed=False,
    ),
    Column(
        "wisp_elsewhere_pix",
        "wisp elsewhere",
        "pix",
        "How far the wisp lies from its template, where another place fits better",
        ".0f",
        compared=False,
        indexed=False,
    ),
    Column("stripes_rms", "1/f noise", "DN/s", "Rms of the pattern of 1/f noise that was subtracted", ".4f"),
    Column("row_ratio", "rows / white", "", "Scatter of rows after the correction over what white noise gives", ".2f"),
    Column(
        "uncorrected_row_ratio",
        "rows / white",
        "",
        "Scatter of rows over what white noise gives, where 1/f noise was not subtracted",
        ".2f",
    ),
    Column(
        "column_ratio",
        "columns / white",
        "",
        "Scatter of columns after the correction over what white noise gives",
        ".2f",
    ),
    Column("flicker_over_white", "1/f / white", "", "1/f noise over the white noise of a pixel", ".2f", indexed=False),
    Column(
        "stripes_over_groups",
        "stripes / groups",
        "",
        "Pattern that was subtracted, levels of outputs aside, over the 1/f noise that groups show",
        ".2f",
        indexed=False,
    ),
    Column(
        "stripes_over_white",
        "stripes / white",
        "",
        "Pattern that a median took off, over the white noise of a pixel",
        ".2f",
        indexed=False,
    ),
    Column("masked_pct", "masked", "%", "Pixels left out as sources when 1/f noise was measured", ".0f", indexed=False),
    Column("sky", "level", "DN/s", "Median of the image", ".3g"),
    Column(
        "spikes_ppm",
        "spikes",
        "ppm",
        "Pixels off the sources brighter than all their neighbours by 8 sigma: cosmic rays or hot pixels left",
        ".1f",
        compared=False,
    ),
    Column("jumps_pct", "jumps", "%", "Pixels with a cosmic ray in their ramp", ".1f"),
    Column("saturated_pct", "saturated", "%", "Pixels that saturate", ".2f"),
)
CHECKS = (
    *OF_INPUTS,
    Check(
        "row_ratio",
        "rows scatter {value:.2f} times as much as white noise explains after the correction (up to {high:g} is "
        "usual): 1/f noise is left, or light of sources is not masked. Look at the rows and at the source mask",
        high=ROWS_OVER_WHITE,
    ),
    Check(
        "row_level_unsure",
        "light fills most of the frame and cannot be separated from slow 1/f noise without reference pixels: the level "
        "of rows is uncertain by {value}. Do not trust extended light to better than that",
        urgency=2,
    ),
    Check(
        "uncorrected_row_ratio",
        "rows scatter {value:.2f} times as much as white noise explains (up to {high:g} is usual): 1/f noise is in the "
        "image, which was not corrected for it",
        high=1.5,
    ),
    Check(
        "column_ratio",
        "columns scatter {value:.2f} times as much as white noise explains after the correction (up to {high:g} is "
        "usual): look at the image for vertical stripes or steps between outputs",
        high=2.5,
    ),
    Check("wisp_unmeasured", "the wisp could not be measured: {value}. What is left of it is in the image", urgency=3),
    Check(
        "wisp_hidden_pct",
        "{value:.0f} % of the wisp lie under what was taken for sources (up to {high:g} % is usual): a galaxy "
        "hides it, or the template does not fit and what is left of the wisp passes for sources",
        high=40.0,
    ),
    Check(
        "wisp_uncovered_pct",
        "{value:.0f} % of the image stay as they are since the wisp templates hold no number there (up to {high:g} % "
        "is usual, bad pixels): what wisps are there is left",
        high=2.0,
    ),
    Check(
        "wisp_error_share",
        "the strength of the wisp is known to {value:.0%} only (up to {high:.0%} is usual)",
        high=0.1,
    ),
    Check(
        "wisp_goodness",
        "the image scatters {value:.2f} times as much as noise where the wisp was subtracted (up to {high:g} is "
        "usual): the template does not fit",
        high=1.5,
    ),
    Check(
        "wisp_elsewhere_pix",
        "the wisp lies {value:.0f} pixels from where its template has it: its strength is not to be trusted, and part "
        "of it stays in the image. Is the template on the pixels of this detector?",
        high=0.0,
        urgency=2,
    ),
    Check(
        "stripes_over_groups",
        "what was subtracted as 1/f noise is {value:.1f} times the 1/f noise that the groups of the ramps show, where "
        "light cancels (up to {high:g} is usual): light of sources is taken for stripes. Look at the source mask",
        high=STRIPES_OVER_GROUPS,
    ),
    Check(
        "stripes_over_white",
        "the pattern that was subtracted as 1/f noise is {value:.1f} times the white noise of a pixel (up to {high:g} "
        "is usual): is light of sources taken for stripes? Look at the source mask",
        high=0.7,
    ),
    Check(
        "spikes_ppm",
        "{value:.0f} in a million pixels stand out from all their neighbours by 8 sigma (up to {high:g} is usual): "
        "cosmic rays or hot pixels are left. Look at the jump detection",
        high=100.0,
    ),
    Check(
        "even_hits",
        "of three groups nothing tells a cosmic ray whose charge both differences hold: {value} pixels were told by "
        "their sharpness and have no rate, more keep a part of one (0.03 % of simulated frames). Do not take single "
        "bright pixels for sources",
    ),
    Check(
        "flagged_pct",
        "snowballs cover {value:.1f} % of all samples (up to {high:g} % is usual)",
        high=3.0,
    ),
    Check(
        "saturated_pct",
        "{value:.1f} % of the pixels saturate (up to {high:g} % is usual)",
        high=5.0,
    ),
)


@dataclass(frozen=True)
class RateImage:
    """A corrected rate image, as it is measured.

    Attributes
    ----------
    data, error : ndarray of float, shape (ny, nx), DN/s
    flags : ndarray of uint32, same shape, DQ
    sources : ndarray of bool, same shape, or None where nothing masked them
    n_samples : int
        Samples of all ramps; 0 where there were none.
    wisps_known : bool
        Its detector shows wisps in its filter.
    """

    data: np.ndarray
    error: np.ndarray
    flags: np.ndarray
    sources: np.ndarray | None = None
    n_samples: int = 0
    wisps_known: bool = False


def measure(image: RateImage, records: Mapping[str, Mapping[str, Any]] = MappingProxyType({})) -> dict[str, Any]:
    """Return the numbers of an image; numbers that cannot be measured are left out.

    records : mapping
        {step: numbers}.

    Returns
    -------
    dict
        Plain numbers. Percentages are of all pixels; `row_ratio` and `column_ratio` are scatters of the means of rows
        and columns about their neighbours over what the scatter from pixel to pixel explains.
    """
    events, stripes = (records.get(name, {}) for name in ("snowballs", "stripes"))
    numbers: dict[str, Any] = {
        "snowballs": events.get("n_events"),
        "stripes_rms": stripes.get("stripes_rms"),
        "jumps_pct": _share(image.flags, dq.JUMP_DET),
        "saturated_pct": _share(image.flags, dq.SATURATED),
    }
    if events.get("n_flagged") is not None and image.n_samples:
        numbers["flagged_pct"] = 100.0 * events["n_flagged"] / image.n_samples
    if stripes.get("masked_fraction") is not None:
        numbers["masked_pct"] = 100 * stripes["masked_fraction"]
    if stripes.get("white_noise"):
        flicker = np.hypot(stripes.get("rms_common", np.nan), stripes.get("rms_own", np.nan))
        numbers["flicker_over_white"] = float(flicker / stripes["white_noise"])
    elif stripes.get("stripes_rms"):
        numbers["stripes_over_white"] = stripes["stripes_rms"] / _typical_error(image)
    if records.get("jump", {}).get("flicker_dn_s") and stripes.get("rms_in_outputs"):
        numbers["stripes_over_groups"] = stripes["rms_in_outputs"] / records["jump"]["flicker_dn_s"]
    if stripes.get("slow_rms_unsure"):
        numbers["row_level_unsure"] = f"{stripes['slow_rms_unsure']:.2g} DN/s"
    if records.get("jump", {}).get("lone_hits"):
        numbers["even_hits"] = f"{records['jump']['lone_hits'] // 2:,}"
    numbers |= _of_wisps(records.get("wisps", {}), image.wisps_known)
    return without_unknown({**numbers, **_of_pixels(image, stripes)})


def _of_wisps(wisp: Mapping[str, Any], known: bool) -> dict[str, Any]:
    """Return strength and certainty of the wisp, and why it could not be measured."""
    numbers: dict[str, Any] = {"wisp_goodness": wisp.get("residual_ratio")}
    hidden, scale, error = wisp.get("hidden"), wisp.get("scale") or [0.0], wisp.get("scale_error") or [0.0]
    if hidden is not None:
        numbers["wisp_hidden_pct"] = 100 * hidden
    if wisp.get("scale") and wisp.get("state") == "COMPLETE":
        numbers |= {"wisp_scale": scale[0], "wisp_error": error[0]}
        numbers["wisp_error_share"] = error[0] / max(abs(scale[0]), 1e-6)
        numbers["wisp_uncovered_pct"] = 100 * wisp.get("uncovered", 0.0)
    if wisp.get("elsewhere_pix"):
        numbers["wisp_elsewhere_pix"] = float(np.hypot(*wisp["elsewhere_pix"]))
    if known:
        numbers["wisp_unmeasured"] = _why_unmeasured(wisp)
    return numbers


def _why_unmeasured(wisp: Mapping[str, Any]) -> str | None:
    if not wisp:
        return "no template was given for this detector and filter, which show wisps"
    if wisp.get("measured") is False:
        strength = least_strength_seen(wisp.get("scale_error") or [float("nan")])
        return f"one of {strength:.2f} of its template would not have been found"
    return None


def _typical_error(image: RateImage) -> float:
    """Return the error of a usual pixel, DN/s; NaN where none is known."""
    known = image.error[np.isfinite(image.error) & (image.error > 0)]
    return float(typed_median(known)) if known.size else float("nan")


def _of_pixels(image: RateImage, stripes: Mapping[str, Any]) -> dict[str, Any]:
    unusable = dq.has(image.flags, dq.DO_NOT_USE | dq.REFERENCE_PIXEL) | ~np.isfinite(image.data)
    mask = unusable if image.sources is None else unusable | image.sources
    some = np.s_[LEVEL_EVERY // 2 :: LEVEL_EVERY, LEVEL_EVERY // 2 :: LEVEL_EVERY]
    level = image.data[some][~unusable[some]]
    columns = measure_row_noise(image.data.T, mask.T)
    free = int((~mask).sum())
    spikes = find_spikes(image.data, image.error, mask)
    return {
        "sky": float(typed_median(level)) if level.size else None,
        **_row_ratio(image.data, mask, stripes),
        "column_ratio": columns.rms / columns.white if columns.white > 0 else None,
        "spikes_ppm": 1e6 * float(spikes.sum()) / free if free else None,
    }


def _row_ratio(data: np.ndarray, mask: np.ndarray, stripes: Mapping[str, Any]) -> dict[str, float]:
    """Return what the step measured on the flat-fielded image, else what the image itself shows."""
    if stripes.get("row_rms_white") and stripes.get("row_rms_after") is not None:
        return {"row_ratio": stripes["row_rms_after"] / stripes["row_rms_white"]}
    rows = measure_row_noise(data, mask)
    return {"uncorrected_row_ratio": rows.rms / rows.white} if rows.white > 0 else {}


def _share(flags: np.ndarray, bit: int) -> float:
    return 100.0 * float(dq.has(flags, bit).mean())


def summarise(numbers: Mapping[str, Any]) -> list[str]:
    """Return a few lines on an image, from the numbers that `measure` found."""
    parts = []
    if "snowballs" in numbers:
        parts.append(f"{numbers['snowballs']:.0f} snowball{'' if numbers['snowballs'] == 1 else 's'}")
    if "wisp_scale" in numbers:
        parts.append(f"wisp {numbers['wisp_scale']:.3f} +- {numbers['wisp_error']:.3f} of its template")
    if "wisp_unmeasured" in numbers:
        parts.append(f"wisp not measured: {numbers['wisp_unmeasured']}")
    if "stripes_rms" in numbers:
        parts.append(f"1/f noise of {numbers['stripes_rms']:.4f} DN/s rms removed")
    if "row_ratio" in numbers:
        parts.append(f"rows scatter {numbers['row_ratio']:.2f} x white noise")
    parts += inputs_in_words(numbers)
    return ["; ".join(parts)] if parts else []


def least_strength_seen(errors: Sequence[float]) -> float:
    """Return the strength of the weakest detectable wisp, given the errors of the strengths; the worst of several."""
    worst = FOUND_SIGMA * float(np.max(np.nan_to_num(np.asarray(errors, float), nan=np.inf)))
    return min(worst, ANY_STRENGTH)
