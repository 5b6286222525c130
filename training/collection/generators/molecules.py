"""Molecules, ions, radicals and pairs of molecules, from RDKit conformers and ASE's g2 set."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from ase import Atoms
from ase.build import molecule
from ase.collections import g2
from ase.data import covalent_radii, vdw_radii
from rdkit import Chem
from rdkit.Chem import rdDistGeom, rdForceFieldHelpers
from rdkit.rdBase import BlockLogs

from atomfm_calc.errors import DataError
from atomfm_calc.sample import Sample
from training.collection.generators.build import (
    electrons_are_odd,
    pick,
    random_numbers,
    to_sample,
)
from training.collection.generators.displace import disturb
from training.collection.generators.organics import CHARGED, NEUTRAL, RADICALS

N_CONFORMERS = 8
"""Conformers per SMILES that structures are drawn from."""


@lru_cache(maxsize=4096)
def conformer(smiles: str, number: int) -> Atoms:
    """Conformer `number` of a molecule, relaxed with MMFF94 or UFF where they know it.

    Raises:
        DataError: RDKit finds no coordinates.
    """
    # RDKit writes a line for every atom type that UFF lacks; the answer says the same
    silence = BlockLogs()
    structure = Chem.AddHs(Chem.MolFromSmiles(smiles))
    found = rdDistGeom.EmbedMolecule(structure, randomSeed=1000 + number)
    if found < 0:
        found = rdDistGeom.EmbedMolecule(structure, randomSeed=1000 + number, useRandomCoords=True)
    if found < 0:
        raise DataError(f"RDKit finds no coordinates for {smiles!r}; take it off the list")
    if rdForceFieldHelpers.MMFFHasAllMoleculeParams(structure):
        rdForceFieldHelpers.MMFFOptimizeMolecule(structure, maxIters=500)
    elif rdForceFieldHelpers.UFFHasAllMoleculeParams(structure):
        rdForceFieldHelpers.UFFOptimizeMolecule(structure, maxIters=500)
    del silence
    numbers = [atom.GetAtomicNum() for atom in structure.GetAtoms()]
    return Atoms(numbers, structure.GetConformer().GetPositions())


def formal_charge(smiles: str) -> int:
    """Charge of a molecule in e."""
    return int(Chem.GetFormalCharge(Chem.MolFromSmiles(smiles)))


@lru_cache(maxsize=16)
def _names(kind: str, max_heavy_atoms: int, elements: str) -> tuple[str, ...]:
    """Names of the base molecules: SMILES, or "g2:NAME"."""
    tables = {
        "neutral": (*NEUTRAL, *RADICALS, *(f"g2:{name}" for name in g2.names)),
        "charged": CHARGED,
        "organic": (*NEUTRAL, *RADICALS),
        "ions-and-radicals": (*CHARGED, *RADICALS),
    }
    allowed = set(elements.split())
    return tuple(name for name in tables[kind] if _fits(name, max_heavy_atoms, allowed))


def _fits(name: str, max_heavy_atoms: int, allowed: set[str]) -> bool:
    if name.startswith("g2:"):
        symbols = molecule(name[3:]).get_chemical_symbols()
    else:
        symbols = [atom.GetSymbol() for atom in Chem.MolFromSmiles(name).GetAtoms()]
    n_heavy = sum(symbol != "H" for symbol in symbols)
    return n_heavy <= max_heavy_atoms and (not allowed or set(symbols) <= allowed | {"H"})


def base_molecule(name: str, rng: np.random.Generator) -> tuple[Atoms, int]:
    """Structure and charge of a base molecule; SMILES in a random conformer."""
    if name.startswith("g2:"):
        base = molecule(name[3:])
        return Atoms(base.numbers, base.positions), 0
    return conformer(name, int(rng.integers(N_CONFORMERS))).copy(), formal_charge(name)


def generate_molecule(
    seed: int, index: int, kind: str = "neutral", max_heavy_atoms: int = 100, elements: str = ""
) -> Sample:
    """One molecule, as built, heated, rattled or scaled.

    Args:
        seed: of the set.
        index: of the structure.
        kind: "neutral" (with radicals and g2), "organic" (without g2), "charged",
            "ions-and-radicals".
        max_heavy_atoms: larger molecules are left out.
        elements: symbols separated by blanks, hydrogen implied; empty: all.
    """
    names = _names(kind, max_heavy_atoms, elements)
    rng = random_numbers(seed, index)
    name = names[pick(seed, index, len(names))]
    base, charge = base_molecule(name, rng)
    moved, way = disturb(base, rng)
    return to_sample(moved, f"molecule/{name}/{way}", charge)


def generate_ion(seed: int, index: int, max_heavy_atoms: int = 100) -> Sample:
    """A molecule that has lost or gained electrons or a proton: charge -2..2, 2S+1 = 1..3."""
    names = _names("organic", max_heavy_atoms, "")
    rng = random_numbers(seed, index)
    name = names[pick(seed, index, len(names))]
    base, charge, way = ionize(*base_molecule(name, rng), rng)
    moved, _ = disturb(base, rng)
    charge, multiplicity = fitting_multiplicity(moved, charge, way)
    return to_sample(moved, f"ion/{name}/{way}", charge, multiplicity)


def ionize(base: Atoms, charge: int, rng: np.random.Generator) -> tuple[Atoms, int, str]:
    """The structure without or with another proton, its charge, and the name of the way."""
    way = str(
        rng.choice(["electrons", "protonated", "deprotonated", "triplet"], p=[0.4, 0.25, 0.2, 0.15])
    )
    if way == "electrons":
        charge += int(rng.choice([-2, -1, 1, 2], p=[0.1, 0.4, 0.4, 0.1]))
    elif way == "protonated":
        base, charge = _protonate(base, rng), charge + 1
    elif way == "deprotonated" and len(base) > 1 and (base.numbers == 1).any():
        hydrogens = np.flatnonzero(base.numbers == 1)
        del base[int(rng.choice(hydrogens))]
        charge -= 1
    return base, charge, way


def fitting_multiplicity(atoms: Atoms, charge: int, way: str) -> tuple[int, int]:
    """Charge and 2S+1 that the electrons allow: 3 for a triplet, otherwise the lowest."""
    n_electrons = int(atoms.numbers.sum()) - charge
    is_odd = electrons_are_odd(atoms, charge)
    multiplicity = 3 if way == "triplet" and not is_odd else (2 if is_odd else 1)
    if n_electrons <= 0 or n_electrons < multiplicity - 1:
        return 0, 2 if electrons_are_odd(atoms) else 1
    return charge, multiplicity


def _protonate(atoms: Atoms, rng: np.random.Generator) -> Atoms:
    """Copy with a proton on a random heavy atom, on the side where there is most room."""
    heavy = np.flatnonzero(atoms.numbers > 1)
    site = int(rng.choice(heavy if len(heavy) else np.arange(len(atoms))))
    length = covalent_radii[1] + covalent_radii[atoms.numbers[site]]
    directions = rng.normal(size=(50, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    places = atoms.positions[site] + length * directions
    others = np.delete(atoms.positions, site, axis=0)
    if len(others):
        room = np.linalg.norm(places[:, None] - others[None], axis=2).min(axis=1)
        places = places[[int(room.argmax())]]
    protonated = atoms.copy()
    protonated.append("H")
    protonated.positions[-1] = places[0]
    return protonated


def generate_pair(
    seed: int, index: int, kind: str = "neutral", closest: float = 0.75, farthest: float = 1.6
) -> Sample:
    """Two molecules at a contact distance of `closest`-`farthest` sums of van der Waals radii.

    Close ones are as frequent as far ones, so that the repulsive wall is seen.
    """
    names = _names(kind, 7, "")
    rng = random_numbers(seed, index)
    first_name = names[pick(seed, index, len(names))]
    second_name = names[int(rng.integers(len(names)))]
    first, first_charge = base_molecule(first_name, rng)
    second, second_charge = base_molecule(second_name, rng)
    ratio = rng.uniform(closest, farthest)
    pair = join(disturb(first, rng)[0], disturb(second, rng)[0], ratio, rng)
    return to_sample(pair, f"pair/{first_name}/{second_name}", first_charge + second_charge)


def join(first: Atoms, second: Atoms, ratio: float, rng: np.random.Generator) -> Atoms:
    """Both structures, the second turned at random and moved along a random line to its distance.

    Args:
        first: stays.
        second: is turned and moved.
        ratio: smallest distance between them in sums of van der Waals radii.
        rng: random numbers.
    """
    rotation, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    direction = rng.normal(size=3)
    direction /= np.linalg.norm(direction)
    turned = (second.positions - second.positions.mean(axis=0)) @ rotation
    still = first.positions - first.positions.mean(axis=0)
    contact = ratio * (_contact_radii(first)[:, None] + _contact_radii(second)[None])
    low, high = 0.0, 60.0
    for _ in range(40):
        middle = 0.5 * (low + high)
        distances = np.linalg.norm(still[:, None] - turned[None] - middle * direction, axis=2)
        low, high = (low, middle) if (distances >= contact).all() else (middle, high)
    joined = first.copy()
    joined.positions = still
    joined.extend(Atoms(second.numbers, turned + high * direction))
    return joined


def _contact_radii(atoms: Atoms) -> np.ndarray:
    """Van der Waals radii in Å, 2.0 where there is no value."""
    return np.nan_to_num(vdw_radii[atoms.numbers], nan=2.0)
