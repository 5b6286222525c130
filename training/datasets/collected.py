"""The project's reference collection, one dataset per level of theory; a user's own file."""

from __future__ import annotations

from training.datasets.adapter import CollectionShards, DatasetInfo, OwnFile

_SOURCE = "generated and labeled by this project (training/collection)"
_LICENCE = "BSD-3-Clause, as this project"
_ALL_ELECTRON_ZERO = "all nuclei and electrons at infinite separation"
_XTB_ZERO = "valence electrons and cores at infinite separation, in the model of GFN-xTB"

GFN1_XTB = CollectionShards(
    info=DatasetInfo(
        name="gfn1-xtb",
        title="Molecules, ions, clusters and crystals over the periodic table, GFN1-xTB",
        theory="GFN1-xTB, Gamma point, cells of at least 8 Å",
        code="tblite",
        data="reference collection: hot, rattled and strained structures",
        source=_SOURCE,
        licence=_LICENCE,
        redistributable=True,
        energy_zero=_XTB_ZERO,
        uses_charge=True,
        good_for=("stable relaxation and dynamics over the periodic table",),
        not_for=("energies at first-principles accuracy",),
    )
)
GFN2_XTB = CollectionShards(
    info=DatasetInfo(
        name="gfn2-xtb",
        title="Molecules and ions, GFN2-xTB",
        theory="GFN2-xTB",
        code="tblite",
        data="reference collection: hot and distorted molecules, ions, complexes",
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
        title="Crystals of 1-8 atoms: rattled, strained, compressed, PBE",
        theory="PBE, PAW, plane waves, k-points",
        code="GPAW",
        data="reference collection: prototypes over the periodic table",
        source=_SOURCE,
        licence=_LICENCE,
        redistributable=True,
        energy_zero="isolated reference atoms of the PAW setups (not spin polarized)",
        good_for=("forces and stress of simple crystals",),
        not_for=("molecules", "magnetic order"),
    )
)
EXTXYZ = OwnFile(
    info=DatasetInfo(
        name="extxyz",
        title="A file of the user's",
        theory="not stated",
        code="not stated",
        data="a user's extended XYZ file",
        source="not stated",
        licence="not stated",
        redistributable=False,
        energy_zero="as in the file",
        uses_charge=True,
    )
)
