"""The read-noise reference of CRDS."""

from __future__ import annotations

from typing import ClassVar

from stdatamodels.jwst.datamodels import ReadnoiseModel

from detectorist.reference.get_default_gain import GetDefaultGain


class GetDefaultReadNoise(GetDefaultGain):
    """Return the read-noise reference of these data, or its median over the detector.

    The references hold the noise of the difference of two reads (correlated double sampling), in DN: sqrt(2) times the
    noise of one read.
    """

    class_alias = "get_default_read_noise"
    reference_file_types: ClassVar = ["readnoise"]
    kind: ClassVar = "readnoise"
    model_class: ClassVar = ReadnoiseModel
