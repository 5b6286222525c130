"""The project's reference collection, one dataset per level of theory; a user's own file."""

from __future__ import annotations

from training.datasets.adapter import CollectionShards, DatasetInfo
from training.datasets.own import OwnFile

_SOURCE = "generated and labeled by this project (training/collection)"
_LICENCE = "BSD-3-Clause, as this project"
_ALL_ELECTRON_ZERO = "all nuclei and electrons at infinite separation"
_XTB_ZERO = "valence electrons and cores at infinite separation, in the model of GFN-xTB"

GFN1_XTB = CollectionShards(
    info=DatasetInfo(
        name="gfn1-xtb",
        title="Molecules and clusters of 86 elements, liquids, common crystals, GFN1-xTB",
        theory="GFN1-xTB, lowest spin; crystals at the Γ point of one fixed supercell each",
        code="tblite",
        data="reference collection: hot, rattled, strained, pulled and colliding structures of "
        "listed and randomly assembled molecules, complexes, clusters, liquids and crystals",
        source=_SOURCE,
        licence=_LICENCE,
        redistributable=True,
        energy_zero=_XTB_ZERO,
        good_for=("relaxation and dynamics of molecules, water and common crystals",),
        not_for=(
            "energies at first-principles accuracy",
            "energies of metals: Γ-point labels depend on the supercell, Al by 1 eV/atom",
            "lattice constants near experiment: GFN1-xTB itself is 3 to 13 % off",
            "ions",
        ),
    )
)
GFN2_XTB = CollectionShards(
    info=DatasetInfo(
        name="gfn2-xtb",
        title="Molecules, ions and complexes of 86 elements, GFN2-xTB",
        theory="GFN2-xTB",
        code="tblite",
        data="reference collection: hot, distorted and pulled molecules, ions, complexes and "
        "groups of a few atoms; molecules listed and randomly assembled",
        source=_SOURCE,
        licence=_LICENCE,
        redistributable=True,
        energy_zero=_XTB_ZERO,
        uses_charge=True,
        good_for=("relaxation and dynamics of molecules and ions",),
        not_for=("crystals", "energies at first-principles accuracy"),
    )
)
PBE0_SVP = CollectionShards(
    info=DatasetInfo(
        name="pbe0-svp",
        title="Small molecules and ions, hybrid functional",
        theory="PBE0/def2-SVP",
        code="PySCF",
        data="reference collection: hot and distorted small molecules",
        source=_SOURCE,
        licence=_LICENCE,
        redistributable=True,
        energy_zero=_ALL_ELECTRON_ZERO,
        uses_charge=True,
        good_for=("small molecules and ions",),
        not_for=("crystals",),
    )
)
PBE_SVP = CollectionShards(
    info=DatasetInfo(
        name="pbe-svp",
        title="Small molecules and ions, PBE",
        theory="PBE/def2-SVP",
        code="PySCF",
        data="reference collection: hot and distorted small molecules",
        source=_SOURCE,
        licence=_LICENCE,
        redistributable=True,
        energy_zero=_ALL_ELECTRON_ZERO,
        uses_charge=True,
        good_for=("small molecules and ions",),
        not_for=("crystals",),
    )
)
GPAW_PBE = CollectionShards(
    info=DatasetInfo(
        name="gpaw-pbe",
        title="Common crystals in cells of 1-2 atoms: rattled and strained, PBE",
        theory="PBE, PAW, plane waves of 500 eV, k-points, not spin polarized",
        code="GPAW",
        data="reference collection: unit cells of twelve common crystals",
        source=_SOURCE,
        licence=_LICENCE,
        redistributable=True,
        energy_zero="isolated reference atoms of the PAW setups (not spin polarized)",
        good_for=("a test of the GPAW engine; too few labels for more",),
        not_for=("molecules", "magnetic order", "other crystals than its twelve"),
    )
)
EXTXYZ = OwnFile(
    info=DatasetInfo(
        name="extxyz",
        title="A file of the user's",
        theory="not stated",
        code="not stated",
        data="a user's file",
        source="not stated",
        licence="not stated",
        redistributable=False,
        energy_zero="as in the file",
        uses_charge=True,
    )
)
