"""Settings of Sphinx; `make docs` builds the pages into docs/_build/html.

The source folder is the root of the repository, so that a relative link means the same here, on a
forge and in a checkout. Nothing is fetched, and no notebook runs unless `EXECUTE=1` is given.
"""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from sphinx.application import Sphinx  # noqa: E402

from atomfm_calc import __version__ as release  # noqa: E402
from docs.doctrees import offer_files, read_docstring, tidy_reference  # noqa: E402
from docs.generated import with_generated_parts  # noqa: E402

project = "atomfm"
author = "atomfm developers"
project_copyright = author
root_doc = "docs/index"

extensions = ["myst_nb", "sphinx.ext.autodoc"]
include_patterns = [
    "README.md",
    "ARCHITECTURE.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "docs/*.md",
    "docs/api/*.md",
    "downstream/README.md",
    "downstream/recipes/*/README.md",
    "tutorials/README.md",
    "tutorials/[0-9][0-9]_*.py",
]
exclude_patterns = [
    ".*",
    "atomfm_calc",
    "benchmarks",
    "build",
    "demo",
    "dist",
    "docs/_build",
    "runs",
    "tests",
    "training",
    "work",
]

myst_heading_anchors = 4
nb_custom_formats = {".py": ["jupytext.reads", {"fmt": "py:percent"}]}
nb_execution_mode = "off"  # `make docs EXECUTE=1` says "cache"
nb_execution_raise_on_error = True
nb_execution_timeout = 600

autodoc_default_options = {"members": True, "member-order": "bysource"}
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
OPTIONAL = (
    "adios2",
    "ase_db_backends",
    "deephyper",
    "e3nn",
    "google.protobuf",
    "google_crc32c",
    "h5py",
    "ijson",
    "lmdb",
    "mace",
    "matplotlib",
    "matscipy",
    "mpi4py",
    "phonopy",
    "psutil",
    "pyarrow",
    "pyscf",
    "rdkit",
    "spglib",
    "tblite",
    "tensorboard",
    "threadpoolctl",
    "torch_geometric",
    "torch_sim",
    "triton",
)
"""What extras bring; those that are not installed are imitated while docstrings are read."""
autodoc_mock_imports = [name for name in OPTIONAL if find_spec(name.partition(".")[0]) is None]
smartquotes = False  # two dashes before an option stay two
default_role = "literal"  # docstrings write code as `code`
maximum_signature_line_length = 88
python_use_unqualified_type_names = True
suppress_warnings = ["ref.python"]  # two classes of one name: a type in a signature stays text

html_theme = "furo"
html_title = f"atomfm {release}"
html_copy_source = False
html_show_sourcelink = False
html_static_path = ["_static"]
html_css_files = ["atomfm.css"]
templates_path = ["_templates"]
html_additional_pages = {"index": "to-readme.html"}


def setup(app: Sphinx) -> None:
    """Connect what is generated and what is rewritten while the pages are read."""
    app.connect("source-read", with_generated_parts)
    app.connect("doctree-read", offer_files, priority=100)  # before Sphinx gathers downloads
    app.connect("doctree-read", tidy_reference)
    app.connect("autodoc-process-docstring", read_docstring)
