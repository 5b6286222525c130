"""The fifty systems whose dynamics is tried: what they are, at which temperature, with which head.

Each head computes only what its card says that it is for. alexandria-pbe is missing: its card rules
hot dynamics out.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from ase import Atoms
from ase.build import bulk, fcc111, molecule
from ase.collections import s22
from structures import water_box

from training.collection.generators.molecules import conformer, formal_charge
from training.collection.generators.prototypes import CRYSTALS, primitive_crystal

Kind = Literal["molecule", "cluster", "liquid", "crystal", "surface"]
VACUUM = 8.0
"""Å between the images of a slab."""


@dataclass(frozen=True, kw_only=True)
class System:
    """Something to move for 20 ps."""

    kind: Kind
    """Molecules, clusters and liquids must keep their bonds, crystals and surfaces their sites."""
    build: Callable[[], Atoms]
    """The structure before relaxation."""
    head: str = "gfn1-xtb"
    """Whose energy it is moved by."""
    temperature_K: float = 300.0
    """Of the thermostat."""
    timestep_fs: float = 1.0
    """1 for molecules, 0.5 where they are hot; of crystals a twelfth of their shortest period."""
    mobile_protons: bool = False
    """Whether hydrogen at O or N may change its place, as it does in reality."""


def _molecule(name: str, **facts: object) -> System:
    return System(kind="molecule", build=lambda: molecule(name), **facts)  # type: ignore[arg-type]


def _smiles(smiles: str, **facts: object) -> System:
    def build() -> Atoms:
        atoms = conformer(smiles, 0).copy()
        atoms.info["charge"] = formal_charge(smiles)
        return atoms

    return System(kind="molecule", build=build, **facts)  # type: ignore[arg-type]


def _pair(name: str, **facts: object) -> System:
    """Of the S22 set; cold, lest it fall apart as it would in reality."""
    return System(
        kind="cluster",
        build=lambda: s22[name],
        temperature_K=150.0,
        **facts,  # type: ignore[arg-type]
    )


def _crystal(name: str, repeats: tuple[int, int, int], **facts: object) -> System:
    """Of the common crystals of the reference collection, in a supercell of the primitive cell."""
    return System(
        kind="crystal",
        build=lambda: primitive_crystal(*CRYSTALS[name]).repeat(repeats),
        **({"timestep_fs": 3.0} | facts),  # type: ignore[arg-type]
    )


def _cubic(
    name: str, prototype: str, a: float, cells: tuple[int, int, int], **facts: object
) -> System:
    return System(
        kind="crystal",
        build=lambda: bulk(name, prototype, a=a, cubic=True) * cells,
        **({"timestep_fs": 3.0} | facts),  # type: ignore[arg-type]
    )


def water_cluster() -> Atoms:
    """Eight molecules on a cube with 2.9 Å between them, turned as in the box."""
    atoms = water_box(8)
    atoms.set_cell(atoms.cell * 0.95, scale_atoms=False)
    return Atoms(atoms.numbers, atoms.positions)


def hydrated_chloride() -> Atoms:
    """Cl⁻ with two molecules of water."""
    water = molecule("H2O")
    pieces = Atoms("Cl", [(0, 0, 0)])
    for side in (1.0, -1.0):
        one = water.copy()
        one.rotate(90 * side, "y")
        one.translate((3.6 * side, 0, 0))
        pieces += one
    pieces.info["charge"] = -1
    return pieces


def hydrated_proton() -> Atoms:
    """H5O2⁺."""
    pieces = molecule("H2O")
    pieces.translate(-pieces.positions[0])
    pieces += Atoms("HOHH", [(0, 0, 1.2), (0, 0, 2.4), (0.76, 0, 3.0), (-0.76, 0, 3.0)])
    pieces.info["charge"] = 1
    return pieces


def methanol_box() -> Atoms:
    """Eight molecules in a cube of 8.16 Å, 0.78 g/cm³, turned to stay clear of each other."""
    rng = np.random.default_rng(3)
    box = Atoms(cell=[8.16] * 3, pbc=True)
    for corner in np.ndindex(2, 2, 2):
        center = (np.array(corner) + 0.5) * 4.08
        trials = []
        for _ in range(100):
            one = molecule("CH3OH")
            phi, theta, psi = rng.uniform(0, 360), rng.uniform(0, 180), rng.uniform(0, 360)
            one.euler_rotate(phi, theta, psi)
            one.translate(center - one.positions.mean(axis=0))
            both = box + one
            distances = both.get_all_distances(mic=True)[len(box) :, : len(box)]
            trials.append((distances.min(initial=9.0), one))
        box += max(trials, key=lambda trial: trial[0])[1]
    return box


def slab_of_salt(name: str, a: float) -> Atoms:
    """Two layers (100) of a rock salt, as in the reference collection."""
    atoms = bulk(name, "rocksalt", a=a, cubic=True) * (2, 2, 1)
    cell = atoms.cell.copy()
    cell[2, 2] = a / 2 + VACUUM
    atoms.set_cell(cell)
    return atoms


def slab(atoms: Atoms) -> Atoms:
    """With vacuum, periodic in three directions as the heads want it."""
    atoms.center(vacuum=VACUUM / 2, axis=2)
    atoms.pbc = True
    return atoms


def vacancy(atoms: Atoms) -> Atoms:
    """Without its first atom."""
    del atoms[0]
    return atoms


def alloy() -> Atoms:
    """Mo, Nb, Ta, W at random on the sites of a bcc crystal."""
    atoms = bulk("Mo", "bcc", a=3.24, cubic=True) * (3, 3, 2)
    rng = np.random.default_rng(0)
    atoms.numbers = rng.permutation(np.resize([41, 42, 73, 74], len(atoms)))
    return atoms


BPA = "Nc1ncccc1OCc1ccccc1"
ACETYLACETONE = "CC(=O)/C=C(/C)O"
"""The enol, with O next to O."""
PEPTIDE = "CC(=O)NC(C)C(=O)NC"
METAL = {"timestep_fs": 5.0}
HOT = {"timestep_fs": 0.5, "temperature_K": 1000.0}

SYSTEMS: dict[str, System] = {
    # molecules, by the default head
    "water": _molecule("H2O"),
    "methane": _molecule("CH4"),
    "ammonia": _molecule("NH3"),
    "carbon dioxide": _molecule("CO2"),
    "ethanol": _molecule("CH3CH2OH"),
    "benzene": _molecule("C6H6"),
    "acetamide": _molecule("CH3CONH2"),
    "nitromethane": _molecule("CH3NO2"),
    "dimethyl sulfoxide": _molecule("C2H6SO"),
    "chloroform": _molecule("HCCl3"),
    "disilane": _molecule("Si2H6"),
    "thiophene": _molecule("C4H4S"),
    "silicon tetrafluoride": _molecule("SiF4"),
    "aspirin": _smiles("CC(=O)Oc1ccccc1C(=O)O"),
    "caffeine": _smiles("Cn1cnc2c1c(=O)n(C)c(=O)n2C"),
    "alanine dipeptide": _smiles(PEPTIDE),
    # pairs and clusters
    "water dimer": _pair("Water_dimer"),
    "formic acid dimer": _pair("Formic_acid_dimer", mobile_protons=True),
    "ammonia dimer": _pair("Ammonia_dimer"),
    "water octamer": System(kind="cluster", build=water_cluster, temperature_K=150.0),
    # liquids
    "liquid water, 27": System(kind="liquid", build=lambda: water_box(27)),
    "liquid methanol, 8": System(kind="liquid", build=methanol_box),
    # hot molecules
    "ethane, 1000 K": _molecule("C2H6", **HOT),
    "benzene, 1000 K": _molecule("C6H6", **HOT),
    # crystals and surfaces
    "Si64": _cubic("Si", "diamond", 5.43, (2, 2, 2)),
    "Si31, vacancy": System(
        kind="crystal",
        build=lambda: vacancy(bulk("Si", cubic=True) * (2, 2, 1)),
        timestep_fs=3.0,
    ),
    "diamond": _cubic("C", "diamond", 3.57, (2, 2, 1), timestep_fs=2.0),
    "GaAs": _cubic("GaAs", "zincblende", 5.65, (2, 2, 1), timestep_fs=4.0),
    "SiC": _cubic("SiC", "zincblende", 4.36, (2, 2, 1), timestep_fs=2.0),
    "MgO64": _cubic("MgO", "rocksalt", 4.21, (2, 2, 2)),
    "MgO, 600 K": _cubic("MgO", "rocksalt", 4.21, (2, 2, 1), temperature_K=600.0),
    "NaCl": _cubic("NaCl", "rocksalt", 5.64, (2, 2, 1), timestep_fs=4.0),
    "CaF2": _crystal("CaF2", (2, 2, 2)),
    "ZnO": _crystal("ZnO", (3, 3, 1)),
    "TiO2, rutile": _crystal("TiO2", (2, 2, 2), timestep_fs=2.0),
    "MgO(100)": System(kind="surface", build=lambda: slab_of_salt("MgO", 4.42), timestep_fs=3.0),
    # molecules and ions, by the other heads for them
    "ammonium, gfn2": _smiles("[NH4+]", head="gfn2-xtb"),
    "acetate, gfn2": _smiles("CC(=O)[O-]", head="gfn2-xtb"),
    "H5O2+, gfn2": System(
        kind="cluster", build=hydrated_proton, head="gfn2-xtb", mobile_protons=True
    ),
    "Cl-(H2O)2, gfn2": System(
        kind="cluster", build=hydrated_chloride, head="gfn2-xtb", temperature_K=150.0
    ),
    "methanol, pbe0": _molecule("CH3OH", head="pbe0-svp"),
    "ethanol, alcohols": _molecule("CH3CH2OH", head="alcohols-pbe"),
    "acetylacetone": _smiles(ACETYLACETONE, head="acac-pbe-d3", mobile_protons=True),
    "3BPA": _smiles(BPA, head="bpa-wb97x"),
    # metals and silicon, by the heads for them
    "Si32, mlearn": _cubic("Si", "diamond", 5.47, (2, 2, 1), head="mlearn-pbe"),
    "Cu32, mlearn": _cubic("Cu", "fcc", 3.62, (2, 2, 2), head="mlearn-pbe", **METAL),
    "Li36, mlearn": _cubic("Li", "bcc", 3.44, (3, 3, 2), head="mlearn-pbe"),
    "Mo36, 1000 K, mlearn": _cubic(
        "Mo", "bcc", 3.16, (3, 3, 2), head="mlearn-pbe", temperature_K=1000.0, **METAL
    ),
    "Cu(111), mlearn": System(
        kind="surface",
        build=lambda: slab(fcc111("Cu", (3, 3, 4), a=3.63)),
        head="mlearn-pbe",
        timestep_fs=5.0,
    ),
    "MoNbTaW, 1000 K": System(
        kind="crystal", build=alloy, head="monbtaw-pbe", temperature_K=1000.0, timestep_fs=5.0
    ),
}
"""By name."""
