"""Results of workflows: frozen, one unit per quantity, ready for JSON."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator

from atomfm_calc.files import write_at_once


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
    trajectory: Path | None
    """Where the structures of all steps were written."""


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
    mean_volume_angstrom3: float | None
    """Likewise; None where the cell does not move."""
    mean_pressure_GPa: float | None
    """Likewise, compression positive; None where the cell does not move."""
    energy_drift_meV_per_atom_per_ps: float | None
    """Slope of the total energy over the recorded steps; None for thermostats and short runs."""
    trajectory: Path | None
    """Where the structures were written."""


def result_to_dict(result: Any) -> dict[str, Any]:
    """Numbers and words of any result of a workflow, without its structures, ready for JSON."""
    return {
        field.name: plain(getattr(result, field.name))
        for field in fields(result)
        if not _holds_structures(getattr(result, field.name))
    }


def save_result(result: Any, path: str | Path) -> None:
    """Write `result_to_dict` as JSON."""
    text = json.dumps(result_to_dict(result), indent=2, ensure_ascii=False)
    write_at_once(f"{text}\n".encode(), Path(path))


def _holds_structures(value: Any) -> bool:
    first = value[0] if isinstance(value, tuple) and value else value
    return isinstance(first, Atoms)


def plain(value: Any) -> Any:
    """What JSON can hold of a value: lists of arrays, None of NaN, dicts of dataclasses."""
    if is_dataclass(value):
        return result_to_dict(value)
    if isinstance(value, np.ndarray | np.generic):
        return plain(value.tolist())
    if isinstance(value, float):
        return value if math.isfinite(value) else None  # JSON has no NaN
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if hasattr(value, "_asdict"):
        return plain(value._asdict())
    return [plain(item) for item in value] if isinstance(value, list | tuple) else value


def with_results(atoms: Atoms) -> Atoms:
    """A copy that keeps energy, forces and stress without the calculator."""
    kept: Atoms = atoms.copy()
    known = ("energy", "free_energy", "energies", "forces", "stress")
    results = {name: value for name, value in atoms.calc.results.items() if name in known}
    kept.calc = SinglePointCalculator(kept, **results)
    return kept
