"""Ground ramps of a real MIRI array (dark, SUB64) under headers of ours: engine against stock, no source to reduce."""

import numpy as np
import pytest
from astropy.io import fits
from stdatamodels.jwst.datamodels import Level1bModel

from detectorist.errors import InputError, TooFewPixels
from detectorist.reduction.verify import compare_folders, run_here

pytestmark = [pytest.mark.thirdparty, pytest.mark.filterwarnings("default")]

NAME = "miri_ground_dark_sub64_uncal.fits"
#: Groups that are taken: the decay after the resets is in them, and the jump step has enough.
N_GROUPS = 16


@pytest.fixture(scope="module")
def real_exposures(tmp_path_factory, request):
    """Return a folder with `tiled_uncal.fits` (416 rows), `bare_uncal.fits` (64 rows within them) and references."""
    import os

    from detectorist.simulate.lrs.scene import LrsScene

    if not os.environ.get("DETECTORIST_THIRDPARTY"):
        pytest.skip("DETECTORIST_THIRDPARTY does not name a folder with the third-party files")
    folder = tmp_path_factory.mktemp("real")
    real = fits.getdata(f"{os.environ['DETECTORIST_THIRDPARTY']}/{NAME}", "SCI")[:, :N_GROUPS].astype(np.uint16)
    path = min(LrsScene().write(folder, ints=5, groups=N_GROUPS, segments=1, seed=8))
    for name, rows in (("tiled", 416), ("bare", 64)):
        with Level1bModel(path) as model:
            model.data = np.tile(real, (1, 1, 7, 1))[:, :, :rows]
            model.meta.subarray.ysize = rows
            model.meta.filename = f"{name}_uncal.fits"
            model.save(str(folder / f"{name}_uncal.fits"))
    path.unlink()
    return folder


@pytest.mark.parametrize(
    ("name", "algorithm"),
    [
        ("tiled", "OLS_C"),
        ("bare", "LIKELY"),
        pytest.param("tiled", "LIKELY", marks=pytest.mark.long),
        pytest.param("bare", "OLS_C", marks=pytest.mark.long),
    ],
)
def test_the_engine_differs_nowhere_from_stock(real_exposures, tmp_path, name, algorithm):
    from detectorist.crds_source import use_references

    use_references(str(real_exposures / "crds"))
    steps: dict[str, dict[str, object]] = {"ramp_fit": {"algorithm": algorithm}}
    if name == "bare":  # references are for 416 rows; stock cuts the others out of them
        steps |= {step: {"skip": True} for step in ("emicorr", "reset", "dark_current", "rscd")}
    for engine in ("stock", "engine"):
        (tmp_path / engine).mkdir()
        told = run_here(str(real_exposures / f"{name}_uncal.fits"), str(tmp_path / engine), engine, steps)["steps"]
    assert told["jump"] == told["ramp_fit"] == "compiled engine"
    differences = list(compare_folders(tmp_path / "stock", tmp_path / "engine"))
    assert {entry.product for entry in differences} >= {"ramp", "rate", "rateints"}
    assert not [entry for entry in differences if entry.n_differing]


@pytest.mark.long
@pytest.mark.parametrize("algorithm", ["OLS_C", "LIKELY"])
def test_chunks_of_real_ramps_give_the_bits_of_the_whole(real_exposures, tmp_path, algorithm):
    from detectorist.crds_source import use_references
    from detectorist.modes.lrs.pipeline import LrsPipeline
    from detectorist.modes.lrs.reduction import build_pipeline
    from detectorist.modes.lrs.segments import order_segments
    from detectorist.reduction.recipes.recipe_files import load_recipe

    use_references(str(real_exposures / "crds"))
    settings = ("set_custom_linearity.skip=true", f"ramp_fit.algorithm={algorithm}")
    rates = []
    for chunk in ((), ("chunk_ints=2",)):
        recipe = load_recipe("lrs", "default").with_settings((*settings, *chunk))
        folder = tmp_path / f"chunks_{len(chunk)}"
        options = {"steps": recipe.steps, "output_dir": str(folder), "reuse": False, **recipe.parameters}
        pipeline = build_pipeline(LrsPipeline, None, **options)
        pipeline.choose_engine(pipeline.engine)
        rates.append(pipeline.detector(order_segments([real_exposures / "tiled_uncal.fits"])[0]))
    for name in ("data", "err", "dq", "var_poisson", "var_rnoise"):
        assert getattr(rates[0], name).tobytes() == getattr(rates[1], name).tobytes(), name


def test_a_frame_without_a_source_is_given_no_spectrum(real_exposures, tmp_path):
    """The command says what it found and what it needs, exit code 3 (unprocessable), and writes no spectrum."""
    from typer.testing import CliRunner

    from detectorist.cli.app import app

    raw, out = real_exposures / "tiled_uncal.fits", tmp_path / "out"
    arguments = ["run", "lrs", str(raw), "-o", str(out), "--references", str(real_exposures / "crds"), "-j", "1"]
    told = CliRunner().invoke(app, arguments)
    assert told.exit_code == 3, told.output
    words = told.output + told.stderr + (out / "detectorist.log").read_text()
    assert "no trace found: the brightest column stands out by" in words
    assert "min_trace_sigma" in words
    assert not list(out.rglob("stage_2_output.nc"))


def test_no_linearity_is_made_from_a_frame_without_a_source(real_exposures):
    from detectorist.reference import SetCustomLinearity

    continued = {"group_idx_start_fit": 3, "group_idx_end_fit": 10, "group_idx_start_derive": 3}
    for settings in ({"method": "above_pedestal"}, continued):
        with pytest.raises((InputError, TooFewPixels), match="no linearity correction|do not constrain|do not rise"):
            SetCustomLinearity(**settings).run(str(real_exposures / "tiled_uncal.fits"))
