"""MIRI LRS slitless as a mode of campaigns: all segments of one exposure are one job."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from detectorist.detectors import LRS_SLITLESS
from detectorist.errors import DetectoristError
from detectorist.modes import Mode
from detectorist.modes.job import Gathered, Job, JobRecord, Outcome, Prediction, Progress
from detectorist.product_names import stem_of
from detectorist.reduction.inputs.ramp_sizes import RampSize, ramp_size

if TYPE_CHECKING:
    import xarray as xr

    from detectorist.modes.exposure import Exposure
    from detectorist.modes.section import Section

#: Name of an exposure: program to activity, number of the exposure, detector.
_EXPOSURE = re.compile(r"(jw\d{11}_\w{5})_(\d{5})_(\w+)")
#: Numbers of integrations per chunk that `with_memory` chooses from.
_CHUNKS = (4, 8, 16, 32, 64, 128, 256, 512)
#: Share of its memory that a job is planned to take: a prediction may be short, and a worker that exceeds is ended.
MARGIN = 0.85
#: Coefficients of memory and disk, in bytes, fitted to measured runs.
WORKER_BYTES = 354e6  # the libraries, kernels loaded
BYTES_PER_PIXEL, BYTES_PER_SAMPLE = 34, 6.3  # rates and spectra, and ramps, of what is in memory at once
CHUNK_BYTES_PER_SAMPLE = 9  # of a chunk: its ramps before and after a step
DECIDING_BYTES_PER_SAMPLE = 1  # of the bright pixels; all others stay on disk
RATE_BYTES_PER_PIXEL = 20  # SCI, ERR, DQ and two variances
SPECTRUM_BYTES = 4_500  # one integration in the NetCDF file
EXTRAS_BYTES = 4_800_000  # a gain of one's own (full frame), headers, figures
LINEARITY_BYTES = 25_500_000  # a linearity of one's own (full frame, five coefficients and flags)
SCRATCH_BYTES_PER_SAMPLE = 5
#: As `detectorist.reduction.inputs.exposure_parts.BLOCK_INTS`, which takes long to import; a test compares the two.
BLOCK_INTS = 128
#: As `detectorist.algorithms.ramps.groups.DECIDING_SAMPLES`.
DECIDING_SAMPLES = 64_000_000


class LrsMode(Mode):
    """Raw ramps (or rateints) of one exposure, in any number of segments, to spectra through time."""

    name: ClassVar = "lrs"
    title: ClassVar = "MIRI LRS slitless time series: raw ramps to spectra through time"
    pipeline: ClassVar = "detectorist.modes.lrs.pipeline:LrsPipeline"
    runs_with: ClassVar = {
        "extract_1d_box": ("extraction", "box"),
        "extract_1d_optimal": ("extraction", "optimal"),
    }
    exposure_types: ClassVar = (LRS_SLITLESS.exposure_type,)
    recipe_aliases: ClassVar = {"best": "default", "short": "exotic-short", "long": "exotic-long"}
    commands: ClassVar = {"spectrum": "detectorist.modes.lrs.spectrum.command:spectrum"}
    exports: ClassVar = {
        name: "detectorist.modes.lrs.export:export_spectra"
        for name in ("eureka", "rainbow", "specutils", "light-curves", "exotic")
    }

    def join(self, exposures: dict[str, list[Path]], apart: Collection[str] = ()) -> dict[str, list[Path]]:
        """Return exposures of one visit and activity, as a phase curve has them, as one time series.

        Its name has the first and the last exposure's number: jw01366011001_04103_00001-00003_mirimage. A file that
        cannot be read becomes a separate exposure, so that it fails under its own name and the others are reduced.
        """
        joined = {}
        for name, paths in _series(exposures).items():
            joined[name] = [path for path in paths if stem_of(path.name) not in apart]
            joined.update({stem_of(path.name): [path] for path in paths if stem_of(path.name) in apart})
        return joined

    def gather(
        self,
        files: Sequence[Path],
        output_dir: Path,
        steps: Mapping[str, Mapping[str, Any]],
        *,
        reduced: Collection[str] = (),
    ) -> Gathered:
        """Return the files, and accept the gap of a series in which a file is missing."""
        found: dict[str, list[Path]] = {}
        for path in sorted(files):
            found.setdefault(self.exposure_of(path), []).append(path)
        settings, notes, apart = {}, [], set()
        for name, paths in _series(found).items():
            for path in damaged_files(paths, reduced):
                settings[name] = ("allow_gaps=true",)
                apart.add(stem_of(path.name))
                notes.append(f"{path.name}: cannot be read; {name} is reduced without it")
        return Gathered(tuple(files), settings=settings, notes=tuple(notes), apart=frozenset(apart))

    def check(self, job: Job) -> None:
        """Refuse unknown steps, parameters and values, and an invalid source of references."""
        from detectorist.crds_source import use_references

        recipe = _recipe(job)
        build(recipe)
        use_references(job.references, optional=not any("_uncal" in file for file in job.files))

    def reduce(self, job: Job, progress: Progress) -> Outcome:
        """Reduce the exposure into the job's folder."""
        from detectorist.modes.lrs.reduction import reduce_exposure
        from detectorist.reduction.runner import request_of

        found = reduce_exposure(request_of(job, progress), chunk_ints=job.options.get("chunk_ints"))
        return Outcome(found.products, found.steps, resolved=found.resolved)

    def section(self) -> Section:
        """Return spectra, light curves and their numbers for the report."""
        from detectorist.modes.lrs.report import LrsSections

        return LrsSections()

    def to_xarray(self, exposure: Exposure) -> xr.Dataset:
        """Return the spectra through time: `stage_2_output.nc`, in memory."""
        import xarray as xr

        with xr.open_dataset(exposure.folder / "stage_2" / "stage_2_output.nc", engine="h5netcdf") as opened:
            return opened.load()

    def summarise(self, record: JobRecord) -> list[str]:
        """Return a summary of the numbers of the exposure."""
        from detectorist.modes.lrs.quality import summarise

        return summarise(record.steps.get("exposure", {}))

    def steps_of(self, job: Job) -> list[str]:
        """Return the steps that are not skipped."""
        pipeline = build(_recipe(job))
        other = {"box": "extract_1d_optimal", "optimal": "extract_1d_box"}[pipeline.extraction]
        return [name for name in pipeline.step_defs if not getattr(pipeline, name).skip and name != other]

    def references_of(self, job: Job) -> dict[str, str]:
        """Return the reference files that CRDS names for the steps of this job."""
        from detectorist.reduction.needed_references import find_references

        pipeline = build(_recipe(job))
        own = {"gain"} if not pipeline.set_custom_gain.skip else set()
        linearity = pipeline.set_custom_linearity
        own |= {"linearity"} if not linearity.skip and linearity.when == "always" else set()
        types = [
            kind
            for name in self.steps_of(job)
            for kind in (getattr(pipeline, name).reference_file_types or ())
            if kind not in own
        ]
        found = find_references(Path(job.files[0]), sorted(set(types)), job.references)
        return {**dict.fromkeys(sorted(own), "made from the data"), **found}

    def predict(self, job: Job) -> Prediction:
        """Return peak memory and size of products, from the headers of all segments."""
        sizes = [size for file in job.files if (size := ramp_size(Path(file))) is not None]
        if not sizes:
            return Prediction()
        return Prediction(
            predict_memory(sizes, job.options.get("chunk_ints"), decides=_decides(job)),
            sum(_disk_bytes(size, job.options.get("chunk_ints")) for size in sizes)
            + (LINEARITY_BYTES if _own_linearity(job, sizes) else 0),
        )

    def with_memory(self, job: Job, memory_bytes: int) -> tuple[Job, str]:
        """Return the job with as many integrations per chunk as fit in memory, if whole segments do not."""
        sizes = [size for file in job.files if (size := ramp_size(Path(file))) is not None]
        chosen = "chunk_ints" in job.options
        if not sizes or (not chosen and predict_memory(sizes, None) <= MARGIN * memory_bytes):
            return job, ""
        predict = partial(predict_memory, sizes, decides=_decides(job))
        if not chosen:
            reasons = reasons_against_chunks(job.recipe, job.settings)
            if reasons:
                return job, f"in one piece, although memory is short, since {'; '.join(reasons)}"
            # Where none fits, the largest that takes no more than the smallest: every chunk costs time.
            least = max(MARGIN * memory_bytes, predict(min(_CHUNKS)))
            chosen_ints = max(n for n in _CHUNKS if predict(n) <= least)
            job = replace(job, options={**job.options, "chunk_ints": chosen_ints})
        short = predict(job.options["chunk_ints"]) > memory_bytes
        return job, "more memory than it may take, even so" if short else ""

    def prepare(self) -> None:
        """Import the pipeline; its kernels are compiled by the first job that needs them, and cached."""
        import detectorist.modes.lrs.reduction  # noqa: F401


