"""What the standard pipeline imports for steps that are off by default comes when they are used."""

import subprocess
import sys

import pytest

SCRIPT = """
import sys
from detectorist.libraries.detector1 import Detector1Pipeline
dear = "BayesicFitting", "matplotlib.pyplot", "photutils"
print([name for name in dear if name in sys.modules])
step = Detector1Pipeline.step_defs["clean_flicker_noise"]
from jwst.clean_flicker_noise import CleanFlickerNoiseStep, clean_flicker_noise
print(step is CleanFlickerNoiseStep, step().fit_method, callable(clean_flicker_noise.do_correction))
import jwst
print("BayesicFitting" in sys.modules, jwst.clean_flicker_noise.clean_flicker_noise is clean_flicker_noise)
"""


def run(script, *arguments):
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    return done.stdout.splitlines()


def test_a_step_that_is_off_costs_no_imports_and_stays_the_standard_one():
    assert run(SCRIPT) == ["[]", "True median True", "True True"]


def test_packages_that_are_imported_already_stay_as_they_are():
    before = "import sys; import jwst.clean_flicker_noise.autoparam as kept\n"
    after = "print(sys.modules['jwst.clean_flicker_noise.autoparam'] is kept)"
    assert run(f"{before}import detectorist.libraries.detector1\n{after}") == ["True"]


REPLACED = """
import sys
import detectorist.modes.{mode}.pipeline
print([name for name in sys.modules if name.startswith(("scipy.stats.", "scipy.signal._signaltools"))])
import scipy.signal
from scipy.stats import *
print(callable(sigmaclip))
from scipy.stats import norm
from stcal.jump import jump
print(norm.cdf(0), jump.signal.oaconvolve is scipy.signal.oaconvolve, sys.modules["scipy.stats"].norm is norm)
"""


@pytest.mark.parametrize("mode", ["lrs", "imaging", "coron"])
def test_packages_that_the_engine_replaces_load_when_they_are_used(mode):
    assert run(REPLACED.format(mode=mode)) == ["[]", "True", "0.5 True True"]


ASKED_BEFORE = """
import sys
import scipy.signal
from detectorist.libraries.waiting_packages import defer_replaced_packages
defer_replaced_packages()
defer_replaced_packages()
print(type(sys.modules["scipy.signal"]).__name__, len([one for one in sys.meta_path if "_Deferring" in str(one)]))
import scipy.stats as stats
print(stats.__name__, stats.norm.cdf(0), type(stats).__name__, stats.__spec__.loader is stats.__loader__)
"""


def test_a_package_waits_with_its_own_loader_and_once():
    assert run(ASKED_BEFORE) == ["module 1", "scipy.stats 0.5 module True"]


THREADS = """
import sys
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from detectorist.libraries.waiting_packages import defer_replaced_packages
defer_replaced_packages()
import scipy.signal, scipy.stats
together = Barrier(8)
def use(number):
    together.wait()
    return scipy.stats.norm.cdf(0), callable(scipy.signal.oaconvolve)
with ThreadPoolExecutor(8) as pool:
    print(set(pool.map(use, range(8))) == {(0.5, True)}, type(scipy.stats).__name__)
"""


def test_threads_that_use_a_package_first_at_the_same_moment_all_find_it_whole():
    assert run(THREADS) == ["True module"]


NOT_LOADED = """
import sys
import detectorist.modes.{mode}.pipeline
import matplotlib.figure
dear = "mpl_toolkits.mplot3d.axes3d", "scipy.stats._stats_py", "numpy.f2py.f2py2e", "crds.certify", "skimage.feature"
print([name for name in dear if name in sys.modules])
from detectorist.libraries.waiting_packages import STAND_INS, WAITING
from importlib import import_module
print([name for name in WAITING for known in [import_module(name)] if not any(vars(known).values())])
used = [(module, package) for module, packages in STAND_INS.items() for package in packages]
print(all(package in WAITING for _, package in used))
"""


@pytest.mark.parametrize("mode", ["imaging", "coron"])
def test_what_other_steps_need_is_not_loaded_and_is_there(mode):
    assert run(NOT_LOADED.format(mode=mode)) == ["[]", "[]", "True"]


