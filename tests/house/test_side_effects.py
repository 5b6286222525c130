"""Importing does nothing: no torch, no default dtype, no seeds, no environment, no folders."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec

from tests.house.sources import ROOT, python_files

OPTIONAL = {
    "mace": ("atomfm_calc/models/mace.py", "atomfm_calc/models/mace_blocks.py"),
    "torch_geometric": ("atomfm_calc/models/schnet.py", "atomfm_calc/models/dimenet.py"),
    "torch_sim": ("atomfm_calc/calculators/torchsim.py",),
    "triton": ("atomfm_calc/kernels/cuda.py", "atomfm_calc/kernels/cuda_programs.py"),
}
"""Files that need a package which is not installed for the tests everywhere."""
ABSENT = [path for name, paths in OPTIONAL.items() if find_spec(name) is None for path in paths]
MODULES = [
    path.removesuffix(".py").replace("/", ".").removesuffix(".__init__")
    for path in python_files("atomfm_calc")
    if not path.endswith("__main__.py") and path not in ABSENT
]

WATCH = """
import importlib, logging, os, random, sys
import numpy, torch
def state():
    # torch._inductor, which torch_geometric imports, notes its own cache folder there
    variables = {name: os.environ[name] for name in os.environ if name != "TORCHINDUCTOR_CACHE_DIR"}
    return (variables, torch.get_default_dtype(), torch.get_num_threads(),
            torch.initial_seed(), bytes(torch.get_rng_state().tolist()), random.getstate(),
            numpy.random.get_state()[1].tolist(), torch.is_grad_enabled(),
            torch.are_deterministic_algorithms_enabled(), torch.get_float32_matmul_precision(),
            list(logging.root.handlers), os.getcwd(), sorted(os.listdir(".")))
before = state()
for name in sys.argv[1:]:
    importlib.import_module(name)
assert state() == before
"""


def _run(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code, *arguments], cwd=ROOT, capture_output=True, text=True
    )


def test_importing_the_package_loads_no_heavy_library() -> None:
    code = "import sys, atomfm_calc; print({'torch', 'numba', 'scipy', 'ase'} & set(sys.modules))"
    result = _run(code)
    assert result.stdout.strip() == "set()", result.stderr


def test_importing_the_calculator_loads_no_library_of_another_door() -> None:
    others = "{'numba', 'matplotlib', 'matscipy', 'typer', 'torch.distributed.fsdp', 'training'}"
    code = f"import sys; from atomfm_calc import FoundationCalc; print({others} & set(sys.modules))"
    result = _run(code)
    assert result.stdout.strip() == "set()", result.stderr


def test_importing_every_module_changes_nothing_global() -> None:
    result = _run(WATCH, *MODULES)
    assert result.returncode == 0, result.stderr
    assert result.stdout == ""
