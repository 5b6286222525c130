"""The picture that each `atomfm run` leaves in its folder; needs matplotlib (the extra `plots`)."""

from __future__ import annotations

import csv
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from ase import Atoms
from ase.io.trajectory import Trajectory
from ase.visualize.plot import plot_atoms
from matplotlib.figure import Figure

if TYPE_CHECKING:
    from atomfm_calc.workflows.elastic import ElasticResult
    from atomfm_calc.workflows.equation_of_state import EquationOfStateResult
    from atomfm_calc.workflows.neb import NebResult
    from atomfm_calc.workflows.phonons import PhononResult
    from atomfm_calc.workflows.quasi_harmonic import QuasiHarmonicResult
    from atomfm_calc.workflows.result import DynamicsResult, RelaxResult
    from atomfm_calc.workflows.surfaces import AdsorptionResult, SurfaceResult
    from atomfm_calc.workflows.trajectories import DiffusionResult, RadialResult
    from atomfm_calc.workflows.vibrations import VibrationResult

PANEL = (4.6, 3.6)
"""Inches of a panel."""


def _panels(number: int = 1, **named: Any) -> tuple[Figure, Any]:
    figure = Figure(figsize=(number * PANEL[0], PANEL[1]), layout="constrained")
    return figure, figure.subplots(1, number, **named)


def plot_relaxation(result: RelaxResult) -> Figure:
    """Energy and largest force of all steps, those before a resumption included."""
    figure, (left, right) = _panels(2)
    if result.trajectory is not None:
        with Trajectory(str(result.trajectory), "r") as frames:
            energies = np.array([frame.get_potential_energy() for frame in frames])
            forces = [np.linalg.norm(frame.get_forces(), axis=1).max() for frame in frames]
        left.plot(energies - energies[-1], ".-")
        right.semilogy(forces, ".-")
    left.set(xlabel="step", ylabel="energy - last (eV)", title=f"{result.energy:.4f} eV")
    right.set(xlabel="step", ylabel="largest force (eV/Å)", title=result.reason)
    return figure


def plot_surface(result: SurfaceResult) -> Figure:
    """The relaxed slab."""
    return _two_views(result.atoms, f"{result.surface_energy_J_per_m2:.3f} J/m²")


def plot_adsorption(result: AdsorptionResult) -> Figure:
    """The relaxed slab with the molecule."""
    return _two_views(result.atoms, f"adsorption energy {result.adsorption_energy:.3f} eV")


def _two_views(atoms: Atoms, title: str) -> Figure:
    """A structure from the side and from above."""
    figure, (left, right) = _panels(2)
    for axes, rotation in ((left, "-90x"), (right, "")):
        plot_atoms(atoms, axes, rotation=rotation)
        axes.set_axis_off()
    left.set_title(title, fontsize="medium")
    right.set_title("from above", fontsize="medium")
    return figure


