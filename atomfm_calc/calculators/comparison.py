"""All heads on a structure, or on many in batches, and how far they disagree."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from atomfm_calc.calculators.budget import BatchBudget, Item, budget_of, compute_in_batches
from atomfm_calc.calculators.checks import check_structures
from atomfm_calc.calculators.evaluator import Evaluator, HeadPart
from atomfm_calc.calculators.preparation import Admissions, checked_graphs, chunks
from atomfm_calc.calculators.setup import MIXTURE, resolve_head
from atomfm_calc.calculators.uncertainty import EnergyUncertainty
from atomfm_calc.errors import PropertyError, SetupError, StructureError
from atomfm_calc.graph import AtomicGraph, collate

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
    """Why a head was left out: unseen elements, charge, or a structure without energy"""
    weights: Mapping[str, float] | None = None
    """Of the heads in the mixture, see `calculators.mixture`; None: the model has no gate, or not
    all heads that count were evaluated"""
    uncertainties: Mapping[str, EnergyUncertainty] = field(default_factory=dict)
    """How far each head's energy may be off its own theory, by head; of the heads that know it.
    Not to be confused with deviations and spread, which are differences between heads"""

    @property
    def heads(self) -> tuple[str, ...]:
        """Heads that were evaluated, in the order of the card."""
        return tuple(self.energies)

    @property
    def center_name(self) -> str:
        """What deviations are measured from: "mixture" if there are weights, else "mean"."""
        return "mean" if self.weights is None else MIXTURE

    @property
    def center_energy(self) -> float:
        """Energy above references of the mixture, or the mean over the heads, eV; NaN if none."""
        return float(self._center(self.energies_above_references)) if self.energies else math.nan

    @property
    def center_forces(self) -> Array | None:
        """[N, 3] eV/Å of the mixture, or the mean over the heads; None without forces."""
        return np.asarray(self._center(self.forces)) if self.forces else None

    @property
    def energy_deviations(self) -> dict[str, float]:
        """eV by head: energy above references minus that of the center."""
        center = self.center_energy
        return {name: value - center for name, value in self.energies_above_references.items()}

    @property
    def force_deviations(self) -> dict[str, float]:
        """eV/Å by head: root mean square over atoms of the distance from the center's forces."""
        center = self.center_forces
        if center is None or self.forces is None:
            return {}
        return {
            name: float(np.sqrt(((forces - center) ** 2).sum(axis=1).mean()))
            for name, forces in self.forces.items()
        }

    def _center(self, values: Mapping[str, Any]) -> Any:
        equal = dict.fromkeys(values, 1.0 / len(values))
        weights = equal if self.weights is None else self.weights
        return sum(weights[name] * value for name, value in values.items())

    @property
    def energy_spread(self) -> float:
        """Standard deviation over the heads of the energy above references, eV; NaN if none."""
        values = list(self.energies_above_references.values())
        return float(np.std(values)) if values else float("nan")

    @property
    def force_spread(self) -> Array | None:
        """[N] eV/Å: root mean square over the heads of the distance from the heads' mean force.

        None without forces.
        """
        if not self.forces:
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
    names = resolve_heads(evaluator, heads)
    if heads != "all":
        for name in names:
            evaluator.admit(atoms, name)
    want = ("energy", "forces") if forces else ("energy",)
    budget = budget_of(evaluator.device.type, None, None)
    (comparison,) = iterate_comparisons(evaluator, [atoms], names, want=want, budget=budget)
    if comparison.heads:
        return comparison
    if len(set(comparison.skipped.values())) == 1:
        raise StructureError(next(iter(comparison.skipped.values())))
    raise StructureError(
        "no head can compute this structure: "
        + "; ".join(f"{name}: {reason}" for name, reason in comparison.skipped.items())
    )


def iterate_comparisons(
    evaluator: Evaluator,
    structures: Iterable[Atoms],
    heads: str | Sequence[str] = "all",
    *,
    want: Sequence[str] = ("energy",),
    budget: BatchBudget,
) -> Iterator[HeadComparison]:
    """`compare_heads` for many structures, one backbone pass per batch, in order.

    A structure that is computed in several states of charge, because only some heads know charges,
    is in a batch once for each. A head that may not compute a structure, and each head for one that
    has no energy at all, is `skipped` with the reason; nothing stops.

    Args:
        evaluator: model and settings; its own head plays no role.
        structures: are not changed, and taken as they are needed.
        heads: names, or "all".
        want: "energy", and "forces" for one backward pass per head; energies alone take none.
        budget: of one batch.

    Raises:
        UnknownNameError: no such head.
        PropertyError: stress is wanted.
        NonFiniteError, InsufficientMemoryError: the calculation failed.
    """
    if not set(want) <= {"energy", "forces"}:
        raise PropertyError(
            f"several heads give energy and forces, not {', '.join(want)}; for stress, ask one head"
        )
    return _iterate(evaluator, structures, resolve_heads(evaluator, heads), want, budget)


