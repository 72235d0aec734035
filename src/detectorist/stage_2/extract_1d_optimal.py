"""Extract LRS spectra with optimal weights."""

from __future__ import annotations

from typing import Any

import numpy as np
from stdatamodels.jwst.datamodels import CubeModel, ReadnoiseModel

from detectorist import models
from detectorist.algorithms import dq
from detectorist.algorithms.spectra.background import scatter_variance
from detectorist.algorithms.spectra.extraction import extract_optimal, model_variance, rate_read_noise
from detectorist.algorithms.spectra.moving_profile import follow_trace
from detectorist.algorithms.spectra.profile import clean_outliers
from detectorist.errors import ParameterError
from detectorist.stage_2._extract import SHARED_SPEC, ExtractStep

#: Columns on either side of the trace to which a profile of our own extends.
PROFILE_HALF_WIDTH = 10

#: Columns 0-3 are reference pixels.
N_REFERENCE = 4


class Extract1DOptimalStep(ExtractStep):
    """Sum the pixels of every row with the weights of Horne (1986), which give the least noise.

    `process(model, wavelength_map=None, P=None, readnoise=None)` returns the same four arrays as Extract1DBoxStep.

    P : spatial profile (n_ints, n_rows, n_cols), as CleanOutliersStep returns it; by default computed as there. It is
    normalised to 1 within the aperture. The errors of a profile are common to many rows, so that profiles of single
    integrations make broad-band light curves noisier (1.5 times on simulated data) although each value is well
    described by its uncertainty; with `median_spatial_profile` they do not.

    readnoise : rms of one pixel, not a variance: a number, a 2-D or a 3-D array in DN/s, or a ReadnoiseModel, whose
    values (noise of the difference of two reads, DN) are converted to those of a slope. With it the variance is V =
    readnoise^2 + |S P + B| / (gain t), the sky's part of it measured beside the aperture. Without it V is ERR
    squared; pixels whose ERR is 0 or not finite get that of their neighbours. The error of the background is added
    once, coherently.

    `save_results` writes `<input>_extract_1d_optimal.nc`, as Extract1DBoxStep does.
    """

    class_alias = "extract_1d_optimal"

    spec = """
        median_spatial_profile = boolean(default=False)  # the median profile for all integrations
        leave_out_replaced = boolean(default=False)  # pixels with OUTLIER, whose values are made up, do not count
        follow_trace = boolean(default=False)  # let the median profile follow steps, drift and slow changes of width
    """ + SHARED_SPEC.format(width=8)

    def process(
        self,
        input_data: Any,
        wavelength_map: np.ndarray | None = None,
        P: np.ndarray | None = None,
        readnoise: Any = None,
    ):
        """Return (wavelengths, spectra, uncertainties, trace widths)."""
        model = self.read_input(input_data)
        center, fit = self.locate(model)
        middle = float(np.median(center))
        aperture = [middle - self.aperture_left_width, middle + self.aperture_right_width]
        profile = self._profile(model, middle) if P is None else np.asarray(P)
        if profile.shape not in (model.data.shape, model.data.shape[1:]):
            raise ParameterError(f"{models.describe(model)}: P has shape {profile.shape}; {model.data.shape} is needed")
        follows = self.median_spatial_profile and self.follow_trace and profile.ndim == 3
        if follows:
            profile = follow_trace(profile, fit.center_pix, fit.sigma_pix)
        variance, source = self.background_variance(model)
        reach = (np.min(center) - self.aperture_left_width, np.max(center) + self.aperture_right_width)
        electrons = self.units == "electron/s"
        gain = self.gain_of(model) if electrons or readnoise is not None else None
        spectra = extract_optimal(
            model.data,
            profile,
            models.errors(model),
            leave_out=dq.has(models.flags(model), dq.OUTLIER) if self.leave_out_replaced else None,
            aperture_center=center,
            aperture_left_width=self.aperture_left_width,
            aperture_right_width=self.aperture_right_width,
            median_spatial_profile=self.median_spatial_profile and not follows,
            variance=None if readnoise is None else self._variance(model, profile, readnoise, gain, reach),
            background_variance=variance,
            units=self.units,
            gain=gain if electrons else None,
        )
        wavelengths = self.wavelengths(model, wavelength_map, center)
        noise = "errors" if readnoise is None else "read noise and gain"
        return self.finish(
            model, wavelengths, spectra, fit, aperture=aperture, background_noise=source, noise_from=noise
        )

    @staticmethod
    def _profile(model: CubeModel, center: float) -> np.ndarray:
        """Return the profile that CleanOutliersStep would, about the trace."""
        middle = round(center)
        return clean_outliers(
            model.data,
            models.errors(model),
            models.flags(model),
            spatial_profile_left_idx=max(middle - PROFILE_HALF_WIDTH, 0),
            spatial_profile_right_idx=min(middle + PROFILE_HALF_WIDTH + 1, model.data.shape[-1]),
        ).profile

    def _variance(self, model: CubeModel, profile, readnoise, gain, aperture) -> np.ndarray:
        n_groups, group_time = groups_of(model)
        columns = np.arange(model.data.shape[-1])
        beside = columns[(columns < aperture[0] - 2) | (columns > aperture[1] + 2)]
        beside = beside[beside >= N_REFERENCE] if (beside >= N_REFERENCE).sum() >= 3 else beside
        first, last = int(np.floor(aperture[0])), int(np.ceil(aperture[1]))
        window = slice(max(first - 1, 0), last + 2)

        def cut(value):
            return value[..., window] if np.ndim(value) else value

        light = np.maximum(profile[..., window], 0).astype(float)
        total = light.sum(axis=-1, keepdims=True)
        variance = np.full(model.data.shape, np.nan, np.float32)
        variance[..., window] = model_variance(
            model.data[..., window],
            np.divide(light, total, out=np.zeros(light.shape), where=total > 0),
            readnoise=cut(read_noise_of(model, readnoise, n_groups, group_time)),
            gain=cut(gain),
            integration_time_s=max(n_groups - 1, 1) * group_time,
            sky_variance=scatter_variance(model.data, columns=beside) if beside.size >= 3 else None,
        )
        return variance


def groups_of(model: CubeModel) -> tuple[int, float]:
    """Return the number of groups that a rate was fitted to and the time between them in seconds."""
    exposure = model.meta.exposure
    dropped = models.records(model).get("drop_groups", {}).get("groups") or []
    n_groups = (exposure.ngroups or 1) - len(dropped)
    if not exposure.group_time:
        raise ParameterError(
            f"{models.describe(model)}: no group time in the header (TGROUP); it is needed with readnoise"
        )
    return max(n_groups, 1), float(exposure.group_time)


def read_noise_of(model: CubeModel, readnoise: Any, n_groups: int, group_time_s: float) -> np.ndarray:
    """Return the read noise of a rate, DN/s rms, from any of the accepted forms."""
    if isinstance(readnoise, ReadnoiseModel):
        start = readnoise.meta.subarray
        cds = models.on_subarray(readnoise.data, model, (start.xstart or 1, start.ystart or 1))
        rate = rate_read_noise(cds, n_groups=n_groups, group_time_s=group_time_s)
        usable = np.isfinite(rate) & (rate >= 0)
        return np.where(usable, rate, np.median(rate[usable]) if usable.any() else np.nan)
    readnoise = np.asarray(readnoise, float)
    shape = model.data.shape
    if readnoise.shape not in ((), shape[-2:], shape):
        raise ParameterError(
            f"readnoise has shape {readnoise.shape}; a number, {shape[-2:]} or {shape} is needed (DN/s rms per pixel)"
        )
    return readnoise
