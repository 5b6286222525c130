# ---
# jupyter:
#   jupytext: {text_representation: {extension: .py, format_name: percent}}
#   kernelspec: {display_name: Python 3, language: python, name: python3}
# ---

# %% [markdown]
# # The published 2026 HydraGNN models
#
# The authors of HydraGNN publish log folders of their runs. One command makes a model folder of
# one, and from there on it is a model like any other. The weights are not in this package and are
# not downloaded: get them with the authors' instructions, say to `gfm-2026`, and this notebook
# uses them.
#
# ```sh
# ls gfm-2026                       # config.json  NAME.pk  mlp_branch_weights.pt
# atomfm models import-hydragnn gfm-2026 --out models/gfm-2026
# atomfm models show models/gfm-2026
# atomfm predict crystal.cif --model models/gfm-2026 --head omat24 --dtype float64
# ```

# %%
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import torch
from ase.build import bulk, molecule

from atomfm_calc import FoundationCalc
from atomfm_calc.config import parse_config
from atomfm_calc.errors import AtomFMError
from atomfm_calc.models.architecture import Architecture, HydraPainnConfig
from atomfm_calc.models.foundation import FoundationModel
from atomfm_calc.registry.card import ModelCard
from atomfm_calc.registry.catalog import LoadedModel
from atomfm_calc.registry.hydragnn import import_hydragnn
from atomfm_calc.registry.hydragnn_release import RELEASE, head_info

downloaded = Path("gfm-2026")
folder = Path(tempfile.mkdtemp(prefix="atomfm-published-"))

# %% [markdown]
# ## Sixteen heads
#
# A checkpoint knows its branches by number. Sixteen of them are taken for those of the release,
# in its order; `--head-names names.yaml` says otherwise.

# %%
for branch, (name, data) in enumerate(RELEASE.items()):
    charged = "charges" if data.states_charge else ""
    print(f"{branch:2} {name:19} {data.theory[:48]:48} {'/'.join(data.periodicity):11} {charged}")
assert len(RELEASE) == 16

# %% [markdown]
# ## With the weights

# %%
if downloaded.is_dir():
    print(import_hydragnn(downloaded, folder / "gfm-2026").description)
    crystal = bulk("MgO", "rocksalt", a=4.25)
    crystal.rattle(0.05, seed=0)
    crystal.calc = FoundationCalc(folder / "gfm-2026", head="omat24", default_dtype="float64")
    print("energy", crystal.get_potential_energy(), "eV relative to unknown references")
    print("forces", crystal.get_forces(), "eV/Å")
    print("stress", crystal.get_stress(), "eV/Å³, which HydraGNN itself does not give")
    fused = FoundationCalc(folder / "gfm-2026", head="mixture")  # the paper's fused inference
    print("weights of the heads", fused.head_weights(crystal))
else:
    print(f"There is no folder {downloaded}: nothing of this cell has run.")

# %% [markdown]
# An incomplete download is refused; nothing is guessed, and nothing but tensors is read from a
# file.

# %%
(folder / "incomplete").mkdir()
try:
    import_hydragnn(folder / "incomplete", folder / "nothing")
except AtomFMError as error:
    print(f"{type(error).__name__}: {error}")
else:
    raise AssertionError("an empty folder was imported")

# %% [markdown]
# ## What these models are not
#
# Their energy is one network's answer to the *sum of the features* of all atoms, not a sum of
# energies of atoms. What follows does not depend on the weights, so it can be seen without them:
# a network of the same form, with random weights, beside the shipped model, whose energy is a sum
# over atoms. HydraGNN 5.0 also had biases in its layers of vectors, the published models among
# them; a constant vector points somewhere, so that energies depend on how the structure lies.


# %%
def random_network(biased):
    """HydraGNN's form with random weights: good for nothing but its form."""
    torch.manual_seed(0)
    sizes = HydraPainnConfig(
        n_features=64, n_layers=3, activation="silu", biased_vectors=biased, conditioning="none"
    )
    model = FoundationModel(
        Architecture(backbone="hydra_painn", hydra_painn=sizes, repulsion="none"), ["random"]
    )
    words = dict.fromkeys(("title", "description", "licence", "citation"), "random weights")
    card = {
        **words,
        "name": "random",
        "version": "0",
        "weights_sha256": "none",
        "default_head": "random",
        "default_head_reason": "there is no other",
        "heads": {"random": head_info("random", {}, is_release=False)},
    }
    card = parse_config(ModelCard, card, "this notebook")
    model = model.eval().requires_grad_(False)
    return LoadedModel(model=model, card=card, folder=folder)


calculators = {
    "painn-lead": FoundationCalc("painn-lead", default_dtype="float64"),
    "pooled features": FoundationCalc(random_network(biased=False), default_dtype="float64"),
    "pooled, biased vectors": FoundationCalc(random_network(biased=True), default_dtype="float64"),
}
water, methanol = molecule("H2O"), molecule("CH3OH")
distances = np.linspace(3.0, 14.0, 23)
pairs = []
for distance in distances:
    other = water.copy()
    other.positions[:, 0] += distance
    pairs.append(water + other)
turned = []
for angle in range(0, 360, 15):
    one = methanol.copy()
    one.rotate(angle, (1, 1, 0))
    turned.append(one)

figure, (left, right) = plt.subplots(1, 2, figsize=(9.5, 3.6), layout="constrained")
excess, spread = {}, {}
for name, calc in calculators.items():
    energies = np.array([result.energy for result in calc.predict_many([water, *pairs])])
    unit = 1.0 if name == "painn-lead" else abs(energies[0])
    excess[name] = (energies[1:] - 2 * energies[0]) / unit
    left.plot(distances, excess[name], "--" if "biased" in name else "-", label=name)
    of_angles = np.array([result.energy for result in calc.predict_many(turned)])
    spread[name] = np.ptp(of_angles) / abs(of_angles.mean())
    right.plot(range(0, 360, 15), of_angles / of_angles.mean() - 1, label=name)
left.set(xlabel="distance of two water molecules (Å)", ylabel="E(two) – 2 E(one)  (see below)")
right.set(xlabel="rotation of methanol (°)", ylabel="relative change of the energy")
left.legend(fontsize=8, loc="center right", bbox_to_anchor=(1, 0.3))
plt.show()

# %% [markdown]
# Left, in eV for painn-lead and in energies of one molecule for the random networks. Beyond the
# cutoff the shipped model gives exactly twice the energy of one molecule, a network of pooled
# features does not. So compare energies of imported models for one composition in one cell only:
# no binding energies, no supercells, no surface energies. The card of an imported model says how
# large both effects are for its weights.

# %%
for name in calculators:
    print(f"{name:24} far apart {excess[name][-1]:+.1e}, orientations {spread[name]:.1e}")
assert abs(excess["painn-lead"][-1]) < 1e-6
assert abs(excess["pooled features"][-1]) > 1e-3
assert spread["pooled features"] < 1e-9 < spread["pooled, biased vectors"]
