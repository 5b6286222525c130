"""`StructureBlock`: many structures in flat arrays, and the candidates that could not become one.

Structures of a screening never exist as objects of their own: a source fills a block, a block is
checked, listed, batched and written as arrays.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Protocol

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from atomfm_calc.calculators.soundness import Fault
from atomfm_calc.convert import charge_of, multiplicity_of
from atomfm_calc.errors import DataError
from atomfm_calc.sample import Sample

REASONS: dict[str, str] = {
    "unreadable": "the record is no structure of its file format",
    "truncated": "the file ends, or the next record begins, before the structure is complete",
    "no-atoms": "the structure has no atoms",
    "unknown-element": "an atom has an atomic number or symbol that is no element",
    "not-finite": "a position or lattice vector is NaN, infinite or beyond all bounds",
    "too-large": "a lattice vector, or a molecule, is longer than 1,000 Å",
    "flat-cell": "the periodic lattice vectors span no volume",
    "overlap": "two atoms are closer than the shortest distance allowed",
    "bad-charge": "charge or multiplicity is no whole number, or cannot exist",
    "not-covered": "no head that was asked for may compute these elements or this charge",
    "no-room": "the generator found no place for an atom, or nothing to substitute",
    "not-finite-result": "the model gave an energy or force that is NaN or infinite",
    "out-of-memory": "the structure does not fit into memory, even alone",
}
"""Why a candidate is quarantined."""


@dataclass(frozen=True, kw_only=True)
class Rejection:
    """A candidate that is quarantined."""

    index: int
    """Its place among all candidates."""
    name: str
    """Its stable id."""
    reason: str
    """Key of `REASONS`."""
    detail: str
    """What exactly was found."""


@dataclass(frozen=True, kw_only=True, eq=False)
class StructureBlock:
    """S structures with N atoms in all, in the order of their index."""

    index: NDArray[np.int64]
    """[S] place among all candidates"""
    names: tuple[str, ...]
    """[S] stable ids: the same in every run of the same input"""
    n_atoms: NDArray[np.int64]
    """[S]"""
    atomic_numbers: NDArray[np.int64]
    """[N]"""
    positions: NDArray[np.float64]
    """[N, 3] Å"""
    cell: NDArray[np.float64]
    """[S, 3, 3] Å, rows are the lattice vectors; zeros if not periodic"""
    pbc: NDArray[np.bool_]
    """[S, 3]"""
    charge: NDArray[np.int64]
    """[S] e"""
    multiplicity: NDArray[np.int64]
    """[S] 2S+1"""
    rejected: tuple[Rejection, ...] = ()
    """Candidates of the same range that are not among the structures"""

    def __len__(self) -> int:
        return len(self.n_atoms)

    @property
    def first_atom(self) -> NDArray[np.int64]:
        """[S + 1] row of each structure's first atom, and N."""
        return np.concatenate([np.zeros(1, np.int64), np.cumsum(self.n_atoms)])

    @property
    def structure_of_atom(self) -> NDArray[np.int64]:
        """The structure that each atom belongs to: [N]."""
        return np.repeat(np.arange(len(self)), self.n_atoms)

    def select(self, rows: NDArray[np.bool_] | NDArray[np.int64]) -> StructureBlock:
        """The structures of a mask [S] or of ascending rows; rejections stay."""
        mask = np.zeros(len(self), dtype=bool)
        mask[rows] = True
        if mask.all():
            return self
        atoms = mask[self.structure_of_atom]
        return replace(
            self,
            index=self.index[mask],
            names=tuple(name for name, kept in zip(self.names, mask, strict=True) if kept),
            n_atoms=self.n_atoms[mask],
            atomic_numbers=self.atomic_numbers[atoms],
            positions=self.positions[atoms],
            cell=self.cell[mask],
            pbc=self.pbc[mask],
            charge=self.charge[mask],
            multiplicity=self.multiplicity[mask],
        )

    def reject(self, bad: NDArray[np.bool_], reason: str, details: Sequence[str]) -> StructureBlock:
        """Quarantine the structures of a mask [S].

        Args:
            bad: which.
            reason: key of `REASONS`.
            details: one text for each of them.
        """
        rows = np.flatnonzero(bad).tolist()
        faults = (Fault(reason, detail) for detail in details)
        return self.reject_rows(dict(zip(rows, faults, strict=True)))

    def reject_rows(self, faults: Mapping[int, Fault]) -> StructureBlock:
        """Quarantine structures by row, each for a reason of its own, a key of `REASONS`."""
        if not faults:
            return self
        out = [
            Rejection(
                index=int(self.index[row]),
                name=self.names[row],
                reason=fault.reason,
                detail=fault.text,
            )
            for row, fault in faults.items()
        ]
        kept = np.ones(len(self), dtype=bool)
        kept[list(faults)] = False
        return replace(self.select(kept), rejected=(*self.rejected, *out))

    def samples(self) -> list[Sample]:
        """The structures one by one; their arrays are parts of those of the block."""
        ends = self.first_atom.tolist()
        return [
            Sample(
                atomic_numbers=self.atomic_numbers[start:end],
                positions=self.positions[start:end],
                cell=self.cell[row],
                pbc=self.pbc[row],
                charge=int(self.charge[row]),
                multiplicity=int(self.multiplicity[row]),
            )
            for row, (start, end) in enumerate(pairwise(ends))
        ]

    def atoms(self, row: int) -> Atoms:
        """One structure as ASE knows it, with charge and multiplicity in `info`."""
        first, last = self.first_atom[row : row + 2]
        atoms = Atoms(
            numbers=self.atomic_numbers[first:last],
            positions=self.positions[first:last],
            cell=self.cell[row],
            pbc=self.pbc[row],
        )
        atoms.info["name"] = self.names[row]
        if self.charge[row]:
            atoms.info["charge"] = int(self.charge[row])
        if self.multiplicity[row] != 1:
            atoms.info["multiplicity"] = int(self.multiplicity[row])
        return atoms


