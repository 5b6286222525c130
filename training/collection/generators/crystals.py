"""Crystals: common ones sampled densely, and prototypes decorated over the periodic table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache

import numpy as np
from ase import Atoms
from ase.data import atomic_numbers, chemical_symbols, covalent_radii, reference_states
from ase.neighborlist import neighbor_list

from atomfm_calc.errors import StructureError, lookup
from atomfm_calc.sample import Sample
from training.collection.generators.build import pick, random_numbers, to_sample
from training.collection.generators.displace import heat, rattle, strain, stretch
from training.collection.generators.prototypes import (
    BINARY_CRYSTALS,
    CRYSTALS,
    primitive_crystal,
)
from training.collection.generators.supercell import cell_heights, smallest_supercell

CATIONS: dict[int, tuple[str, ...]] = {
    1: ("Li", "Na", "K", "Rb", "Cs", "Cu", "Ag", "Tl", "Au", "In"),
    2: tuple("Be Mg Ca Sr Ba Zn Cd Hg Ti V Cr Mn Fe Co Ni Cu Pd Pt Ge Sn Pb Eu Yb Sm".split()),
    3: tuple(
        "B Al Ga In Tl Sc Y La Ce Pr Nd Pm Sm Eu Gd Tb Dy Ho Er Tm Yb Lu Ti V Cr Mn Fe Co Rh "
        "As Sb Bi".split()
    ),
    4: tuple("C Si Ge Sn Pb Ti Zr Hf V Nb Ta Mo W Mn Tc Re Ru Os Ir Pt Ce Te Po".split()),
}
ANIONS: dict[int, tuple[str, ...]] = {
    1: ("F", "Cl", "Br", "I", "H", "At"),
    2: ("O", "O", "S", "Se", "Te"),
    3: ("N", "P", "As", "Sb"),
    4: ("C", "Si", "Ge"),
}
METALS: tuple[str, ...] = tuple(
    "Li Be Na Mg Al K Ca Sc Ti V Cr Mn Fe Co Ni Cu Zn Ga Rb Sr Y Zr Nb Mo Tc Ru Rh Pd Ag Cd In Sn "
    "Sb Cs Ba La Ce Pr Nd Pm Sm Eu Gd Tb Dy Ho Er Tm Yb Lu Hf Ta W Re Os Ir Pt Au Hg Tl "
    "Pb Bi".split()
)
FAMILIES: tuple[str, ...] = ("element", "AB", "AB", "AB2", "A2B", "ABX3", "A2B3", "alloy")
SPREAD = (0.94, 1.1)
"""Least and largest factor on the lengths of a crystal."""
WIDTH = 0.02
"""Standard deviation of that factor where not the density is sampled."""


def generate_common(
    seed: int,
    index: int,
    names: tuple[str, ...] | list[str] = (),
    centers: Mapping[str, float] | None = None,
    min_height: float = 8.0,
    spread: Sequence[float] = SPREAD,
    width: float = WIDTH,
    vacancies: float = 0.08,
) -> Sample:
    """A common crystal near, above or below its density, at rest, hot, strained or with a vacancy.

    Args:
        seed: of the set.
        index: of the structure.
        names: entries of `CRYSTALS` or `BINARY_CRYSTALS`, more often if repeated; empty: all of
            `CRYSTALS`.
        centers: factors on the experimental lattice constants that lengths scatter around, such
            as those of the label engine's own minima; 1.01 where there is none.
        min_height: smallest perpendicular height of the supercell in Å.
        spread: least and largest factor on the lengths.
        width: standard deviation of the factor where not the density is sampled.
        vacancies: share of structures that lack an atom.

    Raises:
        UnknownNameError: no crystal of that name.
    """
    chosen = tuple(names) or tuple(CRYSTALS)
    name = chosen[pick(seed, index, len(chosen))]
    rng = random_numbers(seed, index)
    prototype, elements, a = lookup(CRYSTALS | BINARY_CRYSTALS, name, "crystal", "the collection")
    cell = primitive_crystal(prototype, elements, a * (centers or {}).get(name, 1.01))
    shares = [0.3, 0.4, 0.22 + 0.08 - vacancies, vacancies]
    way = str(rng.choice(["volume", "hot", "strained", "vacancy"], p=shares))
    atoms = _moved(fixed_supercell(cell, min_height), way, min_height, rng, spread, width)
    return to_sample(atoms, f"crystal/{name}/{way}")


def generate_decorated(
    seed: int, index: int, min_height: float = 8.0, max_atoms: int = 60
) -> Sample:
    """A prototype with elements that suit it: elements, salts, oxides, perovskites, alloys.

    Args:
        seed: of the set.
        index: of the structure.
        min_height: smallest perpendicular height of the supercell in Å.
        max_atoms: larger supercells are replaced by another choice of elements.

    Raises:
        StructureError: twenty choices in a row were too large.
    """
    rng = random_numbers(seed, index)
    family = FAMILIES[pick(seed, index, len(FAMILIES))]
    for attempt in range(20):
        prototype, elements = _decoration(family, seed, index + 997 * attempt, rng)
        cell = stretch(
            primitive_crystal(prototype, elements, 10.0), _contact_scale(prototype, elements)
        )
        supercell = fixed_supercell(cell, min_height)
        if len(supercell) <= max_atoms:
            way = str(rng.choice(["volume", "hot", "strained"], p=[0.35, 0.4, 0.25]))
            atoms = _moved(supercell, way, min_height, rng)
            return to_sample(atoms, f"decorated/{prototype}/{''.join(elements)}/{way}")
    raise StructureError(f"no {family} crystal with at most {max_atoms} atoms; raise max_atoms")


def fixed_supercell(cell: Atoms, min_height: float) -> Atoms:
    """Supercell that stays high enough when lengths shrink by 6 %.

    All structures of a crystal have the same one: with one k-point, another shape of the supercell
    is another sampling of the bands, and its energies are not comparable.
    """
    return smallest_supercell(cell, min_height / SPREAD[0])


def _moved(
    supercell: Atoms,
    way: str,
    min_height: float,
    rng: np.random.Generator,
    spread: Sequence[float] = SPREAD,
    width: float = WIDTH,
) -> Atoms:
    """Copy at a random density, moved in one way; see `generate_common`."""
    least, largest = spread
    factor = rng.uniform(least, largest) if way == "volume" else rng.normal(1.0, width)
    atoms = stretch(supercell, float(np.clip(factor, least, largest)))
    if way == "strained":
        atoms = strain(atoms, rng.uniform(0.005, 0.06), rng)
    lowest = float(cell_heights(np.array(atoms.cell)).min())
    atoms = stretch(atoms, max(1.0, (min_height + 1e-6) / lowest))
    if way == "volume":
        return rattle(atoms, rng.choice([0.0, 0.01, 0.03, 0.06]), rng)
    if way == "vacancy":
        del atoms[int(rng.integers(len(atoms)))]
    if rng.uniform() < 0.5:
        return heat(atoms, 100.0 * 15.0 ** rng.uniform(), rng)
    return rattle(atoms, 0.02 * 13.0 ** rng.uniform(), rng)


def _decoration(
    family: str, seed: int, index: int, rng: np.random.Generator
) -> tuple[str, tuple[str, ...]]:
    """Prototype and elements that suit each other."""
    if family == "element":
        number = 1 + pick(seed + 1, index // len(FAMILIES), 86)
        prototype = str(
            rng.choice(["fcc", "bcc", "hcp", "sc", "diamond"], p=[0.3, 0.3, 0.2, 0.1, 0.1])
        )
        return prototype, (chemical_symbols[number],)
    if family == "alloy":
        first, second = rng.choice(METALS, 2, replace=False)
        return str(rng.choice(["L12", "L10", "cesium-chloride"])), (str(first), str(second))
    if family == "ABX3":
        large, small, anion = [(1, 2, 1), (2, 4, 2), (3, 3, 2)][int(rng.integers(3))]
        return "perovskite", (
            str(rng.choice(CATIONS[large])),
            str(rng.choice(CATIONS[small])),
            str(rng.choice(ANIONS[anion])),
        )
    valences = {
        "AB": [(1, 1), (2, 2), (3, 3), (4, 4)],
        "AB2": [(2, 1), (4, 2)],
        "A2B": [(1, 2)],
        "A2B3": [(3, 2)],
    }[family]
    kinds = {
        "AB": ["rocksalt", "zincblende", "wurtzite", "cesium-chloride", "nickel-arsenide"],
        "AB2": ["fluorite", "rutile", "anatase"],
        "A2B": ["fluorite"],
        "A2B3": ["corundum"],
    }[family]
    positive, negative = valences[int(rng.integers(len(valences)))]
    pair = (str(rng.choice(CATIONS[positive])), str(rng.choice(ANIONS[negative])))
    if pair[0] == pair[1]:
        pair = (pair[0], "O")
    return str(rng.choice(kinds)), pair[::-1] if family == "A2B" else pair


@lru_cache(maxsize=8192)
def _contact_scale(prototype: str, elements: tuple[str, ...]) -> float:
    """Factor that brings the closest contact of the 10 Å prototype to its usual length."""
    cell = primitive_crystal(prototype, elements, 10.0)
    first, second, lengths = neighbor_list("ijd", cell, 12.0)
    radii = np.array([_radius(symbol, len(elements)) for symbol in cell.symbols])
    return float(((radii[first] + radii[second]) / lengths).max())


def _radius(symbol: str, n_elements: int) -> float:
    """Radius in Å: half the neighbor distance of the metal, or the covalent radius plus 3 %."""
    number = atomic_numbers[symbol]
    state = reference_states[number]
    if (
        symbol in METALS
        and n_elements == 1
        and state
        and state["symmetry"] in ("fcc", "bcc", "hcp")
    ):
        a = state["a"]
        return {"fcc": a / 8**0.5, "bcc": a * 3**0.5 / 4, "hcp": a / 2}[state["symmetry"]]
    return 1.03 * float(covalent_radii[number])
