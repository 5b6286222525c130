"""Many heads and many structures at once against one at a time, on this machine's processor.

    python benchmarks/batches.py [--threads 2] [--kernel cpu] [--repeats 7]

Random weights of PaiNN (F = 128, 4 layers, 20 radial functions, 5 Å). Heads: energies and forces of
1 and 16 heads on one batch, the heads' networks one by one against batched matrix products, and a
weighted mixture of all. Structures: `predict_many` against a loop of single evaluations, neighbor
lists and checks included, on molecules of 2 to 9 atoms. The contestants take turns within one
process; median and least time are given, wall and processor.
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Callable
from pathlib import Path

import torch
from ase import Atoms
from ase.build import molecule
from machine import Seconds, load_average, machine_facts, seconds
from random_model import make_evaluator
from rich.console import Console
from rich.table import Table

from atomfm_calc.calculators.batch import iterate_results
from atomfm_calc.graph import AtomicGraph, collate, sum_to_structures
from atomfm_calc.kernels import KERNELS
from atomfm_calc.models.derivatives import predict, predict_heads
from atomfm_calc.models.foundation import FoundationModel

RESULTS = Path(__file__).parent / "results" / "batches.json"
CUTOFF = 5.0
MOLECULES = ("H2", "H2O", "CO2", "NH3", "CH4", "C2H4", "CH3OH", "C2H6", "CH3CH2OH")
ELEMENTS = ("H", "C", "N", "O")
Task = Callable[[], object]
Times = dict[str, dict[str, float]]


def one_by_one(model: FoundationModel, graph: AtomicGraph, *, forces: bool) -> None:
    """Several heads from one backbone pass, their networks one after the other."""
    positions = graph.positions.clone().requires_grad_(forces)
    moved = graph._replace(positions=positions)
    with torch.set_grad_enabled(forces):
        scalars, repulsion = model.features(moved).scalars, model.repulsion_energies(moved)
        for name in model.head_names:
            atoms = model.head(name)(scalars, graph.atomic_numbers) + repulsion
            energy = sum_to_structures(atoms, graph)
            if forces:
                torch.autograd.grad(energy.sum(), positions, retain_graph=True)


def compare(tasks: dict[str, Task], repeats: int) -> Times:
    """Seconds by contestant; one round to warm up."""
    taken: dict[str, list[Seconds]] = {name: [] for name in tasks}
    for _ in range(repeats + 1):
        for name, task in tasks.items():
            start = seconds("cpu")
            task()
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


def compare_heads(kernel: str, n_heads: int, hidden: tuple[int, ...], repeats: int) -> Times:
    """Energies, forces, and forces of a mixture, for a batch of molecules."""
    evaluator = make_evaluator(kernel, n_heads, hidden)
    model, names = evaluator.model, evaluator.model.head_names
    structures = [molecule(name) for name in MOLECULES] * 8
    graph = collate([evaluator.graph(atoms, evaluator.head) for atoms in structures])
    weights = torch.full((1, n_heads), 1.0 / n_heads)
    return compare(
        {
            "energies, one by one": lambda: one_by_one(model, graph, forces=False),
            "energies, batched": lambda: predict_heads(model, graph, names),
            "forces of each, one by one": lambda: one_by_one(model, graph, forces=True),
            "forces of each, batched": lambda: predict_heads(
                model, graph, names, ("energy", "forces")
            ),
            "forces of the mixture": lambda: predict(model.energy_of_mixture(weights), graph),
        },
        repeats,
    )


def compare_structures(kernel: str, n_structures: int, repeats: int) -> Times:
    """Energy and forces of many molecules, from `Atoms` to arrays."""
    evaluator = make_evaluator(kernel, 1, (64,))
    structures: list[Atoms] = []
    while len(structures) < n_structures:
        atoms = molecule(MOLECULES[len(structures) % len(MOLECULES)])
        atoms.rattle(0.03, seed=len(structures))
        structures.append(atoms)
    want = ("energy", "forces")

    def single() -> None:
        for atoms in structures:
            evaluator.evaluate(evaluator.graph(atoms, evaluator.head), evaluator.head, want)

    def many() -> None:
        list(iterate_results(evaluator, structures, want=want))

    return compare({"one by one": single, "predict_many": many}, repeats)


def show(cases: dict[str, Times]) -> None:
    """One line per contestant."""
    table = Table("case", "how", "wall ms", "least", "processor ms", "least")
    for case, times in cases.items():
        for name, row in times.items():
            table.add_row(case, name, *(f"{1e3 * value:.1f}" for value in row.values()))
    Console(width=120).print(table)


def main() -> None:
    """Measure, print, and keep the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--kernel", choices=KERNELS, default="cpu")
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--structures", type=int, default=200)
    parser.add_argument("--output", type=Path, default=RESULTS)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    load_before = load_average()
    cases = {
        f"{n_heads} head(s) of {'-'.join(map(str, hidden))}": compare_heads(
            given.kernel, n_heads, hidden, given.repeats
        )
        for n_heads, hidden in ((1, (64,)), (16, (64,)), (16, (256, 256)))
    }
    case = f"{given.structures} molecules"
    cases[case] = compare_structures(given.kernel, given.structures, given.repeats)
    content = {
        "machine": machine_facts(),
        "kernel": given.kernel,
        "dtype": "float32",
        "threads": given.threads,
        "load_average": [load_before, load_average()],
        "cases": cases,
    }
    given.output.parent.mkdir(exist_ok=True)
    given.output.write_text(json.dumps(content, indent=2) + "\n")
    show(cases)


if __name__ == "__main__":
    main()
