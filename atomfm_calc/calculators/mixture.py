"""`head="mixture"`: all heads of a model at once, weighed by the composition.

The energy of a mixture is the weighted mean over the heads of the energy above the head's element
references:

    E = sum_h w_h [E_h(atoms) - sum_i R_h(element of atom i)],   sum_h w_h = 1.

The heads' zeros, which differ by thousands of eV, are gone before anything is mixed. The weights w
depend on nothing but the composition, the number of periodic directions, charge and multiplicity.
While these stay, E has constant weights: forces and stress are its exact derivatives, and are
those of the heads, weighted.

- May be used: forces, stress, relaxation, dynamics, barriers, conformers, polymorphs, equations of
  state: everything that compares structures of the same composition, periodicity and charge. With a
  gate that reads fractions, supercells as well.
- Must not be used: reaction, formation, adsorption or binding energies, vacancies, Monte Carlo
  moves that exchange or insert atoms. Another composition has other weights and so another zero:
  what remains of it is what the data sets' fitted references disagree about. Nor is E at any one
  level of theory.

A model without references, such as one imported from HydraGNN, has R = 0; its mixed energies are
HydraGNN's, and compare structures of one composition only.

A head that may not compute a structure (elements or periodicity that it never saw, charge) has
weight zero, whatever the gate says, and the others are scaled up. The gate knows compositions, not
structures: isomers have the same weights.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import torch
from ase import Atoms
from ase.data import chemical_symbols
from torch import Tensor

from atomfm_calc.calculators.checks import agreed_state, check_structure
from atomfm_calc.calculators.setup import CalculatorSettings
from atomfm_calc.errors import StructureError, UnknownCompositionError
from atomfm_calc.graph import AtomicGraph, sum_to_structures
from atomfm_calc.models.foundation import Energy, EnergyFunction
from atomfm_calc.models.gate import CompositionGate
from atomfm_calc.registry.catalog import LoadedModel
from atomfm_calc.registry.coverage import counts_of, objections, weights_of_heads
from atomfm_calc.sample import Sample

logger = logging.getLogger(__name__)

N_REMEMBERED = 10_000
"""Compositions whose weights are kept."""


@dataclass(frozen=True, kw_only=True)
class HeadWeights:
    """How much each head counts for one composition."""

    weights: Mapping[str, float]
    """By head, in the order of the card; they add up to 1."""
    excluded: Mapping[str, str]
    """Why a head has no say."""
    warning: str | None
    """Why the gate should not be trusted here: elements or a composition that it never saw. None:
    it knows the like, or it came without knowledge of its training set."""


class State(NamedTuple):
    """All that weights depend on."""

    counts: tuple[tuple[int, int], ...]
    """Atomic number and number of atoms of each element, in order."""
    n_periodic: int
    charge: int
    multiplicity: int

    def sample(self) -> Sample:
        """A structure in this state, with no positions to speak of."""
        numbers, counts = np.array(self.counts, dtype=np.int64).T
        return Sample(
            atomic_numbers=np.repeat(numbers, counts),
            positions=np.zeros((int(counts.sum()), 3)),
            pbc=np.arange(3) < self.n_periodic,
            charge=self.charge,
            multiplicity=self.multiplicity,
        )

    def formula(self) -> str:
        """Elements and numbers of atoms: "H6C2O"."""
        return "".join(f"{chemical_symbols[z]}{n if n > 1 else ''}" for z, n in self.counts)


class Mixer:
    """The heads of a model, weighed by its gate."""

    def __init__(
        self, loaded: LoadedModel, gate: CompositionGate, settings: CalculatorSettings
    ) -> None:
        """`gate` is that of the model; its heads may be in another order than the card's."""
        self.model, self.card, self.gate = loaded.model, loaded.card, gate
        self.settings = settings
        references = [loaded.model.head(name).references.cpu() for name in gate.heads]
        self.references = torch.stack(references)  # [H, 119] eV
        self.of_state = lru_cache(N_REMEMBERED)(self._weigh)

    def admit(self, atoms: Atoms) -> tuple[int, int]:
        """Charge and multiplicity to compute, if any head may compute the structure.

        Raises:
            StructureError: no head may; says why for each.
            UnknownCompositionError: outside the gate's training set, and the settings refuse that.
            ChargeError: charge or multiplicity are stated twice, differently.
        """
        state = self._state(atoms)
        self.of_state(state)
        return state.charge, state.multiplicity

    def weights(self, atoms: Atoms) -> HeadWeights:
        """Weights of the heads for a structure; errors as in `admit` and `check_structure`."""
        check_structure(atoms)
        return self.of_state(self._state(atoms))

    def energy_of(self, graph: AtomicGraph) -> EnergyFunction:
        """The energy of the module's docstring for the structures of a graph.

        Args:
            graph: S structures that were admitted, in main memory.
        """
        rows = [self.of_state(state).weights for state in _states(graph)]
        weights = torch.tensor(
            [[row[name] for name in self.gate.heads] for row in rows], dtype=torch.float64
        )  # [S, H]
        used = (weights > 0.0).any(dim=0)
        names = [
            name for name, is_used in zip(self.gate.heads, used.tolist(), strict=True) if is_used
        ]
        weights = weights[:, used]
        zeros = weights @ self.references[used]  # [S, 119] eV

        def energy(moved: AtomicGraph) -> Energy:
            device = moved.positions.device
            mixed = self.model.mixture_energy(moved, weights.to(device), names)
            zero = zeros.to(device)[moved.batch, moved.atomic_numbers]  # [N]
            return Energy(
                structures=mixed.structures - sum_to_structures(zero, moved),
                atoms=None if mixed.atoms is None else mixed.atoms - zero,
            )

        return energy

    def _state(self, atoms: Atoms) -> State:
        charge, multiplicity = agreed_state(atoms, self.settings.charge, self.settings.multiplicity)
        return State(
            counts=_counts(atoms.numbers),
            n_periodic=int(atoms.pbc.sum()),
            charge=charge or 0,
            multiplicity=1 if multiplicity is None else multiplicity,
        )

    def _weigh(self, state: State) -> HeadWeights:
        sample = state.sample()
        unseen_allowed = self.settings.allow_unseen_elements
        excluded = {}
        for name, info in self.card.heads.items():
            reasons = objections(info, sample, allow_unseen_elements=unseen_allowed)
            if reasons:
                excluded[name] = "; ".join(reasons)
        if len(excluded) == len(self.card.heads):
            raise StructureError(
                f"no head of {self.card.label} can compute {state.formula()}: "
                + "; ".join(f"{name} {reason}" for name, reason in excluded.items())
            )
        of_head = weights_of_heads(self.gate, sample, excluded)
        return HeadWeights(
            weights={name: of_head[name] for name in self.card.heads},
            excluded=excluded,
            warning=self._outside(state, counts_of(sample)),
        )

    def _outside(self, state: State, counts: Tensor) -> str | None:
        """Why the composition is strange to the gate; tells it, or raises, as the settings say."""
        if not self.gate.knows_its_training_set:
            return None
        unseen = [chemical_symbols[number] for number in self.gate.unseen_elements(counts[0])]
        distance = float(self.gate.distance(counts))
        if unseen:
            reason = f"it was trained on no {', '.join(unseen)}"
        elif distance > self.gate.reach:
            reason = (
                f"its nearest training composition has {100 * distance:.0f} % of the atoms other "
                f"({100 * self.gate.reach:.0f} % are usual)"
            )
        else:
            return None
        warning = (
            f"{state.formula()} is outside the training set of the gate of {self.card.label}: "
            f"{reason}. The weights of the heads are a guess here; compare them "
            "(calc.evaluate_heads), or choose one head."
        )
        if self.settings.outside_gate == "error":
            raise UnknownCompositionError(warning)
        logger.warning(warning)
        return warning


def _counts(numbers: np.ndarray) -> tuple[tuple[int, int], ...]:
    elements, counts = np.unique(numbers, return_counts=True)
    return tuple(zip(elements.tolist(), counts.tolist(), strict=True))


def _states(graph: AtomicGraph) -> list[State]:
    numbers = np.split(graph.atomic_numbers.cpu().numpy(), np.cumsum(graph.n_atoms.tolist())[:-1])
    rows = zip(
        numbers,
        graph.pbc.sum(dim=1).tolist(),
        graph.charge.tolist(),
        graph.multiplicity.tolist(),
        strict=True,
    )
    return [
        State(_counts(elements), periodic, round(charge), round(multiplicity))
        for elements, periodic, charge, multiplicity in rows
    ]
