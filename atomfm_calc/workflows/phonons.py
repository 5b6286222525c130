"""Phonons by phonopy: bands, density of states, free energy and heat capacity of a crystal.

Displaced supercells are computed together (`compute_many`). Imaginary frequencies are negative
numbers, as usual. There is no non-analytic correction: it needs Born charges and a dielectric
tensor, which an interatomic potential has not, so longitudinal and transverse optical branches of a
polar crystal meet at Γ where they should not.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from ase import Atoms, units
from ase.calculators.calculator import BaseCalculator
from ase.cell import Cell
from ase.dft.kpoints import parse_path_string
from numpy.typing import NDArray
from phonopy import Phonopy
from phonopy.structure.atoms import PhonopyAtoms
from phonopy.structure.cells import guess_primitive_matrix

from atomfm_calc.errors import ConfigError, PropertyError
from atomfm_calc.workflows.compute import forces_of_many
from atomfm_calc.workflows.relax import relaxed_crystal

KB_PER_J_MOL_K = units.J / units.mol / units.kB
"""Boltzmann's constants per J/mol/K."""
KJ_PER_MOL = units.kJ / units.mol
"""eV per kJ/mol."""


@dataclass(frozen=True, kw_only=True)
class PhononSettings:
    """Which supercell, which points."""

    supercell: tuple[int, int, int] | None = None
    """Repetitions of the cell; None: the fewest with opposite faces `min_length` apart."""
    min_length: float = 12.0
    """Å, at least twice the range of the forces between atoms."""
    displacement: float = 0.01
    """Å"""
    mesh_length: float = 60.0
    """Å, the mesh of wave vectors has as many points as this length has cells."""
    points_per_segment: int = 40
    """On each line of the band structure."""
    temperatures_K: tuple[float, ...] = tuple(range(0, 1001, 50))
    """Of the thermal properties."""
    imaginary_below_THz: float = -0.05
    """Lower frequencies count as imaginary; Γ's three zeros are never exact."""
    relax_cell: bool = True
    """Relax positions and cell first."""
    max_force: float = 1e-3
    """eV/Å, limit of this relaxation."""
    max_stress: float = 1e-4
    """eV/Å³ (0.016 GPa), limit of this relaxation."""

    def __post_init__(self) -> None:
        if self.supercell is not None and min(self.supercell) < 1:
            raise ConfigError(f"supercell is {self.supercell}; every number must be at least 1")
        for name in ("min_length", "displacement", "mesh_length", "max_force", "max_stress"):
            if not getattr(self, name) > 0.0:
                raise ConfigError(f"{name} is {getattr(self, name)}; it must be above 0")
        if self.points_per_segment < 2 or min(self.temperatures_K, default=-1.0) < 0.0:
            raise ConfigError(
                f"points_per_segment {self.points_per_segment} must be at least 2, "
                f"temperatures_K {self.temperatures_K} not negative and not empty"
            )
        if self.imaginary_below_THz > 0.0:
            raise ConfigError(f"imaginary_below_THz is {self.imaginary_below_THz}; it must be <= 0")


@dataclass(frozen=True, kw_only=True, eq=False)
class Bands:
    """Frequencies along lines between special points of the Brillouin zone."""

    q_points: NDArray[np.float64]
    """[Q, 3] in reciprocal lattice vectors of the primitive cell"""
    distances_per_angstrom: NDArray[np.float64]
    """[Q] way along the path, 1/Å without 2π"""
    frequencies_THz: NDArray[np.float64]
    """[Q, B], imaginary ones negative"""
    special_points: tuple[str, ...]
    """Names along the path; "," between two means that the path jumps."""
    special_distances_per_angstrom: tuple[float, ...]
    """Where they are."""


@dataclass(frozen=True, kw_only=True, eq=False)
class ThermalProperties:
    """Of harmonic vibrations at constant volume; zero-point energy is in the free energy."""

    temperatures_K: NDArray[np.float64]
    """[T]"""
    free_energy_eV_per_atom: NDArray[np.float64]
    """[T]"""
    entropy_kB_per_atom: NDArray[np.float64]
    """[T]"""
    heat_capacity_kB_per_atom: NDArray[np.float64]
    """[T], towards 3"""


