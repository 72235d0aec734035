"""Ramp fitting with the variances of averaged frames and corrected IPC, which can be repeated for single pixels."""

from __future__ import annotations

import logging
from typing import Any, ClassVar

import numpy as np
from jwst.ramp_fitting.ramp_fit_step import get_reference_file_subarrays
from stcal.ramp_fitting import ramp_fit as stcal_fit
from stdatamodels.jwst import datamodels
from stdatamodels.jwst.datamodels import CubeModel, ImageModel, RampModel, dqflags

from detectorist import models
from detectorist.algorithms import dq
from detectorist.algorithms.flicker.weighted_slopes import NO_CLASS, WeightedSlopes
from detectorist.algorithms.images.patches import nanmedian
from detectorist.algorithms.ramps.rc_pixels import LEAST_GROUPS, first_straight_group
from detectorist.algorithms.ramps.saturation import grow_mask
from detectorist.algorithms.ramps.slope_variance import (
    class_shares,
    deconvolved_share,
    photon_share,
    photon_variance,
)
from detectorist.engine.ramp_fit import weight_classes, weights_of_classes
from detectorist.reduction.engine_steps.base import replaced
from detectorist.reduction.engine_steps.ramp_fit import MarkedRampFitStep, mark_unfitted

log = logging.getLogger(__name__)

#: Arrays of a rate that the fit of a pixel makes, and how the fit calls them.
FITTED = {"data": "slope", "dq": "dq", "var_poisson": "var_poisson", "var_rnoise": "var_rnoise", "err": "err"}
#: Groups from which the weights of bright and faint ramps differ.
LEAST_WEIGHTED = 4
#: Variances of a slope and the error that is the root of their sum.
VARIANCES = ("var_poisson", "var_rnoise", "err")


