"""The kernel for CUDA devices: chosen, refused, compiled, interpreted, run where there is one."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from importlib.util import find_spec

import pytest
import torch

from atomfm_calc import kernels
from atomfm_calc.errors import SetupError
from atomfm_calc.kernels import KERNELS, best_kernel
from atomfm_calc.models import build_backbone
from atomfm_calc.models.architecture import Architecture, EnergyHeadConfig, PainnConfig
from atomfm_calc.models.derivatives import predict
from atomfm_calc.models.foundation import FoundationModel
from tests.made.evaluate import HEAD, assert_close, graph_of
from tests.made.structures import STRUCTURES

needs_triton = pytest.mark.skipif(
    find_spec("triton") is None, reason="Triton, 700 MB, comes with CUDA builds of torch only"
)
PROGRAMS = (
    "messages", "gradient", "second_by_neighbor", "second_by_center", "tabulated_messages",
    "tabulated_gradient",
)  # fmt: skip
NO_EDGES = torch.zeros((2, 0), dtype=torch.int64)


def _without_triton(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernels, "find_spec", lambda name: None)


def _with_triton(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernels, "find_spec", lambda name: object())


def test_a_cuda_device_gets_the_kernel_where_triton_is(monkeypatch: pytest.MonkeyPatch) -> None:
    _with_triton(monkeypatch)
    assert best_kernel("cuda") == "cuda"
    _without_triton(monkeypatch)
    assert best_kernel("cuda") == "reference"


@pytest.mark.parametrize("device", ["cpu", "mps", "xpu"])
def test_no_other_device_gets_the_kernel(device: str, monkeypatch: pytest.MonkeyPatch) -> None:
    _with_triton(monkeypatch)
    assert best_kernel(device) != "cuda"


def test_the_kernel_is_refused_without_triton(monkeypatch: pytest.MonkeyPatch) -> None:
    _without_triton(monkeypatch)
    with pytest.raises(SetupError, match="'cuda' needs Triton, which is not installed; CUDA build"):
        build_backbone(Architecture(), "cuda")
    with pytest.raises(SetupError, match="use kernel='reference'"):
        KERNELS["cuda"].sides(NO_EDGES, 1)


@needs_triton
def test_the_kernel_is_refused_on_the_cpu() -> None:
    with pytest.raises(SetupError, match="computes on CUDA devices, not on 'cpu'"):
        KERNELS["cuda"].sides(NO_EDGES, 1)


@needs_triton
@pytest.mark.slow
def test_the_kernel_equals_the_reference_in_the_interpreter() -> None:
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider",
         "tests/contract/interpreted_kernel.py"],
        env={**os.environ, "TRITON_INTERPRET": "1"}, capture_output=True, text=True, timeout=600,
    )  # fmt: skip
    assert run.returncode == 0, run.stdout + run.stderr
    assert not re.search("skipped|deselected", run.stdout)


@needs_triton
@pytest.mark.parametrize("name", PROGRAMS)
def test_programs_compile_without_atomic_additions_and_with_exact_numbers(name: str) -> None:
    code = _compiled(name, "fp64")
    assert "ld.global" in code
    assert not re.search(r"\b(atom|red)\.", code)
    if name.startswith("tabulated"):
        # 55.12345678901234 in float64: a table's grid is not rounded to float32
        assert "0d404B8FCD6E9BA37" in code
    assert "ld.global" in _compiled(name, "fp32")


def _compiled(name: str, kind: str) -> str:
    """The assembly of a program for F = 200, as for an H100; needs no device."""
    import triton
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    from atomfm_calc.kernels import cuda_programs

    program = getattr(cuda_programs, name)
    values = {"HAS_VECTORS": True, "ORIGIN": 0.0123, "PER_STEP": 55.12345678901234, "CUTOFF": 5.0,
              "N_INTERVALS": 273, "F": 200, "EDGES": 4, "CHANNELS": 128}  # fmt: skip
    integers = {"start": "*i64", "neighbor": "*i64", "order": "*i64", "center": "*i64"}
    types = {**dict.fromkeys(values, "constexpr"), **integers, "n_edges": "i32"}
    signature = {word: types.get(word, f"*{kind}") for word in program.arg_names}
    constants = {word: values[word] for word in program.arg_names if word in values}
    source = ASTSource(program, signature, constexprs=constants)
    code: str = triton.compile(source, target=GPUTarget("cuda", 90, 32)).asm["ptx"]
    return code


@needs_triton
@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_forces_and_their_training_are_those_of_the_reference_on_a_device(
    dtype: torch.dtype,
) -> None:
    architecture = Architecture(
        painn=PainnConfig(n_features=200, n_layers=2, n_radial=8, cutoff=5.0),
        head=EnergyHeadConfig(hidden=(6,)),
    )
    results = []
    for kernel in ("cuda", "reference"):
        torch.manual_seed(1)
        model = FoundationModel(architecture, [HEAD], kernel).to(dtype)
        graph = type(graph_of(model))(*(t.cuda() for t in graph_of(model, *STRUCTURES.values())))
        model = model.cuda().requires_grad_(False)
        frozen = predict(model.energy_of(HEAD), graph).forces
        model.requires_grad_(True)
        forces = predict(model.energy_of(HEAD), graph, ("forces",), differentiable=True).forces
        gradients = torch.autograd.grad(
            forces.square().sum(), list(model.parameters()), materialize_grads=True
        )
        results.append([frozen, forces.detach(), *gradients])
    relative = {torch.float32: 1e-4, torch.float64: 1e-8}[dtype]
    for found, wanted in zip(*results, strict=True):
        assert_close(found, wanted, relative * max(1.0, wanted.abs().max().item()))
