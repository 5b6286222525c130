# ---
# jupyter:
#   jupytext: {text_representation: {extension: .py, format_name: percent}}
#   kernelspec: {display_name: Python 3, language: python, name: python3}
# ---

# %% [markdown]
# # Write a dataset adapter
#
# A public dataset comes as its authors chose to write it: hartree and bohr, gradients instead of
# forces, a key for unconverged calculations. An adapter says what a record means, in eV and Å,
# and does nothing else; reading belongs to the file format, which is there already (HDF5,
# extended XYZ, ASE databases, trajectories, JSON, TFRecord). For a file of your own you need no
# adapter: [fine-tuning](08_fine_tuning.py) reads extended XYZ as it is.

# %%
import tempfile
from pathlib import Path

import h5py
import matplotlib.pyplot as plt
import numpy as np

from atomfm_calc.errors import DataError
from atomfm_calc.sample import Sample, check_sample
from atomfm_calc.units import ENERGY_UNITS, LENGTH_UNITS
from training.datasets import DATASETS
from training.datasets.adapter import DatasetInfo, PublicDataset, Units
from training.datasets.readers.hdf5 import Hdf5Layout, Hdf5Record, hdf5_format
from training.datasets.readers.labels import labels

HARTREE, BOHR = ENERGY_UNITS["hartree"], LENGTH_UNITS["bohr"]  # in eV and Å
folder = Path(tempfile.mkdtemp(prefix="atomfm-adapter-"))
print("files are in", folder)

# %% [markdown]
# ## A file as somebody published it
#
# Bond scans of three molecules (Morse curves here, so that the answer is known). A group for each
# molecule, all in atomic units, gradients, and 999 where the calculation did not converge.

# %%
MORSE = {  # numbers, depth (eV), width (1/Å), length (Å)
    "CO": ((6, 8), 11.2, 2.30, 1.128),
    "HF": ((1, 9), 6.1, 2.22, 0.917),
    "N2": ((7, 7), 9.9, 2.69, 1.098),
}
with h5py.File(folder / "bond-scans.h5", "w") as file:
    for name, (numbers, depth, width, length) in MORSE.items():
        distances = length + np.linspace(-0.2, 0.8, 41)  # Å
        exponential = np.exp(-width * (distances - length))
        energies = depth * (1 - exponential) ** 2 - depth
        slopes = 2 * depth * width * (1 - exponential) * exponential  # eV/Å
        geometries, gradients = np.zeros((2, 41, 2, 3))
        geometries[:, 1, 2] = distances
        gradients[:, 0, 2], gradients[:, 1, 2] = -slopes, slopes
        energies[30] = 999.0 * HARTREE
        group = file.create_group(f"scans/{name}")
        group["numbers"] = numbers
        group["geometries"] = geometries / BOHR
        group["energies"] = energies / HARTREE
        group["gradients"] = gradients / HARTREE * BOHR

# %% [markdown]
# ## The adapter
#
# This is what would stand in `training/datasets/bond_scans.py`. `info` ends up on the model card
# of every model that learns from it: theory, licence, and what the data are not for. `group`
# keeps a scan together when structures are held out: neighbors on a scan are no test of each
# other.

# %%
LAYOUT = Hdf5Layout(
    root="scans", depth=1, shared=("numbers",), by_row=("geometries", "energies", "gradients")
)
UNCONVERGED = 999.0


def sample_of(record: Hdf5Record) -> Sample:
    """One geometry; an energy that marks an unconverged calculation is no label."""
    values = record.values
    converged = values["energies"] != UNCONVERGED
    return Sample(
        atomic_numbers=values["numbers"].astype(np.int64),
        positions=values["geometries"] * BOHR,
        targets=labels(
            len(values["numbers"]),
            energy=values["energies"] * HARTREE if converged else None,
            forces=-values["gradients"] * HARTREE / BOHR if converged else None,
        ),
        group=record.names[0],
    )


