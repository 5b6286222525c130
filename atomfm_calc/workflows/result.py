"""Results of workflows: frozen, one unit per quantity, ready for JSON."""

from __future__ import annotations

import json
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator


@dataclass(frozen=True, kw_only=True, eq=False)
class RelaxResult:
    """Where a relaxation ended."""

    atoms: Atoms
    """The last structure, with its results attached."""
    converged: bool
    """Forces and, with a free cell, stress are below their limits."""
    reason: str
    """Why it ended."""
    n_steps: int
    """Optimizer steps done."""
    initial_energy: float
    """eV"""
    energy: float
    """eV"""
    max_force: float
    """Largest force on an atom, eV/Å."""
    max_stress: float | None
    """Largest deviation of a stress component from the set pressure, eV/Å³; None with a fixed
    cell"""
    volume_change: float | None
    """Last volume over first, minus 1; None with a fixed cell."""


@dataclass(frozen=True, kw_only=True, eq=False)
class DynamicsResult:
    """What a run of molecular dynamics did."""

    atoms: Atoms
    """The last structure, with momenta."""
    completed: bool
    """All steps were done; False: it was stopped, see `reason`."""
    reason: str
    """Why it ended."""
    n_steps: int
    """Steps done, those of earlier parts of the run included."""
    time_fs: float
    """Simulated time."""
    mean_temperature_K: float
    """Over the recorded steps of this part, after the first fifth."""
    energy_drift_meV_per_atom_per_ps: float | None
    """Slope of the total energy over the recorded steps; None for thermostats and short runs."""
    trajectory: Path | None
    """Where the structures were written."""


def result_to_dict(result: RelaxResult | DynamicsResult) -> dict[str, Any]:
    """Numbers and words of a result without its structure."""
    content = {
        field.name: getattr(result, field.name) for field in fields(result) if field.name != "atoms"
    }
    return {
        name: str(value) if isinstance(value, Path) else value for name, value in content.items()
    }


def save_result(result: RelaxResult | DynamicsResult, path: str | Path) -> None:
    """Write `result_to_dict` as JSON."""
    text = json.dumps(result_to_dict(result), indent=2, ensure_ascii=False)
    Path(path).write_text(text + "\n", encoding="utf-8")


def with_results(atoms: Atoms) -> Atoms:
    """A copy that keeps energy, forces and stress without the calculator."""
    kept: Atoms = atoms.copy()
    known = ("energy", "free_energy", "energies", "forces", "stress")
    results = {name: value for name, value in atoms.calc.results.items() if name in known}
    kept.calc = SinglePointCalculator(kept, **results)
    return kept
