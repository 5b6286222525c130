"""Unit cells of a few atoms for plane-wave DFT: common crystals, elements and binaries."""

from __future__ import annotations

from ase import Atoms
from numpy.random import Generator

from atomfm_calc.sample import Sample
from training.collection.generators.build import pick, random_numbers, to_sample
from training.collection.generators.displace import rattle, strain, stretch
from training.collection.generators.prototypes import CRYSTALS, primitive_crystal

SMALL: tuple[str, ...] = (
    "Si",
    "Cu",
    "Al",
    "MgO",
    "NaCl",
    "GaAs",
    "Na",
    "Mg",
    "SiC",
    "Ge",
    "C",
    "Ag",
)
"""Entries of `CRYSTALS` with at most two atoms and no need for spin."""


def generate_unit_cell(seed: int, index: int, names: tuple[str, ...] | list[str] = SMALL) -> Sample:
    """Primitive cell of a common crystal at 0.85-1.2 of its volume, strained or rattled.

    Args:
        seed: of the set.
        index: of the structure.
        names: entries of `CRYSTALS`.
    """
    rng = random_numbers(seed, index)
    name = names[pick(seed, index, len(names))]
    prototype, elements, a = CRYSTALS[name]
    cell = primitive_crystal(prototype, elements, a)
    way = str(rng.choice(["volume", "strained", "rattled"], p=[0.35, 0.35, 0.3]))
    return to_sample(_moved(cell, way, rng), f"unit-cell/{name}/{way}")


def _moved(cell: Atoms, way: str, rng: Generator) -> Atoms:
    if way == "volume":
        return stretch(cell, rng.uniform(0.85, 1.2) ** (1 / 3))
    near = stretch(cell, rng.normal(1.0, 0.015))
    if len(cell) == 1 and way == "rattled":
        # one atom alone feels no force; two do
        near = near.repeat((2, 1, 1))
    if way == "strained":
        return rattle(strain(near, rng.uniform(0.01, 0.05), rng), rng.choice([0.0, 0.03]), rng)
    return rattle(near, 0.03 * 8.0 ** rng.uniform(), rng)
