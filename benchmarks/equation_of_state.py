"""Lattice constants of thirty crystals: a head against its own reference theory.

    python benchmarks/equation_of_state.py reference --out benchmarks/eos-gfn1-xtb.json
    python benchmarks/equation_of_state.py model --model painn-lead --head gfn1-xtb \
        --reference benchmarks/eos-gfn1-xtb.json --out benchmarks/results/eos-gfn1-xtb.json

The reference is computed with the project's label engine in a supercell that is at least 8 Å in
every direction; crystals that the file holds are not computed again. For a head without an engine
(published data) the reference is the crystal that the data call the ground state, by hand in the
JSON file. Cells keep their shape: one length is varied. A curve counts as smooth with one minimum
if the energy falls, then rises.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms

from atomfm_calc.errors import LabelError, lookup
from training.collection.generators.prototypes import CRYSTALS as COLLECTED
from training.collection.generators.prototypes import primitive_crystal

TRAINED = (
    *("Si", "C", "Ge", "GaAs", "SiC", "MgO", "NaCl", "LiF", "CsCl", "CaF2", "Cu", "Al"),
    *("Ag", "Au", "W", "Mo", "Li", "Na", "ZnO", "GaN"),
)
"""Of the crystals that the reference collection holds distorted. Not Ni, whose reference takes too
long, nor Fe, Pd and Pt, which may do so as well."""
OTHERS: dict[str, tuple[str, tuple[str, ...], float]] = {
    "BN": ("zincblende", ("B", "N"), 3.615),
    "GaP": ("zincblende", ("Ga", "P"), 5.451),
    "AlP": ("zincblende", ("Al", "P"), 5.463),
    "InP": ("zincblende", ("In", "P"), 5.869),
    "ZnS": ("zincblende", ("Zn", "S"), 5.409),
    "CaO": ("rocksalt", ("Ca", "O"), 4.811),
    "NaF": ("rocksalt", ("Na", "F"), 4.634),
    "KCl": ("rocksalt", ("K", "Cl"), 6.293),
    "KBr": ("rocksalt", ("K", "Br"), 6.598),
    "LiCl": ("rocksalt", ("Li", "Cl"), 5.140),
}
"""Of which it has none, or a few with random lattice constants."""
CRYSTALS = {name: COLLECTED[name] for name in TRAINED} | OTHERS
"""Prototype, elements in the order of its sites, and experimental lattice constant a in Å."""
SCALES = np.linspace(0.94, 1.06, 13)
"""Lengths relative to the lattice constant that is looked for."""
REFERENCE_SCALES = np.linspace(0.90, 1.16, 14)
"""Relative to the experimental lattice constant, where the engine's own one is looked for."""
FIRST = 6
"""Where on `REFERENCE_SCALES` the search begins: 2 % above experiment."""
MINIMUM_HEIGHT = 8.0
"""Å, of the supercells of the reference collection."""


def crystal(name: str, scale: float = 1.0) -> Atoms:
    """Primitive cell."""
    prototype, elements, constant = lookup(CRYSTALS, name, "crystal")
    return primitive_crystal(prototype, elements, constant * scale)


def minimum(scales: np.ndarray[Any, Any], energies: np.ndarray[Any, Any]) -> float | None:
    """Scale of the lowest energy by a cubic through the five points around; None at the border."""
    lowest = int(np.argmin(energies))
    if lowest in (0, len(scales) - 1):
        return None
    near = slice(max(lowest - 2, 0), lowest + 3)
    roots = np.roots(np.polyder(np.polyfit(scales[near], energies[near], 3)))
    inside = [
        float(root.real)
        for root in roots
        if abs(root.imag) < 1e-9 and scales[near][0] <= root.real <= scales[near][-1]
    ]
    return min(inside, key=lambda root: abs(root - scales[lowest])) if inside else None


def has_one_minimum(energies: np.ndarray[Any, Any]) -> bool:
    """The energy falls to one lowest point and rises from there."""
    rises = np.diff(energies) > 0
    return int(np.abs(np.diff(rises.astype(int))).sum()) == 1 and bool(rises[-1])


