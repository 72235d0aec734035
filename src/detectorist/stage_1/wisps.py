"""Subtract wisps from NIRCam rate images."""

from __future__ import annotations

import logging
import math
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from stdatamodels.jwst.datamodels import ImageModel

from detectorist import models
from detectorist.algorithms.images.residuals import hidden_share, measure_wisp_curve
from detectorist.algorithms.wisps.wisp_fit import WispFit, prepare_templates
from detectorist.algorithms.wisps.wisp_place import find_wisp_place
from detectorist.algorithms.wisps.wisps import WispModel, find_wisps
from detectorist.errors import ParameterError
from detectorist.parameters import require_path
from detectorist.stage_1.nircam_readout import readout_of
from detectorist.stage_1.rate_images import (
    flat_under,
    naming,
    read_mask,
    refuse_corrected,
    require_honest_size,
    require_scale,
    side_product,
    unusable_pixels,
    write_plane,
)
from detectorist.stage_1.subtract_1overf import add_variance
from detectorist.stage_1.wisp_files import band_of, read_template, template_paths
from detectorist.step import DetectoristStep

log = logging.getLogger(__name__)

#: Detectors and filters in which wisps appear (JDox, NIRCam claws and wisps).
WISP_DETECTORS = ("NRCA3", "NRCA4", "NRCB3", "NRCB4")
WISP_FILTERS = ("F150W", "F150W2", "F162M", "F182M", "F200W", "F210M")
#: Trial strengths of the recorded curve, over the strength found.
CURVE = np.linspace(0, 2, 21)


class WispsStep(DetectoristStep):
    """Subtract wisps: templates of the detector and filter, each scaled to its strength in this image.

    Templates are files of `template_dir`: `wisps_nrca3_f150w.fits` or `WISP_NRCA3_F150W_CLEAR.fits`; several components
    as `wisps_nrca3_f150w_1.fits`, `..._2.fits`. They are in flat-fielded units of the rate.

    A wisp weaker than three times its error is not subtracted, and the image is not changed (SKIPPED). If even a wisp
    of 0.3 of its template would not have been found, `measured` is False in the record. ERR grows by the error of the
    strength times the template.

    The record holds the strengths with their errors, how far the wisp is displaced from its template, in the fit of a
    pixel or so (`displacement_pix`) and, if the template fits another place better, altogether (`elsewhere_pix`, else
    None), the width (sigma) of the Gaussian by which it is blunter than its template, negative where it is sharper
    (`blur_pix`), how much of the templates' light lies under sources (`hidden`), the share of the usable pixels that
    are not corrected because a template has no value there (`uncovered`), and, as `curve`, the scatter of the image as
    a function of the strength of the first component, with all varied together.
    """

    class_alias = "wisps"
    instruments: ClassVar = ("NIRCAM",)
    subtracts: ClassVar = True
    reference_file_types: ClassVar = ["flat"]

    spec = """
        template_dir = string(default=None)  # folder of wisp templates
        scale = float(default=None)  # strength, the same for all components; None fits it
        fit_scaling = boolean(default=True)  # fit the strength; a scale that is given wins
        apply_flat = boolean(default=True)  # fit in the flat-fielded image
        mask_file = string(default=None)  # FITS image, not zero on sources; by default they are detected
        save_mask = boolean(default=False)  # write <input>_segm_cold.fits
        draw_wisps = boolean(default=False)  # write <input>_wisp.pdf
    """

    def require_possible(self) -> None:
        """Refuse a mask that is not there; a folder of templates matters to detectors with wisps only."""
        require_path(self.mask_file, name="wisps.mask_file")

    def process(self, input_data):
        """Return the rate without wisps."""
        model = self.open_input(input_data, ImageModel)
        require_honest_size(model)
        require_scale(self.scale)
        if self.scale is None and not self.fit_scaling:
            raise ParameterError("neither scale nor fit_scaling is given: one of them is needed", parameter="scale")
        refuse_corrected(model, "wispsub")
        instrument = model.meta.instrument
        detector, band = (instrument.detector or "").upper(), band_of(instrument.filter, instrument.pupil)
        if detector not in WISP_DETECTORS or band not in WISP_FILTERS:
            return self.skip_because(model, f"no wisps are known for {detector} in {band}")
        paths = template_paths(self.template_dir, detector, band, models.describe(model))
        templates = np.stack([read_template(path, model) for path in paths])
        flat = flat_under(self, model) if self.apply_flat else None
        with naming(model):
            found = self._find(model, templates, flat)
        if self.save_mask:
            write_plane(self, model, "segm_cold", found.mask.astype(np.uint8))
        fit = found.fit
        numbers = {
            "scale": fit.scale,
            "scale_error": fit.error,
            "templates": [path.name for path in paths],
            "measured": fit.measured,
            **_unlike_template(found),
            "elsewhere_pix": _place(model, templates, flat),
            "residual_ratio": fit.residual_ratio,
            "hidden": hidden_share(found.mask, np.nan_to_num(templates).sum(axis=0)),
            "uncovered": _uncovered_share(templates, unusable_pixels(model)),
            "curve": self._curve(model, templates, flat, found),
        }
        strengths = ", ".join(f"{s:.4f} +- {e:.4f}" for s, e in zip(fit.scale, fit.error, strict=True))
        if not fit.measured:
            return self.skip_because(
                model, f"the wisp cannot be measured and is not subtracted (scale {strengths})", **numbers
            )
        if not fit.significant:
            return self.skip_because(model, f"no significant wisp (scale {strengths})", **numbers)
        before = np.array(model.data)
        factor = np.float32(1) if flat is None else np.nan_to_num(flat, nan=1.0)
        holds = ~unusable_pixels(model)
        model.data = before - np.where(holds, found.image * factor, 0)
        add_variance(model, np.where(holds, found.variance * factor**2, 0))
        if self.draw_wisps:
            self._draw(model, before, found)
        return self.complete(model, f"scale {strengths} of {_in_words(numbers)}", **numbers)

    def _find(self, model, templates, flat) -> WispModel:
        bad = unusable_pixels(model)
        if self.scale is not None:
            smooth = prepare_templates(templates)
            nothing = np.zeros(bad.shape, np.float32)
            n = len(templates)
            known = np.zeros(n)
            given = WispFit(known + self.scale, known, np.zeros((n, n)), known, self.scale > 0, float("nan"), 0)
            return WispModel(given, np.float32(self.scale) * smooth.sum(axis=0), nothing, nothing.astype(bool))
        if flat is not None:
            bad = bad | ~np.isfinite(flat)
        mask = None if self.mask_file is None else read_mask(self.mask_file, model)
        return find_wisps(_flat_fielded(model, flat), bad, templates, mask=mask, readout=readout_of(model))

    def _curve(self, model, templates, flat, found: WispModel) -> dict[str, list[float]]:
        strength = found.fit.scale if found.fit.significant else np.ones(len(templates))
        wisp = np.tensordot(strength.astype(np.float32), np.nan_to_num(templates), 1)
        image = _flat_fielded(model, flat)
        spread = measure_wisp_curve(image, unusable_pixels(model) | found.mask, wisp, CURVE)
        known = np.isfinite(spread)
        return {
            "scale": [round(float(one), 5) for one in (strength[0] * CURVE)[known]],
            "spread": [float(f"{one:.5g}") for one in spread[known]],
        }

    def _draw(self, model, before, found) -> None:
        from detectorist.figures import display
        from detectorist.figures.wisps import draw_wisps

        target = Path(self.figure_path or side_product(self, model, "wisp.pdf"))
        figure = draw_wisps(before, np.asarray(model.data), found.image, found.mask)
        display.show_or_write(figure, "", path=str(target))
        self.written.append(target)


