"""Random atoms in a box: the candidates of the paper's run over 1.1 billion structures.

That run drew 2 to 500 atoms in a 10 Å cube, elements 1 to 94, all uniform, without a least distance
and without periodicity; its smaller variant has 2 to 20 atoms.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from atomfm_calc.screening.campaign import RandomCandidates
from atomfm_calc.screening.random_numbers import own_generator, uniform_block
from atomfm_calc.screening.structures import Rejection, StructureBlock

TRIES = 2000
"""Places tried for one atom before its structure is given up."""
TRIES_AT_ONCE = 20


class RandomStructures:
    """Structures that are made when they are read, each from seed and index alone."""

    def __init__(self, settings: RandomCandidates) -> None:
        self.settings = settings
        self.n_candidates = settings.count
        self.content: tuple[str, ...] = ()

    def read(self, start: int, stop: int) -> StructureBlock:
        """The candidates of a range; rejected where `min_distance` leaves no room."""
        settings, n_structures = self.settings, stop - start
        n_numbers = 1 + 4 * settings.max_atoms  # how many atoms; element and place of each
        numbers = uniform_block(settings.seed, "random", start, stop, n_numbers)
        span = settings.max_atoms - settings.min_atoms + 1
        n_atoms = settings.min_atoms + (numbers[:, 0] * span).astype(np.int64)
        of_atoms = numbers[:, 1:].reshape(n_structures, settings.max_atoms, 4)
        present = np.arange(settings.max_atoms) < n_atoms[:, None]
        drawn = of_atoms[present]  # [N, 4]
        block = StructureBlock(
            index=np.arange(start, stop),
            names=tuple(f"random-{settings.seed}#{index}" for index in range(start, stop)),
            n_atoms=n_atoms,
            atomic_numbers=1 + (drawn[:, 0] * settings.max_atomic_number).astype(np.int64),
            positions=settings.box * drawn[:, 1:],
            cell=np.zeros((n_structures, 3, 3)),
            pbc=np.zeros((n_structures, 3), dtype=bool),
            charge=np.zeros(n_structures, dtype=np.int64),
            multiplicity=np.ones(n_structures, dtype=np.int64),
        )
        return block if settings.min_distance == 0.0 else self._placed(block)

    def _placed(self, block: StructureBlock) -> StructureBlock:
        """The same numbers of atoms and elements, at places that keep the least distance."""
        positions = block.positions.copy()
        first, failed = block.first_atom, np.zeros(len(block), dtype=bool)
        for row, index in enumerate(block.index.tolist()):
            generator = own_generator(self.settings.seed, "placement", index)
            places = positions[first[row] : first[row + 1]]
            failed[row] = not _place(places, self.settings, generator)
        details = [
            f"no room for {n} atoms at {self.settings.min_distance} Å in {self.settings.box} Å"
            for n in block.n_atoms[failed]
        ]
        rejected = tuple(
            Rejection(index=int(index), name=block.names[row], reason="no-room", detail=detail)
            for row, index, detail in zip(
                np.flatnonzero(failed), block.index[failed], details, strict=True
            )
        )
        placed = StructureBlock(**{**vars(block), "positions": positions, "rejected": rejected})
        return placed.select(~failed)


def _place(
    places: NDArray[np.float64], settings: RandomCandidates, generator: np.random.Generator
) -> bool:
    """Put one atom after the other where it is far enough from those before; in place.

    The first place tried for an atom is the one it has.
    """
    for atom in range(1, len(places)):
        tries = places[atom][None]
        for _ in range(TRIES // TRIES_AT_ONCE):
            gaps = np.linalg.norm(tries[:, None] - places[None, :atom], axis=2).min(axis=1)
            free = np.flatnonzero(gaps >= settings.min_distance)
            if len(free):
                places[atom] = tries[free[0]]
                break
            tries = settings.box * generator.random((TRIES_AT_ONCE, 3))
        else:
            return False
    return True