def search(energy_of: Callable[[float], float]) -> float | None:
    """Scale of the lowest energy on `REFERENCE_SCALES`, downhill from `FIRST`; None at the border.

    Args:
        energy_of: a scale; is asked for few of them, for each takes a calculation. Infinite where
            the supercell is too small for the engine.
    """
    found: dict[int, float] = {}
    lowest = FIRST
    while True:
        for place in range(max(lowest - 2, 0), min(lowest + 3, len(REFERENCE_SCALES))):
            if place not in found:
                found[place] = energy_of(float(REFERENCE_SCALES[place]))
        best = min(found, key=lambda place: found[place])
        if best == lowest:
            break
        lowest = best
    places = [place for place in sorted(found) if np.isfinite(found[place])]
    return minimum(REFERENCE_SCALES[places], np.array([found[place] for place in places]))


def reference(engine_name: str, settings: dict[str, Any], out: Path) -> None:
    """Lattice constants in Å by a label engine; None without a minimum in the range, or a label."""
    from atomfm_calc.convert import sample_from_atoms
    from training.collection.engines import ENGINES
    from training.collection.generators.crystals import fixed_supercell
    from training.collection.generators.displace import stretch
    from training.collection.generators.supercell import cell_heights, smallest_supercell

    engine = lookup(ENGINES, engine_name, "engine")(settings)
    constants = json.loads(out.read_text(encoding="utf-8")) if out.exists() else {}
    for name, (_, _, start) in CRYSTALS.items():
        if name in constants:
            continue
        found, n_atoms = None, 0
        # most crystals have their minimum within reach of the smallest supercell
        for supercell in (
            fixed_supercell(crystal(name), MINIMUM_HEIGHT),
            smallest_supercell(crystal(name), MINIMUM_HEIGHT / REFERENCE_SCALES[0]),
        ):
            n_atoms, too_low = len(supercell), []

            def energy_of(
                scale: float, supercell: Atoms = supercell, too_low: list[float] = too_low
            ) -> float:
                sample = sample_from_atoms(stretch(supercell, scale))
                if cell_heights(sample.cell).min() < MINIMUM_HEIGHT:
                    too_low.append(scale)
                    return np.inf
                return float(engine.label(sample)["energy"]) / len(supercell)

            try:
                found = search(energy_of)
            except LabelError as error:
                print(name, error, flush=True)
                break
            if found is not None or not too_low:
                break
        constants[name] = None if found is None else found * start
        print(name, n_atoms, constants[name], flush=True)
        kept = {known: constants[known] for known in CRYSTALS if known in constants}
        out.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")


def evaluate(
    model: str, head: str | None, constants: Mapping[str, float | None], dtype: str = "float64"
) -> dict[str, Any]:
    """Equation of state with a model's head of every crystal that has a reference."""
    from atomfm_calc import FoundationCalc

    calculator = FoundationCalc(model, head=head, default_dtype=dtype)
    results: dict[str, Any] = {}
    for name, constant in constants.items():
        prototype, _, start = lookup(CRYSTALS, name, "crystal")
        known = constant or start
        energies = []
        for scale in SCALES:
            atoms = crystal(name, scale * known / start)
            atoms.calc = calculator
            energies.append(atoms.get_potential_energy() / len(atoms))
        found = minimum(SCALES, np.array(energies))
        results[name] = {
            "prototype": prototype,
            "in_collection": name in TRAINED,
            "lattice_constant_angstrom": None if found is None else found * known,
            "reference_angstrom": constant,
            "deviation_percent": (
                None if found is None or constant is None else (found - 1.0) * 100
            ),
            "lowest_scale": float(SCALES[np.argmin(energies)]),
            "one_minimum": has_one_minimum(np.array(energies)),
        }
        print(name, results[name], flush=True)
    card = calculator.card
    return {
        "model": card.label,
        "weights_sha256": card.weights_sha256,
        "head": calculator.head,
        "crystals": results,
    }


def main() -> None:
    """Compute references, or evaluate a head against them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("action", choices=("reference", "model"))
    parser.add_argument("--engine", default="tblite")
    parser.add_argument("--settings", default='{"method": "GFN1-xTB"}', help="JSON of the engine")
    parser.add_argument("--model", default="painn-lead")
    parser.add_argument("--head", default=None)
    parser.add_argument("--reference", type=Path, help="of 'model'; experiment if not given")
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    if given.action == "reference":
        reference(given.engine, json.loads(given.settings), given.out)
        return
    constants = dict.fromkeys(CRYSTALS)
    if given.reference:
        constants = json.loads(given.reference.read_text(encoding="utf-8"))
    results = evaluate(given.model, given.head, constants)
    given.out.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
