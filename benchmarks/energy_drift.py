"""Does the total energy stay where it is? NVE of 64 atoms of silicon in float32, 20 ps at 1 fs.

    python benchmarks/energy_drift.py [--model painn-lead] [--kernel cpu] [--nve-ps 20]

Equilibrated at 300 K with Bussi's thermostat first, from twice that temperature, half of which goes
into the springs. The drift is the slope of a straight line through the total energies of NVE. They
are kept in `results/energy-drift.csv`, with a plot and the facts in `.json` beside it.
"""

from __future__ import annotations

import argparse
import csv
import json
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import torch
from ase import Atoms, units
from ase.md.bussi import Bussi
from ase.md.velocitydistribution import MaxwellBoltzmannDistribution, Stationary
from ase.md.verlet import VelocityVerlet
from machine import machine_facts
from structures import silicon

from atomfm_calc import FoundationCalc

RESULTS = Path(__file__).parent / "results" / "energy-drift.csv"
TEMPERATURE_K = 300.0
TIMESTEP_FS = 1.0
INTERVAL = 10
"""Steps between two energies."""
ACCEPTED_DRIFT = 0.1
"""meV per atom and ps."""
Row = tuple[float, float, float]
"""Time in ps, total energy in meV per atom, temperature in K."""


def equilibrate(atoms: Atoms, picoseconds: float) -> None:
    """To the temperature, with momentum zero."""
    rng = np.random.default_rng(1)
    MaxwellBoltzmannDistribution(atoms, temperature_K=2 * TEMPERATURE_K, rng=rng)
    Stationary(atoms)
    step = TIMESTEP_FS * units.fs
    thermostat = Bussi(atoms, step, temperature_K=TEMPERATURE_K, taut=100 * units.fs, rng=rng)
    thermostat.run(round(1000 * picoseconds / TIMESTEP_FS))


def conserve(atoms: Atoms, picoseconds: float) -> list[Row]:
    """Energies of NVE."""
    rows: list[Row] = []
    dynamics = VelocityVerlet(atoms, TIMESTEP_FS * units.fs)

    def keep() -> None:
        time_ps = dynamics.nsteps * TIMESTEP_FS / 1000
        energy_meV = 1000 * atoms.get_total_energy() / len(atoms)
        rows.append((time_ps, energy_meV, atoms.get_temperature()))

    dynamics.attach(keep, interval=INTERVAL)
    dynamics.run(round(1000 * picoseconds / TIMESTEP_FS))
    return rows


def drift(rows: list[Row]) -> tuple[float, float]:
    """Slope in meV per atom and ps, and the standard deviation around the line, meV per atom."""
    times, energies, _ = np.array(rows).T
    line = np.polyfit(times, energies, 1)
    return float(line[0]), float(np.std(energies - np.polyval(line, times)))


def draw(rows: list[Row], slope: float, path: Path) -> None:
    """Total energy and temperature against time."""
    times, energies, temperatures = np.array(rows).T
    panels, (upper, lower) = plt.subplots(2, 1, sharex=True, figsize=(7, 5), layout="constrained")
    upper.plot(times, energies - energies[0], lw=0.6)
    upper.set_ylabel("total energy, meV/atom")
    upper.set_title(f"64 Si, NVE, float32: {slope:+.4f} meV/atom/ps")
    lower.plot(times, temperatures, lw=0.6, color="C1")
    lower.set_ylabel("temperature, K")
    lower.set_xlabel("time, ps")
    panels.savefig(path, dpi=110)
    plt.close(panels)


def main() -> None:
    """Run, print, save."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="painn-lead")
    parser.add_argument("--kernel", default=None, help="None: the fastest for the device")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--equilibrate-ps", type=float, default=3.0)
    parser.add_argument("--nve-ps", type=float, default=20.0)
    parser.add_argument("--output", type=Path, default=RESULTS)
    given = parser.parse_args()
    atoms = silicon(2)
    atoms.calc = FoundationCalc(
        given.model, kernel=given.kernel, device=given.device, default_dtype="float32"
    )
    equilibrate(atoms, given.equilibrate_ps)
    rows = conserve(atoms, given.nve_ps)
    slope, spread = drift(rows)
    temperatures = [row[2] for row in rows]
    facts = {
        "nve_ps": given.nve_ps,
        "timestep_fs": TIMESTEP_FS,
        "drift_meV_per_atom_per_ps": slope,
        "accepted": ACCEPTED_DRIFT,
        "deviation_from_line_meV_per_atom": spread,
        "mean_temperature_K": float(np.mean(temperatures)),
        "calculator": atoms.calc.fingerprint(),
        "threads": torch.get_num_threads(),
        "machine": machine_facts(given.device),
    }
    given.output.parent.mkdir(exist_ok=True)
    with given.output.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file)
        table.writerow(("time_ps", "total_energy_meV_per_atom", "temperature_K"))
        table.writerows([[f"{value:.6f}" for value in row] for row in rows])
    given.output.with_suffix(".json").write_text(json.dumps(facts, indent=1) + "\n")
    draw(rows, slope, given.output.with_suffix(".png"))
    print(json.dumps(facts))


if __name__ == "__main__":
    main()
