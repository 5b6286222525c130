"""Thin slabs of metals and salts with adsorbates, periodic in all directions with vacuum."""

from __future__ import annotations

import numpy as np
from ase import Atoms
from ase.build import fcc100
from ase.data import covalent_radii

from atomfm_calc.sample import Sample
from training.collection.generators.build import pick, random_numbers, to_sample
from training.collection.generators.displace import heat, rattle
from training.collection.generators.molecules import conformer
from training.collection.generators.prototypes import CRYSTALS

SURFACES: tuple[str, ...] = ("Al", "Ag", "Au", "Pt", "Pd", "Cu", "Ni", "MgO", "NaCl", "LiF")
ADSORBATES: tuple[str, ...] = (
    "O", "C", "CO", "[C-]#[O+]", "[O]", "[H]", "N", "[OH]", "[CH3]", "C=C", "O=C=O", "[N]",
    "[H][H]", "O=O", "C=O", "S",
)  # fmt: skip
"""SMILES: O is water, [O] an atom."""
MIN_HEIGHT = 8.0
"""Smallest lateral height of the cell and smallest vacuum in Å."""


def generate_slab(seed: int, index: int, n_layers: int = 2) -> Sample:
    """A (100) slab at rest or hot, three times out of four with a molecule 0.85-1.6 bonds above it.

    Args:
        seed: of the set.
        index: of the structure.
        n_layers: atomic layers; two keep the cell small.
    """
    rng = random_numbers(seed, index)
    name = SURFACES[pick(seed, index, len(SURFACES))]
    slab = _slab(name, n_layers, float(rng.normal(1.01, 0.02)))
    adsorbate = str(rng.choice(ADSORBATES)) if rng.uniform() < 0.75 else ""
    height = 0.0
    if adsorbate:
        height = _place(slab, conformer(adsorbate, 0), rng)
    top = float(np.ptp(slab.positions[:, 2]))
    cell = np.array(slab.cell)
    cell[2] = [0.0, 0.0, top + MIN_HEIGHT + rng.uniform(0.5, 3.0)]
    slab.set_cell(cell)
    slab.pbc = True
    moved = (
        heat(slab, 100.0 * 10.0 ** rng.uniform(), rng)
        if rng.uniform() < 0.6
        else rattle(slab, 0.02 * 8.0 ** rng.uniform(), rng)
    )
    return to_sample(moved, f"slab/{name}/{adsorbate or 'clean'}/{height:.2f}")


def _slab(name: str, n_layers: int, scale: float) -> Atoms:
    """(100) slab of an fcc metal or a rock salt with edges of at least `MIN_HEIGHT`, from z = 0."""
    prototype, elements, a = CRYSTALS[name]
    edge = a * scale / 2**0.5
    n_edge = int(np.ceil((MIN_HEIGHT + 1e-3) / edge))
    if prototype == "fcc":
        slab = fcc100(elements[0], (n_edge, n_edge, n_layers), a=a * scale, vacuum=0.0)
        return Atoms(slab.numbers, slab.positions, cell=slab.cell)
    slab = Atoms(cell=[edge * n_edge, edge * n_edge, a])
    for layer in range(n_layers):
        # ions alternate in the plane and from layer to layer
        species = elements if layer % 2 == 0 else elements[::-1]
        height = layer * a * scale / 2
        places = [(0.0, 0.0, height), (edge / 2, edge / 2, height)]
        sheet = Atoms(species, places, cell=[edge, edge, a])
        slab.extend(sheet.repeat((n_edge, n_edge, 1)))
    return slab


def _place(slab: Atoms, molecule: Atoms, rng: np.random.Generator) -> float:
    """Add a molecule above a random place, turned at random; returns its contact ratio."""
    rotation, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    turned = (molecule.positions - molecule.positions.mean(axis=0)) @ rotation
    anchor = rng.uniform() * slab.cell[0] + rng.uniform() * slab.cell[1]
    ratio = float(rng.uniform(0.85, 1.6))
    top = float(slab.positions[:, 2].max())
    radii = covalent_radii[molecule.numbers][:, None] + covalent_radii[slab.numbers][None]
    for lift in np.arange(0.3, 8.0, 0.05):
        placed = turned + anchor + np.array([0.0, 0.0, top + lift])
        vectors = placed[:, None] - slab.positions[None]
        scaled = vectors[..., :2] @ np.linalg.inv(slab.cell[:2, :2])
        vectors[..., :2] -= np.rint(scaled) @ slab.cell[:2, :2]
        if (np.linalg.norm(vectors, axis=2) >= ratio * radii).all():
            break
    slab.extend(Atoms(molecule.numbers, placed))
    return ratio
