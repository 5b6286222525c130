"""Alloys of seven metals by effective medium theory: moduli, phonons, frames of a disordered alloy.

EMT is cheap enough for elastic constants and phonons of hundreds of crystals. It is a model
potential: its numbers say nothing about real metals beyond their order of magnitude.

Source: Jacobsen, Stoltze, Nørskov, Surf. Sci. 366, 394 (1996), as in ASE.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations, permutations, product

import numpy as np
from ase import Atoms
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.filters import FrechetCellFilter
from ase.optimize import BFGS
from ase.stress import voigt_6_to_full_3x3_stress
from ase.units import GPa, _amu, _c, _e
from numpy.typing import NDArray

from downstream.stand_in.frame import LabeledFrame
from training.collection.generators.displace import rattle, strain
from training.collection.generators.prototypes import primitive_crystal

METALS = ("Al", "Ni", "Cu", "Pd", "Ag", "Pt", "Au")
STRAIN = 2e-3
"""Of the central differences that give elastic constants."""
STEP = 1e-2
"""Displacement in Å, of those that give phonons."""
N_REPEATS = 2
"""Cells of the supercell for phonons in each direction."""
SMEARING = 4.0
"""Width in 1/cm of a mode in the density of states."""
SOFTEST_WAVENUMBER = -5.0
"""1/cm; a softer mode of the supercell means that the crystal is not stable."""

Floats = NDArray[np.float64]


def alloys() -> Iterator[LabeledFrame]:
    """Stable ordered crystals of one to three metals at their EMT minimum.

    `log_kvrh` and `log_gvrh` are log10 of the Voigt-Reuss-Hill moduli in GPa, `last_phonon_peak`
    is the highest peak of the phonon density of states in 1/cm.
    """
    for name, crystal in _crystals():
        relaxed = _relaxed(crystal)
        stiffness = _stiffness(relaxed)
        if np.linalg.eigvalsh(stiffness)[0] <= 0.0:
            continue
        peak = _last_phonon_peak(relaxed)
        if peak is None:
            continue
        moduli = hill_moduli(stiffness)
        info = {
            "log_kvrh": float(np.log10(moduli[0])),
            "log_gvrh": float(np.log10(moduli[1])),
            "last_phonon_peak": peak,
        }
        bare = Atoms(relaxed.numbers, relaxed.positions, cell=relaxed.cell, pbc=True)
        yield LabeledFrame(atoms=bare, info=info, source=f"alloy/{name}")


def disordered_alloy(n_frames: int) -> Iterator[LabeledFrame]:
    """Random Ni-Cu-Pd-Ag-Pt-Au on a strained, rattled fcc lattice; energy, forces and stress."""
    rng = np.random.default_rng(7)
    palette = [metal for metal in METALS if metal != "Al"]
    for number in range(n_frames):
        atoms = bulk("Pd", cubic=True, a=rng.uniform(3.88, 4.05)) * (2, 2, 1)
        atoms.set_chemical_symbols(list(rng.choice(palette, len(atoms))))
        atoms = rattle(strain(atoms, rng.uniform(0.0, 0.03), rng), rng.uniform(0.02, 0.12), rng)
        labels = {"energy": np.asarray(_energy(atoms)), "forces": _forces(atoms)}
        labels["stress"] = voigt_6_to_full_3x3_stress(_stress(atoms))
        yield LabeledFrame(atoms=atoms, labels=labels, source=f"disordered/{number}")


def _crystals() -> Iterator[tuple[str, Atoms]]:
    for metal in METALS:
        yield metal, primitive_crystal("fcc", (metal,), 4.0)
    for pair in combinations(METALS, 2):
        yield f"L10/{''.join(pair)}", primitive_crystal("L10", pair, 2.8)
        yield f"B2/{''.join(pair)}", primitive_crystal("cesium-chloride", pair, 3.1)
    for pair in permutations(METALS, 2):
        yield f"L12/{pair[0]}3{pair[1]}", primitive_crystal("L12", pair, 3.9)
    for middle in ("Ni", "Cu", "Pd", "Pt"):
        for pair in combinations([metal for metal in METALS if metal != middle], 2):
            yield f"L21/{middle}2{''.join(pair)}", _heusler(middle, *pair)


def _heusler(twice: str, first: str, second: str) -> Atoms:
    cell = 6.2 * 0.5 * (1.0 - np.eye(3))
    places = [[0.25] * 3, [0.75] * 3, [0.0] * 3, [0.5] * 3]
    return Atoms([twice, twice, first, second], scaled_positions=places, cell=cell, pbc=True)


def _energy(atoms: Atoms) -> float:
    return float(_computed(atoms).get_potential_energy())


def _forces(atoms: Atoms) -> Floats:
    return np.asarray(_computed(atoms).get_forces())


def _stress(atoms: Atoms) -> Floats:
    return np.asarray(_computed(atoms).get_stress())


def _computed(atoms: Atoms) -> Atoms:
    copy = atoms.copy()
    copy.calc = EMT()
    return copy


def _relaxed(crystal: Atoms) -> Atoms:
    atoms = _computed(crystal)
    BFGS(FrechetCellFilter(atoms), logfile=None).run(fmax=1e-4, steps=300)
    return atoms


def _stiffness(atoms: Atoms) -> Floats:
    """[6, 6] in GPa, Voigt order, from stresses under small strains of a relaxed crystal."""
    stiffness = np.empty((6, 6))
    for column in range(6):
        sides = []
        for sign in (1.0, -1.0):
            voigt = np.zeros(6)
            voigt[column] = sign * STRAIN
            # a shear in Voigt order is twice the component of the strain
            full = voigt_6_to_full_3x3_stress(voigt * np.repeat([1.0, 0.5], 3))
            strained = atoms.copy()
            strained.set_cell(atoms.cell.array @ (np.eye(3) + full), scale_atoms=True)
            sides.append(_stress(strained))
        stiffness[:, column] = (sides[0] - sides[1]) / (2 * STRAIN) / GPa
    return 0.5 * (stiffness + stiffness.T)


def hill_moduli(stiffness: Floats) -> tuple[float, float]:
    """Bulk and shear modulus, means of Voigt's and Reuss's.

    Source: Hill, Proc. Phys. Soc. A 65, 349 (1952).
    """
    compliance = np.linalg.inv(stiffness)
    bulk_voigt = stiffness[:3, :3].sum() / 9.0
    bulk_reuss = 1.0 / compliance[:3, :3].sum()
    c_normal, c_shear = stiffness[:3, :3], np.diag(stiffness)[3:]
    s_normal, s_shear = compliance[:3, :3], np.diag(compliance)[3:]
    off = np.triu_indices(3, k=1)
    shear_voigt = (np.trace(c_normal) - c_normal[off].sum() + 3.0 * c_shear.sum()) / 15.0
    shear_reuss = 15.0 / (
        4.0 * np.trace(s_normal) - 4.0 * s_normal[off].sum() + 3.0 * s_shear.sum()
    )
    return float(bulk_voigt + bulk_reuss) / 2.0, float(shear_voigt + shear_reuss) / 2.0


def _last_phonon_peak(atoms: Atoms) -> float | None:
    """Highest peak of the density of states of a 2x2x2 supercell; None if it is not stable."""
    supercell = atoms.copy() * ((N_REPEATS,) * 3)
    n_cell = len(atoms)
    masses = supercell.get_masses()
    blocks = np.empty((n_cell, 3, len(supercell), 3))
    for atom in range(n_cell):
        for axis in range(3):
            sides = []
            for sign in (1.0, -1.0):
                moved = supercell.copy()
                moved.positions[atom, axis] += sign * STEP
                sides.append(_forces(moved))
            blocks[atom, axis] = -(sides[0] - sides[1]) / (2 * STEP)
    wavenumbers = _commensurate_modes(blocks, atoms, supercell, masses)
    if wavenumbers[3] < 0.0 or wavenumbers[0] < SOFTEST_WAVENUMBER:
        return None
    grid = np.arange(0.0, wavenumbers[-1] + 5 * SMEARING, 0.5)
    density = np.exp(-0.5 * ((grid[:, None] - wavenumbers) / SMEARING) ** 2).sum(axis=1)
    is_peak = (density[1:-1] > density[:-2]) & (density[1:-1] >= density[2:])
    return float(grid[1:-1][is_peak][-1])


def _commensurate_modes(blocks: Floats, atoms: Atoms, supercell: Atoms, masses: Floats) -> Floats:
    """Wavenumbers in 1/cm, ascending and signed, at the wave vectors that fit the supercell."""
    n_cell, n_repeats = len(atoms), len(supercell) // len(atoms)
    # ASE repeats whole cells one after another, the last direction fastest
    cells = np.array(list(product(range(N_REPEATS), repeat=3)))
    pairs = blocks.reshape(n_cell, 3, n_repeats, n_cell, 3)
    scale = np.sqrt(np.outer(masses[:n_cell], masses[:n_cell]))
    found = []
    for wave_vector in cells / N_REPEATS:
        phases = np.exp(2j * np.pi * (cells @ wave_vector))
        matrix = np.einsum("aircj,r->aicj", pairs, phases) / scale[:, None, :, None]
        flat = matrix.reshape(3 * n_cell, 3 * n_cell)
        values = np.linalg.eigvalsh(0.5 * (flat + flat.conj().T))  # eV/Å²/u
        found.append(np.sign(values) * np.sqrt(np.abs(values)))
    per_unit = np.sqrt(_e / _amu) * 1e10 / (2 * np.pi * _c * 100.0)
    return np.sort(np.concatenate(found)) * per_unit