def plot_dynamics(result: DynamicsResult) -> Figure:
    """Temperature and energies of the whole run against time."""
    figure, (left, right) = _panels(2)
    if result.trajectory is not None:
        with result.trajectory.with_suffix(".csv").open(encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        times = [float(row["time_fs"]) * 1e-3 for row in rows]
        left.plot(times, [float(row["temperature_K"]) for row in rows])
        for name in ("potential", "total"):
            energies = [float(row[f"{name}_energy_eV"]) for row in rows]
            right.plot(times, np.array(energies) - energies[0], label=name)
        right.legend(frameon=False)
    left.set(xlabel="time (ps)", ylabel="temperature (K)")
    right.set(xlabel="time (ps)", ylabel="energy - first (eV)")
    return figure


def plot_equation_of_state(result: EquationOfStateResult) -> Figure:
    """Computed energies and the fitted curve, per atom."""
    figure, axes = _panels()
    n_atoms, fit = result.n_atoms, result.fit
    volumes = np.linspace(result.volumes.min(), result.volumes.max(), 200)
    axes.plot(volumes / n_atoms, (fit.energies(volumes) - fit.energy) / n_atoms * 1e3)
    axes.plot(result.volumes / n_atoms, (result.energies - fit.energy) / n_atoms * 1e3, "o")
    axes.set(xlabel="volume per atom (Å³)", ylabel="energy - lowest (meV per atom)")
    axes.set_title(f"{fit.equation}: V {result.volume_per_atom:.3f} Å³, "
                   f"B {fit.bulk_modulus_GPa:.1f} GPa", fontsize="medium")  # fmt: skip
    return figure


def plot_elastic(result: ElasticResult) -> Figure:
    """The matrix of elastic constants, with numbers."""
    figure, axes = _panels()
    constants = result.elastic_constants_GPa
    limit = float(np.abs(constants).max())
    axes.imshow(constants, cmap="RdBu_r", vmin=-limit, vmax=limit)
    for row, column in np.ndindex(6, 6):
        value = constants[row, column]
        color = "white" if abs(value) > 0.6 * limit else "black"
        axes.text(
            column, row, f"{value:.0f}", ha="center", va="center", color=color, fontsize="small"
        )
    names = ["xx", "yy", "zz", "yz", "xz", "xy"]
    axes.set_xticks(range(6), names)
    axes.set_yticks(range(6), names)
    axes.set_title(f"elastic constants (GPa), {'stable' if result.stable else 'UNSTABLE'}")
    return figure


def plot_phonons(result: PhononResult) -> Figure:
    """Bands, density of states beside them, and heat capacity."""
    figure, (left, middle, right) = _panels(3, width_ratios=(2.4, 0.8, 1.6))
    bands = result.bands
    places = bands.special_distances_per_angstrom
    for line in bands.frequencies_THz.T:
        left.plot(bands.distances_per_angstrom, line, color="tab:blue", linewidth=1.0)
    for place in places:
        left.axvline(place, color="gray", linewidth=0.5)
    left.set_xticks(places, [name.replace("G", "Γ") for name in bands.special_points])
    left.set(xlim=(places[0], places[-1]), ylabel="frequency (THz), imaginary below 0")
    middle.plot(result.dos_per_THz_per_atom, result.dos_frequencies_THz, color="tab:blue")
    middle.set(xlabel="states (1/THz/atom)", ylim=left.get_ylim())
    for axes in (left, middle):
        axes.axhline(0.0, color="black", linewidth=0.8)
    if result.thermal is not None:
        right.plot(result.thermal.temperatures_K, result.thermal.heat_capacity_kB_per_atom)
        right.axhline(3.0, color="gray", linewidth=0.8, linestyle="--")
        right.set(xlabel="temperature (K)", ylabel="heat capacity (k$_B$ per atom)")
    else:
        right.set_axis_off()
        lines = [f"{mode.where}: {mode.frequency_THz:.2f} THz" for mode in result.imaginary_modes]
        right.text(0.0, 0.98, "\n".join(["imaginary modes:", *lines[:12]]), va="top")
    return figure


def plot_quasi_harmonic(result: QuasiHarmonicResult) -> Figure:
    """Volume, thermal expansion and bulk modulus against temperature."""
    figure, (left, middle, right) = _panels(3)
    left.plot(result.temperatures_K, result.volume_per_atom)
    left.set(xlabel="temperature (K)", ylabel="volume per atom (Å³)")
    middle.plot(result.temperatures_K, result.thermal_expansion_per_K * 1e6)
    middle.set(xlabel="temperature (K)", ylabel="thermal expansion (10⁻⁶/K)")
    right.plot(result.temperatures_K, result.bulk_modulus_GPa)
    right.set(xlabel="temperature (K)", ylabel="bulk modulus (GPa)")
    return figure


def plot_vibrations(result: VibrationResult) -> Figure:
    """A line for each mode."""
    figure, axes = _panels()
    real = result.frequencies_per_cm > 0.0
    for choice, color in ((real, "tab:blue"), (~real, "tab:red")):
        axes.vlines(result.frequencies_per_cm[choice], 0.0, 1.0, color=color)
    axes.axvline(0.0, color="black", linewidth=0.8)
    axes.set(xlabel="wavenumber (cm⁻¹), imaginary below 0", yticks=[])
    axes.set_title(f"zero-point energy {result.zero_point_energy:.3f} eV", fontsize="medium")
    return figure


def plot_neb(result: NebResult) -> Figure:
    """Energy along the path."""
    figure, axes = _panels()
    axes.plot(result.distances, result.energies, "o-")
    axes.axhline(0.0, color="gray", linewidth=0.5)
    axes.set(xlabel="way along the path (Å)", ylabel="energy - first (eV)")
    state = "" if result.converged else ", NOT CONVERGED"
    axes.set_title(f"barrier {result.barrier:.3f} eV{state}", fontsize="medium")
    return figure


def plot_radial(result: RadialResult) -> Figure:
    """Radial distribution function."""
    figure, axes = _panels()
    axes.plot(result.distances, result.radial_distribution)
    axes.axhline(1.0, color="gray", linewidth=0.5)
    axes.set(xlabel="distance (Å)", ylabel="radial distribution")
    return figure


def plot_diffusion(result: DiffusionResult) -> Figure:
    """Mean square displacement of every element."""
    figure, axes = _panels()
    for symbol, values in result.square_displacement.items():
        coefficient = result.diffusion_cm2_per_s[symbol]
        label = f"{symbol}: {coefficient:.2g} cm²/s"
        axes.plot(result.lags_fs * 1e-3, values, label=label)
    axes.set(xlabel="lag (ps)", ylabel="mean square displacement (Å²)")
    axes.legend(frameon=False)
    return figure


PLOTS: dict[str, Callable[[Any], Figure]] = {
    "relax": plot_relaxation,
    "md": plot_dynamics,
    "eos": plot_equation_of_state,
    "elastic": plot_elastic,
    "phonons": plot_phonons,
    "quasi-harmonic": plot_quasi_harmonic,
    "vibrations": plot_vibrations,
    "neb": plot_neb,
    "surface": plot_surface,
    "adsorption": plot_adsorption,
    "rdf": plot_radial,
    "diffusion": plot_diffusion,
}
"""Command -> its picture."""
