"""Sphinx configuration: `make docs`."""

import os
import sys
from datetime import UTC, datetime
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE / "_ext"))
# The kernels that run the pages find the example exposure, and leave the other cores to one another.
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(HERE / "_ext"), os.environ.get("PYTHONPATH")]))
os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ.setdefault(variable, "1")

from detectorist import __version__  # noqa: E402

project = "detectorist"
author = "The detectorist developers"
copyright = f"{datetime.now(UTC).year}, {author}"
version = release = __version__

extensions = [
    "sphinx.ext.autodoc",
    "numpydoc",
    "myst_nb",
    "mathml",
    "docstrings",
    "from_code",
]
exclude_patterns = ["_build", "_ext", "**.ipynb_checkpoints"]
default_role = "literal"
suppress_warnings = ["config.cache"]

html_theme = "furo"
html_title = "detectorist"
html_static_path = ["_static"]
html_css_files = ["detectorist.css"]
html_copy_source = False
html_show_sourcelink = False
html_math_renderer = "mathml"

autodoc_member_order = "bysource"
autodoc_typehints = "none"
numpydoc_show_class_members = False
numpydoc_class_members_toctree = False

myst_enable_extensions = ["dollarmath", "colon_fence", "deflist", "fieldlist"]
myst_heading_anchors = 3
nb_execution_mode = "force"
nb_execution_in_temp = True
nb_execution_timeout = 900
# A cell that fails is a warning, which the build takes for an error after it has shown those of all pages.
nb_execution_raise_on_error = False
nb_execution_show_tb = True
nb_output_stderr = "remove"
nb_merge_streams = True
# Tables that a cell prints as Markdown are set as tables.
nb_render_markdown_format = "myst"
