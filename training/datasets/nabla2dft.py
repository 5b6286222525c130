"""∇²DFT: conformers of drug-like molecules, ωB97X-D/def2-SVP, ASE databases in SQLite.

The authors state hartree and hartree/Å for all energy databases (issue 42 of their repository, and
the units their code writes into a database that says none), Å for positions; a database that says
other units is refused. The label is the energy of the whole molecule minus that of its atoms
(issue 53), not a value per atom; the element references take up the difference.
Labels stand in each row's `data`. Databases of relaxation trajectories are left out: what their
energies mean could not be established.
"""

from __future__ import annotations

from atomfm_calc.errors import DataError
from atomfm_calc.sample import Sample
from training.datasets.adapter import DatasetInfo, PublicDataset, Units
from training.datasets.frames import labeled_sample
from training.datasets.readers.ase_database import ASE_SQLITE
from training.datasets.readers.frame import Frame

_DOWNLOADS = (
    "https://a002dlils-kadurin-nabladft.obs.ru-moscow-1.hc.sbercloud.ru/data/nablaDFTv2/"
    "energy_databases"
)
_UNITS = Units(energy="hartree", forces="hartree/angstrom")
STATED_UNITS = {"energy": "Hartree", "forces": "Hartree/Ang"}
"""As the source's code writes them into a database."""


def sample_of(frame: Frame) -> Sample:
    """Energy minus that of the atoms, and forces where the database has them.

    `group` is the molecule where the row names it; else it is the composition that keeps the
    conformers of a molecule together.

    Raises:
        DataError: no energy, or the database says that it is not in hartree and Å.
    """
    stated = frame.info.get("_property_unit_dict", STATED_UNITS)
    wrong = {name: stated[name] for name, unit in STATED_UNITS.items() if stated[name] != unit}
    if wrong or frame.info.get("_distance_unit", "Ang") != "Ang":
        raise DataError(
            f"the database says it is in {dict(stated)} and "
            f"{frame.info.get('_distance_unit', 'Ang')}; known are {STATED_UNITS} and Ang"
        )
    molecule = frame.info.get("moses_id")
    group = "" if molecule is None else f"moses-{int(molecule)}"
    return labeled_sample(frame, _UNITS, promised=("energy",), group=group)


NABLA2DFT = PublicDataset(
    info=DatasetInfo(
        name="nabla2dft",
        title="Conformers of drug-like molecules of H, C, N, O, F, S, Cl, Br, hybrid functional",
        theory="ωB97X-D/def2-SVP",
        code="Psi4 1.5",
        data="∇²DFT: conformers of molecules of the MOSES set, with forces",
        source="Khrabrov et al., arXiv:2406.14347",
        licence="MIT (repository AIRI-Institute/nablaDFT; none is stated for the data alone)",
        redistributable=True,
        energy_zero="isolated atoms in the source's reference states",
        units=_UNITS,
        doi="10.48550/arXiv.2406.14347",
        size="12,676,264 conformers of 1,936,931 molecules; the set of 2k is 51 MB",
        obtain=(
            f"wget {_DOWNLOADS}/train_2k_v2_formation_energy_w_forces.db (or train_5k, train_10k, "
            "train_100k, or train_full_v2_formation_energy_w_forces_wo_outliers.db: take one), and "
            f"a test set, {_DOWNLOADS}/test_full_scaffolds_v2_formation_energy_forces.db or "
            "test_full_structures_v2_formation_energy_forces.db"
        ),
        good_for=("drug-like molecules near and away from their minima",),
        not_for=("ions and radicals", "other elements", "reactions", "total energies"),
    ),
    patterns=("**/*_formation_energy*.db",),
    format=ASE_SQLITE,
    sample_of=sample_of,
    splits={"train_": "train", "test_": "test"},
    overlapping=(
        tuple(f"train_{size}_v2_*" for size in ("2k", "5k", "10k", "100k", "full")),
        tuple(f"test_{size}_conformers_v2_*" for size in ("2k", "5k", "10k", "100k", "full")),
    ),
)
