"""Molecules of the stand-ins: properties as in QM9, frames of a hot molecule, strained conformers.

Levels of theory are far below those of the sets they stand in for: GFN1-xTB and Hartree-Fock in a
small basis. Only the coupled cluster energies are of the same kind, in a smaller basis. None is
that of a head of the shipped model.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from ase import Atoms
from ase.data import chemical_symbols
from ase.thermochemistry import IdealGasThermo
from ase.units import Bohr, Debye, Hartree, _amu, _e, _hbar, kB, kcal, mol
from numpy.typing import NDArray
from pyscf import cc, gto, scf
from scipy.optimize import minimize
from tblite.exceptions import TBLiteRuntimeError
from tblite.interface import Calculator

from atomfm_calc.convert import sample_from_atoms
from atomfm_calc.errors import LabelError
from downstream.stand_in.frame import LabeledFrame
from training.collection.engines.tblite import TbliteEngine
from training.collection.generators.displace import heat
from training.collection.generators.molecules import conformer
from training.collection.generators.organics import NEUTRAL

ELEMENTS = frozenset("HCNOF")
MULTIPLICITY_OF_ATOM = {"H": 2, "C": 3, "N": 4, "O": 3, "F": 2}
MAX_HEAVY_ATOMS = 5
TEMPERATURE_K = 298.15
FIELD = 2e-3
"""Electric field in atomic units, of the central difference that gives the polarizability."""
STEP = 5e-3
"""Displacement in Å, of the central differences that give the Hessian."""
SOFTEST_WAVENUMBER = 50.0
"""Softer modes count as this many 1/cm, so that entropies stay finite."""
N_CONFORMERS = 4
"""Minima that frames are heated from."""
HOT_MOLECULES = {"ethanol": "CCO", "malonaldehyde": "O=CCC=O"}
STRAINED_MOLECULES = {"formamide": "NC=O", "methanol": "CO"}

Floats = NDArray[np.float64]


def properties_of_molecules() -> Iterator[LabeledFrame]:
    """Small organic molecules at their GFN1-xTB minimum with the thirteen properties of QM9."""
    atoms_energy = {symbol: _atom_energy(symbol) for symbol in MULTIPLICITY_OF_ATOM}
    for smiles in NEUTRAL:
        atoms = conformer(smiles, 0)
        symbols = atoms.get_chemical_symbols()
        n_heavy = sum(symbol != "H" for symbol in symbols)
        if not set(symbols) <= ELEMENTS or not 1 <= n_heavy <= MAX_HEAVY_ATOMS:
            continue
        try:
            relaxed = _relaxed(atoms)
        except TBLiteRuntimeError:
            continue  # a step of the search went where there is no self-consistency
        info = _properties(relaxed, sum(atoms_energy[symbol] for symbol in symbols))
        yield LabeledFrame(atoms=relaxed, info=info, source=f"molecule/{smiles}")


def hot_molecules(frames_of_each: int, temperature_K: float) -> Iterator[LabeledFrame]:
    """Frames of hot ethanol and malonaldehyde with energy and forces, Hartree-Fock/6-31G."""
    for seed, (name, smiles) in enumerate(HOT_MOLECULES.items()):
        rng = np.random.default_rng(seed)
        minima = [_relaxed(conformer(smiles, number)) for number in range(N_CONFORMERS)]
        for number in range(frames_of_each):
            atoms = heat(minima[number % N_CONFORMERS], temperature_K, rng)
            field = scf.RHF(_molecule(atoms, "6-31g")).run()
            if not field.converged:
                continue
            gradient = np.asarray(field.nuc_grad_method().kernel())  # [N, 3] hartree/bohr
            yield LabeledFrame(
                atoms=atoms,
                labels={
                    "energy": np.asarray(field.e_tot * Hartree),
                    "forces": -gradient * (Hartree / Bohr),
                },
                info={"group": name},
                source=f"hot/{name}/{number}",
            )


def strained_conformers(conformers_of_each: int, temperature_K: float) -> Iterator[LabeledFrame]:
    """Strained conformers with their CCSD(T)/def2-SVP energy above the minimum of GFN1-xTB.

    Conformers whose amplitudes do not converge are left out.
    """
    for seed, (name, smiles) in enumerate(STRAINED_MOLECULES.items()):
        rng = np.random.default_rng(100 + seed)
        relaxed = _relaxed(conformer(smiles, 0))
        ground = _coupled_cluster_energy(relaxed)
        for number in range(conformers_of_each):
            atoms = heat(relaxed, temperature_K * rng.uniform(0.2, 1.0), rng)
            try:
                energy = _coupled_cluster_energy(atoms)
            except LabelError:
                continue
            yield LabeledFrame(
                atoms=atoms,
                labels={"energy": np.asarray(energy - ground)},
                info={"group": name},
                source=f"strained/{name}/{number}",
            )


def _tblite(positions: Floats, atoms: Atoms) -> Calculator:
    calculator = Calculator("GFN1-xTB", atoms.numbers, positions / Bohr)
    calculator.set("verbosity", 0)
    calculator.set("accuracy", 0.1)
    return calculator


def _energy_and_gradient(flat: Floats, atoms: Atoms) -> tuple[float, Floats]:
    """Energy in eV and its gradient [3 N] in eV/Å."""
    result = _tblite(flat.reshape(-1, 3), atoms).singlepoint()
    gradient = np.asarray(result.get("gradient")) * (Hartree / Bohr)
    return float(result.get("energy")) * Hartree, gradient.ravel()


def _relaxed(atoms: Atoms) -> Atoms:
    """The GFN1-xTB minimum nearest to a structure."""
    found = minimize(
        _energy_and_gradient,
        atoms.positions.ravel(),
        args=(atoms,),
        jac=True,
        method="BFGS",
        options={"gtol": 1e-3},
    )
    return Atoms(atoms.numbers, found.x.reshape(-1, 3))


def _atom_energy(symbol: str) -> float:
    atom = sample_from_atoms(
        Atoms(symbol, info={"charge": 0, "multiplicity": MULTIPLICITY_OF_ATOM[symbol]})
    )
    return float(TbliteEngine(method="GFN1-xTB").label(atom)["energy"])


def _properties(atoms: Atoms, energy_of_atoms: float) -> dict[str, float]:
    """The thirteen properties, in the units of `downstream/recipes/qm9`."""
    result = _tblite(atoms.positions, atoms).singlepoint()
    levels = np.asarray(result.get("orbital-energies")) * Hartree
    n_occupied = int((np.asarray(result.get("orbital-occupations")) > 1.0).sum())
    homo, lumo = float(levels[n_occupied - 1]), float(levels[n_occupied])
    energy = float(result.get("energy")) * Hartree
    spread, polarizability = _response(atoms)
    vibrations = _vibrations(atoms)
    gas = IdealGasThermo(
        vib_energies=vibrations,
        geometry="linear" if _is_linear(atoms) else "nonlinear",
        potentialenergy=energy,
        atoms=atoms,
        symmetrynumber=1,
        spin=0,
    )
    internal = gas.get_internal_energy(TEMPERATURE_K, verbose=False)
    free = gas.get_gibbs_energy(TEMPERATURE_K, 101325.0, verbose=False)
    zero_point = float(0.5 * vibrations.sum())
    return {
        "dipole_moment": float(np.linalg.norm(result.get("dipole"))) * Bohr / Debye,
        "polarizability": polarizability,
        "homo": homo,
        "lumo": lumo,
        "gap": lumo - homo,
        "electronic_spatial_extent": spread,
        "zero_point_energy": zero_point,
        "u0": energy + zero_point,
        "u298": float(internal),
        "h298": float(internal + kB * TEMPERATURE_K),
        "g298": float(free),
        "heat_capacity": _heat_capacity(vibrations, _is_linear(atoms)),
        "atomization_energy": energy + zero_point - energy_of_atoms,
    }


def _is_linear(atoms: Atoms) -> bool:
    moments = np.sort(atoms.get_moments_of_inertia())
    return bool(moments[0] < 1e-3 * moments[-1])


def _vibrations(atoms: Atoms) -> Floats:
    """Energies in eV of the vibrations [3N - 6 or 3N - 5] from a Hessian by central differences."""
    flat = atoms.positions.ravel()
    hessian = np.empty((len(flat), len(flat)))
    for place in range(len(flat)):
        step = np.zeros_like(flat)
        step[place] = STEP
        forward = _energy_and_gradient(flat + step, atoms)[1]
        backward = _energy_and_gradient(flat - step, atoms)[1]
        hessian[place] = (forward - backward) / (2 * STEP)
    masses = np.repeat(atoms.get_masses(), 3)
    weighted = 0.5 * (hessian + hessian.T) / np.sqrt(np.outer(masses, masses))  # eV/Å²/u
    values = np.linalg.eigvalsh(weighted)
    to_eV = _hbar * 1e10 / np.sqrt(_e * _amu)
    energies = np.sqrt(np.maximum(values, 0.0)) * to_eV
    n_vibrations = len(flat) - (5 if _is_linear(atoms) else 6)
    softest = SOFTEST_WAVENUMBER * 1.239841984e-4
    return np.maximum(np.sort(energies)[-n_vibrations:], softest)


def _heat_capacity(vibrations: Floats, is_linear: bool) -> float:
    """At constant volume in cal/(mol K): translation, rotation, harmonic vibrations."""
    x = vibrations / (kB * TEMPERATURE_K)
    of_vibrations = float((x**2 * np.exp(x) / (np.exp(x) - 1.0) ** 2).sum())
    in_k = (2.5 if is_linear else 3.0) + of_vibrations
    return in_k * kB / (kcal / mol) * 1000.0


def _response(atoms: Atoms) -> tuple[float, float]:
    """Electronic spatial extent in a0² and mean polarizability in a0³, Hartree-Fock/6-31G."""
    molecule = _molecule(atoms, "6-31g")
    charges = molecule.atom_charges()
    center = charges @ molecule.atom_coords() / charges.sum()
    with molecule.with_common_orig(center):
        squares, places = molecule.intor("int1e_r2"), molecule.intor("int1e_r")
    at_rest = scf.RHF(molecule).run()
    density = at_rest.make_rdm1()
    slope = 0.0
    for axis in range(3):
        dipoles = []
        for sign in (1.0, -1.0):
            field = scf.RHF(molecule)
            hamiltonian = at_rest.get_hcore() + sign * FIELD * places[axis]
            field.get_hcore = lambda *args, matrix=hamiltonian: matrix
            field.kernel(dm0=density)
            dipoles.append(-np.einsum("ij,ji", places[axis], field.make_rdm1()))
        slope += (dipoles[0] - dipoles[1]) / (2 * FIELD) / 3.0
    return float(np.einsum("ij,ji", squares, density)), float(slope)


def _coupled_cluster_energy(atoms: Atoms) -> float:
    """CCSD(T)/def2-SVP with frozen cores, in eV."""
    molecule = _molecule(atoms, "def2-svp")
    field = scf.RHF(molecule).run(conv_tol=1e-10)
    n_cores = sum(symbol != "H" for symbol in atoms.get_chemical_symbols())
    amplitudes = cc.CCSD(field, frozen=n_cores).run()
    if not amplitudes.converged:
        raise LabelError("not-converged: coupled cluster amplitudes")
    return float(amplitudes.e_tot + amplitudes.ccsd_t()) * Hartree


def _molecule(atoms: Atoms, basis: str) -> gto.Mole:
    symbols = [chemical_symbols[number] for number in atoms.numbers]
    places = list(zip(symbols, atoms.positions.tolist(), strict=True))
    return gto.M(atom=places, basis=basis, verbose=0)
