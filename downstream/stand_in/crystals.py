"""Compounds by GFN1-xTB: gaps and energies of crystals, perovskites, bonding between layers.

There is one k-point: cells are repeated until they are 8 Å high in every direction. Energies of
formation are from isolated atoms, not from the elements' crystals. Lengths are sums of radii, not
minima.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from itertools import product

import numpy as np
from ase import Atoms
from ase.build import graphene
from ase.data import atomic_numbers, covalent_radii, vdw_radii
from ase.neighborlist import neighbor_list
from ase.units import Bohr, Hartree
from tblite.exceptions import TBLiteRuntimeError
from tblite.interface import Calculator

from downstream.stand_in.frame import LabeledFrame
from training.collection.generators.displace import stretch
from training.collection.generators.prototypes import primitive_crystal
from training.collection.generators.supercell import cell_heights, smallest_supercell

MIN_HEIGHT = 8.0
MAX_ATOMS = 40
"""Larger supercells are left out: their cost grows with the cube."""
METAL_GAP = 0.1
"""Crystals with a smaller gap in eV count as metals."""
MOSS_eV = 95.0
"""n⁴ times the gap is about this; source: Moss, Proc. Phys. Soc. B 63, 167 (1950)."""
VACUUM = 20.0
"""Å between a layer or pair of layers and its image."""
VAN_DER_WAALS = 0.95
"""Distance of two layers in the sum of the radii of the atoms that face each other."""

MAX_ATOMS_OF_COMPOUNDS = 30
BINARIES: dict[str, tuple[str, str]] = {
    "rocksalt": ("Na K Rb Ca Sr Ba", "Cl Br I O S Se"),
    "zincblende": ("Al Ga In Zn Cd Ag", "P As S Se I"),
    "cesium-chloride": ("Cs Rb Tl", "Cl Br I"),
    "fluorite": ("Ca Sr Ba", "F Cl"),
}
"""Prototype -> species A and B, all combinations."""
ELEMENTS: dict[str, str] = {
    "diamond": "Si Ge Sn",
    "fcc": "Ag Au Pb Ca Sr",
    "bcc": "Na K Nb Ta Mo W Ba",
}
PEROVSKITES: tuple[tuple[str, str, str], ...] = (
    ("Na K Rb Cs", "Mg Ca Zn Pb", "F Cl"),
    ("Ca Sr Ba", "Ti Zr Sn", "O S"),
)
"""Species A, B and X, all combinations."""
HONEYCOMBS: tuple[tuple[str, str], ...] = (
    ("Al Ga In", "N P As Sb"),
    ("Si Ge Sn", "C Si Ge"),
    ("Mg Zn Cd", "O S Se Te"),
)
"""Species of the two sites, all combinations once."""


def compounds() -> Iterator[LabeledFrame]:
    """Elements and binaries with gap, energy from atoms, and the index after Moss's relation."""
    for prototype, elements in _compositions():
        crystal = _at_contact(prototype, elements)
        supercell = smallest_supercell(crystal, MIN_HEIGHT)
        computed = _energy_and_gap(crystal, supercell, MAX_ATOMS_OF_COMPOUNDS)
        if computed is None:
            continue
        energy, gap = computed
        bound = (energy - _atoms_energy(crystal)) / len(crystal)
        if bound > 0.0:
            continue  # a failure of the method: nothing of the kind falls apart into atoms
        info: dict[str, float | str] = {
            "formation_energy": bound,
            "band_gap": gap,
            "is_metal": float(gap < METAL_GAP),
        }
        if gap >= METAL_GAP:
            info["refractive_index"] = max(1.0, (MOSS_eV / gap) ** 0.25)
        yield LabeledFrame(
            atoms=crystal, info=info, source=f"crystal/{prototype}/{''.join(elements)}"
        )


def perovskites() -> Iterator[LabeledFrame]:
    """Cubic ABX3 with the energy of formation from atoms in eV per atom."""
    for large, small, anions in PEROVSKITES:
        for elements in product(large.split(), small.split(), anions.split()):
            crystal = _at_contact("perovskite", elements)
            computed = _energy_and_gap(crystal, smallest_supercell(crystal, MIN_HEIGHT))
            if computed is None:
                continue
            info = {"formation_energy": (computed[0] - _atoms_energy(crystal)) / len(crystal)}
            yield LabeledFrame(atoms=crystal, info=info, source=f"perovskite/{''.join(elements)}")


