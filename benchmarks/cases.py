"""The cases: one literal table from which the driver, the report and the plot are made."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

EVERYONE = ("atomfm", "reference", "schnetpack", "graph-pes", "mace", "chgnet")
"""Those with a calculator for ASE."""
BATCHED = ("atomfm", "reference", "torchsim", "schnetpack", "graph-pes", "mace")
OWN = ("atomfm", "reference")


@dataclass(frozen=True, kw_only=True)
class Case:
    """One comparison."""

    group: str
    """Cases of a group stand in one table."""
    title: str
    """The row of that table."""
    question: dict[str, Any]
    """For `tasks.TASKS`; "work" of the answers are calls, steps or structures."""
    programs: tuple[str, ...]
    """Keys of `contestants.CONTESTANTS`."""
    is_quick: bool = False
    """Whether it is part of `--quick`."""


GROUPS: dict[str, tuple[str, str]] = {
    "latency": ("Energy and forces of one structure through ASE", "ms"),
    "dynamics": ("Molecular dynamics through ASE, neighbor lists included", "steps/s"),
    "batch": ("Many structures, neighbor lists included", "structures/s"),
    "training": ("Optimizer step on energies and forces, 32 small structures", "ms"),
    "memory": ("Peak memory of energy and forces, beyond what was held before", "MB"),
}
"""Title and unit."""

HEADS = {"task": "batch", "structures": "small", "count": 200, "heads": 16, "hidden": [64]}
PAPER = {
    "task": "batch", "structures": "paper", "count": 4, "heads": 16, "hidden": [776, 776],
    "features": 337, "max_neighbors": 20, "forces": "mixture",
}  # fmt: skip
"""Random structures of 2 to 500 atoms in a box of 10 Å, 20 neighbors, all heads fused."""


def _latency(n_atoms: int, calls: int) -> Case:
    return Case(
        group="latency",
        title=f"{n_atoms} atoms, MgO",
        question={"task": "latency", "structure": f"MgO{n_atoms}", "calls": calls},
        programs=EVERYONE,
        is_quick=n_atoms <= 64,
    )


def _memory(n_atoms: int) -> Case:
    return Case(
        group="memory",
        title=f"{n_atoms} atoms, MgO",
        question={"task": "memory", "structure": f"MgO{n_atoms}"},
        programs=EVERYONE,
    )


def _dynamics(structure: str, title: str, steps: int, *, is_quick: bool) -> Case:
    return Case(
        group="dynamics",
        title=title,
        question={"task": "dynamics", "structure": structure, "steps": steps},
        programs=EVERYONE,
        is_quick=is_quick,
    )


def _batch(title: str, question: dict[str, Any], programs: tuple[str, ...]) -> Case:
    return Case(group="batch", title=title, question=question, programs=programs)


CASES: dict[str, Case] = {
    "latency-8": _latency(8, 20),
    "latency-64": _latency(64, 5),
    "latency-512": _latency(512, 1),
    "latency-4096": _latency(4096, 1),
    "dynamics-Si64": _dynamics("Si64", "64 atoms, silicon", 100, is_quick=True),
    "dynamics-water192": _dynamics("water192", "192 atoms, water", 30, is_quick=False),
    "batch-1-head": Case(
        group="batch",
        title="200 of 2-20 atoms, 1 head",
        question={"task": "batch", "structures": "small", "count": 200},
        programs=BATCHED,
        is_quick=True,
    ),
    "batch-16-heads": _batch(
        "200 of 2-20 atoms, 16 heads, forces of their mixture",
        HEADS | {"forces": "mixture", "dtype": "float32"},
        OWN,
    ),
    "batch-16-heads-each": _batch(
        "200 of 2-20 atoms, 16 heads, forces of each",
        HEADS | {"forces": "each", "dtype": "float32"},
        OWN,
    ),
    "paper-float64": _batch(
        "2-500 atoms, F = 337, 16 heads fused, float64", PAPER | {"dtype": "float64"}, OWN
    ),
    "paper-float32": _batch(
        "2-500 atoms, F = 337, 16 heads fused, float32", PAPER | {"dtype": "float32"}, OWN
    ),
    "training": Case(
        group="training",
        title="float32",
        question={"task": "training", "structures": "small", "count": 32},
        programs=("atomfm", "reference", "schnetpack"),
    ),
    "memory-64": _memory(64),
    "memory-512": _memory(512),
    "memory-4096": _memory(4096),
}
"""By the name that `bench.py --cases` knows."""
