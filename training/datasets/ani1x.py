"""ANI-1x: conformers of organic molecules, ωB97X/6-31G(d), one HDF5 file.

A group is a molecular formula with `atomic_numbers` [N], `coordinates` [M, N, 3] in Å and labels of
several levels of theory; this dataset is `wb97x_dz`, in hartree and hartree/Å. A level that was not
computed for a conformer is NaN there: such a conformer is a sample without that label.
The file has neutral molecules in their lowest spin and names no molecule, only the formula.
"""

from __future__ import annotations

import numpy as np

from atomfm_calc.sample import Sample
from atomfm_calc.units import energy_factor
from training.datasets.adapter import DatasetInfo, PublicDataset, Units
from training.datasets.readers.hdf5 import Hdf5Layout, Hdf5Record, hdf5_format
from training.datasets.readers.labels import labels

ENERGY, FORCES = "wb97x_dz.energy", "wb97x_dz.forces"
LAYOUT = Hdf5Layout(depth=1, shared=("atomic_numbers",), by_row=("coordinates", ENERGY, FORCES))


def sample_of(record: Hdf5Record) -> Sample:
    """One conformer -> sample; `group` is the molecular formula."""
    values, eV = record.values, energy_factor("hartree")
    numbers = values["atomic_numbers"].astype(np.int64)
    return Sample(
        atomic_numbers=numbers,
        positions=values["coordinates"].astype(np.float64),
        targets=labels(
            len(numbers),
            energy=values[ENERGY].astype(np.float64) * eV,
            forces=values[FORCES].astype(np.float64) * eV,
        ),
        group=record.names[0],
    )


ANI1X = PublicDataset(
    info=DatasetInfo(
        name="ani1x",
        title="Organic molecules of H, C, N, O away from equilibrium, range-separated hybrid",
        theory="wB97X/6-31G(d)",
        code="Gaussian 09",
        data="ANI-1x: conformers chosen by active learning, level wb97x_dz",
        source="Smith et al., Sci. Data 7, 134 (2020); J. Chem. Phys. 148, 241733 (2018)",
        licence="CC0 (as the load-atoms package states; not verified on figshare)",
        redistributable=False,
        energy_zero="all nuclei and electrons at infinite separation",
        units=Units(energy="hartree", forces="hartree/angstrom"),
        doi="10.1038/s41597-020-0473-z",
        size="about 5 million structures, one file",
        obtain=(
            "curl -L -o ani1x-release.h5 "
            "https://springernature.figshare.com/ndownloader/files/18112775"
        ),
        good_for=("relaxation and dynamics of organic molecules of H, C, N, O",),
        not_for=("ions and radicals", "other elements", "long-range dispersion"),
    ),
    patterns=("**/ani1x-release.h5",),
    format=hdf5_format(LAYOUT),
    sample_of=sample_of,
)
