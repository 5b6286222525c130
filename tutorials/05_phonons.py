# ---
# jupyter:
#   jupytext: {text_representation: {extension: .py, format_name: percent}}
#   kernelspec: {display_name: Python 3, language: python, name: python3}
# ---

# %% [markdown]
# # Phonons
#
# Second derivatives ask more of a potential than energies and forces do. So this notebook first
# measures whether the model has them, beside a classical potential that certainly does
# (Stillinger and Weber's silicon, from matscipy). From the command line: `atomfm run phonons
# my.cif --out phonons`.

# %%
import matplotlib.pyplot as plt
import numpy as np
from ase.build import bulk
from matscipy.calculators.manybody import Manybody
from matscipy.calculators.manybody.explicit_forms import StillingerWeber
from matscipy.calculators.manybody.explicit_forms.stillinger_weber import (
    Stillinger_Weber_PRB_31_5262_Si,
)

from atomfm_calc import FoundationCalc
from atomfm_calc.workflows import relax
from atomfm_calc.workflows.phonons import PhononSettings, phonons
from atomfm_calc.workflows.relax import RelaxSettings

model = FoundationCalc("painn-lead", default_dtype="float64")
classical = Manybody(**StillingerWeber(Stillinger_Weber_PRB_31_5262_Si))
calculators = {f"{model.card.label}, {model.head}": model, "Stillinger–Weber": classical}
for use in model.heads[model.head].not_for:
    print("not for", use)

# %% [markdown]
# ## Is there a second derivative?
#
# Move one atom of the perfect crystal by u and divide the force that pulls it back by u. In a
# harmonic crystal that is a constant. Symmetric sites are special: there the vector features of
# an equivariant network vanish, and a network that takes their length, |v|, has a kink at zero.
# Then F/u grows as u gets smaller, and no choice of displacement gives the right phonons.

# %%
relaxed = {
    name: relax(bulk("Si", a=5.5), calc, RelaxSettings(cell="volume")).atoms
    for name, calc in calculators.items()
}
displacements = np.array([0.001, 0.003, 0.01, 0.03, 0.1])


def stiffness(primitive, calc):
    """Force over displacement (eV/Å²) of one atom of 64, for all displacements."""
    supercell = bulk("Si", a=(4 * primitive.get_volume()) ** (1 / 3), cubic=True) * (2, 2, 2)
    found = []
    for displacement in displacements:
        moved = supercell.copy()
        moved.positions[0, 0] += displacement
        found.append(-calc.get_forces(moved)[0, 0] / displacement)
    return np.array(found)


stiffnesses = {name: stiffness(relaxed[name], calc) for name, calc in calculators.items()}
print("u (Å)" + " " * 25, *(f"{u:8.3f}" for u in displacements))
for name, values in stiffnesses.items():
    kinked = values[0] > 1.2 * values[3]
    verdict = "kink: NO phonons from this one" if kinked else "harmonic at small u"
    print(f"{name:30}", *(f"{value:8.2f}" for value in values), verdict)

figure, axes = plt.subplots(figsize=(6, 3.2), layout="constrained")
for (name, values), color in zip(stiffnesses.items(), ("C0", "0.3"), strict=True):
    axes.semilogx(displacements, values, "o-", color=color, label=name)
axes.set(xlabel="displacement u (Å)", ylabel="F/u (eV/Å²)", ylim=(0, None))
axes.legend()
plt.show()

assert np.ptp(stiffnesses["Stillinger–Weber"][:3]) < 0.01 * stiffnesses["Stillinger–Weber"][0]

# %% [markdown]
# Version 0.1.0 of painn-lead has such a kink; its card says so under *measured*. If the table
# says "kink", the model's bands below show what it does, not what silicon does: they depend on
# the displacement. Dynamics, relaxation and equations of state are not affected, since atoms that
# move are hardly ever within 0.01 Å of a symmetric site.

# %% [markdown]
# ## Bands and density of states
#
# One displaced supercell is enough for silicon, symmetry gives the others. There is no correction
# for polar crystals: longitudinal and transverse optical branches meet at Γ where they should
# not.

# %%
trials = {
    "Stillinger–Weber": (classical, "Stillinger–Weber", 0.01),
    "model, u = 0.01 Å": (model, next(iter(calculators)), 0.01),
    "model, u = 0.03 Å": (model, next(iter(calculators)), 0.03),
}
results = {}
for name, (calc, start, displacement) in trials.items():
    settings = PhononSettings(displacement=displacement, supercell=(3, 3, 3), relax_cell=False)
    results[name] = phonons(relaxed[start], calc, settings)
    print(f"{name:18} highest {results[name].max_frequency_THz:5.1f} THz, ", end="")
    print(f"acoustic at Γ {results[name].acoustic_at_gamma_THz:.1e} THz, ", end="")
    print(f"{len(results[name].imaginary_modes)} imaginary modes")

# %%
figure, (left, right) = plt.subplots(
    1, 2, figsize=(9.5, 4), layout="constrained", sharey=True, width_ratios=(3, 1)
)
colors = dict(zip(results, ("0.3", "C0", "C1"), strict=True))
for name, result in results.items():
    bands = result.bands
    way = bands.distances_per_angstrom / bands.distances_per_angstrom.max()
    left.plot(way, bands.frequencies_THz, color=colors[name], lw=1)
    right.plot(
        result.dos_per_THz_per_atom, result.dos_frequencies_THz, color=colors[name], label=name
    )
points = results["Stillinger–Weber"].bands
places = np.array(points.special_distances_per_angstrom)
names = [name.replace("G", "Γ") for name in points.special_points]
left.set_xticks(places / places[-1], names, fontsize=8)
for place in places / places[-1]:
    left.axvline(place, color="0.85", lw=0.8, zorder=0)
left.set(ylabel="frequency (THz)", xlim=(0, 1))
right.set(xlabel="states (1/THz/atom)", xlim=(0, None))
right.legend(fontsize=8)
plt.show()

# %% [markdown]
# ## Heat
#
# A stable harmonic crystal has a free energy and a heat capacity, which goes to 3 k per atom
# (Dulong and Petit). With imaginary modes there is no harmonic crystal, and the result has none.

# %%
figure, axes = plt.subplots(figsize=(6, 3.4), layout="constrained")
for name, result in results.items():
    if result.thermal is not None:
        thermal = result.thermal
        axes.plot(
            thermal.temperatures_K,
            thermal.heat_capacity_kB_per_atom,
            color=colors[name],
            label=name,
        )
axes.axhline(3.0, color="0.7", lw=0.8, zorder=0)
axes.set(xlabel="temperature (K)", ylabel="heat capacity (k per atom)", ylim=(0, 3.2))
axes.legend()
plt.show()

certain = results["Stillinger–Weber"]
assert certain.imaginary_modes == ()
assert certain.acoustic_at_gamma_THz < 0.05
assert abs(certain.thermal.heat_capacity_kB_per_atom[-1] - 3) < 0.15
states = np.trapezoid(certain.dos_per_THz_per_atom, certain.dos_frequencies_THz)
print(f"states per atom: {states:.2f}; experiment has its highest frequency at 15.5 THz")
assert abs(states - 3) < 0.05
