# ---
# jupyter:
#   jupytext: {text_representation: {extension: .py, format_name: percent}}
#   kernelspec: {display_name: Python 3, language: python, name: python3}
# ---

# %% [markdown]
# # Uncertainty, and the spread between heads
#
# All heads that know a structure can be asked from one backbone pass. How far they disagree about
# the forces costs next to nothing and tells two things at once: that theories differ, and that
# some heads are far from what they learned. It is a warning, not an error bar. Here it is put to
# the test.

# %%
import matplotlib.pyplot as plt
import numpy as np
from ase.build import molecule
from ase.io import read
from scipy.stats import spearmanr

from atomfm_calc import FoundationCalc
from atomfm_calc.errors import PropertyError
from downstream.stand_in import STAND_INS, stand_in_path

calc = FoundationCalc("painn-lead", default_dtype="float64")
heads = [
    name
    for name, info in calc.heads.items()
    if "molecule" in info.periodicity and {"H", "C", "O"} <= set(info.elements)
]
print("heads that know molecules of H, C, O:", *heads)

# %% [markdown]
# ## Farther from equilibrium
#
# Ethanol with atoms displaced at random, more and more. The spread is, for each atom, the root
# mean square over the heads of the distance from their mean force.

# %%
amplitudes = np.array([0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.25])
structures = []
for amplitude in amplitudes:
    for seed in range(8):
        atoms = molecule("CH3CH2OH")
        atoms.rattle(amplitude, seed=seed)
        structures.append(atoms)
comparisons = list(calc.evaluate_heads_of_many(structures, heads, forces=True))
spreads = np.array([one.force_spread.mean() for one in comparisons]).reshape(len(amplitudes), -1)
sizes = np.array([np.linalg.norm(one.center_forces, axis=1).mean() for one in comparisons])
sizes = sizes.reshape(spreads.shape)

figure, axes = plt.subplots(figsize=(6.5, 3.6), layout="constrained")
for values, label, color in ((sizes, "size of the mean force", "0.6"), (spreads, "spread", "C3")):
    axes.loglog(amplitudes, np.median(values, axis=1), "o-", color=color, label=label)
    axes.fill_between(amplitudes, values.min(axis=1), values.max(axis=1), color=color, alpha=0.2)
axes.set(xlabel="random displacement (Å)", ylabel="force (eV/Å)")
axes.legend()
plt.show()

for amplitude, spread, size in zip(amplitudes, spreads.mean(1), sizes.mean(1), strict=True):
    print(f"{amplitude:.2f} Å: spread {spread:.3f} eV/Å, {100 * spread / size:.0f} % of the force")
assert spreads[-1].mean() > 2 * spreads[0].mean()

# %% [markdown]
# ## The uncertainty of one head
#
# A model may ship with an estimate of how far each head's energy is from its own theory: the
# rigidity of its last layer, one standard deviation, scaled on held-out structures. Then
# `FoundationCalc(..., on_uncertain="raise")` stops dynamics where the head has nothing to go by.

# %%
try:
    known = [calc.uncertainty(atoms) for atoms in structures]
except PropertyError as reason:
    print(reason)
else:
    per_atom = 1e3 * np.array([one.per_atom for one in known]).reshape(len(amplitudes), -1)
    figure, axes = plt.subplots(figsize=(6.5, 3.4), layout="constrained")
    axes.semilogx(amplitudes, per_atom, ".", color="C2")
    axes.semilogx(amplitudes, per_atom.mean(axis=1), color="C2", label=f"head {calc.head}")
    axes.axhline(1e3 * known[0].usual, color="0.6", label="95 % of held-out structures")
    axes.set(xlabel="random displacement (Å)", ylabel="uncertainty (meV/atom)", ylim=(0, None))
    axes.legend()
    plt.show()

# %% [markdown]
# ## Is a large spread a large error?
#
# The package holds a few frames of hot ethanol and malonaldehyde with forces from Hartree and
# Fock's method. No head learned that theory, so the distance from it contains a difference of
# theories, too. What counts is the order: are the atoms with the largest spread those with the
# largest errors?

# %%
print(STAND_INS["hot-molecules"])
frames = read(stand_in_path("hot-molecules"), ":")
comparisons = list(calc.evaluate_heads_of_many(frames, heads, forces=True))
spread = np.concatenate([one.force_spread for one in comparisons])
labels = np.concatenate([atoms.arrays["REF_forces"] for atoms in frames])
mean = np.concatenate([one.center_forces for one in comparisons])
error = np.linalg.norm(mean - labels, axis=1)
formulas = np.repeat([a.get_chemical_formula() for a in frames], [len(a) for a in frames])
ranks = spearmanr(spread, error).statistic
doubtful = spread > np.quantile(spread, 0.8)
print(f"{len(spread)} atoms, rank correlation of spread and error {ranks:.2f}")
print(f"mean error {error.mean():.2f} eV/Å, of the fifth with the largest spread ", end="")
print(f"{error[doubtful].mean():.2f} eV/Å")

figure, axes = plt.subplots(figsize=(5.2, 4.2), layout="constrained")
for formula in np.unique(formulas):
    chosen = formulas == formula
    axes.loglog(spread[chosen], error[chosen], ".", ms=4, alpha=0.6, label=formula)
limits = np.array([spread.min(), error.max()])
axes.loglog(limits, limits, color="0.6", lw=0.8, label="error = spread")
ticks = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
axes.set_xticks(ticks[1:], ticks[1:], minor=False)
axes.set_yticks(ticks[1:], ticks[1:], minor=False)
axes.minorticks_off()
axes.set(xlabel="spread between heads (eV/Å)", ylabel="distance from Hartree–Fock (eV/Å)")
axes.legend(fontsize=8)
plt.show()
assert error[doubtful].mean() > error.mean()

# %% [markdown]
# ## What it cannot see
#
# - Heads share the backbone. What it does not see, such as charges beyond the cutoff, none of
#   them sees: then all agree, and all are wrong.
# - A single head that knows a structure has no spread. `comparison.skipped` says who was not
#   asked.
# - Energies of different heads have different zeros. Compare energies above the references, as
#   `energy_spread` does, and mind that the references hide a shift per element.