def resolve_heads(evaluator: Evaluator, heads: str | Sequence[str]) -> tuple[str, ...]:
    """Names of heads, each once, in the order of the card; "all" are all of them.

    Raises:
        UnknownNameError: no such head.
        SetupError: no level of theory, or no head at all.
    """
    every = tuple(evaluator.card.heads)
    if isinstance(heads, str):
        heads = every if heads == "all" else (heads,)
    if MIXTURE in heads:
        raise SetupError(
            "the mixture is no head of its own; evaluate_heads gives its weights beside all heads"
        )
    if not heads:
        raise SetupError(f"no head is named; {evaluator.card.label} has: {', '.join(every)}")
    chosen = {resolve_head(evaluator.card, name) for name in heads}
    return tuple(name for name in every if name in chosen)


@dataclass(kw_only=True)
class _Growing:
    """A comparison whose parts come one by one: one for each state of charge."""

    heads: Sequence[str]
    above_zero: Mapping[str, float]
    """Reference energy of the structure by head, eV"""
    skipped: dict[str, str]
    weights: Mapping[str, float] | None = None
    """Of the mixture, if all heads that count are asked for"""
    missing: int = 0
    """Parts that are still to come"""
    energies: dict[str, float] = field(default_factory=dict)
    forces: dict[str, Array] | None = None
    uncertainties: dict[str, EnergyUncertainty] = field(default_factory=dict)

    def add(self, part: HeadPart) -> None:
        """Take the results of some heads."""
        self.energies |= part.energies
        self.uncertainties |= part.uncertainties
        if part.forces is not None:
            self.forces = (self.forces or {}) | part.forces
        self.missing -= 1

    def finished(self, want: Sequence[str]) -> HeadComparison:
        """What was collected, in the order of the heads."""
        order = [name for name in self.heads if name in self.energies]
        forces = self.forces or {}
        return HeadComparison(
            energies={name: self.energies[name] for name in order},
            energies_above_references={
                name: self.energies[name] - self.above_zero[name] for name in order
            },
            forces={name: forces[name] for name in order} if "forces" in want else None,
            skipped=self.skipped,
            weights=self.weights if self._covers_the_mixture() else None,
            uncertainties={
                name: self.uncertainties[name] for name in order if name in self.uncertainties
            },
        )

    def _covers_the_mixture(self) -> bool:
        counting = [name for name, weight in (self.weights or {}).items() if weight > 0.0]
        return set(counting) <= set(self.energies)


def _iterate(
    evaluator: Evaluator,
    structures: Iterable[Atoms],
    heads: tuple[str, ...],
    want: Sequence[str],
    budget: BatchBudget,
) -> Iterator[HeadComparison]:
    begun: deque[_Growing] = deque()
    items = _items(evaluator, structures, heads, begun)
    compute = partial(_compute, evaluator, heads=heads, want=want)
    for part in compute_in_batches(items, budget, compute):
        while not begun[0].missing:  # refused by every head
            yield begun.popleft().finished(want)
        begun[0].add(part)
        if not begun[0].missing:
            yield begun.popleft().finished(want)
    for comparison in begun:
        yield comparison.finished(want)


def _items(
    evaluator: Evaluator,
    structures: Iterable[Atoms],
    heads: tuple[str, ...],
    begun: deque[_Growing],
) -> Iterator[Item]:
    """A structure for each state of charge that its heads see; tells `begun` what will come."""
    admissions = Admissions(evaluator=evaluator, heads=heads)
    references = np.stack([evaluator.model.head(name).references.cpu() for name in heads])
    for chunk in chunks(structures):
        refusals = check_structures([atoms for _, atoms in chunk])
        admitted = [
            admissions.of(atoms, refusal)
            for (_, atoms), refusal in zip(chunk, refusals, strict=True)
        ]
        wanted = [
            (atoms, state)
            for (_, atoms), (states, _) in zip(chunk, admitted, strict=True)
            for state in states
        ]
        graphs = iter(checked_graphs(evaluator, wanted))
        for (place, atoms), (states, skipped) in zip(chunk, admitted, strict=True):
            items = []
            for members in states.values():
                graph = next(graphs)
                if isinstance(graph, AtomicGraph):
                    items.append(Item(place, graph, tuple(members)))
                else:
                    skipped |= dict.fromkeys(members, str(graph))
            above_zero = references[:, atoms.numbers].sum(axis=1).tolist() if items else ()
            begun.append(
                _Growing(
                    heads=heads,
                    above_zero=dict(zip(heads, above_zero, strict=False)),
                    skipped={name: skipped[name] for name in heads if name in skipped},
                    weights=_weights(evaluator, atoms) if items else None,
                    missing=len(items),
                )
            )
            yield from items


def _weights(evaluator: Evaluator, atoms: Atoms) -> Mapping[str, float] | None:
    """Of the heads in the mixture; None if the model has no gate or no weights for the structure.

    A head may be asked for a structure that the mixture keeps it from, such as a molecule's head
    for a crystal.
    """
    if evaluator.mixer is None:
        return None
    try:
        return evaluator.mixer.weights(atoms).weights
    except StructureError:
        return None


def _compute(
    evaluator: Evaluator, batch: list[Item], heads: tuple[str, ...], want: Sequence[str]
) -> list[HeadPart]:
    asked = {name for item in batch for name in item.heads}
    members = [name for name in heads if name in asked]
    graph = collate([item.graph for item in batch])
    return evaluator.evaluate_heads(graph, members, want, [item.heads for item in batch])
