"""What may import what, as data. A row here is a decision of the house; change it on purpose."""

from __future__ import annotations

import ast
from itertools import product

import pytest

from tests.house.sources import FOLDERS, PACKAGES, imports_of, is_under, python_files, tree_of

LAYERS: tuple[tuple[str, ...], ...] = (
    ("errors",),
    ("files",),
    ("units", "config", "packages", "properties", "periodic_table", "web_page"),
    ("sample", "graph"),
    ("neighbors", "kernels", "convert"),
    ("neighbors_batch",),
    ("models",),
    ("registry",),
    ("calculators",),
    ("workflows", "conformance"),
    ("screening",),
    ("cli",),
)
"""Files and folders of atomfm_calc; one imports from itself and from rows above its own."""

PACKAGE_RULES: dict[str, tuple[str, ...]] = {
    "atomfm_calc/": ("training", "downstream", "tests", "tutorials"),
    "atomfm_calc/workflows/": ("atomfm_calc.calculators", "atomfm_calc.models", "torch"),
    "atomfm_calc/conformance/": ("atomfm_calc.calculators", "atomfm_calc.models", "torch"),
    "atomfm_calc/models/": ("ase.Atoms", "ase.io", "numpy"),
    "training/": (
        "atomfm_calc.calculators", "atomfm_calc.workflows", "atomfm_calc.screening",
        "atomfm_calc.cli", "downstream", "tests", "tutorials",
    ),
    "training/engine/": (
        "training.datasets", "training.collection", "training.data", "training.shards",
        "training.parallel", "ase",
    ),
    "training/data/": (
        "training.datasets", "training.collection", "training.shards", "training.engine", "ase",
    ),
    "training/datasets/": (
        "training.data", "training.engine", "training.collection", "training.shards",
    ),
    "training/collection/": ("training.data", "training.engine", "training.datasets"),
    "training/shards/": ("training.collection", "training.engine"),
    "downstream/": (
        "atomfm_calc.calculators", "atomfm_calc.workflows", "atomfm_calc.screening",
        "atomfm_calc.cli", "training.data.store", "training.hpo", "training.jobs", "tests",
    ),
}  # fmt: skip
"""What the files of a folder never import."""

DOORS: dict[str, tuple[str, ...]] = {
    "vesin": ("atomfm_calc/neighbors.py",),
    "numba": (
        "atomfm_calc/kernels/cpu_loops.py", "atomfm_calc/kernels/cpu_tiles.py",
        "atomfm_calc/kernels/cpu_lanes.py", "atomfm_calc/kernels/cpu_edges.py",
    ),
    "llvmlite": ("atomfm_calc/kernels/cpu_tiles.py", "atomfm_calc/kernels/cpu_lanes.py"),
    "triton": ("atomfm_calc/kernels/cuda_programs.py", "tests/"),
    "matscipy": ("atomfm_calc/workflows/elastic.py", "tests/", "tutorials/"),
    "phonopy": ("atomfm_calc/workflows/phonons.py",),
    "torch_sim": (
        "atomfm_calc/calculators/torchsim.py", "tests/", "benchmarks/adapters/torchsim.py",
        "tutorials/",
    ),
    "metatomic": ("atomfm_calc/calculators/metatomic.py",),
    "torch.distributed": ("training/parallel/",),
    "mpi4py": (
        "training/data/store.py", "training/shards/ranks.py", "training/parallel/process.py",
        "atomfm_calc/screening/team.py", "tests/mpi/",
    ),
    "adios2": (
        "training/shards/", "atomfm_calc/screening/sinks/adios2.py",
        "atomfm_calc/screening/readers/shards.py",
    ),
    "pyarrow": (
        "atomfm_calc/screening/sinks/parquet.py", "atomfm_calc/screening/readers/table.py",
        "tests/", "tutorials/",
    ),
    "torch_geometric": (
        "atomfm_calc/models/schnet.py", "atomfm_calc/models/dimenet.py",
        "training/data/pyg.py", "tests/training/data/test_pyg.py", "benchmarks/hydragnn_step.py",
    ),
    "e3nn": ("atomfm_calc/models/mace_blocks.py", "benchmarks/"),
    "mace": ("atomfm_calc/models/mace_blocks.py", "benchmarks/"),
    "hydragnn": ("benchmarks/hydragnn_step.py",),
    "lmdb": (
        "training/datasets/readers/ase_database.py",
        "atomfm_calc/screening/readers/ase_lmdb.py", "tests/",
    ),
    "ase_db_backends": ("training/datasets/readers/ase_database.py",),
    "h5py": ("training/datasets/readers/hdf5.py", "tests/", "benchmarks/", "tutorials/"),
    "ijson": ("training/datasets/readers/json_entries.py",),
    "google": ("training/datasets/readers/tfrecord.py",),
    "google_crc32c": ("training/datasets/readers/tfrecord.py",),
    "deephyper": ("training/hpo/",),
    "tblite": ("training/collection/engines/", "downstream/stand_in/", "benchmarks/checked.py"),
    "pyscf": ("training/collection/engines/", "downstream/stand_in/"),
    "gpaw": ("training/collection/engines/",),
    "rdkit": ("training/collection/generators/",),
    "matplotlib": (
        "atomfm_calc/cli/", "training/hpo/", "training/scaling/", "downstream/plots.py",
        "tutorials/", "benchmarks/", "docs/", "tests/tutorials/",
    ),
    "pytest": (
        "atomfm_calc/conformance/plugin.py", "atomfm_calc/conformance/contract.py", "tests/",
    ),
    "typer": ("atomfm_calc/cli/", "training/", "downstream/", "tests/", "docs/"),
    "ase.Atoms": (
        "atomfm_calc/convert.py", "atomfm_calc/calculators/", "atomfm_calc/workflows/",
        "atomfm_calc/conformance/", "atomfm_calc/screening/", "atomfm_calc/cli/",
        "training/collection/", "training/datasets/readers/", "downstream/stand_in/", "tests/",
        "tutorials/", "benchmarks/", "docs/",
    ),
    "ase.io": (
        "atomfm_calc/workflows/", "atomfm_calc/conformance/plugin.py", "atomfm_calc/screening/",
        "atomfm_calc/cli/", "training/collection/", "training/datasets/readers/", "tests/",
        "tutorials/", "benchmarks/", "docs/",
    ),
}  # fmt: skip
"""The files that may import a heavy dependency, or speak ASE's structures."""