class CandidateSource(Protocol):
    """Where candidates come from; the same index is always the same candidate."""

    n_candidates: int
    content: tuple[str, ...]
    """What the candidates depend on besides the campaign: names and sizes of files."""

    def read(self, start: int, stop: int) -> StructureBlock:
        """The candidates of a range of indices, each as a structure or as a rejection."""
        ...


def empty_block(rejected: Iterable[Rejection] = ()) -> StructureBlock:
    """No structure at all."""
    return block_from_atoms([], rejected)


def block_from_atoms(
    found: Sequence[tuple[int, str, Atoms]], rejected: Iterable[Rejection] = ()
) -> StructureBlock:
    """A block of structures with their index and id; such with an impossible charge are rejected.

    Args:
        found: index, id and structure; these are not changed.
        rejected: candidates that were lost before.
    """
    kept: list[tuple[int, str, Atoms]] = []
    states: list[tuple[int, int]] = []
    lost = list(rejected)
    for index, name, atoms in found:
        try:
            charge, multiplicity = charge_of(atoms), multiplicity_of(atoms)
        except DataError as error:
            lost.append(Rejection(index=index, name=name, reason="bad-charge", detail=str(error)))
            continue
        kept.append((index, name, atoms))
        states.append((charge or 0, 1 if multiplicity is None else multiplicity))
    structures = [atoms for _, _, atoms in kept]
    return StructureBlock(
        index=np.array([index for index, _, _ in kept], dtype=np.int64),
        names=tuple(name for _, name, _ in kept),
        n_atoms=np.array([len(atoms) for atoms in structures], dtype=np.int64),
        atomic_numbers=_joined([atoms.numbers for atoms in structures], ()).astype(np.int64),
        positions=_joined([atoms.positions for atoms in structures], (3,)),
        cell=_joined([atoms.cell.array[None] for atoms in structures], (3, 3)),
        pbc=_joined([atoms.pbc[None] for atoms in structures], (3,)).astype(bool),
        charge=np.array([charge for charge, _ in states], dtype=np.int64),
        multiplicity=np.array([multiplicity for _, multiplicity in states], dtype=np.int64),
        rejected=tuple(lost),
    )


def _joined(arrays: list[NDArray[np.float64]], tail: tuple[int, ...]) -> NDArray[np.float64]:
    return np.concatenate([np.zeros((0, *tail)), *arrays])
