# ---
# jupyter:
#   jupytext: {text_representation: {extension: .py, format_name: percent}}
#   kernelspec: {display_name: Python 3, language: python, name: python3}
# ---

# %% [markdown]
# # Elastic constants
#
# A crystal is strained in six ways, its atoms relax, and the stress is fitted to the strain. All
# 21 constants are fitted whatever the symmetry: what symmetry says about them is then a test.
# From the command line: `atomfm run elastic my.cif --out elastic`.

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
from atomfm_calc.units import GPA
from atomfm_calc.workflows import relax
from atomfm_calc.workflows.elastic import ElasticSettings, elastic_constants
from atomfm_calc.workflows.relax import RelaxSettings

model = FoundationCalc("painn-lead", default_dtype="float64")
classical = Manybody(**StillingerWeber(Stillinger_Weber_PRB_31_5262_Si))
np.set_printoptions(precision=1, suppress=True, linewidth=100)

# %% [markdown]
# ## Silicon of Stillinger and Weber, where the answer is known
#
# C₁₁, C₁₂, C₄₄ are 151.4, 76.4 and 56.4 GPa, and C₄₄ is 109.8 GPa if the two atoms of the cell
# are not allowed to relax (Balamane et al., Phys. Rev. B 46, 2250 (1992), scaled back to the
# energy unit of 1985). Internal relaxation is half of a shear modulus here: never leave it out.

# %%
crystal = bulk("Si", a=5.431)
known = elastic_constants(crystal, classical)
clamped = elastic_constants(crystal, classical, ElasticSettings(relax_positions=False))
print(known.elastic_constants_GPa, "GPa\n")
c = known.elastic_constants_GPa
print(f"C44 {c[3, 3]:.1f} GPa relaxed, {clamped.elastic_constants_GPa[3, 3]:.1f} GPa clamped")
moduli = known.moduli
print(f"bulk modulus {moduli.bulk_GPa:.1f}, shear modulus {moduli.shear_GPa:.1f} GPa, ", end="")
print(f"Poisson's ratio {moduli.poisson_ratio:.3f}, stable: {known.stable}")
assert np.allclose([c[0, 0], c[0, 1], c[3, 3]], [151.4, 76.4, 56.4], rtol=0.01)
assert np.abs(c[:3, 3:]).max() < 0.5  # zero in a cubic crystal

# %% [markdown]
# ## The same with the model
#
# Elastic constants are second derivatives at symmetric sites, just as [phonons](05_phonons.py)
# are. The check is that they do not depend on the size of the strain. A stretch along a cube axis
# leaves enough axes through each silicon atom that no vector can point anywhere there; a shear
# does not. So a kink at symmetric sites shows in C₄₄, while C₁₁, C₁₂ and the bulk modulus are
# what they are.

# %%
starts = {
    f"{model.card.label}, {model.head}": (
        model,
        relax(crystal, model, RelaxSettings(cell="volume", max_stress=1e-5)).atoms,
    ),
    "Stillinger–Weber": (classical, known.atoms),
}
strains = (0.001, 0.002, 0.005, 0.01, 0.02)
found = {}
for name, (calc, start) in starts.items():
    rows = []
    for strain in strains:
        settings = ElasticSettings(
            max_strain=strain, n_strains=2, relax_cell=False, relax_positions=False
        )
        constants = elastic_constants(start, calc, settings).elastic_constants_GPa
        rows.append((constants[0, 0], constants[0, 1], constants[3, 3]))
    found[name] = np.array(rows)
    change = np.ptp(found[name], axis=0) / found[name][-2]
    print(f"{name}, clamped ions, GPa")
    for label, column, part in zip(("C11", "C12", "C44"), found[name].T, change, strict=True):
        verdict = "linear" if part < 0.1 else "NOT a constant: do not use it"
        print(f"  {label}", *(f"{value:8.1f}" for value in column), f"  {verdict}")

# %%
figure, axes = plt.subplots(figsize=(6.5, 3.6), layout="constrained")
for (name, rows), style in zip(found.items(), ("o-", "s--"), strict=True):
    for index, label in ((0, "C₁₁"), (2, "C₄₄")):
        axes.semilogx(strains, rows[:, index], style, color=f"C{index}", label=f"{label} {name}")
axes.set(xlabel="largest strain", ylabel="constant, clamped ions (GPa)", ylim=(0, None))
axes.legend(fontsize=8)
plt.show()

# %% [markdown]
# Version 0.1.0 of painn-lead is kinked at symmetric sites, as its card says under *measured*;
# then the C₄₄ of this table, and all that contains it, is not a property of the model, let alone
# of silicon. Bulk moduli from an [equation of state](03_relaxation_and_equation_of_state.py) keep
# the symmetry and are safe. Two independent routes to one number are worth more than any error
# bar:

# %%
name, (calc, start) = next(iter(starts.items()))
volumes, pressures = [], []
for factor in np.linspace(0.985, 1.015, 7):
    atoms = start.copy()
    atoms.set_cell(atoms.cell * factor ** (1 / 3), scale_atoms=True)
    volumes.append(atoms.get_volume())
    pressures.append(-calc.get_stress(atoms)[:3].mean() / GPA)
slope = np.polyval(np.polyder(np.polyfit(volumes, pressures, 2)), start.get_volume())
from_volume = -start.get_volume() * slope
from_strain = (found[name][2, 0] + 2 * found[name][2, 1]) / 3
print(f"bulk modulus of {name}: {from_volume:.1f} GPa from pressures, ", end="")
print(f"{from_strain:.1f} GPa from (C11 + 2 C12)/3; experiment: 98 GPa")
assert abs(from_strain / from_volume - 1) < 0.05
