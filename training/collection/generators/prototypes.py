"""Crystal structure prototypes and the common crystals that are sampled densely.

Wyckoff sites and cells: standard crystallographic tables; lattice constants: experiment near 300 K.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from ase import Atoms
from ase.spacegroup import crystal

from atomfm_calc.errors import lookup


@dataclass(frozen=True, kw_only=True)
class Prototype:
    """A structure type with elements left open."""

    space_group: int
    """International number."""
    sites: tuple[tuple[str, float, float, float], ...]
    """Species letter and fractional coordinates of each independent site."""
    c_over_a: float = 1.0
    """Ratio of the lattice constants."""
    is_hexagonal: bool = False
    """Whether the angle between a and b is 120 degrees."""


PROTOTYPES: dict[str, Prototype] = {
    "fcc": Prototype(space_group=225, sites=(("A", 0, 0, 0),)),
    "bcc": Prototype(space_group=229, sites=(("A", 0, 0, 0),)),
    "sc": Prototype(space_group=221, sites=(("A", 0, 0, 0),)),
    "hcp": Prototype(
        space_group=194, sites=(("A", 1 / 3, 2 / 3, 1 / 4),), c_over_a=1.62, is_hexagonal=True
    ),
    "diamond": Prototype(space_group=227, sites=(("A", 0, 0, 0),)),
    "graphite": Prototype(
        space_group=194,
        sites=(("A", 0, 0, 1 / 4), ("A", 1 / 3, 2 / 3, 1 / 4)),
        c_over_a=2.726,
        is_hexagonal=True,
    ),
    "rocksalt": Prototype(space_group=225, sites=(("A", 0, 0, 0), ("B", 1 / 2, 1 / 2, 1 / 2))),
    "cesium-chloride": Prototype(
        space_group=221, sites=(("A", 0, 0, 0), ("B", 1 / 2, 1 / 2, 1 / 2))
    ),
    "zincblende": Prototype(space_group=216, sites=(("A", 0, 0, 0), ("B", 1 / 4, 1 / 4, 1 / 4))),
    "wurtzite": Prototype(
        space_group=186,
        sites=(("A", 1 / 3, 2 / 3, 0), ("B", 1 / 3, 2 / 3, 0.382)),
        c_over_a=1.602,
        is_hexagonal=True,
    ),
    "nickel-arsenide": Prototype(
        space_group=194,
        sites=(("A", 0, 0, 0), ("B", 1 / 3, 2 / 3, 1 / 4)),
        c_over_a=1.4,
        is_hexagonal=True,
    ),
    "fluorite": Prototype(space_group=225, sites=(("A", 0, 0, 0), ("B", 1 / 4, 1 / 4, 1 / 4))),
    "rutile": Prototype(
        space_group=136, sites=(("A", 0, 0, 0), ("B", 0.305, 0.305, 0)), c_over_a=0.644
    ),
    "anatase": Prototype(
        space_group=141, sites=(("A", 0, 0, 0), ("B", 0, 0, 0.2081)), c_over_a=2.514
    ),
    "corundum": Prototype(
        space_group=167,
        sites=(("A", 0, 0, 0.352), ("B", 0.306, 0, 1 / 4)),
        c_over_a=2.730,
        is_hexagonal=True,
    ),
    "quartz": Prototype(
        space_group=154,
        sites=(("A", 0.4697, 0, 2 / 3), ("B", 0.4135, 0.2669, 0.7858)),
        c_over_a=1.1,
        is_hexagonal=True,
    ),
    "cristobalite": Prototype(space_group=227, sites=(("A", 0, 0, 0), ("B", 1 / 8, 1 / 8, 1 / 8))),
    "perovskite": Prototype(
        space_group=221,
        sites=(("A", 0, 0, 0), ("B", 1 / 2, 1 / 2, 1 / 2), ("X", 1 / 2, 1 / 2, 0)),
    ),
    "L12": Prototype(space_group=221, sites=(("B", 0, 0, 0), ("A", 0, 1 / 2, 1 / 2))),
    "L10": Prototype(
        space_group=123, sites=(("A", 0, 0, 0), ("B", 1 / 2, 1 / 2, 1 / 2)), c_over_a=1.37
    ),
}

CRYSTALS: dict[str, tuple[str, tuple[str, ...], float]] = {
    "Si": ("diamond", ("Si",), 5.431),
    "C": ("diamond", ("C",), 3.567),
    "graphite": ("graphite", ("C",), 2.461),
    "Ge": ("diamond", ("Ge",), 5.658),
    "GaAs": ("zincblende", ("Ga", "As"), 5.653),
    "SiC": ("zincblende", ("Si", "C"), 4.360),
    "MgO": ("rocksalt", ("Mg", "O"), 4.212),
    "NaCl": ("rocksalt", ("Na", "Cl"), 5.640),
    "LiF": ("rocksalt", ("Li", "F"), 4.026),
    "CsCl": ("cesium-chloride", ("Cs", "Cl"), 4.123),
    "Cu": ("fcc", ("Cu",), 3.615),
    "Al": ("fcc", ("Al",), 4.050),
    "Ag": ("fcc", ("Ag",), 4.086),
    "Au": ("fcc", ("Au",), 4.078),
    "Ni": ("fcc", ("Ni",), 3.524),
    "Pt": ("fcc", ("Pt",), 3.924),
    "Pd": ("fcc", ("Pd",), 3.890),
    "Fe": ("bcc", ("Fe",), 2.866),
    "W": ("bcc", ("W",), 3.165),
    "Mo": ("bcc", ("Mo",), 3.147),
    "Li": ("bcc", ("Li",), 3.510),
    "Na": ("bcc", ("Na",), 4.290),
    "Ti": ("hcp", ("Ti",), 2.951),
    "Mg": ("hcp", ("Mg",), 3.209),
    "ZnO": ("wurtzite", ("Zn", "O"), 3.250),
    "GaN": ("wurtzite", ("Ga", "N"), 3.189),
    "TiO2": ("rutile", ("Ti", "O"), 4.594),
    "anatase": ("anatase", ("Ti", "O"), 3.785),
    "SiO2": ("quartz", ("Si", "O"), 4.914),
    "cristobalite": ("cristobalite", ("Si", "O"), 7.16),
    "SrTiO3": ("perovskite", ("Sr", "Ti", "O"), 3.905),
    "CaF2": ("fluorite", ("Ca", "F"), 5.463),
    "Al2O3": ("corundum", ("Al", "O"), 4.759),
}
"""Prototype, elements in the order of the species letters A, B, X, and lattice constant a in Å."""
BINARY_CRYSTALS: dict[str, tuple[str, tuple[str, ...], float]] = {
    "NaBr": ("rocksalt", ("Na", "Br"), 5.977),
    "NaI": ("rocksalt", ("Na", "I"), 6.473),
    "LiBr": ("rocksalt", ("Li", "Br"), 5.501),
    "LiH": ("rocksalt", ("Li", "H"), 4.083),
    "KF": ("rocksalt", ("K", "F"), 5.344),
    "KI": ("rocksalt", ("K", "I"), 7.066),
    "RbCl": ("rocksalt", ("Rb", "Cl"), 6.581),
    "CsF": ("rocksalt", ("Cs", "F"), 6.014),
    "AgCl": ("rocksalt", ("Ag", "Cl"), 5.549),
    "MgS": ("rocksalt", ("Mg", "S"), 5.200),
    "CaS": ("rocksalt", ("Ca", "S"), 5.695),
    "SrO": ("rocksalt", ("Sr", "O"), 5.160),
    "BaO": ("rocksalt", ("Ba", "O"), 5.539),
    "CdO": ("rocksalt", ("Cd", "O"), 4.695),
    "PbS": ("rocksalt", ("Pb", "S"), 5.936),
    "TiN": ("rocksalt", ("Ti", "N"), 4.241),
    "CsBr": ("cesium-chloride", ("Cs", "Br"), 4.286),
    "TlCl": ("cesium-chloride", ("Tl", "Cl"), 3.834),
    "BP": ("zincblende", ("B", "P"), 4.538),
    "AlAs": ("zincblende", ("Al", "As"), 5.661),
    "AlSb": ("zincblende", ("Al", "Sb"), 6.136),
    "GaSb": ("zincblende", ("Ga", "Sb"), 6.096),
    "InAs": ("zincblende", ("In", "As"), 6.058),
    "InSb": ("zincblende", ("In", "Sb"), 6.479),
    "ZnSe": ("zincblende", ("Zn", "Se"), 5.668),
    "CdTe": ("zincblende", ("Cd", "Te"), 6.482),
    "CuCl": ("zincblende", ("Cu", "Cl"), 5.416),
    "BeS": ("zincblende", ("Be", "S"), 4.865),
    "AlN": ("wurtzite", ("Al", "N"), 3.112),
    "InN": ("wurtzite", ("In", "N"), 3.545),
    "CdS": ("wurtzite", ("Cd", "S"), 4.135),
    "BeO": ("wurtzite", ("Be", "O"), 2.698),
    "SrF2": ("fluorite", ("Sr", "F"), 5.800),
    "CeO2": ("fluorite", ("Ce", "O"), 5.411),
    "ZrO2": ("fluorite", ("Zr", "O"), 5.090),
    "Li2O": ("fluorite", ("O", "Li"), 4.619),
    "K2O": ("fluorite", ("O", "K"), 6.436),
    "Mg2Si": ("fluorite", ("Si", "Mg"), 6.351),
    "MgF2": ("rutile", ("Mg", "F"), 4.621),
    "SnO2": ("rutile", ("Sn", "O"), 4.737),
}
"""More salts and semiconductors; none of those that benchmarks keep as crystals never seen."""


@lru_cache(maxsize=4096)
def _build(prototype: str, elements: tuple[str, ...]) -> Atoms:
    kind = lookup(PROTOTYPES, prototype, "prototype", "the collection")
    letters = "ABX"[: len(elements)]
    symbols = [elements[letters.index(letter)] for letter, *_ in kind.sites]
    built = crystal(
        symbols,
        basis=[place for _, *place in kind.sites],
        spacegroup=kind.space_group,
        cellpar=[10, 10, 10 * kind.c_over_a, 90, 90, 120 if kind.is_hexagonal else 90],
        primitive_cell=True,
        onduplicates="error",
    )
    return Atoms(
        built.numbers, scaled_positions=built.get_scaled_positions(), cell=built.cell, pbc=True
    )


def primitive_crystal(prototype: str, elements: tuple[str, ...], a: float) -> Atoms:
    """Primitive cell of a prototype with the given elements and lattice constant `a` in Å."""
    atoms = _build(prototype, elements).copy()
    atoms.set_cell(atoms.cell[:] * (a / 10.0), scale_atoms=True)
    return atoms