def _imports(path: str, names: tuple[str, ...]) -> list[str]:
    return [
        found
        for found, name in product(imports_of(path), names)
        if found == name or found.startswith(f"{name}.")
    ]


def _part_of(path_or_name: str) -> str:
    """ "models" for "atomfm_calc/models/painn.py" and for "atomfm_calc.models.painn"."""
    parts = path_or_name.removesuffix(".py").replace("/", ".").split(".")
    return parts[1] if len(parts) > 1 else "__init__"


@pytest.mark.parametrize("path", python_files("atomfm_calc"))
def test_a_file_imports_only_from_rows_above_its_own(path: str) -> None:
    row_of = {part: row for row, parts in enumerate(LAYERS) for part in parts}
    own = _part_of(path)
    if own == "__init__":
        return  # the public names come from everywhere, when they are first used
    assert own in row_of, f"{path} stands in no row of LAYERS"
    for name in _imports(path, ("atomfm_calc",)):
        part = _part_of(name)
        above = part == own or part not in row_of or row_of[part] < row_of[own]
        assert above, f"{path} (row {row_of[own]}) imports {name} (row {row_of[part]})"


@pytest.mark.parametrize(("folder", "forbidden"), PACKAGE_RULES.items(), ids=list(PACKAGE_RULES))
def test_a_folder_keeps_away_from_what_it_must_not_know(
    folder: str, forbidden: tuple[str, ...]
) -> None:
    for path in python_files(*PACKAGES):
        if path.startswith(folder):
            assert not _imports(path, forbidden), path


@pytest.mark.parametrize("dependency", DOORS)
def test_a_heavy_dependency_has_one_door(dependency: str) -> None:
    for path in python_files(*FOLDERS):
        if _imports(path, (dependency,)):
            assert is_under(path, DOORS[dependency]), f"{path} imports {dependency}"


def test_no_two_folders_import_each_other() -> None:
    pairs = set()
    for path in python_files(*PACKAGES):
        here = path.rpartition("/")[0].replace("/", ".")
        for name in _imports(path, PACKAGES):
            there = max(
                (folder for folder in _package_folders() if f"{name}.".startswith(f"{folder}.")),
                key=len,
            )
            if here != there and not there.startswith(f"{here}.") and "." in here:
                pairs.add((here, there))
    two_way = {tuple(sorted(pair)) for pair in pairs if pair[::-1] in pairs}
    assert not two_way


def _package_folders() -> set[str]:
    return {path.rpartition("/")[0].replace("/", ".") for path in python_files(*PACKAGES)}


@pytest.mark.parametrize("path", python_files(*PACKAGES))
def test_no_missing_package_is_hidden(path: str) -> None:
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Try):
            caught = {
                ast.unparse(handler.type) for handler in node.handlers if handler.type is not None
            }
            hides = "ImportError" in caught or "ModuleNotFoundError" in caught
            raises = any(isinstance(inner, ast.Raise) for inner in ast.walk(node))
            assert not hides or raises, f"{path}:{node.lineno} swallows an ImportError"
