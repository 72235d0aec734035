"""What all steps on ramps, and all references, have in common."""

import inspect
import logging
import tomllib

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from stdatamodels.jwst import datamodels

from detectorist import entry_points, models, reference, stage_1
from detectorist.algorithms.ramps import groups, linearity, refpix
from detectorist.errors import AlreadyCorrected, InputError

#: Step, parameters that make it do something on a ramp of 8 groups.
RAMP_STEPS = [
    (stage_1.DropGroupsStep, {"drop_groups": [0, -1]}),
    (stage_1.ReferencePixelStep, {}),
    (stage_1.DropIntegrationsStep, {"drop_integrations": [0]}),
    (stage_1.RegroupStep, {"n_groups": 4}),
]
RAMP_REFERENCES = [reference.SetCustomGain, reference.SetCustomLinearity]
EITHER_REFERENCES = [reference.GetIntegrationTimes, reference.GetDefaultGain, reference.GetDefaultReadNoise]
ALL = [step for step, _ in RAMP_STEPS] + RAMP_REFERENCES + EITHER_REFERENCES + [reference.GetWavelengthMap]
OF_RAMPS = [step for step, _ in RAMP_STEPS] + RAMP_REFERENCES


def spec_defaults(step):
    """Return the defaults of a step's own parameters, as the step has them."""
    own = {line.split("=")[0].strip() for line in step.spec.splitlines() if "=" in line}
    pars = step().get_pars()
    return {name: getattr(step(), name) for name in own if name in pars}


@pytest.mark.parametrize("step", ALL)
def test_another_instrument_is_an_error_that_names_both(step, nircam_rateints, make_lrs_ramp):
    model = make_lrs_ramp(n_ints=2, n_groups=8)
    if step is reference.GetWavelengthMap:
        model = nircam_rateints
    model.meta.instrument.name, model.meta.exposure.type = "NIRCAM", "NRC_TSIMAGE"
    model.meta.filename = "jw1_nrcb1_uncal.fits"
    with pytest.raises(InputError, match=rf"jw1_nrcb1_uncal.fits: instrument is NIRCAM; {step.class_alias} needs MIRI"):
        step.call(model)


@pytest.mark.parametrize("step", ALL)
def test_another_mode_is_an_error_that_names_both(step, make_lrs_ramp, make_lrs_rateints):
    model = make_lrs_rateints() if step is reference.GetWavelengthMap else make_lrs_ramp(n_ints=2, n_groups=8)
    model.meta.exposure.type = "MIR_IMAGE"
    wanted = rf"mirimage_.*fits: exposure type is MIR_IMAGE; {step.class_alias} needs MIR_LRS-SLITLESS"
    with pytest.raises(InputError, match=wanted):
        step.call(model)


@pytest.mark.parametrize("step", OF_RAMPS)
def test_rates_instead_of_ramps_are_an_error(step, make_lrs_rateints, tmp_path):
    rates = make_lrs_rateints()
    wanted = (
        r"rateints.fits: SCI of shape \(3, 416, 72\) in a CubeModel; a ramp \(uncal or ramp file\) with 4 dimensions"
    )
    with pytest.raises(InputError, match=wanted):
        step.call(rates)
    path = tmp_path / "jw1_rateints.fits"
    rates.save(str(path))
    with pytest.raises(InputError, match=r"jw1_rateints.fits: SCI of shape .* is needed"):
        step.call(str(path))


@pytest.mark.parametrize("step", ALL)
def test_a_rate_is_an_error(step):
    rate = datamodels.ImageModel(data=np.ones((416, 72), np.float32))
    rate.meta.instrument.name, rate.meta.exposure.type = "MIRI", "MIR_LRS-SLITLESS"
    with pytest.raises(InputError, match=r"SCI of shape \(416, 72\) in a ImageModel"):
        step.call(rate)


@pytest.mark.parametrize(("step", "options"), RAMP_STEPS)
def test_input_is_untouched_and_evidence_is_left(step, options, make_lrs_ramp, tmp_path, caplog):
    ramp = make_lrs_ramp(n_ints=2, n_groups=8)
    before = ramp.copy()
    instance = step(**options)
    with caplog.at_level(logging.INFO):
        got = instance.run(ramp)
    assert_array_equal(ramp.data, before.data)
    assert_array_equal(ramp.groupdq, before.groupdq)
    assert ramp.meta.exposure.instance == before.meta.exposure.instance
    assert models.state(ramp, step.class_alias) is None
    assert models.state(got, step.class_alias) == "COMPLETE"
    assert instance.record["state"] == "COMPLETE"
    assert any(step.class_alias in entry["description"] for entry in got.instance["history"]["entries"])
    assert any(record.name == "detectorist.step" for record in caplog.records)
    path = tmp_path / "saved.fits"
    got.save(str(path))
    with datamodels.RampModel(str(path)) as again:
        assert models.records(again)[step.class_alias]["state"] == "COMPLETE"
        assert models.state(again, step.class_alias) == "COMPLETE"
        assert_array_equal(again.data, got.data)


