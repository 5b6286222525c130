"""QM9: 133 885 molecules in one archive of .xyz files with mathematica numbers, thirteen targets.

A file has the number of atoms; "gdb INDEX" and fifteen values; element, position and charge of each
atom; frequencies; SMILES; InChI. `uncharacterized.txt` names molecules whose relaxed geometry is no
longer that of their SMILES; they are left out, as everywhere.

The thirteenth target is the atomization energy: U0 minus that of the atoms.

Sources: Ramakrishnan et al., Sci. Data 1, 140022 (2014), table 2 and 3; energies of atoms from
`atomref.txt` beside the data.
"""

from __future__ import annotations

import tarfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
from ase.data import atomic_numbers
from ase.units import Hartree

from atomfm_calc.errors import DataError
from atomfm_calc.sample import Sample
from downstream.readers.extxyz_values import read_values
from downstream.readers.records import samples_of, scalar
from downstream.stand_in import STAND_INS, stand_in_path
from training.datasets.adapter import named_record

STAND_IN = f"{STAND_INS['molecules']} (stand-in)"
ARCHIVE = "dsgdb9nsd.xyz.tar.bz2"
UNCHARACTERIZED = "uncharacterized.txt"
HEADING_LINES = 9
"""Of the list of uncharacterized molecules."""
FIRST_VALUE = 5
"""Place of the dipole moment in the line of values, after "gdb", index and rotational constants."""

FACTORS: Mapping[str, float] = {
    "dipole_moment": 1.0,
    "polarizability": 1.0,
    "homo": Hartree,
    "lumo": Hartree,
    "gap": Hartree,
    "electronic_spatial_extent": 1.0,
    "zero_point_energy": Hartree,
    "u0": Hartree,
    "u298": Hartree,
    "h298": Hartree,
    "g298": Hartree,
    "heat_capacity": 1.0,
}
"""Target -> its unit in the recipe per unit of the file, in the file's order."""
ATOMIZATION = "atomization_energy"
ATOMS_U0 = {
    symbol: energy * Hartree
    for symbol, energy in (
        ("H", -0.500273),
        ("C", -37.846772),
        ("N", -54.583861),
        ("O", -75.064579),
        ("F", -99.718730),
    )
}
"""Energy of the isolated atoms at 0 K in eV."""


class _Molecule(NamedTuple):
    name: str
    lines: list[str]


def read(folder: Path) -> Iterator[Sample]:
    """Molecules in the archive's order; `source` is "gdb INDEX".

    Raises:
        DataError: a file is missing, damaged, or not of this form; names file and record.
    """
    left_out = _uncharacterized(folder / UNCHARACTERIZED)

    def sample_of(number: int, molecule: _Molecule) -> Sample | None:
        return None if _index(molecule) in left_out else _sample(molecule)

    return samples_of(folder / ARCHIVE, _molecules, sample_of)


def read_stand_in() -> Iterator[Sample]:
    """Small organic molecules with the thirteen properties at lower levels of theory."""
    names = (*FACTORS, ATOMIZATION)
    return read_values(stand_in_path("molecules"), {name: name for name in names})


def _molecules(path: Path) -> Iterator[_Molecule]:
    with tarfile.open(path, "r:bz2") as archive:
        for member in archive:
            file = archive.extractfile(member)
            if file is not None:
                lines = file.read().decode("utf-8").splitlines()
                yield _Molecule(name=member.name, lines=lines)


def _index(molecule: _Molecule) -> int:
    words = molecule.lines[1].split() if len(molecule.lines) > 1 else []
    if len(words) < 2 or words[0] != "gdb":
        raise DataError(f"{molecule.name} has no line with its index and values")
    return int(words[1])


def _sample(molecule: _Molecule) -> Sample:
    words = molecule.lines[1].split()
    values = [_number(word) for word in words[FIRST_VALUE:]]
    if len(values) != len(FACTORS):
        raise DataError(f"{molecule.name} has {len(values)} values, not {len(FACTORS)}")
    n_atoms = int(molecule.lines[0])
    rows = [line.split() for line in molecule.lines[2 : 2 + n_atoms]]
    if len(rows) < n_atoms or any(len(row) != 5 for row in rows):
        raise DataError(f"{molecule.name} has no {n_atoms} lines of element, position and charge")
    targets = {
        name: scalar(value, name, factor)
        for (name, factor), value in zip(FACTORS.items(), values, strict=True)
    }
    of_atoms = sum(ATOMS_U0[row[0]] for row in rows)
    targets[ATOMIZATION] = np.asarray(float(targets["u0"]) - of_atoms)
    return Sample(
        atomic_numbers=np.array([atomic_numbers[row[0]] for row in rows], dtype=np.int64),
        positions=np.array([[_number(word) for word in row[1:4]] for row in rows]),
        targets=targets,
        source=f"gdb {_index(molecule)}",
    )


def _number(word: str) -> float:
    """A number as Mathematica writes it: 1.2*^-6 for 1.2e-6."""
    return float(word.replace("*^", "e"))


def _uncharacterized(path: Path) -> set[int]:
    """Indices in the list; its last line counts them."""
    if not path.is_file():
        raise DataError(
            f"{UNCHARACTERIZED} is not in {path.parent}; without it molecules are learned whose "
            "geometry is not theirs. The README says how to get it"
        )
    with named_record(path, None):
        lines = path.read_text(encoding="utf-8").splitlines()[HEADING_LINES:]
        rows = [words for words in map(str.split, lines) if words]
        (count,) = (int(words[0]) for words in rows if words[1:] == ["compounds"])
        indices = {int(words[0]) for words in rows if words[1:] != ["compounds"]}
        if len(indices) != count:
            raise DataError(f"the list says {count} compounds and names {len(indices)}")
    return indices
