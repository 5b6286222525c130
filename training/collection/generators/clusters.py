"""Isolated atoms and small clusters over the whole periodic table, H to Rn."""

from __future__ import annotations

import numpy as np
from ase import Atoms
from ase.data import atomic_numbers, chemical_symbols, covalent_radii

from atomfm_calc.sample import Sample
from training.collection.generators.build import pick, random_numbers, to_sample
from training.collection.generators.displace import LIGHT, rattle

LAST_ELEMENT = 86
LIGANDS: tuple[str, ...] = (
    "H",
    "F",
    "Cl",
    "O",
    "S",
    "N",
    "C",
    "Br",
    "I",
    "Se",
    "P",
    "B",
    "Si",
    "Li",
    "Na",
)
SHAPES: dict[int, tuple[tuple[float, float, float], ...]] = {
    1: ((1, 0, 0),),
    2: ((1, 0, 0), (-1, 0, 0)),
    3: ((1, 0, 0), (-0.5, 0.8660254, 0), (-0.5, -0.8660254, 0)),
    4: ((1, 1, 1), (1, -1, -1), (-1, 1, -1), (-1, -1, 1)),
    5: ((1, 0, 0), (-0.5, 0.8660254, 0), (-0.5, -0.8660254, 0), (0, 0, 1), (0, 0, -1)),
    6: ((1, 0, 0), (-1, 0, 0), (0, 1, 0), (0, -1, 0), (0, 0, 1), (0, 0, -1)),
}
"""Directions of the ligands around one atom: linear, planar, tetrahedral and so on."""


def generate_atom(seed: int, index: int) -> Sample:
    """The neutral atom with atomic number `index` + 1; `seed` has no effect."""
    symbol = chemical_symbols[1 + index % LAST_ELEMENT]
    return to_sample(Atoms(symbol, positions=[(0.0, 0.0, 0.0)]), f"atom/{symbol}")


def generate_dimer(seed: int, index: int) -> Sample:
    """Two atoms at 0.65-2.5 sums of covalent radii: every element with itself or a random one."""
    rng = random_numbers(seed, index)
    first = 1 + pick(seed, index, LAST_ELEMENT)
    second = first if rng.uniform() < 0.3 else int(rng.integers(1, LAST_ELEMENT + 1))
    ratio = rng.uniform(0.65, 1.3) if rng.uniform() < 0.7 else rng.uniform(1.3, 2.5)
    length = ratio * (covalent_radii[first] + covalent_radii[second])
    atoms = Atoms([first, second], positions=[(0.0, 0.0, 0.0), (0.0, 0.0, length)])
    return to_sample(atoms, f"dimer/{atoms.get_chemical_formula()}")


def generate_complex(seed: int, index: int) -> Sample:
    """An atom of any element with one to six ligands, bond lengths scaled by 0.85-1.3, rattled.

    Ligand atoms O, N, C and S carry hydrogen every second time.
    """
    rng = random_numbers(seed, index)
    center = chemical_symbols[1 + pick(seed, index, LAST_ELEMENT)]
    n_ligands = int(rng.choice([1, 2, 3, 4, 5, 6], p=[0.1, 0.25, 0.2, 0.25, 0.05, 0.15]))
    directions = np.array(SHAPES[n_ligands], dtype=float)
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    if n_ligands < 5 and rng.uniform() < 0.3:
        directions += rng.normal(0.0, 0.25, directions.shape)
    kinds = (
        rng.choice(LIGANDS, n_ligands) if rng.uniform() < 0.4 else [rng.choice(LIGANDS)] * n_ligands
    )
    with_hydrogen = rng.uniform() < 0.5
    scale = rng.normal(1.03, 0.06) if rng.uniform() < 0.7 else rng.uniform(0.85, 1.3)
    atoms = Atoms(center, positions=[(0.0, 0.0, 0.0)])
    for direction, kind in zip(directions, kinds, strict=True):
        _attach(atoms, str(kind), scale * direction, with_hydrogen, rng)
    moved = rattle(atoms, 0.02 * 10.0 ** rng.uniform(), rng)
    return to_sample(moved, f"complex/{moved.get_chemical_formula()}")


