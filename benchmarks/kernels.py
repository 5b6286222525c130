"""Every kernel against the reference: time and peak memory of energy and forces.

    python benchmarks/kernels.py [--threads 2] [--layers 4] [--dtype float32]

Random weights of PaiNN (F = 128, 20 radial functions, 5 Å) on rock salt with random displacements
and on batches of small random structures. The kernels take turns within one process, so that other
load on the machine meets both alike; wall time and the processor time of the process are given,
the latter being the more reliable on a machine that is shared. Graphs are made beforehand. Peak
memory is that of one call in a process of its own, beyond what the process held before it.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ase.build import bulk
from machine import Seconds, load_average, machine_facts, peak_memory, seconds
from rich.console import Console
from rich.table import Table

from atomfm_calc.graph import AtomicGraph, collate
from atomfm_calc.kernels import KERNELS
from atomfm_calc.models.architecture import Architecture, PainnConfig
from atomfm_calc.models.derivatives import predict
from atomfm_calc.models.foundation import FoundationModel
from atomfm_calc.neighbors import graph_from_sample
from atomfm_calc.sample import Sample

RESULTS = Path(__file__).parent / "results" / "kernels.json"
HEAD = "random"
CUTOFF = 5.0
ON_CPU = [name for name in KERNELS if name != "cuda"]
"""What is measured here."""
CUBES = {8: 1, 64: 2, 512: 4, 4096: 8}
"""Atoms of a cubic supercell of MgO and its side in cells."""
N_SMALL = 128
"""Structures in a batch of small ones."""


def make_model(kernel: str, n_layers: int, dtype: torch.dtype) -> FoundationModel:
    """The same random weights for every kernel."""
    torch.manual_seed(0)
    painn = PainnConfig(n_features=128, n_layers=n_layers, n_radial=20, cutoff=CUTOFF)
    model = FoundationModel(Architecture(painn=painn), [HEAD], kernel)
    return model.to(dtype)


def rock_salt(n_cells: int, dtype: torch.dtype) -> AtomicGraph:
    """A cube of MgO, rattled by 0.1 Å: 56 neighbors per atom."""
    atoms = bulk("MgO", "rocksalt", a=4.21, cubic=True) * (n_cells, n_cells, n_cells)
    atoms.rattle(0.1, seed=1)
    sample = Sample(
        atomic_numbers=atoms.numbers.astype(np.int64),
        positions=atoms.positions,
        cell=atoms.cell.array,
        pbc=atoms.pbc,
    )
    return graph_from_sample(sample, CUTOFF, dtype)


def small_structures(dtype: torch.dtype) -> AtomicGraph:
    """A batch of 2 to 20 light atoms each, 10 Å³ per atom, at least 0.9 Å apart, not periodic."""
    random = np.random.default_rng(0)
    graphs = []
    for n_atoms in random.integers(2, 21, N_SMALL):
        positions = np.zeros((1, 3))
        while len(positions) < n_atoms:
            trial = random.uniform(0.0, (10.0 * n_atoms) ** (1 / 3), 3)
            if np.linalg.norm(positions - trial, axis=1).min() > 0.9:
                positions = np.vstack([positions, trial])
        numbers = random.choice([1, 6, 7, 8], n_atoms)
        sample = Sample(atomic_numbers=numbers, positions=positions)
        graphs.append(graph_from_sample(sample, CUTOFF, dtype))
    return collate(graphs)


def infer(model: FoundationModel, graph: AtomicGraph) -> None:
    """Energy and forces with frozen weights."""
    model.requires_grad_(False)
    predict(model.energy_of(HEAD), graph)


def train(model: FoundationModel, graph: AtomicGraph) -> None:
    """Gradient of a loss on energy and forces with respect to all weights."""
    model.requires_grad_(True)
    result = predict(model.energy_of(HEAD), graph, differentiable=True)
    (result.energy.square().sum() + result.forces.square().sum()).backward()


def compare(
    task: Callable[[FoundationModel, AtomicGraph], None],
    models: dict[str, FoundationModel],
    graph: AtomicGraph,
    repeats: int,
) -> dict[str, dict[str, float]]:
    """Seconds by kernel: median and least, wall and processor time; one round to warm up."""
    taken: dict[str, list[Seconds]] = {name: [] for name in models}
    for _ in range(repeats + 1):
        for name, model in models.items():
            start = seconds("cpu")
            task(model, graph)
            taken[name].append(seconds("cpu").since(start))
    result = {}
    for name, times in taken.items():
        walls, processors = zip(*times[1:], strict=True)
        result[name] = {
            "wall_median_s": statistics.median(walls),
            "wall_least_s": min(walls),
            "processor_median_s": statistics.median(processors),
            "processor_least_s": min(processors),
        }
    return result


def peak_of(kernel: str, given: argparse.Namespace, n_atoms: int) -> float:
    """Peak of one call in a fresh process."""
    command = [
        sys.executable, __file__, "--peak-of", kernel, "--atoms", str(n_atoms),
        "--dtype", given.dtype, "--layers", str(given.layers), "--threads", str(given.threads),
    ]  # fmt: skip
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def measure_peak(given: argparse.Namespace) -> float:
    """MB that energy and forces take beyond what there was before, in this process."""
    dtype = getattr(torch, given.dtype)
    model = make_model(given.peak_of, given.layers, dtype)
    graph = rock_salt(CUBES[given.atoms], dtype)
    infer(model, rock_salt(1, dtype))
    before = peak_memory("cpu")
    infer(model, graph)
    return peak_memory("cpu") - before


def run(given: argparse.Namespace) -> dict[str, Any]:
    """All cases."""
    dtype, load_before = getattr(torch, given.dtype), load_average()
    models = {name: make_model(name, given.layers, dtype) for name in ON_CPU}
    small = small_structures(dtype)
    cases: list[tuple[str, Callable[..., None], AtomicGraph, int]] = [
        (f"MgO, {n_atoms} atoms", infer, rock_salt(CUBES[n_atoms], dtype), given.repeats)
        for n_atoms in given.sizes
    ]
    cases.append((f"{N_SMALL} small structures", infer, small, given.repeats))
    cases.append((f"training, {N_SMALL} small structures", train, small, given.repeats))
    timings = {}
    for name, task, graph, repeats in cases:
        n_atoms, n_edges = len(graph.atomic_numbers), graph.edge_index.shape[1]
        rounds = repeats if n_edges < 100_000 else max(2, repeats // 4)
        kernels = compare(task, models, graph, rounds)
        timings[name] = {"n_atoms": n_atoms, "n_edges": n_edges, "kernels": kernels}
    memory = {
        str(n_atoms): {name: peak_of(name, given, n_atoms) for name in ON_CPU}
        for n_atoms in given.sizes
        if n_atoms > 64
    }
    return {
        "dtype": given.dtype,
        "threads": given.threads,
        "layers": given.layers,
        "machine": machine_facts(),
        "load_average": [load_before, load_average()],
        "timings": timings,
        "peak_memory_MB": memory,
    }


def show(result: dict[str, Any]) -> None:
    """Two tables: times and peak memory."""
    times = Table("case", "edges", "kernel", "wall ms", "least", "processor ms", "least", "ratio")
    times.title = f"{result['dtype']}, {result['threads']} threads, {result['layers']} layers"
    for case, row in result["timings"].items():
        reference = row["kernels"]["reference"]
        for name, taken in row["kernels"].items():
            ratios = [reference[key] / taken[key] for key in ("wall_median_s", "wall_least_s")]
            ratios.append(reference["processor_least_s"] / taken["processor_least_s"])
            times.add_row(
                case,
                str(row["n_edges"]),
                name,
                *(f"{1e3 * value:.1f}" for value in taken.values()),
                " ".join(f"{ratio:.1f}" for ratio in ratios),
            )
    memory = Table("atoms", *ON_CPU, title="peak memory, MB")
    for n_atoms, peaks in result["peak_memory_MB"].items():
        memory.add_row(n_atoms, *(f"{peak:.0f}" for peak in peaks.values()))
    Console(width=120).print(times, memory)
    Console().print("ratios: median and least wall time, least processor time")


def main() -> None:
    """Measure, print, and keep the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--dtype", choices=("float32", "float64"), default="float32")
    parser.add_argument("--sizes", type=int, nargs="+", choices=CUBES, default=list(CUBES))
    parser.add_argument("--output", type=Path, default=RESULTS)
    parser.add_argument("--peak-of", choices=ON_CPU, help="print one peak of memory and stop")
    parser.add_argument("--atoms", type=int, choices=CUBES, default=512)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    if given.peak_of is not None:
        print(measure_peak(given))
        return
    result = run(given)
    given.output.parent.mkdir(exist_ok=True)
    given.output.write_text(json.dumps(result, indent=2) + "\n")
    show(result)


if __name__ == "__main__":
    main()
