"""All heads on one structure, and how far they disagree."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from atomfm_calc.calculators.checks import check_structure
from atomfm_calc.calculators.evaluator import Evaluator, StructureResult
from atomfm_calc.calculators.setup import resolve_head
from atomfm_calc.errors import PropertyError, StructureError

Array = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, eq=False)
class HeadComparison:
    """What each head says about one structure."""

    energies: Mapping[str, float]
    """eV by head; every head has its own zero (`HeadInfo.energy_zero`): not to be compared."""
    energies_above_references: Mapping[str, float]
    """eV by head, the energy minus the head's reference energies of the elements: of a similar
    kind for all heads (binding energies, to a shift per element that each data set fits)"""
    forces: Mapping[str, Array] | None
    """[N, 3] eV/Å by head; None if not asked for"""
    skipped: Mapping[str, str]
    """Why a head was left out: unseen elements, charge"""

    @property
    def heads(self) -> tuple[str, ...]:
        """Heads that were evaluated, in the order of the card."""
        return tuple(self.energies)

    @property
    def energy_spread(self) -> float:
        """Standard deviation over the heads of the energy above references, eV."""
        return float(np.std(list(self.energies_above_references.values())))

    @property
    def force_spread(self) -> Array | None:
        """[N] eV/Å: root mean square over the heads of the distance from the heads' mean force."""
        if self.forces is None:
            return None
        forces = np.stack(list(self.forces.values()))  # [H, N, 3]
        squares = ((forces - forces.mean(axis=0)) ** 2).sum(axis=2)
        return np.asarray(np.sqrt(squares.mean(axis=0)))


def compare_heads(
    evaluator: Evaluator, atoms: Atoms, heads: str | Sequence[str] = "all", *, forces: bool = True
) -> HeadComparison:
    """Evaluate several heads on one structure.

    The backbone runs once for all heads that see the same charge and multiplicity, so once for a
    neutral singlet; forces take one backward pass per head.

    Args:
        evaluator: model and settings; its own head plays no role.
        atoms: is not changed.
        heads: names, or "all": those that may compute the structure, the others are `skipped`.
        forces: False: energies only.

    Raises:
        UnknownNameError: no such head.
        UnsupportedElementError, ChargeError: a named head, or every head, refuses the structure.
        StructureError, NonFiniteError, InsufficientMemoryError: as for a single head.
    """
    check_structure(atoms)
    skipped: dict[str, str] = {}
    groups: dict[tuple[int, int], list[str]] = {}
    names = tuple(evaluator.card.heads) if isinstance(heads, str) and heads == "all" else heads
    for name in (names,) if isinstance(names, str) else names:
        head = resolve_head(evaluator.card, name)
        try:
            groups.setdefault(evaluator.admit(atoms, head), []).append(head)
        except StructureError as error:
            if heads != "all":
                raise
            skipped[head] = str(error)
    if not groups:
        raise StructureError(
            "no head can compute this structure: "
            + "; ".join(f"{name}: {reason}" for name, reason in skipped.items())
        )
    want = ("energy", "forces") if forces else ("energy",)
    results: dict[str, StructureResult] = {}
    for members in groups.values():
        graph = evaluator.graph(atoms, members[0])
        results |= evaluator.evaluate_heads(graph, members, want)
    order = [name for name in evaluator.card.heads if name in results]
    return HeadComparison(
        energies={name: results[name].energy for name in order},
        energies_above_references={
            name: results[name].energy - evaluator.reference_energy(atoms, name) for name in order
        },
        forces={name: _forces(results[name]) for name in order} if forces else None,
        skipped=skipped,
    )


def _forces(result: StructureResult) -> Array:
    if result.forces is None:
        raise PropertyError("forces were not computed; ask for them")
    return result.forces