def _attach(
    atoms: Atoms, ligand: str, direction: np.ndarray, with_hydrogen: bool, rng: np.random.Generator
) -> None:
    """Append a ligand to atom 0, with hydrogen if it takes some (water, ammonia, methyl)."""
    radius = covalent_radii[atoms.numbers[0]] + covalent_radii[atomic_numbers[ligand]]
    place = atoms.positions[0] + radius * direction
    atoms.append(ligand)
    atoms.positions[-1] = place
    n_hydrogen = {"O": int(rng.integers(1, 3)), "S": 1, "N": int(rng.integers(2, 4)), "C": 3}.get(
        ligand, 0
    )
    if not with_hydrogen or n_hydrogen == 0:
        return
    outward = direction / np.linalg.norm(direction)
    across = np.cross(outward, rng.normal(size=3))
    across /= np.linalg.norm(across)
    third = np.cross(outward, across)
    length = covalent_radii[1] + covalent_radii[atomic_numbers[ligand]]
    for number in range(n_hydrogen):
        angle = 2 * np.pi * number / n_hydrogen
        bond = 0.34 * outward + 0.94 * (np.cos(angle) * across + np.sin(angle) * third)
        atoms.append("H")
        atoms.positions[-1] = place + length * bond


def generate_cluster(seed: int, index: int, min_atoms: int = 3, max_atoms: int = 12) -> Sample:
    """A random compact cluster of one to four elements without too close contacts.

    Args:
        seed: of the set.
        index: of the structure; elements come in turn.
        min_atoms: smallest cluster.
        max_atoms: largest cluster.
    """
    rng = random_numbers(seed, index)
    n_atoms = int(rng.integers(min_atoms, max_atoms + 1))
    leading = 1 + pick(seed, index, LAST_ELEMENT)
    n_elements = int(rng.choice([1, 2, 3, 4], p=[0.3, 0.4, 0.2, 0.1]))
    elements = [
        leading,
        *(int(number) for number in rng.integers(1, LAST_ELEMENT + 1, n_elements - 1)),
    ]
    numbers = [leading, *(int(number) for number in rng.choice(elements, n_atoms - 1))]
    closest = rng.uniform(0.8, 1.05)
    farthest = closest + rng.uniform(0.05, 0.45)
    atoms = _grown(numbers, closest, farthest, rng)
    return to_sample(atoms, f"cluster/{atoms.get_chemical_formula()}")


def generate_dense(seed: int, index: int, min_atoms: int = 2, max_atoms: int = 6) -> Sample:
    """A few atoms squeezed or spread: closest pair at 0.72-1.25 sums of covalent radii.

    One atom of each element in turn among atoms of the main groups, and now and then others:
    what a hot or badly started simulation meets.

    Args:
        seed: of the set.
        index: of the structure.
        min_atoms: smallest group.
        max_atoms: largest group.
    """
    rng = random_numbers(seed, index)
    n_atoms = int(rng.integers(min_atoms, max_atoms + 1))
    leading = 1 + pick(seed, index, LAST_ELEMENT)
    others = rng.choice([1, *LIGHT, int(rng.integers(1, LAST_ELEMENT + 1))], n_atoms - 1)
    numbers = [leading, *(int(number) for number in others)]
    closest = rng.uniform(0.72, 1.25)
    farthest = closest + rng.uniform(0.05, 0.6)
    atoms = _grown(numbers, closest, farthest, rng)
    return to_sample(atoms, f"dense/{atoms.get_chemical_formula()}")


def _grown(numbers: list[int], closest: float, farthest: float, rng: np.random.Generator) -> Atoms:
    """One atom after the other at a `_free_place` beside those before."""
    positions = np.zeros((1, 3))
    for place in range(1, len(numbers)):
        positions = np.vstack(
            [positions, _free_place(numbers, positions, place, closest, farthest, rng)]
        )
    return Atoms(numbers, positions)


def _free_place(
    numbers: list[int],
    positions: np.ndarray,
    place: int,
    closest: float,
    farthest: float,
    rng: np.random.Generator,
) -> np.ndarray:
    """Position that touches one atom and comes closer than `closest` to none."""
    radii = covalent_radii[numbers[:place]] + covalent_radii[numbers[place]]
    best, best_ratio = positions[0], -1.0
    for _ in range(60):
        anchor = int(rng.integers(place))
        direction = rng.normal(size=3)
        direction /= np.linalg.norm(direction)
        trial = positions[anchor] + direction * radii[anchor] * rng.uniform(closest, farthest)
        ratio = float((np.linalg.norm(positions - trial, axis=1) / radii).min())
        if ratio >= closest:
            return trial
        if ratio > best_ratio:
            best, best_ratio = trial, ratio
    return best
