"""Water in boxes, clusters and ice, and small boxes of alcohols, packed by Monte Carlo with TIP3P.

Water model: Jorgensen et al., J. Chem. Phys. 79, 926 (1983). It only packs; an engine labels.
"""

from __future__ import annotations

import numpy as np
from ase import Atoms
from ase.units import kB, kcal, mol
from numpy.typing import NDArray

from atomfm_calc.sample import Sample
from training.collection.generators.build import random_numbers, to_sample
from training.collection.generators.displace import heat, rattle, stretch
from training.collection.generators.molecules import conformer, join
from training.collection.generators.prototypes import primitive_crystal
from training.collection.generators.supercell import smallest_supercell

CHARGES = np.array([-0.834, 0.417, 0.417])
"""TIP3P charges of O, H, H in e."""
LENNARD_JONES = (0.1521 * kcal / mol, 3.1507)
"""TIP3P well depth in eV and diameter in Å of O."""
COULOMB = 14.3996
"""e²/(4 pi epsilon0) in eV Å."""
OH_LENGTH = 0.9572
WATERS_PER_A3 = 0.03343
"""Number density of water at 1 g/cm³."""
N_SWEEPS = 120
"""Monte Carlo moves per molecule, enough for hydrogen bonds to form from a random start."""


def _rotation(rng: np.random.Generator, largest: float = np.pi) -> NDArray[np.float64]:
    """Rotation [3, 3] about a random axis by up to `largest`."""
    axis = rng.normal(size=3)
    axis /= np.linalg.norm(axis)
    angle = rng.uniform(-largest, largest)
    x, y, z = axis
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross


def _water() -> NDArray[np.float64]:
    """Rigid TIP3P molecule [3, 3] with O at the origin."""
    half = np.radians(104.52 / 2)
    return OH_LENGTH * np.array(
        [[0, 0, 0], [np.sin(half), np.cos(half), 0], [-np.sin(half), np.cos(half), 0]]
    )


def _energy_of(place: int, waters: NDArray[np.float64], cell: NDArray[np.float64] | None) -> float:
    """TIP3P energy in eV of molecule `place` with all others, nearest images of the O-O pairs."""
    own = waters[place]  # [3, 3]
    others = np.delete(waters, place, axis=0)  # [M, 3, 3]
    shift = np.zeros((len(others), 3))
    if cell is not None:
        shift = np.rint((others[:, 0] - own[0]) @ np.linalg.inv(cell)) @ cell
    vectors = others[:, None] - shift[:, None, None] - own[None, :, None]  # [M, 3, 3, 3]
    lengths = np.linalg.norm(vectors, axis=-1)
    coulomb = COULOMB * CHARGES[:, None] * CHARGES[None] / np.maximum(lengths, 0.3)
    depth, diameter = LENNARD_JONES
    sixth = (diameter / np.maximum(lengths[:, 0, 0], 0.3)) ** 6
    # hydrogen has no radius in TIP3P: keep it off other atoms, or charges collapse
    collisions = (lengths < 1.4).sum()
    return float(coulomb.sum() + 4 * depth * (sixth**2 - sixth).sum() + 5.0 * collisions)


def _pack(
    waters: NDArray[np.float64],
    cell: NDArray[np.float64] | None,
    temperature_K: float,
    step: float,
    rng: np.random.Generator,
    n_sweeps: int = N_SWEEPS,
) -> NDArray[np.float64]:
    """Metropolis moves of rigid molecules.

    Args:
        waters: molecules [M, 3, 3] Å, O first.
        cell: lattice vectors [3, 3] Å; None: free molecules.
        temperature_K: final temperature; the first half cools down to it from twice of it.
        step: largest move of an oxygen along each axis in Å.
        rng: random numbers.
        n_sweeps: moves per molecule.
    """
    waters = waters.copy()
    n_moves = n_sweeps * len(waters)
    for move in range(n_moves):
        heat_K = temperature_K * (2.0 - min(1.0, 2.0 * move / n_moves))
        place = int(rng.integers(len(waters)))
        before = _energy_of(place, waters, cell)
        kept = waters[place].copy()
        turned = (kept - kept[0]) @ _rotation(rng, 0.9).T
        waters[place] = kept[0] + turned + rng.uniform(-step, step, 3)
        change = _energy_of(place, waters, cell) - before
        if change > 0 and rng.uniform() >= np.exp(-change / (kB * heat_K)):
            waters[place] = kept
    return waters


def _scattered(centers: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float64]:
    return np.array([center + _water() @ _rotation(rng).T for center in centers])


def _atoms(waters: NDArray[np.float64], cell: NDArray[np.float64] | None) -> Atoms:
    atoms = Atoms("OHH" * len(waters), waters.reshape(-1, 3))
    if cell is not None:
        atoms.set_cell(cell)
        atoms.pbc = True
    return atoms


def _hot(atoms: Atoms, rng: np.random.Generator) -> Atoms:
    """Motion at 100-700 K on top of the packing, a rattle, or nothing."""
    draw = rng.uniform()
    if draw < 0.1:
        return atoms.copy()
    if draw < 0.8:
        return heat(atoms, 100.0 * 7.0 ** rng.uniform(), rng)
    return rattle(atoms, rng.uniform(0.02, 0.12), rng)


