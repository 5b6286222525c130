"""Which head for a structure: what the cards say for and against each.

Heads that may not compute the structure come last. The others are ranked by

1. the gate's weight for the composition, if the model has a gate that knows such compositions: it
   was fitted to errors of all heads on held-out structures;
2. else: whether the training structures had the same periodicity, whether they were more than one
   kind of substance, how often the rarest element of the structure occurred in them (in steps of
   `ENOUGH`), and the held-out error of the forces, in this order.

A rank is advice about data, not about physics: a head of a better theory with larger errors may be
what is wanted. So theory and errors stand beside each.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from atomfm_calc.models.gate import CompositionGate
from atomfm_calc.registry.card import HeadInfo, ModelCard
from atomfm_calc.registry.coverage import (
    counts_of,
    objections,
    periodicity_of,
    symbols_of,
    weights_of_heads,
)
from atomfm_calc.sample import Sample

ENOUGH = (1000, 100, 20)
"""Training structures with an element: many, some, few; below that, next to none."""
WORDS = ("many", "some", "few", "next to no")


@dataclass(frozen=True, kw_only=True)
class Advice:
    """What the card of one head says about one structure."""

    head: str
    """Name."""
    may_compute: bool
    """False: the calculator or the mixture refuses."""
    theory: str
    """Level of theory."""
    weight: float | None
    """In the mixture; None: the model has no gate, or it does not know such compositions."""
    forces_mae_meV_per_angstrom: float | None
    """Held-out error of the forces; None if the card has none."""
    energy_mae_meV_per_atom: float | None
    """Held-out error of the energy; None if the card has none."""
    reasons_for: tuple[str, ...]
    """Sentences."""
    reasons_against: tuple[str, ...]
    """Sentences; those that forbid come first."""


def advise(
    card: ModelCard, sample: Sample, weights: Mapping[str, float] | None = None
) -> list[Advice]:
    """All heads of a model for a structure, best first.

    Args:
        card: of the model.
        sample: elements, periodicity, charge and multiplicity are read, nothing else.
        weights: of the heads for this composition, from a gate that knows it.
    """
    ranks = {name: _rank(name, info, sample, weights) for name, info in card.heads.items()}
    ranked = sorted(ranks, key=ranks.__getitem__)
    return [_advice(name, card.heads[name], sample, weights) for name in ranked]


def weights_for_advice(
    card: ModelCard, gate: CompositionGate | None, sample: Sample
) -> dict[str, float] | None:
    """What `advise` takes as `weights`; None without a gate that knows such compositions."""
    excluded = {name for name, info in card.heads.items() if objections(info, sample)}
    if gate is None or not gate.knows_its_training_set or len(excluded) == len(card.heads):
        return None
    counts = counts_of(sample)
    if gate.unseen_elements(counts[0]) or float(gate.distance(counts)) > gate.reach:
        return None
    return weights_of_heads(gate, sample, excluded)


def _rank(
    name: str, info: HeadInfo, sample: Sample, weights: Mapping[str, float] | None
) -> tuple[float, ...]:
    """Smaller is better."""
    forces = _errors(info)[1]
    worst = float("inf") if forces is None else forces
    other_periodicity = periodicity_of(sample) not in info.periodicity
    by_card = (other_periodicity, _is_one_substance(info), _scarcity(info, sample), worst)
    by_gate = 0.0 if weights is None else -weights[name]
    return (bool(objections(info, sample)), by_gate, *by_card)


def _scarcity(info: HeadInfo, sample: Sample) -> int:
    """0 if every element of the structure is in many training structures, up to 3."""
    rarest = min(info.elements.get(symbol, 0) for symbol in symbols_of(sample))
    return sum(rarest < enough for enough in ENOUGH)


def _is_one_substance(info: HeadInfo) -> bool:
    """Whether every training structure holds all elements: one molecule, or one family of them."""
    n_train = info.n_structures.get("train", 0)
    return n_train > 0 and all(count >= n_train for count in info.elements.values())


def _errors(info: HeadInfo) -> tuple[float | None, float | None]:
    if info.validation is None:
        return None, None
    joint = info.validation.joint
    return joint.energy_mae_meV_per_atom, joint.forces_mae_meV_per_angstrom


def _advice(
    name: str, info: HeadInfo, sample: Sample, weights: Mapping[str, float] | None
) -> Advice:
    forbidden = objections(info, sample)
    energy, forces = _errors(info)
    return Advice(
        head=name,
        may_compute=not forbidden,
        theory=info.theory,
        weight=None if weights is None else weights[name],
        forces_mae_meV_per_angstrom=forces,
        energy_mae_meV_per_atom=energy,
        reasons_for=_reasons_for(info, sample),
        reasons_against=forbidden + _doubts(info, sample),
    )


def _reasons_for(info: HeadInfo, sample: Sample) -> tuple[str, ...]:
    found = []
    counts = {symbol: info.elements.get(symbol, 0) for symbol in symbols_of(sample)}
    if all(counts.values()):
        seen = ", ".join(f"{symbol} {count}" for symbol, count in counts.items())
        found.append(f"training structures with its elements: {seen}")
    if periodicity_of(sample) in info.periodicity:
        found.append(f"trained on its periodicity ({periodicity_of(sample)})")
    if sample.charge and info.uses_charge and sample.charge in info.charges:
        found.append(f"trained on charge {sample.charge:+d}")
    if info.validation is not None:
        found.append(f"checked on {info.validation.n_structures} structures")
    return (*found, *(f"good for {use}" for use in info.good_for))


def _doubts(info: HeadInfo, sample: Sample) -> tuple[str, ...]:
    found = []
    symbols = symbols_of(sample)
    scarcity = _scarcity(info, sample)
    rarest = min(symbols, key=lambda symbol: info.elements.get(symbol, 0))
    if info.elements.get(rarest) and scarcity >= 2:
        found.append(f"{WORDS[scarcity]} training structures with {rarest}")
    if not info.elements_known:
        found.append("nobody says which elements it was trained on")
    if _is_one_substance(info):
        found.append(
            f"every training structure holds all of {', '.join(info.elements)}: a single kind of "
            "substance"
        )
    if info.validation is None:
        found.append("no held-out errors on the card")
    return (*found, *(f"not for {use}" for use in info.not_for))
