"""QCML: small molecules and ions over most elements, PBE0, TFRecord files of TensorFlow Datasets.

This is the feature group `qcml/dft_force_field`: `atomic_numbers`, `positions`, `pbe0_energy`,
`pbe0_forces`, `charge`, `multiplicity`, `is_outlier`, `key_hash`. All quantities are in atomic
units: bohr, hartree, hartree/bohr. The files do not say so; two public readers convert positions
and forces so, and the mean of `pbe0_formation_energy` over the set, -1.75 for molecules of up to
eight heavy atoms, can only be in hartree.

The energy is the total `pbe0_energy`. The files hold it as float32, so that it is known to 1 meV
for molecules of light elements and to tens of meV where there are heavy ones.
`pbe0_formation_energy` is finer, but what was subtracted for ions could not be established.
A structure that the authors flag as an outlier (1.5 % of them, by energy, forces, distances or bond
orders) is a sample without labels.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from atomfm_calc.errors import DataError, listing
from atomfm_calc.sample import Sample
from atomfm_calc.units import energy_factor, length_factor
from training.datasets.adapter import DatasetInfo, PublicDataset, Units
from training.datasets.readers.labels import labels
from training.datasets.readers.tfrecord import TFRECORD_FORMAT, Features


def sample_of(features: Features) -> Sample:
    """One example -> sample; DataError if a feature is missing."""
    angstrom, eV = length_factor("bohr"), energy_factor("hartree")
    numbers = _numbers(features, "atomic_numbers").astype(np.int64)
    targets = labels(
        len(numbers),
        energy=_numbers(features, "pbe0_energy").astype(np.float64) * eV,
        forces=_numbers(features, "pbe0_forces").astype(np.float64) * (eV / angstrom),
    )
    return Sample(
        atomic_numbers=numbers,
        positions=_numbers(features, "positions").astype(np.float64).reshape(-1, 3) * angstrom,
        charge=_whole(features, "charge"),
        multiplicity=_whole(features, "multiplicity"),
        targets={} if _whole(features, "is_outlier") else targets,
    )


def _numbers(features: Features, name: str) -> Any:
    if name not in features:
        raise DataError(f"the example has no {name!r}; it has: {listing(sorted(features))}")
    return features[name]


def _whole(features: Features, name: str) -> int:
    (value,) = _numbers(features, name)
    return int(value)


QCML = PublicDataset(
    info=DatasetInfo(
        name="qcml",
        title="Molecules, radicals and ions of up to eight heavy atoms over most elements, PBE0",
        theory="PBE0, tight numeric atom-centered basis, without dispersion correction",
        code="FHI-aims",
        data="QCML, group dft_force_field: conformers displaced along normal modes, 0-1000 K",
        source="Ganscha et al., Sci. Data 12, 406 (2025)",
        licence="CC BY-NC 4.0 (as the authors' example script states)",
        redistributable=False,
        energy_zero="all nuclei and electrons at infinite separation",
        uses_charge=True,
        units=Units(energy="hartree", length="bohr", forces="hartree/bohr"),
        doi="10.1038/s41597-025-04720-7",
        size="33 496 171 structures",
        obtain=(
            "gcloud storage cp -r gs://qcml-datasets/tfds/qcml/dft_force_field/1.0.0 "
            "qcml/dft_force_field/ --project=deepmind-opensource (after `gcloud config set "
            "auth/disable_credentials True`)"
        ),
        good_for=("small molecules of unusual elements", "ions, radicals and spin states"),
        not_for=(
            "molecules in contact: no dispersion correction",
            "energies of heavy elements to better than tens of meV: float32 totals",
            "large molecules",
        ),
    ),
    # all feature groups have files of the same names; the second pattern is for the group's folder
    patterns=("**/dft_force_field/**/qcml-full.tfrecord-*", "qcml-full.tfrecord-*"),
    format=TFRECORD_FORMAT,
    sample_of=sample_of,
)
