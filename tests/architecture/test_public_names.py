"""Names that scripts import stay where they are."""

import importlib

import pytest

PUBLIC = {
    "detectorist.reference": (
        "GetIntegrationTimes SetCustomGain SetCustomLinearity GetWavelengthMap GetDefaultGain GetDefaultReadNoise"
    ),
    "detectorist.stage_1": (
        "DropGroupsStep ReferencePixelStep GroupBackgroundSubtractStep DropIntegrationsStep RegroupStep SnowballsStep "
        "WispsStep StripesStep SubtractKtcStep SubtractOneOverFStep RateintsOutliersStep MaskGroupsStep"
    ),
    "detectorist.stage_2": (
        "InspectDQFlagsStep CleanOutliersStep BackgroundSubtractStep Extract1DBoxStep Extract1DOptimalStep "
        "AlignSpectraStep"
    ),
    "detectorist.pipelines": "LrsPipeline ImagingPipeline Coron1Pipeline",
    "detectorist": "Database run_obs reduce_lrs reduce_imaging reduce_coron",
}


@pytest.mark.parametrize(
    ("module", "name"), [(module, name) for module, names in PUBLIC.items() for name in names.split()]
)
def test_public_names_can_be_imported(module, name):
    assert callable(getattr(importlib.import_module(module), name))
    assert name in dir(importlib.import_module(module))


def test_a_misspelt_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="reduce_lsr"):
        importlib.import_module("detectorist").reduce_lsr  # noqa: B018
