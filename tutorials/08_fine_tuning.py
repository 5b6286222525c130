# ---
# jupyter:
#   jupytext: {text_representation: {extension: .py, format_name: percent}}
#   kernelspec: {display_name: Python 3, language: python, name: python3}
# ---

# %% [markdown]
# # Fine-tune on your own 200 structures
#
# What you need: a file of structures with energies and forces (and stress, if you have it) from
# one level of theory. Here the labels come from ASE's effective-medium potential instead of your
# DFT code, so that the notebook needs nothing else. The commands for your own file are three:
#
# ```sh
# python -m training datasets check mine.extxyz
# cp -r downstream/recipes/own_extxyz my_recipe     # then say in recipe.yaml what the numbers mean
# python -m downstream run my_recipe
# ```

# %%
import logging
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.io import write

from atomfm_calc import FoundationCalc
from atomfm_calc.workflows import equation_of_state
from downstream.catalog import find_recipe
from downstream.run import RunSettings, run
from training.doctor.checks import examine
from training.own_data import OwnData

logging.basicConfig(level=logging.WARNING)
folder = Path(tempfile.mkdtemp(prefix="atomfm-fine-tuning-"))
print("files are in", folder)

# %% [markdown]
# ## The structures
#
# Alloys of copper, silver and gold in cells of four atoms, strained and rattled: cover the
# volumes, displacements and compositions that you want to compute later. Total energies, not
# energies per atom; forces before constraints; stress with tension positive.

# %%
random = np.random.default_rng(0)
LATTICE_CONSTANTS = {"Cu": 3.61, "Ag": 4.09, "Au": 4.08}


def alloy():
    """A labeled cell of four atoms, chosen, strained and rattled at random."""
    symbols = random.choice(list(LATTICE_CONSTANTS), size=4)
    atoms = bulk("Cu", a=np.mean([LATTICE_CONSTANTS[one] for one in symbols]), cubic=True)
    atoms.symbols[:] = list(symbols)
    strain = random.normal(0.0, 0.02, size=(3, 3))
    atoms.set_cell(atoms.cell @ (np.eye(3) + (strain + strain.T) / 2), scale_atoms=True)
    atoms.rattle(0.08, rng=random)
    atoms.calc = EMT()
    atoms.get_stress()
    return atoms


structures = [alloy() for _ in range(200)]
write(folder / "mine.extxyz", structures)

# %% [markdown]
# ## The doctor
#
# Units, signs, missing labels, outliers, duplicates: what it calls wrong would make a wrong
# model.

# %%
report = examine(OwnData(path=folder / "mine.extxyz"))
for finding in report.findings:
    print(f"{finding.verdict:10} {finding.check:22} {finding.message[:90]}")
assert report.verdict != "wrong"

# %% [markdown]
# ## The recipe
#
# Everything that the fine-tuning depends on, in one file. The structures are independent draws,
# so a random part of them is an honest test; for frames of trajectories say `by: group`, for new
# substances `by: composition`. The new head begins with the weights of the pretrained head that
# fits the structures best, and reference energies are fitted anew.

# %%
recipe = folder / "my-recipe"
recipe.mkdir()
(recipe / "recipe.yaml").write_text(
    f"""
name: copper-silver-gold
title: Alloys of copper, silver and gold
source: {{theory: EMT, code: ASE, licence: mine, doi: none, address: none, metric: MAE}}
own: {{path: {folder / "mine.extxyz"}}}
potential: {{head: emt, labels: [energy, forces, stress]}}
split: {{by: random}}
sizes: [1000000]    # more than there are: all
seeds: 1
schedule: {{max_steps: 50, validate_every_steps: 10, structures_per_step: 8}}
"""
)

# %% [markdown]
# The same network from fresh weights is the baseline that every fine-tuning has to beat (`python
# -m downstream run my_recipe --compare` adds frozen features and LoRA). Fifty steps are enough to
# see it; give your own data some hundreds.

# %%
settings = RunSettings(output=folder / "run", modes=("scratch", "full"), forgetting=False)
summary = run(find_recipe(str(recipe)), settings)
errors = {result["cell"]["mode"]: result["metrics"] for result in summary.cells}
for name in ("energy MAE, meV/atom", "forces MAE, meV/Å", "stress MAE, GPa"):
    print(f"{name:22}", *(f"{mode} {metrics[name]:8.3g}   " for mode, metrics in errors.items()))
print("the new head began as", summary.cells[-1]["reused_head"])
assert errors["full"]["forces MAE, meV/Å"] < errors["scratch"]["forces MAE, meV/Å"]

# %% [markdown]
# ## The model
#
# A model folder is a model like any other. It holds the new head alone: the others would have
# forgotten what they knew. `adapt.replay={}` mixes data of the pretraining into the steps and
# keeps them, at some cost in accuracy.

# %%
calc = FoundationCalc(folder / "run/seed-0/model", default_dtype="float64")
print(calc.card.title, *calc.heads)
fresh = [alloy() for _ in range(60)]
expected = np.concatenate([atoms.get_forces() for atoms in fresh])
found = np.concatenate([result.forces for result in calc.predict_many(fresh)])

ordered = bulk("Cu", a=3.75, cubic=True)  # Cu3Au: gold on the corners
ordered.symbols[0] = "Au"
curves = {
    "EMT": equation_of_state(ordered, EMT()),
    "fine-tuned": equation_of_state(ordered, calc),
}

figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.8), layout="constrained")
limit = np.abs(expected).max()
left.plot(expected.ravel(), found.ravel(), ".", ms=3)
left.plot([-limit, limit], [-limit, limit], color="0.6", lw=0.8)
left.set(xlabel="force, EMT (eV/Å)", ylabel="force, fine-tuned (eV/Å)", title="60 new alloys")
for (name, result), style in zip(curves.items(), ("-", "--"), strict=True):
    volumes = np.linspace(result.volumes.min(), result.volumes.max(), 100)
    energies = 1e3 * (result.fit.energies(volumes) - result.fit.energy) / result.n_atoms
    right.plot(volumes / result.n_atoms, energies, style, label=name)
    length = result.fit.volume ** (1 / 3)
    print(f"{name:10} {length:.3f} Å, bulk modulus {result.fit.bulk_modulus_GPa:.0f} GPa")
right.set(xlabel="volume (Å³/atom)", ylabel="energy (meV/atom)", title="ordered Cu₃Au")
right.legend()
plt.show()

assert np.abs(found - expected).mean() < 0.1 * np.abs(expected).mean()
lengths = [result.fit.volume ** (1 / 3) for result in curves.values()]
assert abs(lengths[1] - lengths[0]) < 0.03

# %% [markdown]
# Four-atom cells without surfaces or defects teach nothing about surfaces and defects. A test on
# structures like those of the training does not tell that; a calculation of what you are after
# does.