class CoronRampFitStep(MarkedRampFitStep):
    """Fit ramps as the standard step does, without the bends of RC pixels, and correct the variances of the slopes.

    In RC pixels charge rises along an exponential first. Groups before the ramp is straight are left out; a pixel
    whose ramp bends to its end, or is too short to judge, is flagged DO_NOT_USE. The log counts both.

    Frames averaged in a group share photons (VAR_POISSON is 9 % too large for bright pixels and four groups of
    SHALLOW4; LIKELY takes it into account), and the correction of IPC amplifies read noise (VAR_RNOISE is 4 to 5 % too
    small). The noise of a whole ramp is that of the weights which its class gets. Slopes are the standard ones.
    """

    reference_file_types: ClassVar = [*MarkedRampFitStep.reference_file_types, "ipc"]

    spec = """
        rc_pixels = option("straight", "keep", default="straight")  # RC pixels and neighbours: straight part, or all
        complete_variances = boolean(default=True)  # for averaged frames and the correction of IPC
    """

    def process(self, step_input: Any) -> Any:
        """Return rate and rates of the integrations."""
        with self.prepare_output(step_input, open_as_ramp=True) as ramp:
            if self.rc_pixels == "straight":
                self._leave_out_bends(ramp)
            rate, rateints = super().process(ramp)
            if rate is not None and self.complete_variances:
                self._complete(ramp, rate, rateints, ...)
                log.info("variances completed for averaged frames and corrected IPC")
        return rate, rateints

    def slopes_of(self, ramp: RampModel) -> WeightedSlopes | None:
        """Return how the slopes of whole ramps are made of groups; None where all have the same weights."""
        n_groups = ramp.data.shape[1]
        if n_groups < LEAST_WEIGHTED or self.algorithm.upper() == "LIKELY":
            return None
        read, gain = self._noise_references(ramp)
        data = np.asarray(ramp.data)
        rise = data[:, -1] - data[:, 0]
        classes = weight_classes(rise, gain, read, n_frames=ramp.meta.exposure.nframes or 1)
        broken = dq.has(models.group_flags(ramp), dq.DO_NOT_USE | dq.SATURATED | dq.JUMP_DET).any(axis=1)
        classes[broken | ~np.isfinite(rise)] = NO_CLASS
        return WeightedSlopes(data, classes, weights_of_classes(n_groups) / ramp.meta.exposure.group_time)

    def _leave_out_bends(self, ramp: RampModel) -> None:
        """Flag groups of RC pixels and their neighbours that are no part of a straight line; all where none is."""
        flags = models.group_flags(ramp).copy()
        rc = dq.has(ramp.pixeldq, dqflags.pixel["RC"])
        y, x = np.nonzero((rc | reached_by(rc, flags)) & ~dq.has(ramp.pixeldq, dq.DO_NOT_USE))
        if not y.size:
            return
        data = np.asarray(ramp.data[:, :, y, x])
        unusable = dq.has(flags[:, :, y, x], dq.DO_NOT_USE | dq.SATURATED)
        first = first_straight_group(data, unusable, noise=self._rise_noise(ramp, data, y, x))
        n_groups = data.shape[1]
        bent = np.arange(n_groups)[:, None] < first
        flags[:, :, y, x] |= np.where(bent, dq.DO_NOT_USE, 0).astype(flags.dtype)
        ramp.groupdq = flags
        none = first == n_groups
        pixeldq = np.array(ramp.pixeldq)
        pixeldq[y[none], x[none]] |= np.uint32(dq.DO_NOT_USE)
        ramp.pixeldq = pixeldq
        log.info(
            "of %d RC pixels and neighbours, %d are fitted without their first groups, %d (never linear) are flagged "
            "DO_NOT_USE",
            *(y.size, int(((first > 0) & ~none).sum()), int(none.sum())),
        )

    def _rise_noise(self, ramp: RampModel, data: np.ndarray, y: np.ndarray, x: np.ndarray) -> np.ndarray:
        """Return the noise (DN) of the rise of pixels, data (n_ints, n_groups, n_pix), from one group to the next."""
        read, gain = self._noise_references(ramp)
        rises = np.diff(np.nan_to_num(data), axis=1)
        photons = np.maximum(np.median(rises, axis=(0, 1)), 0) / gain[y, x] if rises.size else 0.0
        return np.sqrt(read[y, x] ** 2 / (ramp.meta.exposure.nframes or 1) + photons)

    def _noise_references(self, ramp: RampModel) -> tuple[np.ndarray, np.ndarray]:
        """Return read noise (DN, of a difference of two reads) and gain, (ny, nx) each."""
        with (
            datamodels.ReadnoiseModel(self.get_reference_file(ramp, "readnoise")) as readnoise,
            datamodels.GainModel(self.get_reference_file(ramp, "gain")) as gain,
        ):
            read, gains = get_reference_file_subarrays(ramp, readnoise, gain)
            return np.array(read), np.array(gains)

    def _complete(self, ramp: RampModel, rate: ImageModel, rateints: CubeModel, where: Any) -> None:
        """Scale the variances of the pixels `where` (index of images), and bring ERR up to date."""
        index = (Ellipsis, *where) if isinstance(where, tuple) else where
        read = np.float32(self._read_noise_share(ramp))
        of_photons, of_reads, _ = (np.array(getattr(rateints, name))[index] for name in VARIANCES)
        photons, reads = self._shares(ramp, self.slopes_of(ramp), of_photons, read * of_reads, index)
        for model, of_model in ((rate, (photons.mean(axis=0), reads.mean(axis=0))), (rateints, (photons, reads))):
            of_photons, of_reads, err = (np.array(getattr(model, name)) for name in VARIANCES)
            of_photons[index] *= of_model[0]
            of_reads[index] *= read * of_model[1]
            err[index] = np.sqrt(of_photons[index] + of_reads[index])
            for name, array in zip(VARIANCES, (of_photons, of_reads, err), strict=True):
                setattr(model, name, array)

    def _shares(
        self, ramp: RampModel, slopes: WeightedSlopes | None, of_photons: np.ndarray, of_reads: np.ndarray, index: Any
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return true over standard variances by photons and by reads, of the ramps of some pixels."""
        photons, reads = np.ones_like(of_photons), np.ones_like(of_reads)
        if self.algorithm.upper() == "LIKELY":
            return photons, reads
        frames = {"n_frames": ramp.meta.exposure.nframes or 1, "group_gap": ramp.meta.exposure.groupgap or 0}
        number = (~dq.has(models.group_flags(ramp), dq.DO_NOT_USE | dq.SATURATED)).sum(axis=1)[index]
        broken = np.ones(number.shape, bool)
        if slopes is not None:
            classes = slopes.classes[index]
            broken = classes == NO_CLASS
            of_classes = class_shares(slopes.weights * ramp.meta.exposure.group_time, **frames)
            for share, of_class in zip((photons, reads), of_classes, strict=True):
                share[...] = np.append(of_class, np.ones(NO_CLASS + 1 - of_class.size)).astype(np.float32)[classes]
        total = of_photons[broken] + of_reads[broken]
        part = np.divide(of_reads[broken], total, out=np.zeros_like(total), where=total > 0)
        photons[broken] = photon_share(number[broken], part, **frames)
        return photons, reads

    def photons_of(
        self, ramp: RampModel, slopes: WeightedSlopes | None, rateints: CubeModel, of_reads: np.ndarray
    ) -> np.ndarray:
        """Return VAR_POISSON of rates that have lost noise since they were fitted, (n_ints, ny, nx).

        The fit takes the light of a pixel, and with it the noise of photons, from the rate it finds: 1/f noise that
        passes for light is in both. slopes : what `slopes_of` returns. of_reads : (n_ints, ny, nx), VAR_RNOISE as
        fitted.
        """
        before = np.array(rateints.var_poisson)
        if self.algorithm.upper() == "LIKELY" or not self.complete_variances:
            return before
        flags = models.group_flags(ramp)
        unusable = dq.has(rateints.dq, dq.DO_NOT_USE)
        light = np.maximum(np.nan_to_num(nanmedian(np.where(unusable, np.nan, rateints.data), axis=0)), 0)
        if ramp.hasattr("average_dark_current") and np.shape(ramp.average_dark_current) == light.shape:
            light = light + ramp.average_dark_current
        _, gain = self._noise_references(ramp)
        good = ~dq.has(flags, dq.DO_NOT_USE | dq.SATURATED)
        plain = photon_variance(light, good, dq.has(flags, dq.JUMP_DET), 1 / (gain * ramp.meta.exposure.group_time))
        shares, _ = self._shares(ramp, slopes, plain, of_reads, ...)
        rc = dq.has(ramp.pixeldq, dqflags.pixel["RC"])
        told = (plain > 0) & ~(rc | reached_by(rc, flags)) & np.isfinite(before)
        return np.where(told, plain * shares, before)

    def _read_noise_share(self, ramp: RampModel) -> float:
        """Return by how much the correction of IPC raised the variance of read noise."""
        if ramp.meta.cal_step.ipc != "COMPLETE":
            return 1.0
        with datamodels.IPCModel(self.get_reference_file(ramp, "ipc")) as reference:
            return deconvolved_share(reference.data)

    def refit(self, ramp: RampModel, rate: ImageModel, rateints: CubeModel, changed: np.ndarray) -> None:
        """Fit the ramps of some pixels again, and replace their values in `rate` and `rateints`.

        changed : ndarray of bool, shape (ny, nx)
        """
        if not changed.any():
            return
        if self.rc_pixels == "straight":
            self._leave_out_bends(ramp)
        y, x = np.nonzero(changed)
        # The last pixel is that of `some_pixels`, which only has flags: any values will do.
        readnoise_1d, gain_1d = (np.append(part[y, x], part[y[0], x[0]])[None] for part in self._noise_references(ramp))
        arguments = (
            some_pixels(ramp, y, x),
            False,
            readnoise_1d,
            gain_1d,
            self.algorithm,
            self.weighting,
            "1",
            dqflags.pixel,
            self.suppress_one_group,
        )
        if self.engine == "stock":
            image, integrations, _ = stcal_fit.ramp_fit(*arguments)
        else:
            with replaced(*self.place, self._in_engine(getattr(*self.place))):
                image, integrations, _ = stcal_fit.ramp_fit(*arguments)
        for name, fitted in FITTED.items():
            for model, result in ((rate, image), (rateints, integrations)):
                array = np.array(getattr(model, name))
                array[..., y, x] = result[fitted][..., 0, : y.size]
                setattr(model, name, array)
        if self.algorithm.upper() == "LIKELY":
            for model in (rate, rateints):
                mark_unfitted(model)
        if self.complete_variances:
            self._complete(ramp, rate, rateints, (y, x))


def reached_by(rc: np.ndarray, groupdq: np.ndarray) -> np.ndarray:
    """Return (ny, nx) bool, True for the pixels whose ramps may bend with that of an RC pixel beside them.

    rc : (ny, nx) bool. groupdq : (n_ints, n_groups, ny, nx).

    Coupling between pixels gives the four neighbours some of its charge, which is taken off again as long as the pixel
    tells how much it has: a saturated one does not. Ramps too short to show a bend count beside saturated ones only.
    """
    if groupdq.shape[1] < LEAST_GROUPS:
        rc = rc & dq.has(groupdq, dq.SATURATED).any(axis=(0, 1))
    return grow_mask(rc, n_pix=1, diagonal=False) & ~rc


def some_pixels(ramp: RampModel, y: np.ndarray, x: np.ndarray) -> RampModel:
    """Return a ramp of one row with the given pixels, and one more that has only the flags common to all pixels.

    The fit of MIRI leaves out groups that no pixel can use: the last pixel distinguishes those from groups that only
    the chosen pixels cannot use.
    """
    flags = models.group_flags(ramp)
    common = np.bitwise_and.reduce(flags, axis=(2, 3))
    small = RampModel(data=np.concatenate([ramp.data[:, :, y, x], ramp.data[:, :, :1, 0]], axis=2)[:, :, None])
    small.update(ramp)
    small.groupdq = np.concatenate([flags[:, :, y, x], common[..., None]], axis=2)[:, :, None]
    small.pixeldq = np.append(ramp.pixeldq[y, x], np.uint32(0))[None]
    if ramp.hasattr("average_dark_current") and ramp.average_dark_current is not None:
        dark = ramp.average_dark_current
        small.average_dark_current = np.append(dark[y, x], dark[:1, 0])[None]
    if ramp.hasattr("zeroframe") and ramp.zeroframe is not None and ramp.meta.exposure.zero_frame:
        small.zeroframe = np.concatenate([ramp.zeroframe[:, y, x], ramp.zeroframe[:, :1, 0]], axis=1)[:, None]
    return small
