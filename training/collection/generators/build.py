"""From an ASE structure to a `Sample` whose numbers survive a text file bit by bit."""

from __future__ import annotations

import numpy as np
from ase import Atoms

from atomfm_calc.sample import Sample

DECIMALS = 8
"""Decimals of positions and cells in Å; the rounded structure is the one that is labeled."""


def random_numbers(seed: int, index: int) -> np.random.Generator:
    """The random numbers of structure `index`; independent of all other structures."""
    return np.random.default_rng([seed, index])


def pick(seed: int, index: int, n_choices: int) -> int:
    """Choice that goes through all `n_choices` in random order, then again in another order."""
    lap, place = divmod(index, n_choices)
    return int(np.random.default_rng([seed, lap, 7]).permutation(n_choices)[place])


def electrons_are_odd(atoms: Atoms, charge: int = 0) -> bool:
    """Whether the number of electrons is odd."""
    return bool((int(atoms.numbers.sum()) - charge) % 2)


def to_sample(
    atoms: Atoms, source: str, charge: int = 0, multiplicity: int | None = None
) -> Sample:
    """Sample of a structure with rounded numbers.

    Args:
        atoms: the structure.
        source: what it is, without blanks: "molecule/CCO/rattle".
        charge: total charge in e.
        multiplicity: 2S+1; None: the lowest that the number of electrons allows for a molecule,
            1 (closed shell or not specified) for a periodic structure.
    """
    if multiplicity is None:
        is_open = electrons_are_odd(atoms, charge) and not atoms.pbc.any()
        multiplicity = 2 if is_open else 1
    return Sample(
        atomic_numbers=atoms.numbers.astype(np.int64),
        positions=np.round(atoms.positions, DECIMALS) + 0.0,
        cell=np.round(np.array(atoms.cell), DECIMALS) + 0.0
        if atoms.pbc.any()
        else np.zeros((3, 3)),
        pbc=np.array(atoms.pbc, dtype=bool),
        charge=charge,
        multiplicity=multiplicity,
        source=source.replace(" ", ""),
    )