BOND_SCANS = PublicDataset(
    info=DatasetInfo(
        name="bond-scans",
        title="Bond scans of three diatomic molecules",
        theory="Morse curves",
        code="none",
        data="41 distances each of CO, HF and N2",
        source="this notebook",
        licence="CC0",
        redistributable=True,
        energy_zero="atoms at infinite distance",
        units=Units(energy="hartree", length="bohr", forces="hartree/bohr (gradients)"),
        split="group",
        obtain="run this notebook",
        not_for=("anything but two atoms",),
    ),
    patterns=("**/bond-scans*.h5",),
    format=hdf5_format(LAYOUT),
    sample_of=sample_of,
)

# %% [markdown]
# ## Look at it before you believe it
#
# A wrong unit or sign is the most expensive mistake there is, and one picture shows it: forces
# must be minus the slope of the energy, at lengths that a chemist believes.

# %%
(path,) = BOND_SCANS.files(folder)
samples = list(BOND_SCANS.read(path))
for sample in samples:
    check_sample(sample)
labeled = [sample for sample in samples if "energy" in sample.targets]
print(f"{BOND_SCANS.count(path)} records, {len(labeled)} with labels; first: {samples[0].source}")

figure, axes = plt.subplots(figsize=(6.5, 3.8), layout="constrained")
for name in MORSE:
    scan = [sample for sample in labeled if sample.group == name]
    bonds = np.array([sample.positions[1, 2] for sample in scan])
    energies = np.array([float(sample.targets["energy"]) for sample in scan])
    forces = np.array([sample.targets["forces"][1, 2] for sample in scan])
    axes.plot(bonds, energies, ".", label=name)
    for bond, energy, force in zip(bonds[::5], energies[::5], forces[::5], strict=True):
        ends = np.array([-0.05, 0.05])
        axes.plot(bond + ends, energy - force * ends, color="black", lw=1.2)
    work = -np.trapezoid(forces, bonds)
    print(f"{name}: lowest at {bonds[energies.argmin()]:.2f} Å, energy rises by ", end="")
    print(f"{energies[-1] - energies[0]:.2f} eV, the forces did {work:.2f} eV of work")
    assert abs(work - (energies[-1] - energies[0])) < 0.1
axes.set(xlabel="distance (Å)", ylabel="energy (eV)", title="bars: minus the forces")
axes.legend()
plt.show()

# %% [markdown]
# ## Pieces and damage
#
# Conversion to shards runs on many ranks, each of which reads a piece; and a damaged file has to
# say where. Both follow from the format, and the tests of every adapter ask for them.

# %%
piece = list(BOND_SCANS.read(path, 40, 43))
assert [sample.source for sample in piece] == [sample.source for sample in samples[40:43]]
with h5py.File(folder / "bond-scans-damaged.h5", "w") as file:
    file["scans/CO/numbers"] = (6, 8)
    file["scans/CO/geometries"] = np.zeros((1, 2, 3))
try:
    list(BOND_SCANS.read(folder / "bond-scans-damaged.h5"))
except DataError as error:
    print(error)
else:
    raise AssertionError("a damaged file was read")

# %% [markdown]
# ## Where it goes
#
# 1. `training/datasets/bond_scans.py`: the cell with the adapter.
# 2. One line in `DATASETS` of `training/datasets/__init__.py`: `"bond-scans":
#    bond_scans.BOND_SCANS`.
# 3. A miniature of the file, made by code, in `tests/made/public_files_*.py`, as an entry of
#    `MINIATURES`. The contract of all datasets then tests it by itself.
#
# From there on it has a name, which is also that of its head: `python -m training datasets show
# bond-scans`, `python -m training convert bond-scans --root downloads --out shards`, and `heads:
# [bond-scans]` in the configuration of a [pretraining](11_pretraining.py).

# %%
assert BOND_SCANS.info.name not in DATASETS
print(len(DATASETS), "datasets have an adapter:", *DATASETS)
