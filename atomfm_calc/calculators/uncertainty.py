"""How far energies may be off, structure by structure, and what is done where that is too far.

This is the uncertainty of one head about its own theory. How far several heads are from each other
is their spread (`comparison.HeadComparison`): a difference of theories, data and fits, which is
large where nothing is uncertain and small where all are wrong alike. A mixture has no uncertainty.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from ase.data import chemical_symbols
from numpy.typing import NDArray

from atomfm_calc.calculators.setup import MIXTURE, CalculatorSettings
from atomfm_calc.errors import PropertyError, UncertainError, listing
from atomfm_calc.graph import AtomicGraph
from atomfm_calc.models.derivatives import Prediction
from atomfm_calc.models.uncertainty import HeadUncertainty, last_features
from atomfm_calc.registry.catalog import LoadedModel

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, eq=False)
class EnergyUncertainty:
    """One standard deviation of the error that a head's energy is expected to have."""

    energy: float
    """eV"""
    per_atom: float
    """eV/atom, `energy` over the number of atoms: what limits and calibration are about"""
    atoms: NDArray[np.float64] | None
    """[N] eV of a structure made of atoms like this one alone, so that the largest tells where a
    structure is strange; they do not add up to `energy`. None if the model pools its features"""
    usual: float
    """eV/atom that 95 % of the head's held-out structures do not exceed"""

    @property
    def is_usual(self) -> bool:
        """Whether the head is as sure as of 95 % of its held-out structures."""
        return self.per_atom <= self.usual


class Uncertainties:
    """The uncertainties of a model's heads, and the limit that a user set."""

    def __init__(self, loaded: LoadedModel, settings: CalculatorSettings) -> None:
        self.model, self.card, self.heads = loaded.model, loaded.card, loaded.uncertainties
        self.settings = settings
        self._was_uncertain = False

    def require(self, head: str) -> HeadUncertainty:
        """What a head knows of its errors.

        Raises:
            PropertyError: a mixture, or a head or model without uncertainties; says what to do.
        """
        if head == MIXTURE:
            raise PropertyError(
                "a mixture of heads has no uncertainty: it is at no level of theory that its "
                "energy could be compared with. Choose one head; calc.evaluate_heads(atoms) has "
                "the uncertainty of each, and their spread, which is something else"
            )
        if head not in self.heads:
            known = f"it has those of {listing(self.heads)}" if self.heads else "it has none at all"
            raise PropertyError(
                f"{self.card.label} was made without uncertainties of head {head!r}; {known}. With "
                "its training data: python -m training uncertainty MODEL --data RUN --out FOLDER"
            )
        return self.heads[head]

    def of(
        self, head: str, prediction: Prediction, graph: AtomicGraph
    ) -> list[EnergyUncertainty] | None:
        """Of each structure of a graph, from what the head has read; None if it does not know."""
        known = self.heads.get(head)
        if known is None or prediction.descriptors is None:
            return None
        there = graph.to(prediction.descriptors.device)
        features = last_features(self.model, prediction.descriptors, there, head)
        energies = known.sigma(features.structures).tolist()
        sizes = graph.n_atoms.tolist()
        of_atoms = None if features.atoms is None else known.sigma(features.atoms)
        parts: Sequence[torch.Tensor | None] = [None] * len(sizes)
        if of_atoms is not None:
            parts = of_atoms.cpu().split(sizes)
        return [
            EnergyUncertainty(
                energy=energy,
                per_atom=energy / size,
                atoms=None if part is None else part.numpy(),
                usual=known.usual,
            )
            for energy, size, part in zip(energies, sizes, parts, strict=True)
        ]

    def heed(self, uncertainty: EnergyUncertainty | None, graph: AtomicGraph, head: str) -> None:
        """Do what the settings say if an energy is too uncertain.

        A warning is given when it begins, not again while it goes on.

        Args:
            uncertainty: of the structure; of a head that `require` accepted.
            graph: the structure.
            head: name.

        Raises:
            UncertainError: it is, and `on_uncertain` is "raise".
        """
        settings = self.settings
        if settings.on_uncertain == "ignore" or uncertainty is None:
            return
        limit = uncertainty.usual if settings.max_uncertainty is None else settings.max_uncertainty
        is_uncertain = not uncertainty.per_atom <= limit
        was_uncertain, self._was_uncertain = self._was_uncertain, is_uncertain
        if not is_uncertain or (was_uncertain and settings.on_uncertain == "warn"):
            return
        message = _complaint(uncertainty, graph, head, limit, settings.max_uncertainty is None)
        if settings.on_uncertain == "raise":
            raise UncertainError(message)
        logger.warning(message)


def _complaint(
    uncertainty: EnergyUncertainty, graph: AtomicGraph, head: str, limit: float, is_usual: bool
) -> str:
    where = ""
    if uncertainty.atoms is not None:
        atom = int(uncertainty.atoms.argmax())
        where = f", most at atom {atom} ({chemical_symbols[int(graph.atomic_numbers[atom])]})"
    origin = "that 95 % of its held-out structures keep" if is_usual else "set by max_uncertainty"
    return (
        f"head {head!r} is uncertain of this structure of {len(graph.atomic_numbers)} atoms: "
        f"{uncertainty.per_atom:.3g} eV/atom (one standard deviation){where}; the limit is "
        f"{limit:.3g} eV/atom, {origin}. Little in its training data is like this structure: "
        "check it, choose another head, fine-tune, or raise max_uncertainty"
    )
