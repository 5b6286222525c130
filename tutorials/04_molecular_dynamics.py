# ---
# jupyter:
#   jupytext: {text_representation: {extension: .py, format_name: percent}}
#   kernelspec: {display_name: Python 3, language: python, name: python3}
# ---

# %% [markdown]
# # Molecular dynamics with a thermostat, and the radial distribution
#
# A crystal is heated by a thermostat, the thermostat is taken away, and the distances between its
# atoms are counted. The same from the command line: `atomfm run md my.cif --temperature-K 300
# --timestep-fs 2 --steps 5000 --out dynamics`, then `atomfm run rdf dynamics/dynamics.traj`.

# %%
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from ase.build import bulk
from ase.io import read

from atomfm_calc import FoundationCalc
from atomfm_calc.workflows import relax, run_dynamics
from atomfm_calc.workflows.dynamics import DynamicsSettings
from atomfm_calc.workflows.relax import RelaxSettings
from atomfm_calc.workflows.trajectories import RadialSettings, radial_distribution

folder = Path(tempfile.mkdtemp(prefix="atomfm-dynamics-"))
print("trajectories are in", folder)

# %% [markdown]
# ## Start at the model's own volume
#
# At another volume the crystal would be under pressure. Then a 2 × 2 × 2 supercell of 64 atoms.

# %%
calc = FoundationCalc("painn-lead")
cell = bulk("MgO", "rocksalt", a=4.4, cubic=True)
crystal = relax(cell, calc, RelaxSettings(cell="volume")).atoms * (2, 2, 2)

# %% [markdown]
# ## Thermostats
#
# Bussi's thermostat rescales velocities at random so that the kinetic energy has its canonical
# distribution; Langevin's pulls at every atom and is the sturdier one. A crystal that starts on
# its lattice sites has all of its energy in motion and none in displacements, and half of it goes
# over within a few vibrations: the temperature first falls to a half.

# %%
runs, courses = {}, {}
for temperature in (300.0, 1200.0):
    settings = DynamicsSettings(
        ensemble="nvt-bussi",
        temperature_K=temperature,
        timestep_fs=2.0,
        n_steps=160,
        record_every=2,
        thermostat_time_fs=25.0,
    )
    courses[temperature] = course = []
    runs[temperature] = run_dynamics(
        crystal,
        calc,
        settings,
        trajectory=folder / f"{temperature:.0f}-K.traj",
        on_record=course.append,
    )
    result = runs[temperature]
    late = np.array([record.temperature_K for record in course[len(course) // 3 :]])
    expected = temperature * np.sqrt(2 / (3 * len(crystal) - 3))
    print(f"{temperature:.0f} K: {result.reason}, mean {late.mean():.0f} K, ", end="")
    print(f"fluctuation {late.std():.0f} K (canonical: {expected:.0f} K)")
    assert result.completed
    assert abs(late.mean() / temperature - 1) < 0.2

# %% [markdown]
# ## Without a thermostat the total energy is conserved
#
# This is the test of forces and time step, and it needs no reference. The run goes on from the
# last structure with its momenta.

# %%
nve = []
settings = DynamicsSettings(
    ensemble="nve", temperature_K=300.0, timestep_fs=2.0, n_steps=100, record_every=2
)
result = run_dynamics(runs[300.0].atoms, calc, settings, on_record=nve.append)
total = np.array([record.total_energy_eV for record in nve])
potential = np.array([record.potential_energy_eV for record in nve])
print(f"drift {result.energy_drift_meV_per_atom_per_ps:+.3f} meV/atom/ps")
print(f"total energy fluctuates by {1e3 * total.std() / len(crystal):.4f} meV/atom, ", end="")
print(f"potential energy by {1e3 * potential.std() / len(crystal):.2f}")
assert total.std() < 0.1 * potential.std()

# %%
figure, (left, right) = plt.subplots(1, 2, figsize=(9.5, 3.4), layout="constrained")
for temperature, course in courses.items():
    times = [record.time_fs for record in course]
    left.plot(times, [record.temperature_K for record in course], lw=1)
    left.axhline(temperature, color="0.6", lw=0.8)
left.set(xlabel="time (fs)", ylabel="temperature (K)", title="with a thermostat")
times = [record.time_fs for record in nve]
scale = 1e3 / len(crystal)
right.plot(times, scale * (potential - potential[0]), lw=1, label="potential")
right.plot(times, scale * (total - total[0]), lw=1.5, label="total")
right.set(xlabel="time (fs)", ylabel="change of energy (meV/atom)", title="without")
right.legend()
plt.show()

# %% [markdown]
# ## Radial distribution
#
# Distances between unlike atoms, over what evenly spread atoms would give. Peaks stand at the
# shells of rock salt, d, √3 d, √5 d with 6, 8 and 24 neighbors, and grow wider with temperature.
# The running sum of neighbors is flat between two shells: that number is the coordination.

# %%
nearest = crystal.cell.lengths()[0] / 4
settings = RadialSettings(max_distance=6.0, n_bins=150, elements=("Mg", "O"))
figure, axes = plt.subplots(figsize=(7, 3.6), layout="constrained")
for temperature in runs:
    frames = read(folder / f"{temperature:.0f}-K.traj", "30:")
    radial = radial_distribution(frames, settings)
    axes.plot(radial.distances, radial.radial_distribution, label=f"{temperature:.0f} K")
    between = np.argmin(abs(radial.distances - 1.35 * nearest))
    shell = abs(radial.distances - nearest) < 0.35 * nearest
    weights = radial.radial_distribution[shell] * radial.distances[shell] ** 2
    mean = np.average(radial.distances[shell], weights=weights)
    width = np.sqrt(np.average((radial.distances[shell] - mean) ** 2, weights=weights))
    print(f"{temperature:5.0f} K: first shell at {mean:.3f} Å, {width:.3f} Å wide, ", end="")
    print(f"{radial.coordination[between]:.2f} neighbors")
    assert abs(radial.coordination[between] - 6) < 0.1
for number in (1, 3, 5):
    axes.axvline(np.sqrt(number) * nearest, color="0.7", lw=0.8, zorder=0)
axes.set(xlabel="Mg–O distance (Å)", ylabel="g(r)", ylim=(0, None))
axes.legend()
plt.show()

# %% [markdown]
# ## What this can be used for, and what not
#
# A third of a picosecond shows how it is done; a production run is a thousand times longer. A
# head trained on hot structures can be heated, one trained on relaxed crystals cannot: read
# `not_for` of the head. A run that gets too hot, or has a force too large, ends with the reason
# in `result.reason`. Nuclei are classical here, which for MgO (Debye temperature of 900 K) is
# wrong at 300 K by any potential.