@dataclass(frozen=True, kw_only=True)
class ImaginaryMode:
    """A vibration along which the energy falls."""

    where: str
    """A special point, or the wave vector in reciprocal lattice vectors of the primitive cell."""
    band: int
    """From 0, by frequency."""
    frequency_THz: float
    """Negative."""


@dataclass(frozen=True, kw_only=True, eq=False)
class PhononResult:
    """Phonons of a crystal."""

    atoms: Atoms
    """The cell that was computed."""
    primitive: Atoms
    """The primitive cell, to which bands belong."""
    supercell: tuple[int, int, int]
    """Repetitions of the cell."""
    n_displacements: int
    """Supercells computed; symmetry gives the others."""
    bands: Bands
    """Along ASE's path for the lattice."""
    dos_frequencies_THz: NDArray[np.float64]
    """[F]"""
    dos_per_THz_per_atom: NDArray[np.float64]
    """[F], its integral is 3"""
    max_frequency_THz: float
    """On mesh and bands."""
    acoustic_at_gamma_THz: float
    """Largest of the three frequencies at Γ that should vanish."""
    imaginary_modes: tuple[ImaginaryMode, ...]
    """The lowest of every special point and of the mesh; empty for a stable crystal."""
    thermal: ThermalProperties | None
    """None with imaginary modes: then there is no harmonic crystal."""
    non_analytic_correction: bool
    """False: longitudinal and transverse optical modes of a polar crystal do not split at Γ."""


def phonons(
    atoms: Atoms,
    calculator: BaseCalculator,
    settings: PhononSettings | None = None,
    *,
    keep: str | Path | None = None,
) -> PhononResult:
    """Compute the phonons of a crystal.

    Args:
        atoms: is not changed; constraints are left out.
        calculator: any ASE calculator; its precision matters (float64).
        settings: None: the defaults.
        keep: file (.traj) by which an interrupted run goes on; see `compute_many`.

    Raises:
        PropertyError: the structure is not periodic in three directions.
        WorkflowError: the relaxation does not converge.
    """
    settings = settings or PhononSettings()
    if not atoms.pbc.all():
        raise PropertyError(
            f"phonons need a crystal, periodic in three directions; pbc is {atoms.pbc.tolist()}. "
            "A molecule has vibrations; of a crystal, give the structure with its cell and pbc"
        )
    start = atoms.copy()
    start.set_constraint()
    if settings.relax_cell:
        start = relaxed_crystal(
            start, calculator, max_force=settings.max_force, max_stress=settings.max_stress
        )
    repeats = settings.supercell or supercell_for(start.cell, settings.min_length)
    cell = _to_phonopy(start)
    harmonic = Phonopy(cell, np.diag(repeats), primitive_matrix=guess_primitive_matrix(cell))
    harmonic.generate_displacements(distance=settings.displacement)
    displaced = [_to_ase(one) for one in harmonic.supercells_with_displacements or []]
    harmonic.forces = forces_of_many(calculator, displaced, keep)
    harmonic.produce_force_constants(show_drift=False)
    harmonic.symmetrize_force_constants(show_drift=False)
    return _evaluate(harmonic, start, repeats, settings)


def supercell_for(cell: Cell, min_length: float) -> tuple[int, int, int]:
    """The fewest repetitions with opposite faces at least `min_length` (Å) apart."""
    heights = 1.0 / np.linalg.norm(cell.reciprocal(), axis=1)  # [3] Å
    first, second, third = (int(np.ceil(min_length / height - 1e-9)) for height in heights)
    return first, second, third


def _evaluate(
    harmonic: Phonopy, start: Atoms, repeats: tuple[int, int, int], settings: PhononSettings
) -> PhononResult:
    primitive = _to_ase(harmonic.primitive)
    bands = _bands(harmonic, primitive, settings.points_per_segment)
    harmonic.run_mesh(settings.mesh_length)
    harmonic.run_total_dos()
    imaginary = _imaginary(bands, harmonic, settings.imaginary_below_THz)
    harmonic.run_qpoints([[0.0, 0.0, 0.0]])
    gamma = harmonic.qpoints.frequencies[0]
    return PhononResult(
        atoms=start,
        primitive=primitive,
        supercell=repeats,
        n_displacements=len(harmonic.supercells_with_displacements or []),
        bands=bands,
        dos_frequencies_THz=np.array(harmonic.total_dos.frequency_points),
        dos_per_THz_per_atom=np.array(harmonic.total_dos.dos) / len(primitive),
        max_frequency_THz=float(max(bands.frequencies_THz.max(), harmonic.mesh.frequencies.max())),
        acoustic_at_gamma_THz=float(np.sort(np.abs(gamma))[:3].max()),
        imaginary_modes=imaginary,
        thermal=None if imaginary else _thermal(harmonic, settings, len(primitive)),
        non_analytic_correction=False,
    )


