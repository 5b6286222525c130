"""Whether a head may compute a structure: what its card says about elements, periodicity, charge.

A single head that is asked for by name decides in `calculators.checks`, with advice in each error;
a mixture and `advise` ask all heads here.
"""

from __future__ import annotations

from collections.abc import Container, Iterable

import torch
from ase.data import chemical_symbols
from torch import Tensor

from atomfm_calc.models.gate import CompositionGate, count_elements
from atomfm_calc.registry.card import PERIODICITIES, HeadInfo
from atomfm_calc.sample import Sample


def symbols_of(sample: Sample) -> list[str]:
    """Elements of a structure, each once, in order of atomic number."""
    return [chemical_symbols[number] for number in sorted(set(sample.atomic_numbers.tolist()))]


def unseen_elements(info: HeadInfo, symbols: Iterable[str]) -> list[str]:
    """Those of the elements that no training structure of a head contained, as far as is known."""
    if not info.elements_known:
        return []
    return [symbol for symbol in symbols if not info.elements.get(symbol)]


def periodicity_of(sample: Sample) -> str:
    """Word of `PERIODICITIES` for a structure."""
    return PERIODICITIES[int(sample.pbc.sum())]


def parity_fits(n_electrons: int, multiplicity: int) -> bool:
    """Whether so many electrons can have a multiplicity 2S+1."""
    unpaired = multiplicity - 1
    return 0 <= unpaired <= n_electrons and (n_electrons - unpaired) % 2 == 0


def objections(
    info: HeadInfo, sample: Sample, *, allow_unseen_elements: bool = False
) -> tuple[str, ...]:
    """Why a head may not compute a structure; nothing if it may.

    Args:
        info: card of the head.
        sample: positions and targets are not read.
        allow_unseen_elements: leave the elements out.
    """
    found = []
    unseen = unseen_elements(info, symbols_of(sample))
    if unseen and not allow_unseen_elements:
        found.append(f"has seen no {', '.join(unseen)}")
    word = periodicity_of(sample)
    if info.periodicity and word not in info.periodicity:
        found.append(f"has seen no {_NAMES[word]}")
    if sample.charge not in info.charges:
        found.append(f"was not trained on charge {sample.charge:+d}")
    n_electrons = int(sample.atomic_numbers.sum()) - sample.charge
    if sample.multiplicity not in info.multiplicities:
        found.append(f"was not trained on multiplicity {sample.multiplicity}")
    elif info.uses_charge and not parity_fits(n_electrons, sample.multiplicity):
        found.append(f"{n_electrons} electrons cannot have multiplicity {sample.multiplicity}")
    return tuple(found)


def counts_of(sample: Sample) -> Tensor:
    """What a gate reads of a structure: [1, 118] atoms per element."""
    numbers = torch.as_tensor(sample.atomic_numbers)
    return count_elements(numbers, torch.zeros_like(numbers), 1)


def weights_of_heads(
    gate: CompositionGate, sample: Sample, excluded: Container[str]
) -> dict[str, float]:
    """Weights of the heads for a structure, which add up to 1.

    Args:
        gate: of the model.
        sample: its elements are read.
        excluded: heads that get none; not all of them.
    """
    allowed = torch.tensor([[name not in excluded for name in gate.heads]])
    with torch.no_grad():
        weights = gate(counts_of(sample), allowed)[0].tolist()
    return dict(zip(gate.heads, weights, strict=True))


_NAMES = {
    "molecule": "molecules",
    "1d": "chains (periodic in one direction)",
    "2d": "slabs (periodic in two directions)",
    "3d": "crystals (periodic in three directions)",
}