@pytest.mark.parametrize(("step", "options"), RAMP_STEPS)
def test_a_raw_file_is_read_as_a_ramp(step, options, make_lrs_ramp, tmp_path):
    ramp = make_lrs_ramp(n_ints=2, n_groups=8)
    raw = datamodels.Level1bModel(data=ramp.data.astype(np.uint16))
    raw.update(ramp)
    path = tmp_path / "jw1_mirimage_uncal.fits"
    raw.save(str(path))
    ramp.data = ramp.data.astype(np.uint16).astype(np.float32)
    expected = step.call(ramp, **options)
    for source in (str(path), raw):
        got = step.call(source, **options)
        assert isinstance(got, datamodels.RampModel)
        assert_array_equal(got.data, expected.data)
        assert_array_equal(models.group_flags(got), models.group_flags(expected))


@pytest.mark.parametrize("step", [s for s, _ in RAMP_STEPS if s.subtracts])
def test_subtracting_twice_is_refused(step, make_lrs_ramp):
    once = step.call(make_lrs_ramp(n_ints=1, n_groups=3))
    with pytest.raises(AlreadyCorrected, match=rf"{step.class_alias} has been run on these data"):
        step.call(once)


@pytest.mark.parametrize("step", ALL)
def test_entry_point_and_alias(step):
    package = "reference" if step.__name__ in entry_points.REFERENCE else "stage_1"
    assert (f"detectorist.{package}.{step.__name__}", step.class_alias, False) in entry_points.get_steps()


@pytest.mark.parametrize("step", ALL)
def test_every_parameter_has_help(step):
    for line in filter(None, map(str.strip, step.spec.splitlines())):
        assert "#" in line, f"{step.__name__}: {line} has no help text"


@pytest.mark.parametrize(
    ("step", "function"),
    [
        (stage_1.ReferencePixelStep, refpix.measure_reference_drift),
        (reference.SetCustomLinearity, linearity.fit_linearity),
        (stage_1.DropGroupsStep, groups.choose_groups),
    ],
)
def test_defaults_of_step_and_algorithm_agree(step, function):
    defaults = spec_defaults(step)
    signature = inspect.signature(function).parameters
    shared = set(defaults) & set(signature)
    if step is not stage_1.DropGroupsStep:
        told_by_the_step = {"trace_columns", "chosen"}  # facts of the exposure, nothing that a user sets
        assert shared >= {name for name, p in signature.items() if p.kind is p.KEYWORD_ONLY} - told_by_the_step
    for name in shared:
        assert defaults[name] == signature[name].default, name
    assert all(
        p.kind is p.KEYWORD_ONLY for n, p in signature.items() if n not in ("data", "groupdq", "reads", "unusable")
    )


def test_parameters_mean_the_same_from_python_strun_and_toml(make_lrs_ramp):
    """What takes several kinds of value reads each of them alike."""
    ramp = make_lrs_ramp(n_ints=3, n_groups=8)
    for step, name, spellings in (
        (stage_1.DropGroupsStep, "drop_groups", [[0, -1], "[0, -1]", "0, -1", ["0", "-1"], (0, 7)]),
        (stage_1.DropIntegrationsStep, "drop_integrations", [[0, -1], "[0, -1]", "0,-1", ["0", "2"]]),
        (stage_1.ReferencePixelStep, "smoothing_length", [11, "11"]),
    ):
        toml = tomllib.loads(f"value = {spellings[0]}")["value"]
        first = step.call(ramp, **{name: spellings[0]})
        for written in [*spellings[1:], toml]:
            got = step.call(ramp, **{name: written})
            assert_array_equal(got.data, first.data)
            assert_array_equal(got.groupdq, first.groupdq)
    for nothing in (None, "None", "none"):
        assert_array_equal(stage_1.DropGroupsStep.call(ramp, drop_groups=nothing).groupdq, 0)
        stage_1.ReferencePixelStep.call(ramp, smoothing_length=nothing)


@pytest.mark.parametrize(
    ("alias", "option", "check"),
    [
        ("drop_groups", "--drop_groups=0,-1", lambda got: got["groups"] == [0, 7]),
        ("drop_groups", "--drop_groups=[0, 1, -1]", lambda got: got["groups"] == [0, 1, 7]),
        ("drop_groups", "--drop_groups=auto", lambda got: got["groups"] == []),
        ("reference_pixel", "--smoothing_length=11", lambda got: got["length_rows"] == 11),
        ("drop_integrations", "--drop_integrations=1", lambda got: got["dropped"] == [1]),
    ],
)
def test_strun_by_alias(alias, option, check, make_lrs_ramp, tmp_path, monkeypatch):
    """As `strun drop_groups FILE --drop_groups=...` does it, which writes `<input>_<alias>.fits`."""
    from jwst.stpipe import Step

    monkeypatch.chdir(tmp_path)
    make_lrs_ramp(n_ints=2, n_groups=8).save("jw1_mirimage_uncal.fits")
    Step.from_cmdline([alias, "jw1_mirimage_uncal.fits", option])
    with datamodels.RampModel(f"jw1_mirimage_{alias}.fits") as written:
        assert check(models.records(written)[alias])
