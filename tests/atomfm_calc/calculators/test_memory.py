"""What a calculation needs is known beforehand, and said when there is less."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from ase import Atoms
from ase.build import bulk, molecule
from ase.calculators.calculator import CalculationFailed

from atomfm_calc.calculators import memory
from atomfm_calc.calculators.memory import NEEDS, MemoryEstimate, free_memory, is_out_of_memory
from atomfm_calc.errors import InsufficientMemoryError, PropertyError, UnknownNameError
from atomfm_calc.graph import AtomicGraph
from atomfm_calc.kernels import KERNELS
from atomfm_calc.models.architecture import PainnConfig
from tests.atomfm_calc.calculators.conftest import Make
from tests.house.sources import ROOT

CPU = torch.device("cpu")


def test_every_kernel_has_a_row() -> None:
    assert set(KERNELS) <= set(NEEDS)
    with pytest.raises(UnknownNameError, match="the table of memory has: reference"):
        memory.estimate(1, 0, ("energy",), kernel="none", dtype=torch.float32, sizes=PainnConfig())


def test_the_estimate_grows_with_what_is_computed(make_calc: Make, salt: Atoms) -> None:
    calc = make_calc()
    one, four = calc.estimate_memory(salt), calc.estimate_memory(salt * (4, 1, 1))
    assert four.n_atoms == 8
    assert four.n_edges == 4 * one.n_edges
    assert four.n_bytes == pytest.approx(4 * one.n_bytes, rel=1e-6)
    double = make_calc(default_dtype="float64").estimate_memory(salt)
    assert double.n_bytes == pytest.approx(2 * one.n_bytes, rel=1e-6)
    assert calc.estimate_memory(salt, want=("energy",)).n_bytes < one.n_bytes
    assert calc.estimate_memory(salt, want=("stress",)) == one


def test_heads_that_are_evaluated_together_count_each(make_calc: Make) -> None:
    evaluator = make_calc()._evaluator
    one = evaluator.estimate_memory(1000, 50_000, ["energy"])
    all_heads = evaluator.estimate_memory(1000, 50_000, ["energy"], evaluator.model.head_names)
    # three more heads, a hidden layer of 8 before and behind its activation, 4 bytes each
    assert all_heads.n_bytes - one.n_bytes == 3 * 2 * 8 * 4 * 1000


def test_a_backbone_that_was_not_measured_has_no_estimate_but_its_error(
    make_calc: Make, salt: Atoms, monkeypatch: pytest.MonkeyPatch
) -> None:
    calc = make_calc()
    model = calc._evaluator.model
    monkeypatch.setattr(model, "architecture", replace(model.architecture, backbone="mace"))
    with pytest.raises(PropertyError, match="no estimate of memory for backbone 'mace'"):
        calc.estimate_memory(salt)

    def fail(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr(model, "features", fail)
    text = r"2 atoms with \d+ edges .* GiB are free\. There is no estimate of memory for backbone"
    with pytest.raises(InsufficientMemoryError, match=text):
        calc.get_forces(salt)


def test_an_estimate_computes_nothing_and_leaves_the_calculator_alone(
    make_calc: Make, salt: Atoms, monkeypatch: pytest.MonkeyPatch
) -> None:
    calc = make_calc()
    calc.get_forces(salt)
    results, lists = calc.results, calc._evaluator.cache.n_lists_made
    monkeypatch.setattr(calc._evaluator.model, "features", None)
    calc.estimate_memory(molecule("CH3CH2OH"))
    assert calc.results is results
    assert calc._evaluator.cache.n_lists_made == lists


def test_the_largest_structure_takes_what_there_is() -> None:
    estimate = MemoryEstimate(n_atoms=100, n_edges=5000, n_bytes=2 * 2**30)
    assert estimate.GiB == 2.0
    assert estimate.largest_within(2**30) == 50
    assert estimate.largest_within(0) == 0


def test_there_is_free_memory_and_it_is_less_than_the_machine_has() -> None:
    lines = Path("/proc/meminfo").read_text(encoding="utf-8").splitlines()
    total = 1024 * int(lines[0].split()[1])
    assert 2**20 < free_memory(CPU) < total


@pytest.mark.parametrize(("limit", "used", "free"), [("max", "5", None), ("1000", "400", 600)])
def test_the_limit_of_a_container_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: str, used: str, free: int | None
) -> None:
    unlimited = free_memory(CPU)
    (tmp_path / "memory.max").write_text(limit + "\n")
    (tmp_path / "memory.current").write_text(used + "\n")
    monkeypatch.setattr(memory, "_GROUP", tmp_path)
    found = free_memory(CPU)
    assert found == free if free is not None else found > unlimited // 2


def test_only_a_lack_of_memory_is_taken_for_one() -> None:
    text = "[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried 8 bytes."
    assert all(map(is_out_of_memory, (MemoryError(), torch.OutOfMemoryError(), RuntimeError(text))))
    assert not any(map(is_out_of_memory, (RuntimeError("mat1"), PropertyError("can't"))))


LIMITED = """
import resource, sys
from pathlib import Path
import numpy as np
from ase.build import molecule
from atomfm_calc.calculators.batch import predict_many
from atomfm_calc.calculators.setup import CalculatorSettings
from tests.made.models import make_model_folder
folder = make_model_folder(Path(sys.argv[1]), n_features=64)
settings = CalculatorSettings(head="everything", device="cpu", kernel="reference")
structures = [molecule("CH3CH2OH")] * 600
small = predict_many(structures[:4], folder, settings)
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + 200 * 2**20, resource.RLIM_INFINITY))
results = predict_many(structures, folder, settings, max_atoms=10**6, max_edges=10**7)
assert len(results) == 600
assert np.ptp([result.energy for result in results]) < 1e-4
assert abs(results[0].energy - small[0].energy) < 1e-4
"""


@pytest.mark.slow
def test_batches_are_halved_when_the_address_space_ends(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, str(tmp_path)], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "does not fit into memory; going on with batches of up to" in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("kernel", ["reference", "cpu"])
def test_the_estimate_is_near_the_measured_peak(tmp_path: Path, kernel: str) -> None:
    output = tmp_path / "memory.json"
    command = (
        f"benchmarks/memory.py --kernels {kernel} --dtypes float32 --features 64 --layers 2 "
        f"--cells 6 8 --cutoffs 2.4 --output {output}"
    )
    subprocess.run([sys.executable, *command.split()], cwd=ROOT, check=True, capture_output=True)
    cases = json.loads(output.read_text(encoding="utf-8"))["cases"]
    ratios = [case["estimate_MB"] / case["peak_MB"] for case in cases]
    assert len(ratios) == 4  # two sizes, with and without forces
    assert min(ratios) > 1 / 1.5
    assert max(ratios) < 1.5


def test_the_error_says_what_fits(make_calc: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    crystal = bulk("NaCl", "rocksalt", a=5.6, cubic=True)  # 8 atoms
    crystal.rattle(0.1, seed=2)
    calc = make_calc()
    half = calc.estimate_memory(crystal).n_bytes // 2
    monkeypatch.setattr("atomfm_calc.calculators.evaluator.free_memory", lambda device: half)

    def fail(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr(calc._evaluator.model, "features", fail)
    with pytest.raises(CalculationFailed, match="8 atoms with .* About 4 atoms of this density"):
        calc.get_forces(crystal)


def test_a_full_gpu_is_emptied_and_its_free_memory_is_told(
    make_calc: Make, salt: Atoms, monkeypatch: pytest.MonkeyPatch
) -> None:
    calc, emptied = make_calc(), []
    need = calc.estimate_memory(salt).n_bytes
    facts = {
        "mem_get_info": lambda device: (need // 4, 80 * 2**30),
        "memory_reserved": lambda device: need,
        "memory_allocated": lambda device: need - need // 4,
        "empty_cache": lambda: emptied.append(True),
    }
    for name, fact in facts.items():
        monkeypatch.setattr(torch.cuda, name, fact)

    def fail(*_: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")

    monkeypatch.setattr(calc._evaluator.model, "features", fail)
    monkeypatch.setattr(calc._evaluator, "device", torch.device("cuda"))
    monkeypatch.setattr(AtomicGraph, "to", lambda graph, *_: graph)
    # free are a quarter of the need, and a quarter that torch holds in its cache: 1 of 2 atoms
    text = r"2 atoms with \d+ edges .* memory of cuda: about .* GiB are needed .* About 1 atoms"
    with pytest.raises(InsufficientMemoryError, match=text):
        calc.get_forces(salt)
    assert emptied == [True]