def _series(exposures: Mapping[str, Sequence[Path]]) -> dict[str, list[Path]]:
    """Return the files of every time series: the exposures of one visit and activity together."""
    series: dict[tuple[str, ...], list[str]] = {}
    for name in sorted(exposures):
        matched = _EXPOSURE.fullmatch(name)
        series.setdefault((matched[1], matched[3]) if matched else (name,), []).append(name)
    joined = {}
    for names in series.values():
        first, last = _EXPOSURE.fullmatch(names[0]), _EXPOSURE.fullmatch(names[-1])
        name = names[0]
        if len(names) > 1 and first is not None and last is not None:
            name = f"{first[1]}_{first[2]}-{last[2]}_{first[3]}"
        joined[name] = [path for member in names for path in exposures[member]]
    return joined


def damaged_files(paths: Sequence[Path], reduced: Collection[str] = ()) -> list[Path]:
    """Return the files of a series whose headers cannot be read; none if no other would be left.

    Neither a file that is alone is looked at nor one that has been reduced as it is: what headers are checked with
    takes a second to import, also where the run has nothing to do.

    reduced : collection of str
        Absolute paths of files that have been reduced as they are.
    """
    if len(paths) < 2:
        return []
    new = [path for path in paths if path.is_file() and str(path.absolute()) not in reduced]
    damaged = [path for path in new if not _is_readable(path)]
    return damaged if len(damaged) < len(paths) else []


