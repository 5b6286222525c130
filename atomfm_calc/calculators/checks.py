"""What is refused before anything is computed, each with its own message."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from ase import Atoms
from ase.calculators.calculator import all_changes
from ase.data import chemical_symbols

from atomfm_calc.calculators.soundness import (
    SHORTEST_DISTANCE,
    Fault,
    fault_of,
    fault_of_positions,
    suspects,
)
from atomfm_calc.convert import charge_of, multiplicity_of
from atomfm_calc.errors import (
    ChargeError,
    DataError,
    PropertyError,
    StructureError,
    UnsupportedElementError,
)
from atomfm_calc.graph import AtomicGraph, edge_vectors
from atomfm_calc.registry.card import HeadInfo, ModelCard
from atomfm_calc.registry.coverage import parity_fits, unseen_elements


def changed_properties(before: Atoms | None, now: Atoms) -> list[str]:
    """Which of ASE's `all_changes` differ between two structures."""
    if before is None:
        return list(all_changes)
    changes = [] if np.array_equal(before.cell.array, now.cell.array) else ["cell"]
    if not np.array_equal(before.pbc, now.pbc):
        changes.append("pbc")
    for name in all_changes:
        one, other = before.arrays.get(name), now.arrays.get(name)
        both = one is not None and other is not None
        if not (np.array_equal(one, other) if both else one is other):
            changes.append(name)
    return changes


def check_structure(atoms: Atoms) -> None:
    """Refuse structures that have no energy.

    Raises:
        StructureError: no atoms, an atomic number of 0, positions or cell that are not finite, or
            a periodic cell without volume or too small for its atoms.
    """
    _raise(fault_of(atoms.numbers, atoms.positions, atoms.cell.array, atoms.pbc))


def check_positions(atoms: Atoms) -> None:
    """The part of `check_structure` that a step of dynamics can change; StructureError likewise."""
    _raise(fault_of_positions(atoms.positions))


def _raise(fault: Fault | None) -> None:
    if fault is not None:
        raise StructureError(fault.text)


def check_structures(structures: Sequence[Atoms]) -> list[StructureError | None]:
    """What `check_structure` says of each; None: nothing. Faster, for it looks at all at once."""
    results: list[StructureError | None] = [None] * len(structures)
    if not results:
        return results
    doubtful = suspects(
        np.array([len(atoms) for atoms in structures]),
        np.concatenate([atoms.numbers for atoms in structures]),
        np.concatenate([atoms.positions for atoms in structures]),
        np.stack([atoms.cell.array for atoms in structures]),
        np.stack([atoms.pbc for atoms in structures]),
    )
    for place in doubtful:
        try:
            check_structure(structures[place])
        except StructureError as error:
            results[place] = error
    return results


def check_distances(graph: AtomicGraph) -> None:
    """Refuse atoms that lie on top of each other.

    Raises:
        StructureError: two atoms are closer than `SHORTEST_DISTANCE`; names them.
    """
    if graph.edge_index.shape[1] == 0:
        return
    distances = torch.linalg.vector_norm(edge_vectors(graph), dim=1)
    shortest = int(distances.argmin())
    distance = float(distances[shortest])
    if distance < SHORTEST_DISTANCE:
        first, second = graph.edge_index[:, shortest].tolist()
        names = [
            f"{index} ({chemical_symbols[graph.atomic_numbers[index]]})"
            for index in (first, second)
        ]
        raise StructureError(
            f"atoms {names[0]} and {names[1]} overlap: {distance:.3f} Å apart, the least is "
            f"{SHORTEST_DISTANCE} Å. Is an atom listed twice, or the cell too small?"
        )


def check_elements(atoms: Atoms, card: ModelCard, head: str) -> None:
    """Refuse elements that a head has not seen.

    Raises:
        UnsupportedElementError: names the elements, and the heads that have seen all of them.
    """
    covered = card.heads[head].elements
    symbols = sorted(set(atoms.get_chemical_symbols()))
    unseen = unseen_elements(card.heads[head], symbols)
    if not unseen:
        return
    others = [name for name, info in card.heads.items() if not unseen_elements(info, symbols)]
    advice = f"These heads cover them: {', '.join(others)}" if others else "No other head does"
    seen = ", ".join(covered) if len(covered) <= 20 else f"{len(covered)} elements"
    raise UnsupportedElementError(
        f"head {head!r} has seen no {', '.join(unseen)}; it covers {seen}. {advice} (atomfm models "
        f"show {card.name}), or pass allow_unseen_elements=True to get numbers without basis."
    )


