"""How long energy and forces take, per kernel and size; `make bench`.

    python benchmarks/speed.py [--model painn-lead] [--threads 1]

Copper crystals with random displacements, neighbor list included, best of several calls after one
to warm up. Other processes on the machine show in these figures: run it on a quiet one.
"""

from __future__ import annotations

import argparse
import time

import torch
from ase.build import bulk
from rich.console import Console
from rich.table import Table

from atomfm_calc import FoundationCalc
from atomfm_calc.kernels import best_kernel

SIZES = (1, 2, 3, 5)
"""Cubic supercells of copper: 4, 32, 108, 500 atoms."""


def milliseconds_per_call(model: str, kernel: str, dtype: str, size: int, repeats: int) -> float:
    """Best time of `get_forces` for a structure that moved a little since the last call."""
    calc = FoundationCalc(model, kernel=kernel, default_dtype=dtype, allow_unseen_elements=True)
    atoms = bulk("Cu", cubic=True) * (size, size, size)
    atoms.calc = calc
    times = []
    for seed in range(repeats + 1):
        atoms.rattle(0.01, seed=seed)
        start = time.perf_counter()
        atoms.get_forces()
        times.append(time.perf_counter() - start)
    return 1e3 * min(times[1:])


def main() -> None:
    """Print one table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="painn-lead", help="shipped name or model folder")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--repeats", type=int, default=5)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    kernels = dict.fromkeys(("reference", best_kernel(device)))
    variants = [(name, dtype) for name in kernels for dtype in ("float32", "float64")]
    table = Table("atoms", *map(" ".join, variants))
    table.title = f"energy and forces on {device}, {given.threads} threads, ms"
    for size in SIZES:
        row = [
            f"{milliseconds_per_call(given.model, name, dtype, size, given.repeats):.1f}"
            for name, dtype in variants
        ]
        table.add_row(str(4 * size**3), *row)
    Console().print(table)


if __name__ == "__main__":
    main()