def _bands(harmonic: Phonopy, primitive: Atoms, points_per_segment: int) -> Bands:
    path = primitive.cell.bandpath()
    ways = np.linspace(0.0, 1.0, points_per_segment)[:, None]
    segments: list[NDArray[np.float64]] = []
    names: list[str] = []
    for line in parse_path_string(path.path):
        if names:
            names[-1] += f",{line[0]}"
        else:
            names.append(line[0])
        for begin, end in pairwise(line):
            first, last = path.special_points[begin], path.special_points[end]
            segments.append(first + ways * (last - first))  # [P, 3]
            names.append(end)
    harmonic.run_band_structure(segments)
    structure = harmonic.band_structure
    distances = [np.array(one) for one in structure.distances]
    return Bands(
        q_points=np.concatenate(segments),
        distances_per_angstrom=np.concatenate(distances),
        frequencies_THz=np.concatenate([np.array(one) for one in structure.frequencies]),
        special_points=tuple(names),
        special_distances_per_angstrom=(0.0, *(float(way[-1]) for way in distances)),
    )


def _imaginary(bands: Bands, harmonic: Phonopy, limit_THz: float) -> tuple[ImaginaryMode, ...]:
    """The lowest mode of each wave vector, where it is the lowest around, or of a special point."""
    found: dict[str, ImaginaryMode] = {}
    named = dict(zip(bands.special_distances_per_angstrom, bands.special_points, strict=True))
    lowest = bands.frequencies_THz[:, 0]  # phonopy sorts them
    for place, frequency in enumerate(lowest):
        if frequency >= limit_THz:
            continue
        name = named.get(float(bands.distances_per_angstrom[place]))
        around = lowest[max(place - 1, 0) : place + 2]
        if name is not None or frequency <= around.min():
            where = name or _vector_text(bands.q_points[place])
            found.setdefault(
                where, ImaginaryMode(where=where, band=0, frequency_THz=float(frequency))
            )
    frequencies = harmonic.mesh.frequencies  # [Q, B]
    place = int(frequencies[:, 0].argmin())
    if not found and frequencies[place, 0] < limit_THz:
        where = _vector_text(harmonic.mesh.qpoints[place])
        found[where] = ImaginaryMode(
            where=where, band=0, frequency_THz=float(frequencies[place, 0])
        )
    return tuple(sorted(found.values(), key=lambda mode: mode.frequency_THz))


def _vector_text(q_point: NDArray[np.float64]) -> str:
    return "q = ({:.3f}, {:.3f}, {:.3f})".format(*q_point)


def _thermal(harmonic: Phonopy, settings: PhononSettings, n_atoms: int) -> ThermalProperties:
    harmonic.run_thermal_properties(
        temperatures=list(settings.temperatures_K),
        cutoff_frequency=-settings.imaginary_below_THz,  # the zeros at Γ have no free energy
    )
    computed = harmonic.thermal_properties
    return ThermalProperties(
        temperatures_K=np.array(computed.temperatures),
        free_energy_eV_per_atom=np.array(computed.free_energy) * KJ_PER_MOL / n_atoms,
        entropy_kB_per_atom=np.array(computed.entropy) * KB_PER_J_MOL_K / n_atoms,
        heat_capacity_kB_per_atom=np.array(computed.heat_capacity) * KB_PER_J_MOL_K / n_atoms,
    )


def _to_phonopy(atoms: Atoms) -> PhonopyAtoms:
    return PhonopyAtoms(
        symbols=atoms.get_chemical_symbols(),
        cell=atoms.cell.array,
        scaled_positions=atoms.get_scaled_positions(),
        masses=atoms.get_masses(),
    )


def _to_ase(cell: PhonopyAtoms) -> Atoms:
    return Atoms(
        numbers=cell.numbers,
        cell=cell.cell,
        positions=cell.positions,
        masses=cell.masses,
        pbc=True,
    )
