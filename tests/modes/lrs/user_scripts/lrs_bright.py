"""A script as its users have them, for ramps of fewer than 40 groups: python lrs_bright.py DATA_DIR OUT_DIR N_GROUPS.

It mixes stock steps and ours call by call, the way scripts for ExoTiC-MIRI do; only the name of the package differs.
CRDS is configured by the environment.
"""

import os
import sys

import numpy as np
import xarray as xr
from jwst import datamodels
from jwst.pipeline import calwebb_detector1, calwebb_spec2

from detectorist.reference import GetWavelengthMap, SetCustomGain
from detectorist.stage_1 import DropGroupsStep
from detectorist.stage_2 import AlignSpectraStep, BackgroundSubtractStep, CleanOutliersStep, Extract1DBoxStep

data_dir, reduction_dir, n_groups = sys.argv[1], sys.argv[2], int(sys.argv[3])
seg_names = sorted(name[: -len("_uncal.fits")] for name in os.listdir(data_dir) if name.endswith("_uncal.fits"))
stage_1_dir = os.path.join(reduction_dir, "stage_1")
stage_2_dir = os.path.join(reduction_dir, "stage_2")
for folder in (reduction_dir, stage_1_dir, stage_2_dir):
    os.makedirs(folder, exist_ok=True)

# Stock steps.
stsci_group_scale = calwebb_detector1.group_scale_step.GroupScaleStep()
stsci_dq_init = calwebb_detector1.dq_init_step.DQInitStep()
stsci_saturation = calwebb_detector1.saturation_step.SaturationStep()
stsci_reset = calwebb_detector1.reset_step.ResetStep()
stsci_linearity = calwebb_detector1.linearity_step.LinearityStep()
stsci_dark_current = calwebb_detector1.dark_current_step.DarkCurrentStep()
stsci_jump = calwebb_detector1.jump_step.JumpStep()
stsci_ramp_fit = calwebb_detector1.ramp_fit_step.RampFitStep()
stsci_gain_scale = calwebb_detector1.gain_scale_step.GainScaleStep()
stsci_assign_wcs = calwebb_spec2.assign_wcs_step.AssignWcsStep()
stsci_srctype = calwebb_spec2.srctype_step.SourceTypeStep()
stsci_flat_field = calwebb_spec2.flat_field_step.FlatFieldStep()

# Ours.
custom_set_gain = SetCustomGain()
custom_drop_groups = DropGroupsStep()
custom_get_wavelength_map = GetWavelengthMap()
custom_clean_outliers = CleanOutliersStep()
custom_background_subtract = BackgroundSubtractStep()
custom_extract1d_box = Extract1DBoxStep()
custom_align_spectra = AlignSpectraStep()

# One gain for all segments, made from the last.
uncal_last = datamodels.RampModel(os.path.join(data_dir, f"{seg_names[-1]}_uncal.fits"))
gain_model = custom_set_gain.call(uncal_last, gain_value=3.1)
del uncal_last

all_spec, all_spec_unc, all_bkg, all_x_shifts, all_y_shifts, all_trace_sigmas, all_outliers = [], [], [], [], [], [], []
for seg in seg_names:
    proc = datamodels.RampModel(os.path.join(data_dir, f"{seg}_uncal.fits"))

    proc = stsci_group_scale.call(proc)
    proc = stsci_dq_init.call(proc)
    proc = stsci_saturation.call(proc, n_pix_grow_sat=1)
    proc = stsci_reset.call(proc)
    proc = custom_drop_groups.call(proc, drop_groups=[n_groups - 1])
    proc = stsci_linearity.call(proc)
    proc = stsci_dark_current.call(proc)
    proc = stsci_jump.call(
        proc,
        rejection_threshold=15.0,
        four_group_rejection_threshold=15.0,
        three_group_rejection_threshold=15.0,
        flag_4_neighbors=False,
        min_jump_to_flag_neighbors=15.0,
        expand_large_events=False,
        skip=False,
        override_gain=gain_model,
    )
    _, proc = stsci_ramp_fit.call(proc, override_gain=gain_model)
    proc = stsci_gain_scale.call(proc, override_gain=gain_model)
    proc.save(path=os.path.join(stage_1_dir, f"{seg}_rateints.fits"))

    proc = stsci_assign_wcs.call(proc)
    proc = stsci_srctype.call(proc)
    wavelength_map = custom_get_wavelength_map.call(proc)

    proc = stsci_flat_field.call(proc)
    windows = [150, 100, 50, 40, 30, 24]
    cleaning = {"dq_bits_to_mask": [0], "window_heights": windows, "poly_order": 4, "outlier_threshold": 5.0}
    temp, _, _ = custom_clean_outliers.call(proc, **cleaning)
    _, bkg = custom_background_subtract.call(
        temp,
        method="row_wise",
        smoothing_length=None,
        bkg_col_left_start=12,
        bkg_col_left_end=22,
        bkg_col_right_start=50,
        bkg_col_right_end=68,
    )
    proc.data -= bkg
    proc, P, O = custom_clean_outliers.call(proc, **cleaning)

    proc.err[~np.isfinite(proc.err)] = 0.0
    wv, spec, spec_unc, trace_sigmas = custom_extract1d_box.call(
        proc,
        wavelength_map,
        trace_position="constant",
        aperture_center=36,
        aperture_left_width=4,
        aperture_right_width=4,
    )
    spec, spec_unc, x_shifts, y_shifts = custom_align_spectra.call(proc, spec, spec_unc, align_spectra=False)

    all_spec.append(spec)
    all_spec_unc.append(spec_unc)
    all_bkg.append(np.median(bkg, axis=2))
    all_x_shifts.append(x_shifts)
    all_y_shifts.append(y_shifts)
    all_trace_sigmas.append(trace_sigmas)
    all_outliers.append(O)

per_spectrum, per_integration = ["integration_number", "wavelength"], ["integration_number"]
flux = np.concatenate(all_spec)
dataset = xr.Dataset(
    data_vars={
        "flux": (per_spectrum, flux, {"units": "DN/s"}),
        "flux_error": (per_spectrum, np.concatenate(all_spec_unc), {"units": "DN/s"}),
        "background": (per_spectrum, np.concatenate(all_bkg), {"units": "DN/s"}),
        "x_shift": (per_integration, np.concatenate(all_x_shifts), {"units": "pixel"}),
        "y_shift": (per_integration, np.concatenate(all_y_shifts), {"units": "pixel"}),
        "psf_sigma": (per_integration, np.concatenate(all_trace_sigmas), {"units": "pixel"}),
        "n_outliers": ([*per_spectrum, "region_width"], np.concatenate(all_outliers), {"units": ""}),
    },
    coords={
        "integration_number": (per_integration, np.arange(1, 1 + len(flux)), {"units": ""}),
        "wavelength": (["wavelength"], wv, {"units": "microns"}),
        "region_width": (["region_width"], np.arange(0, 5, 1), {"units": "pixel"}),
    },
    attrs={"author": "A user", "contact": "user@example.org", "code": "detectorist beside the standard pipeline"},
)
dataset.to_netcdf(os.path.join(stage_2_dir, "stage_2_output.nc"))
