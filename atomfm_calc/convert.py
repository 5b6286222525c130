"""`ase.Atoms` <-> `Sample`: the library's one door to ASE structures."""

from __future__ import annotations

from typing import Any

import numpy as np
from ase import Atoms
from ase.stress import full_3x3_to_voigt_6_stress

from atomfm_calc.errors import DataError
from atomfm_calc.sample import Sample

CHARGE_KEYS = ("charge",)
"""Keys of `atoms.info` that hold the total charge in e."""
MULTIPLICITY_KEYS = ("multiplicity", "spin_multiplicity", "spin")
"""Keys of `atoms.info` that hold 2S+1, the first one present counts ("spin" as in OMol and Orb)."""
WATCHED_INFO_KEYS = CHARGE_KEYS + MULTIPLICITY_KEYS
"""Everything in `atoms.info` that changes a prediction."""


def charge_of(atoms: Atoms) -> int | None:
    """Total charge in e from `atoms.info`, None if it does not say; DataError if no integer."""
    return _whole_number(atoms, CHARGE_KEYS)


def multiplicity_of(atoms: Atoms) -> int | None:
    """2S+1 from `atoms.info`, None if it does not say; DataError if no integer."""
    return _whole_number(atoms, MULTIPLICITY_KEYS)


def _whole_number(atoms: Atoms, keys: tuple[str, ...]) -> int | None:
    found = {key: atoms.info[key] for key in keys if key in atoms.info}
    if not found:
        return None
    values: set[Any] = set()
    for key, value in found.items():
        number = np.asarray(value)
        if number.shape not in ((), (1,)) or not np.issubdtype(number.dtype, np.number):
            raise DataError(f"atoms.info[{key!r}] is {value!r}; it must be one whole number")
        scalar = float(number.reshape(()))
        if not scalar.is_integer():
            raise DataError(f"atoms.info[{key!r}] is {value!r}; it must be a whole number")
        values.add(int(scalar))
    if len(values) > 1:
        raise DataError(f"atoms.info contradicts itself: {found}; keep one of these keys")
    return values.pop()


def sample_from_atoms(
    atoms: Atoms,
    targets: dict[str, Any] | None = None,
    source: str = "",
) -> Sample:
    """A sample with copies of the arrays of `atoms`.

    Args:
        atoms: is not changed; charge and multiplicity are read from `atoms.info` (default 0 and 1).
        targets: labels by property name, in eV, eV/Å, eV/Å³.
        source: named in error messages.
    """
    charge, multiplicity = charge_of(atoms), multiplicity_of(atoms)
    return Sample(
        atomic_numbers=atoms.numbers.astype(np.int64),
        positions=atoms.get_positions(),
        cell=np.array(atoms.cell.array),
        pbc=np.array(atoms.pbc),
        charge=0 if charge is None else charge,
        multiplicity=1 if multiplicity is None else multiplicity,
        targets={key: np.asarray(value, dtype=float) for key, value in (targets or {}).items()},
        source=source,
    )


def atoms_from_sample(sample: Sample) -> Atoms:
    """ASE structure with charge and multiplicity in `info`; labels are left out."""
    atoms = Atoms(
        numbers=sample.atomic_numbers,
        positions=sample.positions,
        cell=sample.cell,
        pbc=sample.pbc,
    )
    atoms.info["charge"] = sample.charge
    atoms.info["multiplicity"] = sample.multiplicity
    return atoms


def voigt_stress(stress: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """[3, 3] stress -> ASE's six numbers xx, yy, zz, yz, xz, xy."""
    return np.asarray(full_3x3_to_voigt_6_stress(stress))
