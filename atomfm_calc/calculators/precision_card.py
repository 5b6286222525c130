"""What precision and kernel change: every way to compute a model, beside float64 in plain torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.build import bulk, molecule

from atomfm_calc.calculators.batch import iterate_results
from atomfm_calc.calculators.comparison import HeadComparison
from atomfm_calc.calculators.evaluator import Evaluator
from atomfm_calc.calculators.setup import (
    BF16_BACKBONES,
    CalculatorSettings,
    prepare_model,
    resolve_device,
)
from atomfm_calc.kernels import best_kernel
from atomfm_calc.registry.catalog import LoadedModel, load_model

EXACT = CalculatorSettings(default_dtype="float64", kernel="reference")
"""What the others are compared with."""
RATTLE = 0.1
"""Å, so that forces do not vanish by symmetry."""


@dataclass(frozen=True, kw_only=True)
class PrecisionRow:
    """One way to compute, beside `EXACT`."""

    default_dtype: str
    """float32 or float64."""
    kernel: str
    """Key of `KERNELS`."""
    matmul_precision: str
    """Of products of float32 matrices."""
    energy_deviation_meV_per_atom: float
    """Largest |difference of the energy per atom| over heads and structures, meV."""
    forces_deviation_meV_per_angstrom: float
    """Largest |difference of a force component|, meV/Å."""


@dataclass(frozen=True, kw_only=True)
class PrecisionCard:
    """Deviations of all ways, on this machine."""

    device: str
    """cpu or cuda."""
    n_heads: int
    """Heads that computed at least one structure."""
    structures: tuple[str, ...]
    """Formulas."""
    rows: tuple[PrecisionRow, ...]
    """`EXACT` first."""


def measure_precision(
    model: str | Path | LoadedModel,
    device: str = "cpu",
    structures: Sequence[Atoms] | None = None,
) -> PrecisionCard | None:
    """Compute structures by all energy heads in every precision and kernel of a device.

    Args:
        model: as in `FoundationCalc`.
        device: "cpu", "cuda", "auto".
        structures: None: a few molecules and crystals, slightly rattled.

    Returns:
        None if no head may compute any of the structures.

    Raises:
        SetupError, WeightsError: as in `FoundationCalc`.
    """
    loaded = model if isinstance(model, LoadedModel) else load_model(model)
    given = _probes() if structures is None else list(structures)
    found = {settings: _compute(loaded, settings, given) for settings in _ways(loaded, device)}
    exact = next(iter(found.values()))
    heads = {head for comparison in exact for head in comparison.heads}
    if not heads:
        return None
    return PrecisionCard(
        device=resolve_device(device).type,
        n_heads=len(heads),
        structures=tuple(atoms.get_chemical_formula() for atoms in given),
        rows=tuple(_row(settings, results, exact, given) for settings, results in found.items()),
    )


def _ways(loaded: LoadedModel, device: str) -> list[CalculatorSettings]:
    """Precisions and kernels of the device that the model has, `EXACT` first."""
    architecture = loaded.model.architecture
    kind = resolve_device(device).type
    exact = replace(EXACT, device=device)
    single = replace(exact, default_dtype="float32")
    ways = [exact, single]
    kernel = best_kernel(kind)
    fused = kernel != "reference" and hasattr(loaded.model.backbone, "kernel")
    if fused:
        ways = [exact, replace(exact, kernel=kernel), single, replace(single, kernel=kernel)]
    last = ways[-1]
    if kind == "cuda":
        ways.append(replace(last, matmul_precision="tf32"))
    if architecture.backbone in BF16_BACKBONES:
        ways.append(replace(last, matmul_precision="bf16"))
    return ways


def _compute(
    loaded: LoadedModel, settings: CalculatorSettings, structures: list[Atoms]
) -> list[HeadComparison]:
    evaluator = Evaluator(prepare_model(loaded, settings), settings)
    return list(iterate_results(evaluator, structures, heads="all", want=("energy", "forces")))


def _row(
    settings: CalculatorSettings,
    results: list[HeadComparison],
    exact: list[HeadComparison],
    structures: list[Atoms],
) -> PrecisionRow:
    energy = forces = 0.0
    for atoms, result, right in zip(structures, results, exact, strict=True):
        for head in right.heads:
            off = abs(result.energies[head] - right.energies[head]) / len(atoms)
            energy = max(energy, off)
            if result.forces is not None and right.forces is not None:
                forces = max(forces, float(np.abs(result.forces[head] - right.forces[head]).max()))
    return PrecisionRow(
        default_dtype=settings.default_dtype,
        kernel=settings.kernel or "reference",
        matmul_precision=settings.matmul_precision,
        energy_deviation_meV_per_atom=1e3 * energy,
        forces_deviation_meV_per_angstrom=1e3 * forces,
    )


def _probes() -> list[Atoms]:
    """Molecules and crystals of common elements."""
    structures = [molecule(name) for name in ("H2O", "CH3CH2OH", "C6H6")]
    structures += [
        bulk("Si", cubic=True),
        bulk("Cu", cubic=True) * (2, 1, 1),
        bulk("Mo", cubic=True) * (2, 2, 1),
        bulk("NaCl", "rocksalt", a=5.64, cubic=True),
    ]
    for seed, atoms in enumerate(structures):
        atoms.rattle(RATTLE, seed=seed)
    return structures
