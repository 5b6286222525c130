"""The Open Catalyst sets: adsorbates on metals and oxides, and interfaces with a solvent.

Energies are total energies of the slab with its adsorbate, never adsorption energies: those need a
reference of the same slab, which no other dataset has. For OC20 the file's `energy` is the total
one and `reference energy` of the text file is what turns it into an adsorption energy.
OC22's own filters are repeated as far as the files allow: frames with a force above 50 eV/Å are
left out; frames whose electrons did not converge are not marked in the files and stay.
Where the layout of a source could not be established, `DatasetInfo.obtain` says so.
"""

from __future__ import annotations

import numpy as np

from atomfm_calc.sample import Sample
from training.datasets.adapter import DatasetInfo, PublicDataset, Split, Units
from training.datasets.frames import labeled_sample
from training.datasets.readers.ase_database import ASE_LMDB, PICKLED_GRAPHS
from training.datasets.readers.extxyz_frames import EXTXYZ_SYSTEMS
from training.datasets.readers.frame import Frame
from training.datasets.readers.trajectory import TRAJECTORY

DOWNLOADS = "https://dl.fbaipublicfiles.com/opencatalystproject/data"
LICENCE = "CC BY 4.0 (documentation of fairchem)"
EV_FILES = Units()
"""ASE's units without stress."""
LARGEST_FORCE = 50.0
"""eV/Å, of the frames that the authors of OC22 kept."""
_ENERGY_ZERO = "VASP total energy at zero smearing: valence electrons relative to the pseudo-atoms"
_NO_SPIN = "charges, and spin states: none is given with a structure"
_OC20_TRAIN = ("s2ef_train_200K", "s2ef_train_2M", "s2ef_train_20M", "s2ef_train_all")
_OC20_SPLITS: dict[str, Split] = {
    **dict.fromkeys((*_OC20_TRAIN, "s2ef_rattled", "s2ef_md"), "train"),
    "s2ef_val_id": "validation",
    **dict.fromkeys(("s2ef_val_ood_ads", "s2ef_val_ood_cat", "s2ef_val_ood_both"), "test"),
}


def sample_of_oc20(frame: Frame) -> Sample:
    """Total energy and forces of a slab; `group` is the system, whose frames are one relaxation."""
    return labeled_sample(frame, EV_FILES, group=str(frame.info["system"]))


def sample_of_oc22(frame: Frame) -> Sample:
    """Total energy and forces of an oxide slab; `group` is the trajectory, one per file."""
    return labeled_sample(frame, EV_FILES, group=frame.file)


def is_within_the_force_limit(frame: Frame) -> bool:
    """Whether the authors of OC22 would have kept the frame for its forces."""
    forces = frame.results.get("forces")
    return forces is None or bool((np.linalg.norm(forces, axis=1) <= LARGEST_FORCE).all())


def sample_of_oc25(frame: Frame) -> Sample:
    """Total energy and forces of a surface with its solvent."""
    return labeled_sample(frame, EV_FILES)


OC20 = PublicDataset(
    info=DatasetInfo(
        name="oc20",
        title="Adsorbates on metals and alloys of 55 elements, RPBE",
        theory="RPBE, PAW, 350 eV plane waves, not spin polarized, no dispersion",
        code="VASP",
        data="Open Catalyst 2020, task S2EF: frames of relaxations, rattled ones, dynamics",
        source="Chanussot et al., ACS Catal. 11, 6059 (2021)",
        licence=LICENCE,
        redistributable=True,
        energy_zero=_ENERGY_ZERO,
        doi="10.1021/acscatal.0c04525",
        size=(
            "133,934,018 structures, 225 GB compressed (s2ef_train_all); subsets of 20M (34 GB), "
            "2M (3.4 GB) and 200K (344 MB); four validation sets of 1M; 55M rattled and dynamics"
        ),
        obtain=(
            f"wget {DOWNLOADS}/s2ef_train_200K.tar (or _2M, _20M, _all: take one, each holds the "
            "ones before), s2ef_val_id.tar, s2ef_val_ood_both.tar; tar -xf each of them. The .xz "
            "files are read as they are. The val_ood sets are the test split here: labels of the "
            "source's test set are not public."
        ),
        good_for=("adsorption and relaxation on metal surfaces", "reaction barriers on metals"),
        not_for=("oxides", "liquids", "magnetic surfaces", _NO_SPIN),
    ),
    patterns=("**/s2ef_*/**/*.extxyz.xz", "**/s2ef_*/**/*.extxyz"),
    format=EXTXYZ_SYSTEMS,
    sample_of=sample_of_oc20,
    splits=_OC20_SPLITS,
    overlapping=(_OC20_TRAIN, ("*.extxyz", "*.extxyz.xz")),
    refused={
        "**/*.lmdb": f"The *.lmdb files there are not used: {PICKLED_GRAPHS}; "
        "take the .extxyz.xz files of the same set."
    },
)

