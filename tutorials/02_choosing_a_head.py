# ---
# jupyter:
#   jupytext: {text_representation: {extension: .py, format_name: percent}}
#   kernelspec: {display_name: Python 3, language: python, name: python3}
# ---

# %% [markdown]
# # Choosing a head, and what fidelity means
#
# All heads read the features of one backbone. Each was trained on one data set at one level of
# theory: GFN-xTB, PBE, a hybrid functional ... That level is the *fidelity* of a head. A head is
# never better than its theory, and it is only as close to it as its training data allow. So there
# are two questions, and the card answers both: **what was computed, and on what?**

# %%
import matplotlib.pyplot as plt
import numpy as np
from ase.build import bulk, molecule

from atomfm_calc import FoundationCalc
from atomfm_calc.convert import sample_from_atoms
from atomfm_calc.registry.advise import advise

calc = FoundationCalc("painn-lead", default_dtype="float64")
for name, info in calc.heads.items():
    print(f"{name:15} {info.theory[:40]:40} {len(info.elements):3} elements, {info.periodicity}")

# %% [markdown]
# ## Errors on structures that were held out
#
# Errors of different heads cannot be compared by themselves: hot molecules have larger forces
# than relaxed crystals. The open bars are what the mean energies of the elements alone would
# give, that is no forces at all. Read how the structures were held out, too: *by composition* is
# a test on new substances, *random* is one on the substances of the training.

# %%
names = [name for name, info in calc.heads.items() if info.validation]
checks = [calc.heads[name].validation for name in names]
errors = [check.joint.forces_mae_meV_per_angstrom for check in checks]
nothing = [check.references_only.forces_mae_meV_per_angstrom for check in checks]
by_composition = ["by composition" in check.split for check in checks]

figure, axes = plt.subplots(figsize=(8, 4), layout="constrained")
places = np.arange(len(names))
colors = ["C0" if new else "C1" for new in by_composition]
axes.barh(places, nothing, fill=False, ec="0.6", label="no forces at all")
axes.barh(places, errors, height=0.5, color=colors)
axes.barh([0], [0], color="C0", label="new compositions")
axes.barh([0], [0], color="C1", label="compositions of the training")
axes.set_yticks(places, names)
axes.invert_yaxis()
axes.set(xscale="log", xlim=(None, 3e4), xlabel="mean absolute error of a force component (meV/Å)")
axes.legend(fontsize=8)
plt.show()

# %% [markdown]
# Where "no forces at all" is almost right, the held-out structures are relaxed: such a head saw
# next to no forces, and its error of them says nothing about dynamics. The card says so under
# `not_for`.

# %%
for name, info in calc.heads.items():
    if info.not_for:
        print(f"{name} is not for:", *info.not_for, sep="\n    ")

# %% [markdown]
# ## Which head for this structure?
#
# The same as `atomfm models advise FILE`: the best first. A head that has not seen an element or
# the periodicity comes last, with the reason.

# %%
for atoms in (bulk("MgO", "rocksalt", a=4.21), molecule("CH3CH2OH")):
    print(atoms.get_chemical_formula())
    for advice in advise(calc.card, sample_from_atoms(atoms)):
        against = "; ".join(advice.reasons_against) or "-"
        print(f"  {'yes' if advice.may_compute else 'no ':3} {advice.head:15} {against[:90]}")

# %% [markdown]
# ## All heads on one molecule
#
# **Every head has its own zero of energy.** All-electron DFT counts from bare nuclei, a
# valence-only method from atomic cores. Never subtract energies of different heads. What can be
# compared are differences within each head: here, ethanol as its C–C bond is stretched.

# %%
ethanol = molecule("CH3CH2OH")
oxygen = ethanol.symbols.search("O")[0]
carbons = sorted(ethanol.symbols.search("C"), key=lambda i: ethanol.get_distance(i, oxygen))
middle, methyl = carbons
moving = [i for i in range(len(ethanol)) if ethanol.get_distance(i, methyl) < 1.2]
start = ethanol.get_distance(middle, methyl)
stretches = np.linspace(-0.2, 0.4, 31)
geometries = []
for stretch in stretches:
    geometry = ethanol.copy()
    geometry.set_distance(middle, methyl, start + stretch, fix=0, indices=moving)
    geometries.append(geometry)

suitable = [
    advice.head for advice in advise(calc.card, sample_from_atoms(ethanol)) if advice.may_compute
]
comparisons = list(calc.evaluate_heads_of_many(geometries, suitable))
unstretched = comparisons[10]
print("energy in eV, and above the head's own references of the elements:")
for head, energy in unstretched.energies.items():
    print(f"  {head:15} {energy:12.3f} {unstretched.energies_above_references[head]:9.3f}")

# %%
figure, axes = plt.subplots(figsize=(7, 4), layout="constrained")
minima = {}
for head in unstretched.heads:
    curve = np.array([comparison.energies[head] for comparison in comparisons])
    minima[head] = start + stretches[curve.argmin()]
    many = len(calc.heads[head].elements) > 4
    axes.plot(start + stretches, curve - curve.min(), "-" if many else ":", label=head)
axes.set(
    xlabel="C–C distance (Å)", ylabel="energy above the head's own minimum (eV)", ylim=(-0.05, None)
)
axes.legend(fontsize=8)
plt.show()

for head, length in minima.items():
    print(f"{head:15} {length:.2f} Å")
assert np.ptp(list(unstretched.energies.values())) > 1000  # other zeros
assert abs(minima[calc.head] - 1.52) < 0.08

# %% [markdown]
# Curves differ for two reasons: the theories differ, and each head is wrong in its own way where
# its data end. Dotted heads saw one kind of molecule at ordinary temperatures and were never
# asked to describe a bond that long. A better theory with few data can be the worse choice:
# compare the number of structures and the errors above before you take the most expensive name.