def _flat_fielded(model, flat: np.ndarray | None) -> np.ndarray:
    return np.asarray(model.data if flat is None else model.data / np.nan_to_num(flat, nan=1.0), np.float32)


def _unlike_template(found: WispModel) -> dict[str, Any]:
    """Return how the wisp differs from its template, for the record."""
    blur_pix = math.copysign(math.sqrt(2 * abs(found.blur)), found.blur)
    return {"displacement_pix": list(found.displacement), "blur_pix": blur_pix}


def _place(model, templates: np.ndarray, flat: np.ndarray | None) -> list[float] | None:
    """Return how far (y, x; pixel) the wisp lies from the templates where that is clearly another place, and log it."""
    place = find_wisp_place(_flat_fielded(model, flat), unusable_pixels(model), templates.sum(axis=0))
    if place is None or not any(place.displacement):
        return None
    log.warning(
        "%s: the wisp lies about %.0f pixels up and %.0f to the right of its template: its strength is not to be "
        "trusted, and part of it stays in the image",
        models.describe(model),
        *place.displacement,
    )
    return list(place.displacement)


def _in_words(numbers: dict[str, Any]) -> str:
    """Return which templates were subtracted, and how much of the image they left."""
    names = ", ".join(numbers["templates"])
    if not numbers["uncovered"]:
        return names
    return f"{names}; {numbers['uncovered']:.2%} of the image, where these hold no number, stay as they are"


def _uncovered_share(templates: np.ndarray, unusable: np.ndarray) -> float:
    """Return the share of the usable pixels for which a template holds no number."""
    missing = ~np.isfinite(templates).all(axis=0)
    return float((missing & ~unusable).sum() / max((~unusable).sum(), 1))
