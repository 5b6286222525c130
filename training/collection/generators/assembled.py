"""Molecules put together at random from skeletons, substituents and centers of the main groups."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from ase import Atoms
from rdkit import Chem
from rdkit.rdBase import BlockLogs

from atomfm_calc.errors import DataError
from atomfm_calc.sample import Sample
from training.collection.generators.build import random_numbers, to_sample
from training.collection.generators.displace import disturb, pull_bond
from training.collection.generators.molecules import (
    conformer,
    fitting_multiplicity,
    formal_charge,
    ionize,
    join,
)

SKELETONS: tuple[str, ...] = tuple(
    "C CC CCC CCCC CC(C)C C=C C=CC=C C#C C=C=C C1CC1 C1CCC1 C1CCCC1 C1CCCCC1 C1=CCC=C1 C1=CCCCC1 "
    "c1ccccc1 c1ccncc1 c1cc[nH]c1 c1ccoc1 c1ccsc1 c1c[nH]cn1 c1cnccn1 N NN CNC O COC C1CO1 C1CN1 "
    "CSC CSSC C=O CC=O CC(C)=O NC=O COC=O C=N CN=NC C=NO CS(C)=O CS(C)(=O)=O C[SiH2]C "
    "C[SiH2]O[SiH2]C CPC COP(=O)OC CBC OBO NBN C[Se]C C[GeH2]C C[AsH]C C1CCNC1 C1CCOC1 C1CCSC1 "
    "C1CNCCN1 S SS P".split()
)
"""What organic molecules grow from."""
SUBSTITUENTS: tuple[str, ...] = tuple(
    "C C C C CC O O O N N N F F Cl Cl Br I S C=C C#C C#N C=O C(=O)O C(=O)N OC N(C)C SC OO NN NO "
    "C(F)(F)F [N+](=O)[O-] N=C=O N=[N+]=[N-] S(=O)(=O)O S(C)=O [SiH3] [GeH3] [SnH3] P P(=O)(O)O "
    "[AsH2] [SeH] [TeH] B BO O[SiH3] CO CN CCl".split()
)
"""What takes the place of a hydrogen; the first atom makes the bond. Repeated: more frequent."""
EXCHANGES = {"CX4": (7, 8, 14, 15, 16, 32, 34, 50), "c": (7,), "OX2": (16, 34, 52), "NX3": (15, 33)}
"""Atoms of a skeleton by SMARTS, and the atomic numbers that may take their place."""
CENTERS: dict[str, tuple[int, ...]] = {
    "Si": (4,),
    "Ge": (4,),
    "Sn": (2, 4),
    "Pb": (2, 4),
    "P": (3, 5),
    "As": (3, 5),
    "Sb": (3, 5),
    "Bi": (3,),
    "S": (2, 4, 6),
    "Se": (2, 4, 6),
    "Te": (2, 4, 6),
    "Cl": (1, 3),
    "Br": (1, 3, 5),
    "I": (1, 3, 5),
    "Xe": (2, 4),
    "B": (3,),
    "Al": (3,),
    "Ga": (3,),
    "In": (3,),
    "Tl": (1, 3),
    "Be": (2,),
    "Mg": (2,),
    "Ca": (2,),
    "Zn": (2,),
    "Cd": (2,),
    "Hg": (2,),
    "Li": (1,),
    "Na": (1,),
    "K": (1,),
}
"""Atoms of the main groups with the numbers of bonds that they make."""
LIGANDS: tuple[str, ...] = tuple(
    "[H] [H] F F Cl Cl Br I O O OC N N(C)C C C C CC C=C C#C C#N S SC [SiH3] P [SeH] OC=O ON".split()
)
"""What a center binds by its first atom."""
BRIDGES: tuple[str, ...] = ("", "O", "S", "N", "C", "[Se]", "OO", "C#C")
"""What joins two centers."""
N_CONFORMERS = 2
"""Conformers per molecule."""
N_MAX_ATTEMPTS = 500
"""Molecules tried before giving up."""


def assemble(seed: int, number: int, max_heavy_atoms: int = 9) -> str:
    """SMILES of random molecule `number`: two thirds organic, one third with one or two centers."""
    rng = np.random.default_rng([seed, number, 5])
    silence = BlockLogs()
    for _ in range(N_MAX_ATTEMPTS):
        smiles = _organic(rng) if rng.uniform() < 0.65 else _centered(rng)
        structure = Chem.MolFromSmiles(smiles)
        if structure is None or structure.GetNumHeavyAtoms() > max_heavy_atoms:
            continue
        try:
            for place in range(N_CONFORMERS):
                conformer(smiles, place)
        except (DataError, RuntimeError):  # RDKit's distance bounds may contradict each other
            continue
        del silence
        return smiles
    raise DataError(
        f"no molecule of at most {max_heavy_atoms} heavy atoms after {N_MAX_ATTEMPTS} attempts; "
        "allow more heavy atoms"
    )


def _organic(rng: np.random.Generator) -> str:
    """SMILES of a skeleton with exchanged atoms and one to four substituents."""
    structure = Chem.RWMol(Chem.MolFromSmiles(str(rng.choice(SKELETONS))))
    if rng.uniform() < 0.35:
        _exchange(structure, rng)
    for _ in range(int(rng.choice([0, 1, 2, 3, 4], p=[0.05, 0.25, 0.3, 0.25, 0.15]))):
        sites = [atom.GetIdx() for atom in structure.GetAtoms() if atom.GetTotalNumHs() > 0]
        if not sites:
            break
        site = int(rng.choice(sites))
        _attach(structure, site, str(rng.choice(SUBSTITUENTS)))
    return str(Chem.MolToSmiles(structure))


def _exchange(structure: Chem.RWMol, rng: np.random.Generator) -> None:
    """Put another element in the place of one atom."""
    smarts = str(rng.choice(list(EXCHANGES)))
    found = structure.GetSubstructMatches(Chem.MolFromSmarts(f"[{smarts}]"))
    if found:
        place = int(found[int(rng.integers(len(found)))][0])
        new = Chem.Atom(int(rng.choice(EXCHANGES[smarts])))
        structure.ReplaceAtom(place, new, preserveProps=False)
        Chem.SanitizeMol(structure, catchErrors=True)


def _attach(structure: Chem.RWMol, site: int, substituent: str) -> None:
    """Bind the first atom of a substituent to an atom in place of one of its hydrogens."""
    first = structure.GetNumAtoms()
    structure.InsertMol(Chem.MolFromSmiles(substituent))
    atom = structure.GetAtomWithIdx(site)
    atom.SetNumExplicitHs(max(atom.GetNumExplicitHs() - 1, 0))
    # read alone, a substituent such as [SiH3] is a radical
    structure.GetAtomWithIdx(first).SetNumRadicalElectrons(0)
    structure.AddBond(site, first, Chem.BondType.SINGLE)
    Chem.SanitizeMol(structure, catchErrors=True)


def _centered(rng: np.random.Generator) -> str:
    """SMILES of a center with its ligands, now and then joined to a second one."""
    symbols = list(CENTERS)
    first = str(rng.choice(symbols))
    if rng.uniform() < 0.75:
        return _center(first, 0, rng)
    second = str(rng.choice(symbols))
    return _center(first, 1, rng) + str(rng.choice(BRIDGES)) + _center(second, 1, rng)


def _center(symbol: str, n_taken: int, rng: np.random.Generator) -> str:
    """SMILES of a center that has `n_taken` bonds elsewhere."""
    n_free = int(rng.choice(CENTERS[symbol])) - n_taken
    kinds = [str(rng.choice(LIGANDS))] * max(n_free, 0)
    if rng.uniform() < 0.7:
        kinds = [str(rng.choice(LIGANDS)) for _ in kinds]
    if n_free >= 2 and symbol in ("P", "As", "S", "Se", "Te", "I") and rng.uniform() < 0.5:
        kinds = ["=O" if rng.uniform() < 0.8 else "=S", *kinds[2:]]
    return f"[{symbol}]" + "".join(f"({kind})" for kind in kinds)


@lru_cache(maxsize=64)
def _molecule(seed: int, number: int, max_heavy_atoms: int) -> str:
    return assemble(seed, number, max_heavy_atoms)


def _base(
    seed: int, number: int, max_heavy_atoms: int, rng: np.random.Generator
) -> tuple[str, Atoms, int]:
    """SMILES, structure in one of its conformers, and charge of molecule `number`."""
    smiles = _molecule(seed, number, max_heavy_atoms)
    place = int(rng.integers(N_CONFORMERS))
    return smiles, conformer(smiles, place).copy(), formal_charge(smiles)


def generate_assembled(
    seed: int, index: int, per_molecule: int = 5, max_heavy_atoms: int = 9, ions: bool = False
) -> Sample:
    """A random molecule, disturbed; in every third structure a bond is pulled or pushed as well.

    Args:
        seed: of the set; another seed makes other molecules.
        index: of the structure.
        per_molecule: consecutive structures of one molecule.
        max_heavy_atoms: larger molecules are not made.
        ions: take or give electrons or a proton, as `generate_ion` does.
    """
    rng = random_numbers(seed, index)
    smiles, base, charge = _base(seed, index // per_molecule, max_heavy_atoms, rng)
    change = "neutral"
    if ions:
        base, charge, change = ionize(base, charge, rng)
    moved, way = disturb(base, rng, is_portable=True)
    if rng.uniform() < 0.33:
        moved, way = pull_bond(moved, rng), f"{way}-pull"
    charge, multiplicity = fitting_multiplicity(moved, charge, change)
    return to_sample(moved, f"assembled/{smiles}/{change}/{way}", charge, multiplicity)


def generate_assembled_pair(
    seed: int, index: int, max_heavy_atoms: int = 5, closest: float = 0.6, farthest: float = 1.4
) -> Sample:
    """Two random molecules, disturbed, at `closest`-`farthest` sums of van der Waals radii."""
    rng = random_numbers(seed, index)
    first_name, first, _ = _base(seed, 2 * index, max_heavy_atoms, rng)
    second_name, second, _ = _base(seed, 2 * index + 1, max_heavy_atoms, rng)
    ratio = rng.uniform(closest, farthest)
    first, _ = disturb(first, rng, is_portable=True)
    second, _ = disturb(second, rng, is_portable=True)
    pair = join(first, second, ratio, rng)
    return to_sample(pair, f"assembled-pair/{first_name}/{second_name}")