def layers() -> Iterator[LabeledFrame]:
    """Flat honeycombs with the energy in meV per atom that binds two of them.

    The upper one is turned, so that unlike atoms lie on each other.
    """
    for name, layer in _layers():
        distance = VAN_DER_WAALS * float(vdw_radii[layer.numbers].sum())
        above = Atoms(layer.numbers[::-1], layer.positions + np.array([0.0, 0.0, distance]))
        energies = []
        for atoms, height in ((layer, VACUUM), (layer + above, VACUUM + distance)):
            boxed = _boxed(atoms, layer, height)
            n_repeats = int(np.ceil(MIN_HEIGHT / cell_heights(boxed.cell.array)[0]))
            energies.append(_energy_and_gap(boxed, boxed * (n_repeats, n_repeats, 1)))
        if energies[0] is None or energies[1] is None:
            continue
        binding = (2.0 * energies[0][0] - energies[1][0]) / (2 * len(layer))
        yield LabeledFrame(
            atoms=_boxed(layer, layer, VACUUM),
            info={"exfoliation_energy": 1000.0 * binding},
            source=f"layer/{name}",
        )


def _boxed(atoms: Atoms, layer: Atoms, height: float) -> Atoms:
    """A copy in the cell of the layer, repeated every `height` Å."""
    boxed = atoms.copy()
    boxed.set_cell([*layer.cell.array[:2], [0.0, 0.0, height]])
    boxed.pbc = True
    return boxed


def _compositions() -> Iterator[tuple[str, tuple[str, ...]]]:
    for prototype, symbols in ELEMENTS.items():
        for symbol in symbols.split():
            yield prototype, (symbol,)
    for prototype, (first, second) in BINARIES.items():
        for pair in product(first.split(), second.split()):
            yield prototype, pair


def _layers() -> Iterator[tuple[str, Atoms]]:
    pairs = [p for first, second in HONEYCOMBS for p in product(first.split(), second.split())]
    for number, pair in enumerate(pairs):
        if pair[::-1] not in pairs[:number]:
            a = 0.98 * (_radius(pair[0]) + _radius(pair[1])) * 3.0**0.5
            yield "".join(pair), graphene(formula="".join(pair), a=a, vacuum=None)


def _radius(symbol: str) -> float:
    return float(covalent_radii[atomic_numbers[symbol]])


def _at_contact(prototype: str, elements: tuple[str, ...]) -> Atoms:
    """The prototype, scaled so that its closest contact is the sum of covalent radii."""
    crystal = primitive_crystal(prototype, elements, 10.0)
    first, second, lengths = neighbor_list("ijd", crystal, 12.0)
    radii = covalent_radii[crystal.numbers]
    return stretch(crystal, float(((radii[first] + radii[second]) / lengths).max()))


def _energy_and_gap(
    crystal: Atoms, supercell: Atoms, max_atoms: int = MAX_ATOMS
) -> tuple[float, float] | None:
    """Energy of the crystal's cell and gap in eV; None if too large or without a solution."""
    if len(supercell) > max_atoms:
        return None
    calculator = Calculator(
        "GFN1-xTB",
        supercell.numbers,
        supercell.positions / Bohr,
        lattice=supercell.cell.array / Bohr,
        periodic=supercell.pbc,
    )
    calculator.set("verbosity", 0)
    try:
        result = calculator.singlepoint()
    except TBLiteRuntimeError:
        return None
    energy = float(result.get("energy")) * Hartree * len(crystal) / len(supercell)
    levels = np.sort(np.asarray(result.get("orbital-energies"))) * Hartree
    n_electrons = round(float(np.asarray(result.get("orbital-occupations")).sum()))
    if n_electrons % 2:
        return energy, 0.0
    return energy, float(levels[n_electrons // 2] - levels[n_electrons // 2 - 1])


def _atoms_energy(crystal: Atoms) -> float:
    return sum(_atom_energy(int(number)) for number in crystal.numbers)


@lru_cache(maxsize=100)
def _atom_energy(number: int) -> float:
    """Of the isolated atom in eV; closed or with one unpaired electron, as GFN1 has no spin."""
    atom = Calculator("GFN1-xTB", np.array([number]), np.zeros((1, 3)), uhf=number % 2)
    atom.set("verbosity", 0)
    return float(atom.singlepoint().get("energy")) * Hartree
