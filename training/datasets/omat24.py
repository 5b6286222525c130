"""OMat24: crystals away from equilibrium, PBE and PBE+U, with stress.

Stress has ASE's six numbers and sign (the models of the source return it to ASE unchanged).
Subsets of dynamics hold neighboring frames; no key names the run, so it is the composition, or the
source's own division into train and val, that keeps them together.
"""

from __future__ import annotations

from atomfm_calc.sample import Sample
from training.datasets.adapter import DatasetInfo, PublicDataset, Units
from training.datasets.frames import labeled_sample
from training.datasets.readers.ase_database import ASE_LMDB
from training.datasets.readers.frame import Frame

_DOWNLOADS = "https://dl.fbaipublicfiles.com/opencatalystproject/data/omat"
_UNITS = Units(stress="eV/angstrom^3, tension positive")


def sample_of(frame: Frame) -> Sample:
    """Energy, forces and stress of a crystal."""
    return labeled_sample(frame, _UNITS, promised=("energy", "forces", "stress"))


OMAT24 = PublicDataset(
    info=DatasetInfo(
        name="omat24",
        title="Inorganic crystals, rattled, relaxing and hot, PBE and PBE+U",
        theory="PBE, PAW 5.4, 520 eV plane waves, +U for oxides and fluorides, spin polarized",
        code="VASP",
        data="Open Materials 2024: rattled structures, dynamics at 1000 and 3000 K, relaxations",
        source="Barroso-Luque et al., arXiv:2410.12771",
        licence="CC BY 4.0 (documentation of fairchem)",
        redistributable=True,
        energy_zero=(
            "VASP total energy: valence electrons relative to the pseudo-atoms; no corrections "
            "of the Materials Project"
        ),
        units=_UNITS,
        doi="10.48550/arXiv.2410.12771",
        size="over 110 million structures in 11 subsets, 186 GB compressed; val 2 GB",
        obtain=(
            f"into a folder omat24/train: wget {_DOWNLOADS}/241018/omat/train/SUBSET.tar.gz; into "
            f"a folder omat24/val: wget {_DOWNLOADS}/241220/omat/val/SUBSET.tar.gz; SUBSET is one "
            "of rattled-1000, rattled-500, rattled-300 (each also with -subsampled), "
            "rattled-relax, aimd-from-PBE-1000-npt, aimd-from-PBE-1000-nvt, "
            "aimd-from-PBE-3000-npt, aimd-from-PBE-3000-nvt; unpack each where it is"
        ),
        good_for=("crystals, their phonons and dynamics", "elastic constants"),
        not_for=("molecules and surfaces", "choosing a magnetic state", "dispersion"),
    ),
    patterns=("**/*.aselmdb",),
    folder="omat24",
    format=ASE_LMDB,
    sample_of=sample_of,
    splits={"train": "train", "val": "validation"},
)
