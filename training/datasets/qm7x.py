"""QM7-X: small organic molecules at and around equilibrium, PBE0+MBD, eight HDF5 files.

A file holds a group for each molecule, and in it one for each conformation, named by constitutional
isomer m, stereoisomer i, conformer c and structure: `Geom-m1-i1-c1-opt` is at equilibrium,
`Geom-m1-i1-c1-d1` to `-d100` are displaced. Lengths are in Å, energies in eV.

Energy and forces are the pair of the full level of theory, `ePBE0+MBD` and `totFOR`; `pbe0FOR`
lacks the forces of the dispersion. The authors list in `DupMols.dat` equilibrium structures that
the files hold more than once. As their script offers, such a conformer is left out together with
its displaced structures.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from atomfm_calc.errors import DataError
from atomfm_calc.sample import Sample
from training.datasets.adapter import DatasetInfo, PublicDataset
from training.datasets.readers.hdf5 import Hdf5Layout, Hdf5Record, Names, hdf5_format
from training.datasets.readers.labels import labels

DUPLICATES = "DupMols.dat"
ENERGY, FORCES = "ePBE0+MBD", "totFOR"


def is_duplicate(path: Path) -> Callable[[Names], bool]:
    """Whether a conformation, (molecule, structure), belongs to a conformer listed as a duplicate.

    Raises:
        DataError: the authors' list is not beside the file.
    """
    duplicates = path.with_name(DUPLICATES)
    if not duplicates.is_file():
        raise DataError(
            f"{DUPLICATES} is not beside {path.name}; without it structures come twice. "
            f"curl -L -O https://zenodo.org/records/4288677/files/{DUPLICATES}"
        )
    lines = duplicates.read_text(encoding="utf-8").split()
    conformers = {_conformer(line) for line in lines}
    return lambda names: _conformer(names[-1]) in conformers


def _conformer(structure: str) -> str:
    """Geom-m1-i1-c1 for Geom-m1-i1-c1-opt and Geom-m1-i1-c1-d42."""
    return structure.rpartition("-")[0]


LAYOUT = Hdf5Layout(depth=2, shared=("atNUM", "atXYZ", ENERGY, FORCES), left_out=is_duplicate)


def sample_of(record: Hdf5Record) -> Sample:
    """One conformation -> sample; `group` is the molecule."""
    values = record.values
    numbers = values["atNUM"].astype(np.int64)
    return Sample(
        atomic_numbers=numbers,
        positions=values["atXYZ"].astype(np.float64),
        targets=labels(len(numbers), energy=values[ENERGY], forces=values[FORCES]),
        group=record.names[0],
    )


QM7X = PublicDataset(
    info=DatasetInfo(
        name="qm7x",
        title="Organic molecules of up to seven heavy atoms, at and around equilibrium, PBE0+MBD",
        theory="PBE0 with many-body dispersion (MBD), tight numeric atom-centered basis",
        code="FHI-aims",
        data="QM7-X: isomers and conformers of H, C, N, O, S, Cl with 100 displacements each",
        source="Hoja et al., Sci. Data 8, 43 (2021)",
        licence="CC BY 4.0 as far as known; not verified on Zenodo",
        redistributable=False,
        energy_zero="all nuclei and electrons at infinite separation",
        atom_energies={
            1: -13.641404161,
            6: -1027.592489146,
            7: -1484.274819088,
            8: -2039.734879322,
            16: -10828.707468187,
            17: -12516.444619523,
        },
        doi="10.5281/zenodo.4288677",
        size="about 4.2 million structures, eight files 1000.xz to 8000.xz",
        obtain=(
            "For N in 1000 2000 ... 8000: "
            "curl -L -O https://zenodo.org/records/4288677/files/N.xz; xz -dc N.xz > N.hdf5; "
            "and beside them "
            f"curl -L -O https://zenodo.org/records/4288677/files/{DUPLICATES}"
        ),
        good_for=("small organic molecules near equilibrium", "dispersion within molecules"),
        not_for=("ions and radicals", "reactions", "molecules in contact"),
    ),
    patterns=("**/[1-8]000.hdf5",),
    format=hdf5_format(LAYOUT),
    sample_of=sample_of,
    refused={"**/[1-8]000.xz": "The *.xz files there must be unpacked first."},
)
