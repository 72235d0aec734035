"""One exposure of a coronagraphic database: reduced beside its place, stamped, and put there when it is whole."""

from __future__ import annotations

import logging
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from astropy.io import fits

from detectorist import __version__
from detectorist.errors import InputError, OutputError

if TYPE_CHECKING:
    from detectorist.crds_source import ReferenceSource
    from detectorist.modes.coron.obs_plan import ObsExposure, ObsPlan

log = logging.getLogger(__name__)

#: Keyword in which a product names the version of this package that made it.
VERSION_KEYWORD = "DT_VERS"
#: What became of an exposure.
DONE, KEPT = "done", "kept"


def reduce_exposure(
    plan: ObsPlan, exposure: ObsExposure, folder: Path, source: ReferenceSource
) -> tuple[str, tuple[Path, ...]]:
    """Reduce one exposure into `folder`; return "done", or "kept" where products are up to date, and the products.

    Products appear under their names when all of them are whole.

    Raises
    ------
    InputError
        When the raw file is missing, or no rate could be fitted.
    OutputError
        When a product would replace an input, a foreign file, or one that the plan does not allow to replace.
    DetectoristError
        As the steps say.
    """
    from detectorist.reduction import content_keys
    from detectorist.reduction.runner import references_in_words

    uncal = _require_uncal(exposure)
    targets = tuple(folder / f"{exposure.name}_{kind}.fits" for kind in ("rate", "rateints"))
    partial = Path(tempfile.mkdtemp(prefix=".partial-", dir=folder))
    try:
        with references_in_words(source):
            pipeline = plan.build(exposure, str(uncal), partial)
            key = content_keys.content_key(uncal, pipeline.get_pars(), source.name)
            if not plan.overwrite and all(content_keys.key_of(target) == key for target in targets):
                log.info("%s: products in %s are up to date", exposure.name, folder)
                return KEPT, targets
            for target in targets:
                _require_ours(target, uncal, overwrite=plan.overwrite)
            found = pipeline.run(str(uncal))
        made = sorted(partial.glob("*.fits"))
        if found is None or not {path.name for path in made} >= {target.name for target in targets}:
            raise InputError(f"{uncal}: no rate could be fitted; are all groups flagged?")
        for path in made:
            _require_ours(folder / path.name, uncal, overwrite=plan.overwrite)
            _stamp(path, key or "")
        return DONE, tuple(path.replace(folder / path.name) for path in made)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _require_uncal(exposure: ObsExposure) -> Path:
    if not exposure.uncal:
        raise InputError(
            f"{exposure.name}: only a rate is there; {exposure.name}_uncal.fits is needed beside it or one folder above"
        )
    path = Path(exposure.uncal)
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    return path


def _require_ours(target: Path, uncal: Path, *, overwrite: bool) -> None:
    """Refuse to replace an input, a foreign file or, unless told so, a product of before."""
    if not target.exists():
        return
    try:
        made_by = fits.getheader(target, 0).get(VERSION_KEYWORD)
    except OSError:
        made_by = None
    if made_by is None or target.samefile(uncal):
        raise OutputError(f"{target}: not made by detectorist, and not overwritten; choose another folder")
    if not overwrite:
        how = f"version {made_by} (this is {__version__})" if made_by != __version__ else "other parameters or input"
        raise OutputError(f"{target}: made by detectorist with {how}, and not overwritten; allow it, or choose another")
    if made_by != __version__:
        log.warning("%s was made by detectorist %s and is replaced", target, made_by)


def _stamp(path: Path, key: str) -> None:
    from detectorist.reduction import content_keys

    with fits.open(path, mode="update") as hdus:
        hdus[0].header[content_keys.KEYWORD] = (key, "what this product was made from")
        hdus[0].header[VERSION_KEYWORD] = (__version__, "version of detectorist")
