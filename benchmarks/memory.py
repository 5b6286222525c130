"""Peak memory of every kernel on the CPU beside the estimate: how good `estimate_memory` is.

    python benchmarks/memory.py [--features 64 128] [--layers 2 4] [--cells 6] [--fit]

Rock salt with random displacements, at a short and at a long cutoff (6 and 56 neighbors), random
weights, one evaluation with frozen weights. Each kernel has a process of its own, in which the C
library gives large arrays back at once (a threshold that must be set before a process starts);
otherwise memory that an earlier case left behind would serve the next one and not be counted.
`--fit` prints the constants of `calculators.memory.NEEDS` that suit the measured peaks best.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import subprocess
import sys
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ase.build import bulk
from machine import machine_facts, peak_memory
from rich.console import Console
from rich.table import Table
from scipy.optimize import nnls

from atomfm_calc.calculators.memory import estimate
from atomfm_calc.graph import AtomicGraph
from atomfm_calc.kernels import KERNELS
from atomfm_calc.kernels.cpu_memory import give_back
from atomfm_calc.models.architecture import Architecture, PainnConfig
from atomfm_calc.models.derivatives import predict
from atomfm_calc.models.foundation import FoundationModel
from atomfm_calc.neighbors import graph_from_sample
from atomfm_calc.sample import Sample

RESULTS = Path(__file__).parent / "results" / "memory.json"
HEAD = "random"
WANTS = (("energy",), ("energy", "forces"))
RETURN_AT_ONCE = {"MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "65536"}


def rock_salt(n_cells: int, cutoff: float, dtype: torch.dtype) -> AtomicGraph:
    """A cube of MgO, rattled by 0.1 Å."""
    atoms = bulk("MgO", "rocksalt", a=4.21, cubic=True) * (n_cells, n_cells, n_cells)
    atoms.rattle(0.1, seed=1)
    sample = Sample(
        atomic_numbers=atoms.numbers.astype(np.int64),
        positions=atoms.positions,
        cell=atoms.cell.array,
        pbc=atoms.pbc,
    )
    return graph_from_sample(sample, cutoff, dtype)


def measure_one(
    model: FoundationModel, graph: AtomicGraph, want: tuple[str, ...]
) -> dict[str, Any]:
    """Peak and estimate of one evaluation, MB beyond what the process held before."""
    predict(model.energy_of(HEAD), rock_salt(1, model.cutoff, model.dtype), want)
    gc.collect()
    give_back()
    Path("/proc/self/clear_refs").write_text("5")  # the peak so far becomes what is held now
    before = peak_memory("cpu")
    predict(model.energy_of(HEAD), graph, want)
    peak = peak_memory("cpu") - before
    sizes = model.architecture.painn
    n_atoms, n_edges = len(graph.atomic_numbers), graph.edge_index.shape[1]
    expected = estimate(n_atoms, n_edges, want, kernel=model.kernel, dtype=model.dtype, sizes=sizes)
    return {
        "kernel": model.kernel,
        "dtype": str(model.dtype).removeprefix("torch."),
        "n_features": sizes.n_features,
        "n_layers": sizes.n_layers,
        "want": list(want),
        "n_atoms": n_atoms,
        "n_edges": n_edges,
        "peak_MB": peak,
        "estimate_MB": expected.n_bytes / 1e6,
    }


def measure(given: argparse.Namespace, kernel: str) -> list[dict[str, Any]]:
    """All cases of one kernel."""
    rows = []
    for name, n_features, n_layers, cutoff in product(
        given.dtypes, given.features, given.layers, given.cutoffs
    ):
        dtype = getattr(torch, name)
        painn = PainnConfig(n_features=n_features, n_layers=n_layers, n_radial=20, cutoff=cutoff)
        model = FoundationModel(Architecture(painn=painn), [HEAD], kernel)
        model.to(dtype).requires_grad_(False)
        for n_cells, want in product(given.cells, WANTS):
            rows.append(measure_one(model, rock_salt(n_cells, cutoff, dtype), want))
    return rows


def fit(rows: list[dict[str, Any]]) -> list[float]:
    """The constants of `Need` with the least relative error."""
    columns, peaks = [], []
    for row in rows:
        size = getattr(torch, row["dtype"]).itemsize
        n_features, derived = row["n_features"], len(row["want"]) > 1
        each = (row["n_layers"] * n_features * derived, n_features)
        atoms, edges = row["n_atoms"] * size, row["n_edges"] * size
        columns.append([atoms * each[0], atoms * each[1], edges * each[0], edges * each[1], edges])
        peaks.append(row["peak_MB"] * 1e6)
    relative = np.array(columns) / np.array(peaks)[:, None]
    constants, _ = nnls(relative, np.ones(len(peaks)))
    return [round(float(value), 1) for value in constants]


def show(rows: list[dict[str, Any]]) -> None:
    """One line per case."""
    table = Table("kernel", "dtype", "F", "layers", "want", "atoms", "edges", "MB", "estimate")
    for row in rows:
        names = [str(row[name]) for name in ("kernel", "dtype", "n_features", "n_layers")]
        counts = [str(row[name]) for name in ("n_atoms", "n_edges")]
        sizes = [f"{row[name]:.0f}" for name in ("peak_MB", "estimate_MB")]
        table.add_row(*names, row["want"][-1], *counts, *sizes)
    Console(width=110).print(table)


def main() -> None:
    """Measure, print, and keep the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kernels", nargs="+", choices=KERNELS, default=["reference", "cpu"])
    parser.add_argument("--dtypes", nargs="+", default=["float32", "float64"])
    parser.add_argument("--features", type=int, nargs="+", default=[64, 128])
    parser.add_argument("--layers", type=int, nargs="+", default=[2, 4])
    parser.add_argument("--cutoffs", type=float, nargs="+", default=[2.4, 5.0], help="Å")
    parser.add_argument("--cells", type=int, nargs="+", default=[5])
    parser.add_argument("--output", type=Path, default=RESULTS)
    parser.add_argument("--fit", action="store_true")
    parser.add_argument("--in-this-process", action="store_true", help="print JSON of one kernel")
    given = parser.parse_args()
    if given.in_this_process:
        print(json.dumps(measure(given, given.kernels[0])))
        return
    rows = []
    for kernel in given.kernels:
        command = [sys.executable, __file__, *sys.argv[1:], "--in-this-process"]
        done = subprocess.run(
            [*command, "--kernels", kernel],
            check=True, stdout=subprocess.PIPE, text=True, env=os.environ | RETURN_AT_ONCE,
        )  # fmt: skip
        rows += json.loads(done.stdout)
    given.output.parent.mkdir(exist_ok=True)
    content = {"machine": machine_facts(), "cases": rows}
    given.output.write_text(json.dumps(content, indent=2) + "\n")
    show(rows)
    for kernel, want in product(given.kernels if given.fit else (), WANTS):
        same = [row for row in rows if row["kernel"] == kernel and tuple(row["want"]) == want]
        print(kernel, want[-1], fit(same))


if __name__ == "__main__":
    main()
