# ---
# jupyter:
#   jupytext: {text_representation: {extension: .py, format_name: percent}}
#   kernelspec: {display_name: Python 3, language: python, name: python3}
# ---

# %% [markdown]
# # First energy
#
# A model is an ASE calculator. It ships with the package; nothing is downloaded. Energies are in
# eV, lengths in Å, forces in eV/Å, stress in eV/Å³ with tension positive, as in ASE.

# %%
import matplotlib.pyplot as plt
import numpy as np
from ase.build import bulk, molecule

from atomfm_calc import FoundationCalc, list_models, predict_many
from atomfm_calc.calculators.setup import CalculatorSettings
from atomfm_calc.errors import AtomFMError
from atomfm_calc.units import GPA

for card in list_models().values():
    print(f"{card.label}: {card.title}; {len(card.heads)} heads, default {card.default_head}")

# %% [markdown]
# ## A crystal and a molecule
#
# `float32` (the default) is for dynamics and relaxation, `float64` for small differences.

# %%
calc = FoundationCalc("painn-lead", default_dtype="float64")
info = calc.heads[calc.head]
print(f"head {calc.head}: {info.theory}\nenergy zero: {info.energy_zero}\n")

for atoms in (bulk("MgO", "rocksalt", a=4.21), molecule("H2O")):
    atoms.calc = calc
    print(atoms.get_chemical_formula(), f"{atoms.get_potential_energy():.3f} eV")
    print("  largest force", f"{np.abs(atoms.get_forces()).max():.3f} eV/Å")
    if atoms.pbc.all():
        print("  pressure", f"{-np.trace(atoms.get_stress(voigt=False)) / 3 / GPA:.2f} GPa")

# %% [markdown]
# ## Forces are minus the gradient of the energy
#
# Stretch one O–H bond of water and compute all geometries in one call. The energy is a sum over
# atoms of one network's output, and the forces come from it by differentiation: they are the
# slope of the curve, not a second prediction.

# %%
water = molecule("H2O")
oxygen, hydrogen = 0, 1
direction = water.get_distance(oxygen, hydrogen, vector=True)
direction /= np.linalg.norm(direction)


def stretched(length):
    """Water with one bond of that length (Å)."""
    geometry = water.copy()
    geometry.positions[hydrogen] = geometry.positions[oxygen] + length * direction
    return geometry


def compute(lengths):
    """Energies (eV), and forces along the bond (eV/Å), in one batch."""
    settings = CalculatorSettings(default_dtype="float64")
    results = predict_many([stretched(length) for length in lengths], "painn-lead", settings)
    energies = [result.energy for result in results]
    return np.array(energies), np.array([one.forces[hydrogen] @ direction for one in results])


lengths, step = np.linspace(0.75, 1.55, 81), 1e-4
energies, forces = compute(lengths)
slopes = (compute(lengths + step)[0] - compute(lengths - step)[0]) / (2 * step)

# %%
figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.4), layout="constrained")
left.plot(lengths, energies - energies.min())
left.set(xlabel="O–H distance (Å)", ylabel="energy above the minimum (eV)")
right.plot(lengths, forces, label="force of the model")
right.plot(lengths[::5], -slopes[::5], "o", mfc="none", label="– slope of the energy")
right.axhline(0.0, color="0.7", lw=0.8)
right.set(xlabel="O–H distance (Å)", ylabel="force along the bond (eV/Å)")
right.legend()
plt.show()

best = lengths[energies.argmin()]
print(f"lowest energy at {best:.3f} Å; experiment: 0.958 Å")
deviation = np.abs(forces + slopes).max()
print(f"force against slope: {deviation:.1e} eV/Å at most")
assert deviation < 1e-4
assert 0.92 < best < 1.02

# %% [markdown]
# ## What it refuses
#
# Nothing is guessed. A head that does not exist, an element or a charge that a head has not seen,
# atoms on top of each other: each is an error that says what is allowed.

# %%
overlapping = molecule("H2O")
overlapping.positions[1] = overlapping.positions[0] + (0.0, 0.0, 0.05)
for attempt in (
    lambda: FoundationCalc("painn-lead", head="omat"),
    lambda: calc.get_potential_energy(overlapping),
):
    try:
        attempt()
    except AtomFMError as error:
        print(f"{type(error).__name__}: {error}\n")
    else:
        raise AssertionError("this should have been refused")
