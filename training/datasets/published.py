"""Published first-principles data that is read from files in extended XYZ."""

from __future__ import annotations

from training.datasets.adapter import DatasetInfo, PublishedFiles

_VASP_ZERO = "VASP total energy: valence electrons relative to the pseudo-atoms"
_ALL_ELECTRON_ZERO = "all nuclei and electrons at infinite separation"
_ONE_MOLECULE = "anything but this molecule near these geometries"
_BOTNET = "Kovács et al., J. Chem. Theory Comput. 17, 7696 (2021); Batatia et al., arXiv:2205.06643"
_ATOMS_WB97X = {1: -13.587222781, 6: -1029.488999986, 7: -1484.981456857, 8: -2041.981600386}
_ATOMS_PBE_D3 = {1: -13.568422178, 6: -1026.853899612, 8: -2037.796869413}
_ATOMS_PBE = {1: -13.568422383, 6: -1025.277095178, 8: -2035.570980959}
"""Isolated atoms of the BOTNet data sets (botnet_isolated_atoms.extxyz.gz)."""

ALEXANDRIA_PBE = PublishedFiles(
    info=DatasetInfo(
        name="alexandria-pbe",
        title="Inorganic crystals over 85 elements relaxed at 0, 50 and 100 GPa, PBE",
        theory="PBE, PAW, +U for oxides and fluorides of some metals, spin polarized",
        code="VASP",
        data="Alexandria high-pressure benchmark: relaxed cells of 1-6 atoms",
        source="Loew et al., J. Phys. Mater. 9, 015010 (2026); Schmidt et al., Alexandria database",
        licence="CC BY 4.0 (stated on the site of the Alexandria database)",
        redistributable=True,
        energy_zero=_VASP_ZERO,
        good_for=("energies and stress of crystals near equilibrium", "equations of state"),
        not_for=("phonons and hot dynamics: the structures are relaxed", "molecules", "surfaces"),
    ),
    names=tuple(
        f"alexandria_pbe_p{pressure}_train.extxyz.gz" for pressure in ("000", "050", "100")
    ),
)
MLEARN_PBE = PublishedFiles(
    info=DatasetInfo(
        name="mlearn-pbe",
        title="Cu, Li, Mo and Si: ground state, strained, surfaces, hot, PBE",
        theory="PBE, PAW",
        code="VASP",
        data="mlearn benchmark, training part, four elements",
        source="Zuo et al., J. Phys. Chem. A 124, 731 (2020)",
        licence="BSD-3-Clause (repository materialsvirtuallab/mlearn)",
        redistributable=True,
        energy_zero=_VASP_ZERO,
        split="random",
        good_for=("dynamics and elasticity of the four elements",),
        not_for=("compounds",),
    ),
    names=("mlearn_Cu_Li_Mo_Si_train.extxyz.gz",),
)
MONBTAW_PBE = PublishedFiles(
    info=DatasetInfo(
        name="monbtaw-pbe",
        title="Mo-Nb-Ta-W alloys: strained, surfaces, hot, PBE",
        theory="PBE, PAW, 520 eV plane waves",
        code="VASP",
        data="training structures of the MoNbTaW SNAP potential",
        source="Li et al., npj Comput. Mater. 6, 70 (2020)",
        licence="BSD-3-Clause (repository materialsvirtuallab/maml)",
        redistributable=True,
        energy_zero=_VASP_ZERO,
        split="random",
        good_for=("dynamics and elasticity of refractory alloys",),
        not_for=("other elements",),
    ),
    names=("maml_MoNbTaW_train.extxyz.gz",),
)
BPA_WB97X = PublishedFiles(
    info=DatasetInfo(
        name="bpa-wb97x",
        title="3-(benzyloxy)pyridin-2-amine (3BPA) at 300-1200 K, range-separated hybrid",
        theory="wB97X/6-31G(d)",
        code="not stated by the source",
        data="3BPA of the BOTNet data sets",
        source=_BOTNET,
        licence="MIT (repository davkovacs/BOTNet-datasets)",
        redistributable=True,
        energy_zero=_ALL_ELECTRON_ZERO,
        atom_energies=_ATOMS_WB97X,
        split="random",
        good_for=("dynamics of the 3BPA molecule",),
        not_for=(_ONE_MOLECULE,),
    ),
    names=("botnet_3bpa_train.extxyz.gz",),
)
ACAC_PBE_D3 = PublishedFiles(
    info=DatasetInfo(
        name="acac-pbe-d3",
        title="Acetylacetone at 300 and 600 K, PBE with dispersion",
        theory="UHF PBE-D3/def2-SVP",
        code="ORCA 5.0",
        data="acetylacetone of the BOTNet data sets",
        source=_BOTNET,
        licence="MIT (repository davkovacs/BOTNet-datasets)",
        redistributable=True,
        energy_zero=_ALL_ELECTRON_ZERO,
        atom_energies=_ATOMS_PBE_D3,
        split="random",
        good_for=("dynamics of acetylacetone",),
        not_for=(_ONE_MOLECULE,),
    ),
    names=("botnet_acac_train.extxyz.gz",),
)
ALCOHOLS_PBE = PublishedFiles(
    info=DatasetInfo(
        name="alcohols-pbe",
        title="Ethanol and methanol at 300 K and above, PBE",
        theory="PBE/def2-SVP",
        code="ORCA 4.2",
        data="ethanol and methanol of the BOTNet data sets",
        source=_BOTNET,
        licence="MIT (repository davkovacs/BOTNet-datasets)",
        redistributable=True,
        energy_zero=_ALL_ELECTRON_ZERO,
        atom_energies=_ATOMS_PBE,
        split="random",
        good_for=("dynamics of ethanol and methanol",),
        not_for=("other molecules",),
    ),
    names=("botnet_ethanol_methanol_train.extxyz.gz",),
)
ETHANOL_PBE_TS = PublishedFiles(
    info=DatasetInfo(
        name="ethanol-pbe-ts",
        title="Ethanol at 500 K, PBE with Tkatchenko-Scheffler dispersion",
        theory="PBE+vdW-TS",
        code="FHI-aims",
        data="random frames of the MD17 trajectory",
        source="Chmiela et al., Sci. Adv. 3, e1603015 (2017)",
        licence="MIT (repository atomistic-machine-learning/schnetpack)",
        redistributable=True,
        energy_zero=_ALL_ELECTRON_ZERO,
        atom_energies=_ATOMS_PBE,
        split="random",
        good_for=("dynamics of ethanol",),
        not_for=(_ONE_MOLECULE,),
    ),
    names=("md17_ethanol_sample.extxyz.gz",),
)
WATER_PBE0_TS = PublishedFiles(
    info=DatasetInfo(
        name="water-pbe0-ts",
        title="Liquid water, 64 molecules, hybrid functional with dispersion",
        theory="PBE0+TS",
        code="not stated by the source",
        data="path-integral dynamics of liquid water, DeePMD example",
        source="Zhang et al., Phys. Rev. Lett. 120, 143001 (2018)",
        licence="LGPL-3.0 (repository deepmodeling/deepmd-kit)",
        redistributable=False,
        energy_zero="not stated by the source",
        split="random",
    ),
    names=("deepmd_water_train.extxyz.gz",),
)
COMBUSTION_MN15 = PublishedFiles(
    info=DatasetInfo(
        name="combustion-mn15",
        title="Reacting fragments of C, H, O",
        theory="MN15/6-31G**",
        code="not stated by the source",
        data="methane combustion, DeePMD example; some frames are very compressed",
        source="Zeng et al., Nat. Commun. 11, 5713 (2020)",
        licence="LGPL-3.0 (repository deepmodeling/deepmd-kit)",
        redistributable=False,
        energy_zero=_ALL_ELECTRON_ZERO,
        not_for=("spin: the multiplicity of the fragments is not given",),
    ),
    names=("deepmd_combustion_CHO.extxyz.gz",),
)
ELECTROLYTE_PBE_D3 = PublishedFiles(
    info=DatasetInfo(
        name="electrolyte-pbe-d3",
        title="Ethylene carbonate, PF6(-) and Li(+) in a large box",
        theory="PBE-D3(BJ)",
        code="not stated by the source",
        data="single molecules of the EC:EMC battery electrolyte",
        source="Magdău et al., npj Comput. Mater. 9, 146 (2023)",
        licence="GPL-3.0 (repository ddmms/ml-peg)",
        redistributable=False,
        energy_zero="not stated by the source",
        uses_charge=True,
        split="random",
    ),
    names=("mlpeg_EC_PF6_Li_molecules.extxyz.gz",),
)
