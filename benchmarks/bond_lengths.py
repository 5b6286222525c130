r"""Bond lengths and angles of thirty relaxed molecules: heads against their own reference theory.

    python benchmarks/bond_lengths.py reference [--out benchmarks/bond-lengths-reference.json]
    python benchmarks/bond_lengths.py model [--model FOLDER] \
        [--out benchmarks/results/bond-lengths.json]

The reference is relaxed with the label engine that the head was trained on, and kept; molecules
that the file holds are not relaxed again. The head begins there, a little displaced, in float64.
Bonds are the pairs that are closer than `BONDED` of the sum of their covalent radii in the
reference, angles those between two bonds of an atom.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.build import molecule
from ase.calculators.calculator import Calculator, all_changes
from ase.data import covalent_radii
from ase.optimize import BFGS

from atomfm_calc import FoundationCalc
from atomfm_calc.calculators.setup import CalculatorSettings, prepare_model
from atomfm_calc.convert import sample_from_atoms
from atomfm_calc.errors import lookup
from training.collection.engines import ENGINES, Engine
from training.collection.generators.molecules import conformer, formal_charge

FOLDER = Path(__file__).parent
REFERENCE = FOLDER / "bond-lengths-reference.json"
RESULTS = FOLDER / "results" / "bond-lengths.json"
LARGEST_FORCE = 0.01
"""eV/Å, of a relaxed molecule; 0.0005 Å for the softest bond of 20 eV/Å²."""
MOST_STEPS = 300
RATTLE = 0.01
"""Å; lets a molecule leave a symmetric saddle point."""
BONDED = 1.3
"""Of the sum of the covalent radii."""
THEORIES: dict[str, tuple[str, Mapping[str, Any]]] = {
    "gfn1-xtb": ("tblite", {"method": "GFN1-xTB", "accuracy": 0.01}),
    "gfn2-xtb": ("tblite", {"method": "GFN2-xTB", "accuracy": 0.01}),
    "pbe0-svp": ("pyscf", {"functional": "pbe0"}),
    "pbe-svp": ("pyscf", {"functional": "pbe"}),
}
"""Label engine and its options by head: as in the plan of the reference collection, but with
tighter thresholds of tight binding."""


def _by_smiles(smiles: str) -> Callable[[], Atoms]:
    def build() -> Atoms:
        atoms = conformer(smiles, 0).copy()
        atoms.info["charge"] = formal_charge(smiles)
        return atoms

    return build


def _by_name(name: str) -> Callable[[], Atoms]:
    return lambda: molecule(name)


MOLECULES: dict[str, tuple[str, Callable[[], Atoms]]] = {
    "H2O": ("gfn1-xtb", _by_name("H2O")),
    "NH3": ("gfn1-xtb", _by_name("NH3")),
    "CO2": ("gfn1-xtb", _by_name("CO2")),
    "HCN": ("gfn1-xtb", _by_name("HCN")),
    "ethyne": ("gfn1-xtb", _by_name("C2H2")),
    "ethene": ("gfn1-xtb", _by_name("C2H4")),
    "ethanol": ("gfn1-xtb", _by_name("CH3CH2OH")),
    "benzene": ("gfn1-xtb", _by_name("C6H6")),
    "pyridine": ("gfn1-xtb", _by_name("C5H5N")),
    "thiophene": ("gfn1-xtb", _by_name("C4H4S")),
    "acetamide": ("gfn1-xtb", _by_name("CH3CONH2")),
    "nitromethane": ("gfn1-xtb", _by_name("CH3NO2")),
    "chloroform": ("gfn1-xtb", _by_name("HCCl3")),
    "SiF4": ("gfn1-xtb", _by_name("SiF4")),
    "disilane": ("gfn1-xtb", _by_name("Si2H6")),
    "aspirin": ("gfn1-xtb", _by_smiles("CC(=O)Oc1ccccc1C(=O)O")),
    "caffeine": ("gfn1-xtb", _by_smiles("Cn1cnc2c1c(=O)n(C)c(=O)n2C")),
    "H2O, gfn2": ("gfn2-xtb", _by_name("H2O")),
    "methylamine, gfn2": ("gfn2-xtb", _by_smiles("CN")),
    "formic acid, gfn2": ("gfn2-xtb", _by_name("HCOOH")),
    "furan, gfn2": ("gfn2-xtb", _by_name("C4H4O")),
    "NH4+, gfn2": ("gfn2-xtb", _by_smiles("[NH4+]")),
    "H3O+, gfn2": ("gfn2-xtb", _by_smiles("[OH3+]")),
    "acetate, gfn2": ("gfn2-xtb", _by_smiles("CC(=O)[O-]")),
    "H2O, pbe0": ("pbe0-svp", _by_name("H2O")),
    "CH4, pbe0": ("pbe0-svp", _by_name("CH4")),
    "HCN, pbe0": ("pbe0-svp", _by_name("HCN")),
    "formaldehyde, pbe0": ("pbe0-svp", _by_name("H2CO")),
    "NH3, pbe": ("pbe-svp", _by_name("NH3")),
    "H2S, pbe": ("pbe-svp", _by_name("SH2")),
}
"""Head and structure to begin with, by name."""


class EngineCalc(Calculator):
    """ASE calculator of a label engine."""

    implemented_properties = ["energy", "forces"]  # noqa: RUF012

    def __init__(self, engine: Engine) -> None:
        """For structures that the engine can label."""
        super().__init__()
        self._engine = engine

    def calculate(
        self,
        atoms: Atoms | None = None,
        properties: Sequence[str] = ("energy",),
        system_changes: Sequence[str] = tuple(all_changes),
    ) -> None:
        """Energy and forces; LabelError if the engine fails."""
        super().calculate(atoms, list(properties), list(system_changes))
        labels = self._engine.label(sample_from_atoms(self.atoms))
        self.results = {"energy": float(labels["energy"]), "forces": labels["forces"]}


def relax(atoms: Atoms, calculator: Calculator) -> bool:
    """In place; True if the largest force fell below `LARGEST_FORCE`."""
    atoms.calc = calculator
    return bool(BFGS(atoms, logfile=None).run(fmax=LARGEST_FORCE, steps=MOST_STEPS))


def bonds_of(atoms: Atoms) -> list[tuple[int, int]]:
    """Pairs of atoms with a bond, the lower index first."""
    radii = covalent_radii[atoms.numbers]
    close = atoms.get_all_distances() < BONDED * (radii[:, None] + radii[None])
    return [(int(i), int(j)) for i, j in np.argwhere(np.triu(close, 1))]


def angles_of(bonds: Sequence[tuple[int, int]]) -> list[tuple[int, int, int]]:
    """Pairs of bonds with an atom in common, which stands in the middle."""
    partners: dict[int, list[int]] = {}
    for first, second in bonds:
        partners.setdefault(first, []).append(second)
        partners.setdefault(second, []).append(first)
    return [(i, middle, j) for middle, ends in partners.items() for i, j in combinations(ends, 2)]


def compare(reference: Atoms, found: Atoms) -> dict[str, Any]:
    """Lengths in Å of every bond of the reference in both; how far angles are off, degrees."""
    bonds = bonds_of(reference)
    rows = []
    for i, j in bonds:
        name = "-".join(sorted((reference.symbols[i], reference.symbols[j])))
        rows.append((name, float(reference.get_distance(i, j)), float(found.get_distance(i, j))))
    deviations = np.array([row[2] - row[1] for row in rows])
    triples = angles_of(bonds)
    bent = [abs(found.get_angle(*triple) - reference.get_angle(*triple)) for triple in triples]
    return {
        "bonds": [[name, round(known, 5), round(length, 5)] for name, known, length in rows],
        "same_bonds": bonds_of(found) == bonds,
        "mean_angstrom": float(np.abs(deviations).mean()),
        "max_angstrom": float(np.abs(deviations).max()),
        "worst": int(np.abs(deviations).argmax()),
        "n_angles": len(bent),
        "mean_degrees": float(np.mean(bent)) if bent else None,
        "max_degrees": float(np.max(bent)) if bent else None,
    }


def make_reference(out: Path) -> None:
    """Relax what the file lacks with the engines, and write it."""
    known = json.loads(out.read_text(encoding="utf-8")) if out.exists() else {}
    for name, (head, build) in MOLECULES.items():
        if name in known:
            continue
        engine, options = lookup(THEORIES, head, "head")
        atoms = build()
        done = relax(atoms, EngineCalc(ENGINES[engine](options)))
        known[name] = {
            "relaxed": done,
            "symbols": atoms.get_chemical_symbols(),
            "positions": atoms.positions.round(5).tolist(),
            "charge": atoms.info.get("charge", 0),
        }
        print(name, atoms.get_chemical_formula(), done, flush=True)
        kept = {name: known[name] for name in MOLECULES if name in known}
        rows = [f" {json.dumps(name)}: {json.dumps(entry)}" for name, entry in kept.items()]
        out.write_text("{\n" + ",\n".join(rows) + "\n}\n", encoding="utf-8")


def evaluate(model: str, reference: Path, out: Path) -> None:
    """Relax every molecule of the reference with its head, compare and write."""
    loaded = prepare_model(model, CalculatorSettings(default_dtype="float64"))
    results = {}
    for name, known in json.loads(reference.read_text(encoding="utf-8")).items():
        head = lookup(MOLECULES, name, "molecule")[0]
        original = Atoms(known["symbols"], known["positions"], info={"charge": known["charge"]})
        moved = original.copy()
        moved.rattle(RATTLE, seed=1)
        done = relax(moved, FoundationCalc(loaded, head=head, default_dtype="float64"))
        results[name] = {"head": head, "relaxed": done, **compare(original, moved)}
        print(name, json.dumps(results[name]), flush=True)
    content = {
        "model": loaded.card.label,
        "weights_sha256": loaded.card.weights_sha256,
        "molecules": results,
    }
    out.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def main() -> None:
    """Make references, or compare a model with them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("action", choices=("reference", "model"))
    parser.add_argument("--model", default="painn-lead", help="name or folder")
    parser.add_argument("--reference", type=Path, default=REFERENCE, help="of 'model'")
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    if given.action == "reference":
        make_reference(given.out or REFERENCE)
    else:
        evaluate(given.model, given.reference, given.out or RESULTS)


if __name__ == "__main__":
    main()
