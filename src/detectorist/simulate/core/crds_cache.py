"""A CRDS cache made on the spot, with which the standard pipeline runs without a server.

The mappings are written by `crds` itself, checksums included. Every reference type that is not in the cache is 'N/A',
which makes steps skip or use their defaults. No file name resembles one of the real CRDS, because products record the
names.
"""

from __future__ import annotations

import os
import pprint
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from detectorist.errors import OutputError
from detectorist.simulate.core.output_files import save_reproducibly

if TYPE_CHECKING:
    from stdatamodels.jwst.datamodels import JwstDataModel

#: Name of the context; must begin with "jwst", and has no number: no product can claim a context of the observatory.
CONTEXT = "jwst_sim.pmap"
#: A server whose name holds "serverless": `crds` then opens no connection.
SERVERLESS_URL = "https://jwst-crds-serverless.stsci.edu"
#: Types whose references are ASDF files; all others are FITS files.
_ASDF_KINDS = ("emicorr", "distortion", "abvegaoffset")


def environment(root: Path) -> dict[str, str]:
    """Return the environment variables that point `crds` at a cache; to be set before `crds` is imported."""
    return {
        "CRDS_PATH": str(root),
        "CRDS_SERVER_URL": SERVERLESS_URL,
        "CRDS_OBSERVATORY": "jwst",
        "CRDS_CONTEXT": CONTEXT,
        "CRDS_READONLY_CACHE": "1",
    }


class CacheBuilder:
    """Collects reference files, then writes the mappings that lead to them.

    Parameters
    ----------
    root : Path
        Folder of the cache. It is built beside it under a temporary name and put in its place by `finish`.
    date : str
        DATE of every file that is written.

    Examples
    --------
    >>> cache = CacheBuilder(Path("crds"), date="2026-07-01T00:00:00.000")
    >>> cache.add("miri", "gain", gain_model, {"META.INSTRUMENT.DETECTOR": "MIRIMAGE"})
    >>> cache.finish()
    """

    def __init__(self, root: Path, *, date: str):
        self.root = Path(root)
        self._date = date
        self._building = self.root.with_name(f".partial_{self.root.name}")
        self._entries: dict[str, dict[str, tuple[tuple[str, ...], dict[tuple[str, ...], str]]]] = {}
        shutil.rmtree(self._building, ignore_errors=True)
        for folder in ("mappings/jwst", "references/jwst", "config/jwst"):
            (self._building / folder).mkdir(parents=True)

    def add(
        self,
        instrument: str,
        kind: str,
        source: JwstDataModel | Path | str,
        match: Mapping[str, str],
    ) -> None:
        """Add a reference: a datamodel to be saved, or a file to be copied under a name of this cache.

        kind : str
            Reference type, as "gain".
        match : mapping
            Metadata of the exposures that it is for, as {"META.SUBARRAY.NAME": "SLITLESSPRISM"}; the same keys for all
            references of a type.

        Raises
        ------
        OutputError
            When the keys differ from those of an earlier reference of this type, or the file is not there.
        """
        keys = tuple(match)
        known_keys, table = self._entries.setdefault(instrument, {}).setdefault(kind, (keys, {}))
        if known_keys != keys:
            raise OutputError(f"{instrument} {kind}: references are matched by {known_keys}, not by {keys}", kind=kind)
        copied = isinstance(source, Path | str)
        suffix = Path(source).suffix if copied else (".asdf" if kind in _ASDF_KINDS else ".fits")
        name = f"sim_{instrument}_{kind}_{len(table) + 1:04d}{suffix}"
        path = self._building / "references/jwst" / instrument / name
        path.parent.mkdir(exist_ok=True)
        if copied:
            if not Path(source).is_file():
                raise OutputError(f"{source}: no such file to take as the {kind} reference")
            shutil.copyfile(source, path)
        else:
            save_reproducibly(source, path, self._date)
        table[tuple(match.values())] = name

    def add_made(
        self,
        instrument: str,
        made: Iterable[tuple[str, JwstDataModel]],
        match: Mapping[str, str],
        files: Mapping[str, Path | str],
    ) -> dict[str, Path | str]:
        """Add simulated references (type, model), closing the models; given files replace those of their types.

        Returns
        -------
        dict
            The `files` whose types were not among those made.

        Raises
        ------
        OutputError
            As `add`.
        """
        others = dict(files)
        for kind, model in made:
            self.add(instrument, kind, others.pop(kind, model), match)
            model.close()
        return others

    def finish(self) -> Path:
        """Write the mappings and the configuration, put the cache in its place, and return its folder."""
        from crds.core import rmap
        from crds.jwst import FILEKINDS
        from stpipe.entry_points import get_steps

        # Newer pipelines have steps, and installed packages may register some, whose pars-* types crds does not know.
        kinds = set(FILEKINDS) | {f"pars-{step.class_name.rsplit('.', 1)[1].lower()}" for step in get_steps()}
        instruments = {}
        for instrument, types in sorted(self._entries.items()):
            selector = dict.fromkeys(sorted(kinds), "N/A")
            for kind, (keys, table) in sorted(types.items()):
                selector[kind] = self._write_mapping(
                    rmap.ReferenceMapping,
                    f"jwst_{instrument}_{kind}_sim.rmap",
                    {
                        "mapping": "reference",
                        "instrument": instrument,
                        "filekind": kind,
                        "parkey": (keys,),
                        "classes": ("Match",),
                        "reffile_required": "NO",
                    },
                    table,
                )
            instruments[instrument.upper()] = self._write_mapping(
                rmap.InstrumentContext,
                f"jwst_{instrument}_sim.imap",
                {"mapping": "instrument", "instrument": instrument, "parkey": ("REFTYPE",)},
                selector,
            )
        self._write_mapping(
            rmap.PipelineContext,
            CONTEXT,
            {"mapping": "pipeline", "parkey": ("META.INSTRUMENT.NAME",)},
            instruments,
        )
        self._write_configuration()
        if self.root.exists():
            shutil.rmtree(self.root)
        os.replace(self._building, self.root)
        return self.root

    def _write_mapping(self, kind: Any, name: str, header: dict[str, Any], selector: dict[Any, str]) -> str:
        header = {**header, "name": name, "derived_from": "made by detectorist", "observatory": "jwst"}
        if header["mapping"] == "reference":
            rows = "".join(f"    {key!r} : {value!r},\n" for key, value in selector.items())
            body = f"Match({{\n{rows}}})"
        else:
            body = pprint.pformat(selector)
        text = f"header = {pprint.pformat(header)}\n\nselector = {body}\n"
        path = self._building / "mappings/jwst" / name
        kind.from_string(text, name, ignore_checksum=True).write(str(path))
        return name

    def _write_configuration(self) -> None:
        # Without this file crds ends the process by SystemExit; without last_synced it fails with an AttributeError.
        configuration = {
            "observatory": "jwst",
            "latest_context": CONTEXT,
            "operational_context": CONTEXT,
            "bad_files_list": [],
            "force_remote_mode": False,
            "last_synced": "never (made by detectorist)",
        }
        folder = self._building / "config/jwst"
        (folder / "server_config").write_text(pprint.pformat(configuration) + "\n")
        (folder / "ref_cache_subdir_mode").write_text("instrument")
