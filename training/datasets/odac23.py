"""ODAC23: carbon dioxide and water in metal-organic frameworks, one extended XYZ file each.

The LMDB files of this source have two energies, of adsorption and of the whole system; its
documentation calls the label a total energy, but which of the two the extended XYZ files have could
not be established without one of them. They differ by hundreds of eV, so a record decides: an
energy above -1 eV/atom is refused, as no framework is bound that weakly in PBE.
"""

from __future__ import annotations

from atomfm_calc.errors import DataError
from atomfm_calc.sample import Sample
from training.datasets.adapter import DatasetInfo, PublicDataset, Units
from training.datasets.frames import labeled_sample
from training.datasets.readers.ase_database import PICKLED_GRAPHS
from training.datasets.readers.extxyz_frames import EXTXYZ_FRAMES
from training.datasets.readers.frame import Frame

WEAKEST_BINDING = -1.0
"""eV/atom; C, H, N, O and metals in a framework have -5 to -8 in PBE with these potentials."""


def sample_of(frame: Frame) -> Sample:
    """Total energy and forces of a framework; `group` is the trajectory, one per file.

    Raises:
        DataError: no energy or forces, or an energy that is not the total one.
    """
    sample = labeled_sample(frame, Units(), group=frame.file)
    per_atom = float(sample.targets["energy"]) / sample.n_atoms
    if per_atom > WEAKEST_BINDING:
        raise DataError(
            f"energy is {per_atom:.3f} eV/atom: no total energy of a framework, which is below "
            f"{WEAKEST_BINDING} eV/atom; an adsorption energy does not belong to these forces alone"
        )
    return sample


ODAC23 = PublicDataset(
    info=DatasetInfo(
        name="odac23",
        title="CO2 and H2O in metal-organic frameworks, PBE with dispersion",
        theory="PBE-D3(BJ), PAW, 600 eV plane waves, spin polarized",
        code="VASP",
        data="Open DAC 2023: relaxations of 8,400 frameworks with adsorbates",
        source="Sriram et al., ACS Cent. Sci. 10, 923 (2024)",
        licence="CC BY 4.0 (documentation of fairchem)",
        redistributable=True,
        energy_zero="VASP total energy: valence electrons relative to the pseudo-atoms",
        doi="10.1021/acscentsci.3c01629",
        size="about 38 million structures; train 232 GB (781 GB unpacked), val 5.1 GB (18 GB)",
        obtain=(
            "wget https://dl.fbaipublicfiles.com/large_objects/dac/datasets/extxyz_train.tar.gz "
            "https://dl.fbaipublicfiles.com/dac/datasets/extxyz_val.tar.gz; unpack them into "
            "folders odac23/train and odac23/val, which are the splits"
        ),
        good_for=("CO2 and water in metal-organic frameworks",),
        not_for=("other adsorbates", "stress: the files have none"),
    ),
    patterns=("**/*.extxyz",),
    folder="odac23",
    format=EXTXYZ_FRAMES,
    sample_of=sample_of,
    splits={
        "train": "train",
        "extxyz_train": "train",
        "val": "validation",
        "extxyz_val": "validation",
    },
    refused={
        "**/*.lmdb": f"The *.lmdb files there are not used: {PICKLED_GRAPHS}; "
        "take extxyz_train.tar.gz and extxyz_val.tar.gz."
    },
)