OC22 = PublicDataset(
    info=DatasetInfo(
        name="oc22",
        title="Adsorbates on oxides, PBE+U",
        theory="PBE+U, PAW, spin polarized, no dispersion",
        code="VASP",
        data="Open Catalyst 2022: raw relaxation trajectories of clean and covered oxide slabs",
        source="Tran et al., ACS Catal. 13, 3066 (2023)",
        licence=LICENCE,
        redistributable=True,
        energy_zero=_ENERGY_ZERO,
        doi="10.1021/acscatal.2c05426",
        size="56,366 trajectories, 34 GB compressed, 80 GB unpacked",
        obtain=(
            f"wget {DOWNLOADS}/oc22/oc22_trajectories.tar.gz; tar -xzf oc22_trajectories.tar.gz. "
            "Trajectories are in oc22_trajectories/trajectories/oc22/raw_trajs, the splits in "
            "train_s2ef_t.txt, val_id_s2ef_t.txt and val_ood_s2ef_t.txt above them. val_ood is the "
            "test split here: the source's test set is not public."
        ),
        good_for=("adsorption and relaxation on oxides",),
        not_for=("metals", "liquids", _NO_SPIN),
    ),
    patterns=("**/raw_trajs/*.traj",),
    format=TRAJECTORY,
    sample_of=sample_of_oc22,
    keep=is_within_the_force_limit,
    split_lists={
        "train_s2ef_t.txt": "train",
        "val_id_s2ef_t.txt": "validation",
        "val_ood_s2ef_t.txt": "test",
    },
    refused={
        "**/*.lmdb": f"The *.lmdb files there are not used: {PICKLED_GRAPHS}; "
        "take oc22_trajectories.tar.gz."
    },
)

OC25 = PublicDataset(
    info=DatasetInfo(
        name="oc25",
        title="Solid-liquid interfaces of 88 elements, RPBE with dispersion",
        theory="RPBE-D3 (zero damping), PAW, 400 eV, dipole correction, not spin polarized",
        code="VASP",
        data="Open Catalyst 2025: surfaces with explicit solvent and ions, 144 atoms on average",
        source="Sahoo et al., arXiv:2509.17862",
        licence=LICENCE,
        redistributable=True,
        energy_zero=_ENERGY_ZERO,
        doi="10.48550/arXiv.2509.17862",
        size="7,801,261 structures; bytes not stated",
        obtain=(
            "ask for access at https://huggingface.co/facebook/OC25, download the archives its "
            "dataset page names and unpack them in a folder oc25. Folders train and val below it "
            "are taken for its splits; that they are called so could not be verified from outside."
        ),
        good_for=("electrocatalysis in explicit solvent",),
        not_for=("magnetic surfaces", "net charges: a cell with ions is neutral", _NO_SPIN),
    ),
    patterns=("**/*.aselmdb",),
    folder="oc25",
    format=ASE_LMDB,
    sample_of=sample_of_oc25,
    splits={"train": "train", "val": "validation", "test": "test"},
)
