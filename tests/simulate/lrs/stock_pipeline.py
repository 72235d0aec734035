"""Run the standard pipeline's steps on one uncal file: `stock_pipeline.py OUT.npz UNCAL CACHE [STEP ...]`.

CRDS remembers the first cache that a process uses, so every run of a test gets its own process. The steps are those of
published reductions of short ramps; `emicorr`, `rscd` and `ipc` are added when named.
"""

import os
import sys

import numpy as np

from detectorist.simulate.core.crds_cache import environment


def main(out, uncal, cache, *extra):
    os.environ.update(environment(cache))
    from jwst.pipeline import calwebb_detector1 as stock
    from jwst.step import AssignWcsStep, FlatFieldStep, SourceTypeStep
    from stdatamodels.jwst.datamodels import RampModel

    jump = dict.fromkeys(
        ("rejection_threshold", "four_group_rejection_threshold", "three_group_rejection_threshold"), 15.0
    )
    ramp = RampModel(uncal)
    ramp = stock.group_scale_step.GroupScaleStep.call(ramp)
    ramp = stock.dq_init_step.DQInitStep.call(ramp)
    if "emicorr" in extra:
        ramp = stock.emicorr_step.EmiCorrStep.call(ramp, skip=False, fit_ints_separately=True)
        np.savez(f"{out}.emicorr.npz", data=ramp.data)
    ramp = stock.saturation_step.SaturationStep.call(ramp, n_pix_grow_sat=1)
    if "ipc" in extra:
        ramp = stock.ipc_step.IPCStep.call(ramp)
    ramp = stock.reset_step.ResetStep.call(ramp)
    ramp.groupdq[:, -1] |= 1
    ramp = stock.linearity_step.LinearityStep.call(ramp)
    if "rscd" in extra:
        ramp = stock.rscd_step.RscdStep.call(ramp)
    ramp = stock.dark_current_step.DarkCurrentStep.call(ramp)
    linear = np.array(ramp.data)
    ramp = stock.jump_step.JumpStep.call(
        ramp, flag_4_neighbors=False, min_jump_to_flag_neighbors=15.0, expand_large_events=False, **jump
    )
    groupdq = np.array(ramp.groupdq)
    _, rates = stock.ramp_fit_step.RampFitStep.call(ramp)
    rates = stock.gain_scale_step.GainScaleStep.call(rates)
    rates = AssignWcsStep.call(rates)
    rates = SourceTypeStep.call(rates)
    rates = FlatFieldStep.call(rates)
    y, x = np.mgrid[:416, :72]
    states = {name: state for name, state in rates.meta.cal_step.instance.items() if state}
    np.savez(
        out,
        data=rates.data,
        err=rates.err,
        dq=rates.dq,
        linear=linear,
        groupdq=groupdq,
        wavelength=rates.meta.wcs(x, y)[2],
        states=np.array([f"{name} {state}" for name, state in states.items()]),
        footprint=str(rates.meta.wcsinfo.s_region),
        context=str(rates.meta.ref_file.crds.context_used),
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