def check_periodic(atoms: Atoms) -> None:
    """Refuse stress without volume.

    Raises:
        PropertyError: the structure is not periodic in three directions.
    """
    if not atoms.pbc.all():
        raise PropertyError(
            "stress needs a structure that is periodic in three directions; "
            f"pbc is {atoms.pbc.tolist()}. Energy and forces are available."
        )


def stated_charge(atoms: Atoms) -> tuple[int | None, int | None]:
    """Charge and multiplicity that `atoms.info` states, None where it does not.

    Raises:
        ChargeError: no whole number, or keys that contradict each other.
    """
    try:
        return charge_of(atoms), multiplicity_of(atoms)
    except DataError as error:
        raise ChargeError(str(error)) from error


def charge_state(
    atoms: Atoms, charge: int | None, multiplicity: int | None, card: ModelCard, head: str
) -> tuple[int, int]:
    """Charge (e) and multiplicity that a head is to compute.

    Args:
        atoms: `info` may hold the keys of `convert.WATCHED_INFO_KEYS`.
        charge: of the calculator; None if not set.
        multiplicity: of the calculator; None if not set.
        card: has the head.
        head: name.

    Returns:
        charge and multiplicity; 0 and 1 for a head that does not use them.

    Raises:
        ChargeError: calculator and `info` contradict each other, the head was not trained on
            the values, or no such state exists for the number of electrons.
    """
    charge, multiplicity = agreed_state(atoms, charge, multiplicity)
    info = card.heads[head]
    if not info.uses_charge:
        _check_trained_on("charge", charge, info.charges, card, head)
        _check_trained_on("multiplicity", multiplicity, info.multiplicities, card, head)
        return 0, 1
    charge = charge or 0
    _check_trained_on("charge", charge, info.charges, card, head)
    _check_parity(atoms, charge, multiplicity, info)
    multiplicity = multiplicity or 1
    _check_trained_on("multiplicity", multiplicity, info.multiplicities, card, head)
    return charge, multiplicity


def agreed_state(
    atoms: Atoms, charge: int | None, multiplicity: int | None
) -> tuple[int | None, int | None]:
    """Charge and multiplicity that calculator or `info` state, None where neither does.

    Raises:
        ChargeError: they contradict each other, or a multiplicity below 1.
    """
    stated = stated_charge(atoms)
    charge = _agreed("charge", charge, stated[0])
    multiplicity = _agreed("multiplicity", multiplicity, stated[1])
    if multiplicity is not None and multiplicity < 1:
        raise ChargeError(f"multiplicity is {multiplicity}; it is 2S+1, so 1 for closed shells")
    return charge, multiplicity


def _agreed(what: str, own: int | None, info: int | None) -> int | None:
    if own is not None and info is not None and own != info:
        raise ChargeError(
            f"the calculator was built with {what}={own}, but atoms.info says {info}; "
            "remove one of the two"
        )
    return info if own is None else own


def _check_trained_on(
    what: str, value: int | None, seen: tuple[int, ...], card: ModelCard, head: str
) -> None:
    if value is None or value in seen:
        return
    field = {"charge": "charges", "multiplicity": "multiplicities"}[what]
    others = [name for name, info in card.heads.items() if value in getattr(info, field)]
    advice = f"These heads know it: {', '.join(others)}." if others else "No other head does."
    raise ChargeError(
        f"head {head!r} was not trained on {what} {value}; it knows "
        f"{', '.join(str(number) for number in sorted(seen))}. {advice}"
    )


def _check_parity(atoms: Atoms, charge: int, multiplicity: int | None, info: HeadInfo) -> None:
    n_electrons = int(atoms.numbers.sum()) - charge
    if parity_fits(n_electrons, multiplicity or 1):
        return
    formula = atoms.get_chemical_formula()
    given = "not given (so 1)" if multiplicity is None else f"{multiplicity}"
    kind = "even" if n_electrons % 2 else "odd"
    possible = [value for value in info.multiplicities if value % 2 != n_electrons % 2]
    values = " or ".join(str(value) for value in sorted(possible)) or "none this head knows"
    raise ChargeError(
        f"{formula} with charge {charge} has {n_electrons} electrons, so its multiplicity 2S+1 "
        f"must be {kind}; it is {given}. Set multiplicity={values} (argument or "
        "atoms.info['multiplicity']), or check the charge."
    )
