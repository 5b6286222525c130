"""Metal atoms with the common ligands of coordination chemistry."""

from __future__ import annotations

import numpy as np
from ase import Atoms
from ase.data import chemical_symbols, covalent_radii
from scipy.spatial.transform import Rotation

from atomfm_calc.sample import Sample
from training.collection.generators.build import pick, random_numbers, to_sample
from training.collection.generators.clusters import SHAPES
from training.collection.generators.displace import disturb
from training.collection.generators.molecules import conformer

METALS: tuple[int, ...] = (3, 4, 11, 12, 13, *range(19, 32), *range(37, 51), *range(55, 84))
"""Atomic numbers of the centers."""
LIGANDS: dict[str, int] = {
    "O": 0,
    "N": 0,
    "CN": 1,
    "CO": 1,
    "[C-]#[O+]": 0,
    "[C-]#N": 0,
    "CC#N": 2,
    "[F-]": 0,
    "[Cl-]": 0,
    "[Br-]": 0,
    "[I-]": 0,
    "[OH-]": 0,
    "C[O-]": 1,
    "[O-]C=O": 0,
    "CC(=O)[O-]": 3,
    "[NH2-]": 0,
    "[N-]=C=S": 0,
    "[N-]=[N+]=[N-]": 0,
    "[O-][N+](=O)[O-]": 0,
    "[CH3-]": 0,
    "[H-]": 0,
    "[SH-]": 0,
    "C[S-]": 1,
    "S": 0,
    "P": 0,
    "CP(C)C": 1,
    "CS(C)=O": 3,
    "C=O": 1,
    "c1ccncc1": 3,
    "c1c[nH]cn1": 4,
    "C=C": 0,
    "[O-]c1ccccc1": 0,
}
"""Ligands by SMILES, and the place of the atom that binds."""
MAX_ATOMS = 30
"""Larger complexes lose ligands: their labels take too long."""


def generate_coordination(seed: int, index: int, charged: bool = False) -> Sample:
    """A metal atom with two to six ligands of one or two kinds, disturbed.

    Args:
        seed: of the set.
        index: of the structure; metals come in turn.
        charged: total charge from -1 to 2 instead of 0.
    """
    rng = random_numbers(seed, index)
    center = METALS[pick(seed, index, len(METALS))]
    directions = np.array(SHAPES[int(rng.choice([2, 3, 4, 6], p=[0.25, 0.15, 0.35, 0.25]))])
    kinds = [str(rng.choice(list(LIGANDS))) for _ in range(int(rng.integers(1, 3)))]
    atoms = Atoms([center], positions=[(0.0, 0.0, 0.0)])
    names = []
    scale = rng.normal(1.03, 0.06)
    for direction in directions / np.linalg.norm(directions, axis=1, keepdims=True):
        name = str(rng.choice(kinds))
        ligand = conformer(name, 0)
        if len(atoms) + len(ligand) <= MAX_ATOMS:
            atoms.extend(_placed(ligand, LIGANDS[name], center, scale * direction, rng))
            names.append(name)
    charge = int(rng.choice([-1, 0, 1, 2], p=[0.2, 0.3, 0.25, 0.25])) if charged else 0
    moved, way = disturb(atoms, rng, is_portable=True)
    ligands = ".".join(f"{name}*{names.count(name)}" for name in sorted(set(names)))
    return to_sample(moved, f"coordination/{chemical_symbols[center]}/{ligands}/{way}", charge)


def _placed(
    ligand: Atoms, donor: int, center: int, direction: np.ndarray, rng: np.random.Generator
) -> Atoms:
    """Ligand with its donor at the bond length along a direction and its bulk farther out."""
    length = covalent_radii[center] + covalent_radii[ligand.numbers[donor]]
    positions = ligand.positions - ligand.positions[donor]
    outward = direction / np.linalg.norm(direction)
    if len(ligand) > 1:
        bulk = positions.mean(axis=0)
        turn, _ = Rotation.align_vectors([outward], [bulk])
        twist = Rotation.from_rotvec(rng.uniform(0.0, 2.0 * np.pi) * outward)
        positions = (twist * turn).apply(positions)
    return Atoms(ligand.numbers, positions + length * direction)