IMAGING = """
import sys
import detectorist.modes.imaging.pipeline
from detectorist.libraries.asdf_extensions import load_extensions
load_extensions()
from stdatamodels.jwst.datamodels import RampModel
RampModel((1, 2, 8, 8)).save(sys.argv[1])
RampModel(sys.argv[1]).close()
import asdf, io
from astropy.modeling.models import Shift
from stdatamodels.jwst.transforms.models import Logical
file = io.BytesIO()
asdf.AsdfFile({"one": Shift(2.0), "two": Logical("GT", 5.0, 1.0)}).write_to(file)
file.seek(0)
with asdf.open(file) as read:
    print(read["one"](1.0), type(read["two"]).__name__)
from astropy import units
from astropy.coordinates import Angle
from astropy.utils.masked import Masked
file = io.BytesIO()
masked = Masked(Angle([1, 2] * units.deg), mask=[True, False])
asdf.AsdfFile({"one": masked, "two": Angle(3 * units.deg)}).write_to(file)
file.seek(0)
with asdf.open(file) as read:
    print(type(read["one"]).__name__, read["one"].mask.tolist(), type(read["two"]).__name__)
"""


def test_asdf_stores_classes_that_nobody_had_when_its_extensions_were_loaded(tmp_path):
    assert run(IMAGING, tmp_path / "ramp.fits") == ["3.0 Logical", "MaskedAngle [True, False] Angle"]


MODULES = """
from detectorist.libraries.waiting_packages import WAITING, defer_replaced_packages, is_waiting
defer_replaced_packages()
import scipy.stats
print(is_waiting("scipy.stats"), [one for one in WAITING if one.rpartition(".")[0] in WAITING])
import scipy.stats.distributions as first
import scipy.signal.windows
print(first is scipy.stats.distributions, first.norm is scipy.stats.norm, first.__spec__.loader is first.__loader__)
print(is_waiting("scipy.stats"), is_waiting("scipy.signal"), scipy.signal.windows.hann(3).tolist())
"""


def test_a_module_of_a_package_that_waits_loads_the_package_first():
    assert run(MODULES) == ["True []", "True True True", "False False [0.0, 1.0, 0.0]"]


OTHERS = """
import detectorist.modes.{mode}.pipeline
import numpy.polynomial.polynomial, scipy.optimize._lsq.trf, gwcs.spectroscopy, stdatamodels.jwst.transforms.models
from jwst.pipeline import Detector1Pipeline, Image3Pipeline
from astropy.modeling.fitting import LevMarLSQFitter
from photutils.segmentation import SourceCatalog
print("imported")
"""


@pytest.mark.parametrize("mode", ["lrs", "imaging", "coron"])
def test_what_others_import_after_ours_is_imported_as_ever(mode):
    assert run(OTHERS.format(mode=mode)) == ["imported"]


AXES = """
from detectorist.libraries.waiting_packages import defer_replaced_packages
defer_replaced_packages()
import sys
from matplotlib.figure import Figure
print("mpl_toolkits.mplot3d.axes3d" in sys.modules)
print(type(Figure().add_subplot(projection="3d")).__name__)
"""


def test_axes_in_space_come_when_they_are_asked_for():
    assert run(AXES) == ["False", "Axes3D"]


STRANGER = """
from detectorist.libraries.waiting_packages import defer_replaced_packages
defer_replaced_packages()
from astropy.stats import sigma_clipped_stats
import astropy.stats
print(type(sigma_clipped_stats).__name__, type(astropy.stats).__name__)
"""


def test_modules_that_are_not_known_get_no_stand_ins():
    assert run(STRANGER) == ["function module"]


DRAWN = """
import io, sys
import detectorist.modes.imaging.pipeline
from detectorist.libraries.waiting_packages import is_waiting
from matplotlib import rcParams
from matplotlib.backends.backend_pdf import FigureCanvasPdf
from matplotlib.figure import Figure
for kind in (3, 42):
    rcParams["pdf.fonttype"] = kind
    figure = Figure()
    figure.text(0.5, 0.5, "wisps")
    file = io.BytesIO()
    FigureCanvasPdf(figure).print_pdf(file)
    print(file.getvalue().startswith(b"%PDF"), is_waiting("fontTools.subset"))
"""


def test_fonts_are_taken_apart_only_where_files_hold_them_so():
    assert run(DRAWN) == ["True True", "True False"]
