"""What `strun` knows us by. Strings only, so that stpipe's command line stays quick."""

STAGE_1 = {
    "DropGroupsStep": "drop_groups",
    "ReferencePixelStep": "reference_pixel",
    "GroupBackgroundSubtractStep": "group_background_subtract",
    "SubtractGroupOffsetsStep": "subtract_group_offsets",
    "FlagShowersStep": "flag_showers",
    "DropIntegrationsStep": "drop_integrations",
    "RegroupStep": "regroup",
    "SnowballsStep": "snowballs",
    "FlagPersistenceStep": "flag_persistence",
    "WispsStep": "wisps",
    "StripesStep": "stripes",
    "SubtractKtcStep": "subtract_ktc",
    "SubtractOneOverFStep": "subtract_1overf",
    "RateintsOutliersStep": "apply_rateints_outliers",
    "MaskGroupsStep": "mask_groups",
}
STAGE_2 = {
    "InspectDQFlagsStep": "inspect_dq_flags",
    "SubtractShowersStep": "subtract_showers",
    "CleanOutliersStep": "clean_outliers",
    "BackgroundSubtractStep": "background_subtract",
    "Extract1DBoxStep": "extract_1d_box",
    "Extract1DOptimalStep": "extract_1d_optimal",
    "AlignSpectraStep": "align_spectra",
}
REFERENCE = {
    "GetIntegrationTimes": "get_integration_times",
    "SetCustomGain": "set_custom_gain",
    "SetCustomLinearity": "set_custom_linearity",
    "GetWavelengthMap": "get_wavelength_map",
    "GetDefaultGain": "get_default_gain",
    "GetDefaultReadNoise": "get_default_read_noise",
}
PIPELINES = {"Coron1Pipeline": "calwebb_coron1", "ImagingPipeline": "imaging"}


def get_steps() -> list[tuple[str, str, bool]]:
    """Return (class path, alias, is it a pipeline) of every step, for the entry point `stpipe.steps`."""
    packages = {"reference": REFERENCE, "stage_1": STAGE_1, "stage_2": STAGE_2}
    steps = [
        (f"detectorist.{package}.{name}", alias, False)
        for package, steps in packages.items()
        for name, alias in steps.items()
    ]
    return steps + [(f"detectorist.pipelines.{name}", alias, True) for name, alias in PIPELINES.items()]
