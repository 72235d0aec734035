"""The flat field of a long series, divided out of a few integrations at a time."""

from __future__ import annotations

from typing import Any

import numpy as np
from jwst.flatfield.flat_field_step import FlatFieldStep
from stdatamodels.jwst.datamodels import CubeModel

from detectorist.libraries.garbage_collection import release_young_models
from detectorist.reduction.inputs.exposure_parts import chunks_of

#: Integrations that the standard step is given at a time.
PART_INTS = 16
#: Arrays with an axis of integrations that it changes, and the one that it makes.
_CHANGED, _MADE = ("data", "err", "dq", "var_poisson", "var_rnoise"), "var_flat"


class FlatFieldInPartsStep(FlatFieldStep):
    """Divide by the flat field as `FlatFieldStep` does, with the same results, in bounded memory.

    Each integration is divided by itself, but the standard arithmetic makes several copies of all of them. The variance
    of the flat field is in ERR; as an array of its own (VAR_FLAT) a long series gets it only where results are saved or
    handed to a hook.
    """

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        #: References, while one part after the other is divided; else None.
        self._kept: dict[str, Any] | None = None

    @classmethod
    def get_config_reftype(cls) -> str:
        """Take the standard step's parameters from CRDS, which knows none under the name of this class."""
        return FlatFieldStep.get_config_reftype()

    def process(self, input_data: Any) -> Any:
        """Run the standard step; within a pipeline, on some integrations after the other."""
        if self.parent is None or not isinstance(input_data, CubeModel) or len(input_data.data) <= PART_INTS:
            return super().process(input_data)
        whole = {name: getattr(input_data, name) for name in _CHANGED}
        if any(np.shape(array) != input_data.data.shape for array in whole.values()):
            return super().process(input_data)
        arrays, self._kept = input_data.instance, {}
        try:
            for first, stop in chunks_of(len(whole["data"]), PART_INTS):
                arrays.update({name: array[first:stop] for name, array in whole.items() if name != _MADE})
                super().process(input_data)
                if _MADE in arrays and _MADE not in whole and self._is_looked_at():
                    whole[_MADE] = np.empty(whole["data"].shape, arrays[_MADE].dtype)
                for name, array in whole.items():
                    array[first:stop] = arrays[name]
                release_young_models()  # standard assignments leave arrays behind
        finally:
            self._kept = None
            arrays.pop(_MADE, None)
            arrays.update(whole)
        used: list[tuple[str, str]] = vars(self)["_reference_files_used"]
        used[:] = dict.fromkeys(used)  # else once for every part
        return input_data

    def _is_looked_at(self) -> bool:
        return bool(self.save_results or self._post_hooks)

    def _get_references(self, data: Any, exposure_type: str) -> dict[str, Any]:
        """Return the references: for all parts those of the first, in memory since it has used and closed them."""
        if self._kept is None:
            return super()._get_references(data, exposure_type)
        self._kept = self._kept or super()._get_references(data, exposure_type)
        return self._kept
