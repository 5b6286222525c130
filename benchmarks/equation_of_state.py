"""Lattice constants of common crystals: a head against its own reference theory.

    python benchmarks/equation_of_state.py reference --engine tblite --out eos-reference.json
    python benchmarks/equation_of_state.py model --model painn-lead --head gfn1-xtb \
        --reference eos-reference.json --out eos.json

The reference is computed with the project's label engine in a supercell that is at least 8 Å in
every direction. For a head without an engine (published data) the reference is the relaxed
structure in its training or validation data, given by hand in the JSON file. A curve counts as
smooth with one minimum if its second difference is positive around the minimum and the energy
falls, then rises.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.build import bulk

CRYSTALS: dict[str, tuple[str, float]] = {
    "Si": ("diamond", 5.43),
    "C": ("diamond", 3.57),
    "Ge": ("diamond", 5.66),
    "GaAs": ("zincblende", 5.65),
    "MgO": ("rocksalt", 4.21),
    "NaCl": ("rocksalt", 5.64),
    "LiF": ("rocksalt", 4.03),
    "Cu": ("fcc", 3.61),
    "Al": ("fcc", 4.05),
    "W": ("bcc", 3.16),
    "SiC": ("zincblende", 4.36),
}
"""Prototype and experimental lattice constant in Å."""
SCALES = np.linspace(0.94, 1.06, 13)
"""Lengths relative to the lattice constant that is looked for."""
REFERENCE_SCALES = np.linspace(0.94, 1.16, 12)
"""Relative to the experimental lattice constant, where the engine's own one is looked for."""
MINIMUM_HEIGHT = 8.0
"""Å, of the supercells of the reference collection."""


def crystal(name: str, scale: float = 1.0) -> Atoms:
    """Conventional cubic cell."""
    prototype, constant = CRYSTALS[name]
    return bulk(name, prototype, a=constant * scale, cubic=True)


def minimum(scales: np.ndarray[Any, Any], energies: np.ndarray[Any, Any]) -> float | None:
    """Scale of the lowest energy by a cubic through the lowest five points; None at the border."""
    lowest = int(np.argmin(energies))
    if lowest < 2 or lowest > len(scales) - 3:
        return None
    near = slice(lowest - 2, lowest + 3)
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


def reference(engine_name: str, settings: dict[str, Any]) -> dict[str, float | None]:
    """Lattice constants in Å by a label engine; None where the minimum is outside of the scan."""
    from atomfm_calc.convert import sample_from_atoms
    from atomfm_calc.errors import lookup
    from training.collection.engines import ENGINES
    from training.collection.generators.crystals import fixed_supercell
    from training.collection.generators.displace import stretch
    from training.collection.generators.prototypes import primitive_crystal

    engine = lookup(ENGINES, engine_name, "engine")(settings)
    constants: dict[str, float | None] = {}
    for name, (prototype, start) in CRYSTALS.items():
        elements = tuple(Atoms(name).get_chemical_symbols())
        supercell = fixed_supercell(primitive_crystal(prototype, elements, start), MINIMUM_HEIGHT)
        energies = []
        for scale in REFERENCE_SCALES:
            atoms = stretch(supercell, float(scale))
            energies.append(float(engine.label(sample_from_atoms(atoms))["energy"]) / len(atoms))
        found = minimum(REFERENCE_SCALES, np.array(energies))
        constants[name] = None if found is None else found * start
        print(name, len(supercell), constants[name], np.round(energies, 4).tolist(), flush=True)
    return constants


def evaluate(model: str, head: str | None, constants: dict[str, float | None]) -> dict[str, Any]:
    """Equation of state of every crystal with a model's head."""
    from atomfm_calc import FoundationCalc

    calculator = FoundationCalc(model, head=head, default_dtype="float64")
    results: dict[str, Any] = {}
    for name, (_, start) in CRYSTALS.items():
        known = constants.get(name) or start
        energies = []
        for scale in SCALES:
            atoms = crystal(name, scale * known / start)
            atoms.calc = calculator
            energies.append(atoms.get_potential_energy() / len(atoms))
        found = minimum(SCALES, np.array(energies))
        results[name] = {
            "lattice_constant_angstrom": None if found is None else found * known,
            "reference_angstrom": constants.get(name),
            "deviation_percent": None if found is None else (found - 1.0) * 100,
            "one_minimum": has_one_minimum(np.array(energies)),
        }
        print(name, results[name], flush=True)
    return results


def main() -> None:
    """Compute references, or evaluate a head against them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("action", choices=("reference", "model"))
    parser.add_argument("--engine", default="tblite")
    parser.add_argument("--settings", default='{"method": "GFN1-xTB"}', help="JSON of the engine")
    parser.add_argument("--model", default="painn-lead")
    parser.add_argument("--head", default=None)
    parser.add_argument("--reference", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    if arguments.action == "reference":
        results: dict[str, Any] = reference(arguments.engine, json.loads(arguments.settings))
    else:
        constants = json.loads(arguments.reference.read_text()) if arguments.reference else {}
        results = evaluate(arguments.model, arguments.head, constants)
    arguments.out.write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
