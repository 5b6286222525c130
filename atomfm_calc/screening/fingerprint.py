"""Prototype of a crystal in words: formula pattern, and who touches whom how often.

Rock salt is "AB|A:B6|B:A6", zincblende "AB|A:B4|B:A4". Elements are named A, B, ... by their share
and then by their coordination, so NaCl, MgO and TiN are the same prototype. Atoms touch up to 1.25
times the distance of the nearest one, which small distortions do not change.
"""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from atomfm_calc.screening.graphs import ListedBlock

TOUCHING = 1.25
"""Times the distance of an atom's nearest neighbor."""
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def fingerprints(listed: ListedBlock) -> list[str]:
    """The prototype of each structure [S]; atoms without neighbors touch none."""
    block, edges = listed.block, listed.edges
    owner = block.structure_of_atom[edges.center]
    vectors = block.positions[edges.neighbor] - block.positions[edges.center]
    vectors = vectors + np.einsum("ei,eij->ej", edges.shift, block.cell[owner])
    distance = np.linalg.norm(vectors, axis=1)
    nearest = np.full(len(block.atomic_numbers), np.inf)
    np.minimum.at(nearest, edges.center, distance)
    touching = distance <= TOUCHING * nearest[edges.center]
    first_edge = np.concatenate([[0], np.cumsum(listed.n_edges)])
    result = []
    for (start, stop), (begin, end) in zip(
        pairwise(block.first_atom), pairwise(first_edge), strict=True
    ):
        mask = touching[begin:end]
        pairs = (edges.center[begin:end][mask] - start, edges.neighbor[begin:end][mask] - start)
        result.append(_fingerprint(block.atomic_numbers[start:stop], *pairs))
    return result


def _fingerprint(
    atomic_numbers: NDArray[np.int64], center: NDArray[np.int64], neighbor: NDArray[np.int64]
) -> str:
    counts = Counter(atomic_numbers.tolist())
    divisor = int(np.gcd.reduce(list(counts.values())))
    touched: dict[int, Counter[int]] = {number: Counter() for number in counts}
    pairs = zip(atomic_numbers[center].tolist(), atomic_numbers[neighbor].tolist(), strict=True)
    for (own, other), n_pairs in Counter(pairs).items():
        touched[own][other] = round(n_pairs / counts[own])

    def rank(number: int) -> tuple[int, list[int]]:
        return counts[number], sorted(touched[number].values())

    letter = {
        number: LETTERS[place % len(LETTERS)]
        for place, number in enumerate(sorted(counts, key=rank))
    }
    formula = "".join(
        f"{letter[number]}{counts[number] // divisor if counts[number] > divisor else ''}"
        for number in letter
    )
    shells = [
        f"{letter[number]}:"
        + "".join(
            f"{letter[other]}{touched[number][other]}"
            for other in letter
            if touched[number].get(other)
        )
        for number in letter
    ]
    return "|".join([formula, *shells])