def generate_water_box(
    seed: int, index: int, smallest: float = 8.0, largest: float = 9.4, n_sweeps: int = N_SWEEPS
) -> Sample:
    """A periodic cube of liquid-like water at 0.8-1.2 g/cm³; every fifth structure is cubic ice.

    Args:
        seed: of the set.
        index: of the structure.
        smallest: shortest cube edge in Å.
        largest: longest cube edge in Å.
        n_sweeps: Monte Carlo moves per molecule.
    """
    rng = random_numbers(seed, index)
    if index % 5 == 4:
        return _ice(rng, n_sweeps)
    edge = float(rng.uniform(smallest, largest))
    cell = edge * np.eye(3)
    n_molecules = round(WATERS_PER_A3 * edge**3 * rng.uniform(0.8, 1.2))
    places = _grid(n_molecules, rng)
    waters = _pack(_scattered(edge * places, rng), cell, rng.uniform(250, 600), 0.35, rng, n_sweeps)
    return to_sample(_hot(_atoms(waters, cell), rng), f"water/box/{n_molecules}")


def _grid(n_points: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Points [n_points, 3] of a cubic grid in the unit cube."""
    n_edge = int(np.ceil(n_points ** (1 / 3) - 1e-9))
    points = np.stack(np.meshgrid(*[np.arange(n_edge)] * 3), axis=-1).reshape(-1, 3) / n_edge
    return points[rng.permutation(len(points))[:n_points]]


def _ice(rng: np.random.Generator, n_sweeps: int) -> Sample:
    """Cubic ice: oxygen on the sites of diamond, hydrogen turned until bonds form."""
    oxygens = smallest_supercell(
        primitive_crystal("diamond", ("O",), float(rng.uniform(6.1, 6.7))), 8.0 + 1e-4
    )
    cell = np.array(oxygens.cell)
    waters = _pack(
        _scattered(oxygens.positions, rng), cell, rng.uniform(150, 300), 0.03, rng, n_sweeps
    )
    return to_sample(_hot(_atoms(waters, cell), rng), f"water/ice/{len(waters)}")


def generate_water_cluster(seed: int, index: int, largest: int = 10, ions: bool = False) -> Sample:
    """Free water clusters of 1 to `largest` molecules, packed and heated.

    Args:
        seed: of the set.
        index: of the structure.
        largest: most molecules.
        ions: one molecule has a proton more or less, or an alkali or halide ion is added.
    """
    rng = random_numbers(seed, index)
    n_molecules = int(rng.integers(1, largest + 1))
    places = _grid(n_molecules, rng)
    spacing = 3.1 * np.ceil(n_molecules ** (1 / 3))
    start = _scattered(spacing * places, rng)
    waters = _pack(start, None, rng.uniform(100, 350), 0.35, rng)
    atoms = _atoms(waters, None)
    charge = 0
    if ions:
        atoms, charge = _with_ion(atoms, rng)
    moved = _hot(atoms, rng)
    if rng.uniform() < 0.15:
        moved = stretch(moved, rng.uniform(0.93, 1.15))
    return to_sample(moved, f"water/cluster/{n_molecules}/{charge:+d}", charge)


def _with_ion(atoms: Atoms, rng: np.random.Generator) -> tuple[Atoms, int]:
    """Copy with a hydroxide, a hydronium or an ion from outside, and the charge."""
    kind = str(rng.choice(["OH-", "H3O+", "Li", "Na", "K", "Mg", "Ca", "F", "Cl", "Br", "I"]))
    if kind == "OH-":
        ionized = atoms.copy()
        del ionized[1]
        return ionized, -1
    if kind == "H3O+":
        ionized = atoms.copy()
        bisector = 2 * atoms.positions[0] - atoms.positions[1] - atoms.positions[2]
        place = atoms.positions[0] + 0.98 * bisector / np.linalg.norm(bisector)
        ionized.extend(Atoms("H", [place]))
        return ionized, 1
    charge = {"Li": 1, "Na": 1, "K": 1, "Mg": 2, "Ca": 2}.get(kind, -1)
    return join(atoms, Atoms(kind, [(0.0, 0.0, 0.0)]), rng.uniform(0.62, 1.2), rng), charge


def generate_alcohol_box(seed: int, index: int) -> Sample:
    """A periodic box of methanol, ethanol or either with water, at 0.7-1.0 of a dense packing."""
    rng = random_numbers(seed, index)
    solute = ["CO", "CCO"][index % 2]
    kinds = [solute if rng.uniform() < 0.75 else "O" for _ in range(8)]
    volumes = {"CO": 67.0, "CCO": 97.0, "O": 30.0}
    edge = max(
        8.01, float((sum(volumes[kind] for kind in kinds) * rng.uniform(0.95, 1.2)) ** (1 / 3))
    )
    places = _grid(8, rng) * edge + rng.normal(0.0, 0.2, (8, 3))
    box = Atoms(cell=[edge] * 3, pbc=True)
    for kind, place in zip(kinds, places, strict=True):
        box.extend(_best_turned(box, conformer(kind, int(rng.integers(8))), place, rng))
    return to_sample(_hot(box, rng), f"liquid/{solute}")


def _best_turned(
    box: Atoms, single: Atoms, place: NDArray[np.float64], rng: np.random.Generator
) -> Atoms:
    """The molecule at `place`, in the orientation of 200 with most room to the atoms in the box."""
    best, best_room = single, -1.0
    centered = single.positions - single.positions.mean(axis=0)
    for _ in range(200):
        turned = place + rng.normal(0.0, 0.3, 3) + centered @ _rotation(rng).T
        if len(box) == 0:
            return Atoms(single.numbers, turned)
        vectors = turned[:, None] - box.positions[None]
        vectors -= box.cell[0, 0] * np.rint(vectors / box.cell[0, 0])
        room = float(np.linalg.norm(vectors, axis=2).min())
        if room > best_room:
            best, best_room = Atoms(single.numbers, turned), room
    return best