def _is_readable(path: Path) -> bool:
    from detectorist.reduction.inputs.headers import require_sound_header

    try:
        require_sound_header(path)
    except DetectoristError:
        return False
    return True


def _recipe(job: Job) -> Any:
    return _load_recipe(job.recipe, job.settings).with_parameters(chunk_ints=job.options.get("chunk_ints"))


def _load_recipe(name: str | None, settings: Sequence[str]) -> Any:
    from detectorist.modes.lrs.pipeline import LrsPipeline
    from detectorist.reduction.recipes.recipe_files import load_recipe

    recipe = load_recipe("lrs", name).with_settings(settings)
    recipe.check(LrsPipeline)
    return recipe


@lru_cache(maxsize=64)
def reasons_against_chunks(recipe: str | None, settings: tuple[str, ...]) -> tuple[str, ...]:
    """Return why a job with these parameters cannot run in chunks of integrations; usually none."""
    from detectorist.reduction.chunks import reasons_against

    return tuple(reasons_against(build(_load_recipe(recipe, settings))))


def build(recipe: Any) -> Any:
    """Return the pipeline of a recipe with every step constructed, so that stpipe has checked every value."""
    from detectorist.modes.lrs.pipeline import LrsPipeline
    from detectorist.reduction.runner import build_pipeline

    return build_pipeline(LrsPipeline, None, steps=recipe.steps, **recipe.parameters)


def _decides(job: Job) -> bool:
    return chooses_for_itself(job.recipe, job.settings)


def _own_linearity(job: Job, sizes: Sequence[RampSize]) -> bool:
    n_groups = max(size.n_groups for size in sizes)
    return n_groups > 0 and not _steps(job.recipe, job.settings).get("set_custom_linearity", {}).get("skip", True)


@lru_cache(maxsize=64)
def _steps(recipe: str | None, settings: tuple[str, ...]) -> dict[str, dict[str, Any]]:
    from detectorist.reduction.recipes.recipe_files import load_recipe

    return load_recipe("lrs", recipe).with_settings(settings).steps


def chooses_for_itself(recipe: str | None, settings: tuple[str, ...]) -> bool:
    """Return whether steps look at the first integrations before the segment goes in chunks."""
    steps = _steps(recipe, settings)
    words = (steps.get("drop_groups", {}).get("drop_groups"), steps.get("reference_pixel", {}).get("smoothing"))
    return "auto" in words


def predict_memory(sizes: Sequence[RampSize], chunk_ints: int | None, *, decides: bool = False) -> int:
    """Return the expected peak of resident memory of a worker that reduces segments of these sizes, in bytes.

    decides : bool
        As `chooses_for_itself`.
    """
    return int(max(_peak_of_segment(size, chunk_ints, decides) for size in sizes))


def _peak_of_segment(size: RampSize, chunk_ints: int | None, decides: bool) -> float:
    """Return the largest of what stages 1 and 2 take; the coefficients are fitted to measured runs.

    Measured for 4 to 320 integrations of 5 to 60 groups, whole and in chunks, jwst 3.0.
    """
    if not chunk_ints or chunk_ints >= size.n_ints:
        return WORKER_BYTES + BYTES_PER_PIXEL * size.pixels + BYTES_PER_SAMPLE * size.samples
    n_blocks = -(-size.n_ints // BLOCK_INTS)
    chunk = CHUNK_BYTES_PER_SAMPLE * size.samples * chunk_ints / size.n_ints
    deciding = DECIDING_BYTES_PER_SAMPLE * min(size.samples, DECIDING_SAMPLES) if decides else 0
    return WORKER_BYTES + max(BYTES_PER_PIXEL * size.pixels / n_blocks, chunk + deciding)


def _disk_bytes(size: RampSize, chunk_ints: int | None) -> int:
    """Return the size of the products of a segment, and of the scratch files of chunks."""
    products = RATE_BYTES_PER_PIXEL * size.pixels + SPECTRUM_BYTES * size.n_ints + EXTRAS_BYTES
    chunked = chunk_ints is not None and chunk_ints < size.n_ints
    deciding = min(size.samples, DECIDING_SAMPLES)  # written after the first steps, and again before the jump step
    scratch = SCRATCH_BYTES_PER_SAMPLE * (size.samples + deciding) + RATE_BYTES_PER_PIXEL * size.pixels
    return products + (scratch if chunked else 0)
