"""Does molecular dynamics with a head stay sane? NVT at 300 K, then NVE, for five systems.

    python benchmarks/stability.py --model painn-lead --out stability.json [--systems Si64,water64]

Reports the mean temperature of the second half of the NVT run, the extreme temperature, the
shortest distance, and the drift of the total energy in NVE (slope of a straight line), in float32.
Nothing is asserted here: the figures go to the model card.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms, units
from ase.build import bulk, molecule
from ase.md.bussi import Bussi
from ase.md.velocitydistribution import MaxwellBoltzmannDistribution, Stationary
from ase.md.verlet import VelocityVerlet
from ase.neighborlist import neighbor_list
from ase.optimize import FIRE
from structures import water_box

from atomfm_calc import FoundationCalc

SYSTEMS: dict[str, tuple[Callable[[], Atoms], float]] = {
    "Si64": (lambda: bulk("Si", cubic=True) * (2, 2, 2), 1.0),
    "Cu108": (lambda: bulk("Cu", cubic=True) * (3, 3, 3), 2.0),
    "MgO64": (lambda: bulk("MgO", "rocksalt", a=4.21, cubic=True) * (2, 2, 2), 1.0),
    "ethanol": (lambda: molecule("CH3CH2OH"), 0.5),
    "water64": (water_box, 0.5),
}
"""Structure and timestep in fs."""


def shortest_distance(atoms: Atoms) -> float:
    """Shortest distance between two atoms in Å; 3 if there is none below."""
    return float(neighbor_list("d", atoms, 3.0).min(initial=3.0))


def run(name: str, calculator: Any, nvt_ps: float, nve_ps: float) -> dict[str, Any]:
    """Relax a little, then NVT (Bussi thermostat) and NVE at 300 K."""
    build, timestep_fs = SYSTEMS[name]
    atoms = build()
    atoms.calc = calculator
    began = time.perf_counter()
    FIRE(atoms, logfile=None).run(fmax=0.1, steps=200)
    rng = np.random.default_rng(1)
    MaxwellBoltzmannDistribution(atoms, temperature_K=300, rng=rng)
    Stationary(atoms)
    temperatures: list[float] = []
    distances: list[float] = []
    dynamics = Bussi(atoms, timestep_fs * units.fs, temperature_K=300, taut=100 * units.fs, rng=rng)
    dynamics.attach(lambda: temperatures.append(atoms.get_temperature()), interval=10)
    dynamics.attach(lambda: distances.append(shortest_distance(atoms)), interval=100)
    dynamics.run(int(nvt_ps * 1000 / timestep_fs))
    energies: list[float] = []
    conserved = VelocityVerlet(atoms, timestep_fs * units.fs)
    conserved.attach(lambda: energies.append(atoms.get_total_energy()), interval=10)
    conserved.run(int(nve_ps * 1000 / timestep_fs))
    times_ps = np.arange(len(energies)) * 10 * timestep_fs / 1000
    slope = np.polyfit(times_ps, energies, 1)[0] / len(atoms) * 1000
    half = temperatures[len(temperatures) // 2 :]
    steps = int((nvt_ps + nve_ps) * 1000 / timestep_fs)
    return {
        "n_atoms": len(atoms),
        "timestep_fs": timestep_fs,
        "nvt_ps": nvt_ps,
        "nve_ps": nve_ps,
        "mean_temperature_K": float(np.mean(half)),
        "highest_temperature_K": float(max(temperatures)),
        "shortest_distance_angstrom": min(distances),
        "nve_drift_meV_per_atom_per_ps": float(slope),
        "ms_per_step": (time.perf_counter() - began) / steps * 1000,
    }


def main() -> None:
    """Run the systems asked for and write one JSON file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="painn-lead")
    parser.add_argument("--head", default=None)
    parser.add_argument("--systems", default=",".join(SYSTEMS))
    parser.add_argument("--nvt-ps", type=float, default=10.0)
    parser.add_argument("--nve-ps", type=float, default=5.0)
    parser.add_argument("--out", type=Path, default=Path("stability.json"))
    arguments = parser.parse_args()
    results = json.loads(arguments.out.read_text()) if arguments.out.exists() else {}
    for name in arguments.systems.split(","):
        calculator = FoundationCalc(arguments.model, head=arguments.head, default_dtype="float32")
        results[name] = run(name, calculator, arguments.nvt_ps, arguments.nve_ps)
        print(name, json.dumps(results[name]), flush=True)
        arguments.out.write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
