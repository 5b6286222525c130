"""Does molecular dynamics with painn-lead stay sane? Fifty systems, 20 ps each.

    python benchmarks/stability.py [--model FOLDER] [--systems Si64 water] [--out stability.json]
    python benchmarks/stability.py --systems methane --half-step    # was the timestep too long?

A system is relaxed (of crystals also the volume), then moved for 15 ps at its temperature (Bussi's
thermostat) and for 5 ps at constant energy, in float32. It survives if, checked every ten steps,

- nothing is raised;
- no two atoms come closer than `SHORTEST` of the sum of their covalent radii;
- after the first picosecond the temperature stays below T (1 + `HOTTEST` (2 / f)^½), where f
  counts the degrees of freedom: that many standard deviations of the canonical ensemble;
- molecules, also in clusters and liquids, keep their bonds: pairs that begin closer than `BONDED`
  of the sum of their radii stay closer than `BROKEN`, and all others stay farther than `FORMED`;
- crystals and surfaces keep their sites: at constant energy the root of the mean square
  displacement is below `MELTED` of the distance of nearest neighbors;
- at constant energy the total energy has a drift, the slope of a straight line, below `DRIFT`.

It ends where a criterion fails, with the time and the reason. Systems are computed together, in
batches; each result is kept at once, and a second call goes on where the first was stopped. A file
with figures of other weights is begun anew. `trust.py` makes tables from it.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
from ase import Atoms, units
from ase.constraints import FixCom
from ase.data import covalent_radii
from ase.filters import FrechetCellFilter
from ase.md.bussi import Bussi
from ase.md.velocitydistribution import MaxwellBoltzmannDistribution, Stationary
from ase.md.verlet import VelocityVerlet
from ase.optimize import FIRE
from lockstep import Lockstep, LockstepCalc
from machine import machine_facts
from numpy.typing import NDArray
from stability_systems import SYSTEMS, System

from atomfm_calc.errors import AtomFMError, lookup
from atomfm_calc.neighbors import find_edges

RESULTS = Path(__file__).parent / "results" / "stability.json"
HALF_STEP = RESULTS.with_stem("stability-half-step")
INTERVAL = 10
"""Steps between two checks."""
REACH = 3.2
"""Å; pairs farther apart are neither bonded nor too close."""
SHORTEST = 0.65
"""Of the sum of the covalent radii; hot bonds and the short bonds of oxides stay above 0.75."""
HOTTEST = 8.0
"""Standard deviations; of f = 6, the least there is, 8 in a million checks are above."""
BONDED = 1.3
"""Of the sum of the covalent radii, in the relaxed molecule."""
BROKEN = 1.6
"""Of the sum of the covalent radii: 1.7 Å for C-H, 2.4 Å for C-C."""
FORMED = 1.1
"""Of the sum of the covalent radii, between atoms that were not bonded."""
MELTED = 0.2
"""Of the distance of nearest neighbors; Lindemann's rule has crystals melt at 0.1 to 0.15."""
DRIFT = 1.0
"""meV per atom and ps; 4 % of kT at room temperature in one picosecond."""
Floats = NDArray[np.float64]


class UnstableError(Exception):
    """A criterion is broken; the text says which and how."""


@dataclass
class Watch:
    """Looks at a system every few steps and raises `UnstableError`; keeps the extremes."""

    atoms: Atoms
    system: System
    time_ps: float = 0.0
    temperatures: list[float] = field(default_factory=list)
    shortest: float = np.inf
    squares: list[float] = field(default_factory=list)
    energies: list[float] = field(default_factory=list)
    figures: dict[str, float | None] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Remember bonds and sites of the relaxed structure."""
        first, second, shifts, distances = _pairs(self.atoms, 6.0)
        self.nearest = float(distances.min(initial=np.inf))
        shares = distances / _radii(self.atoms, first, second)
        bonded = (shares < BONDED) & ~self._is_mobile(first, second)
        self.bonds = first[bonded], second[bonded], shifts[bonded]
        self.bonded_pairs = set(zip(*self.bonds[:2], strict=True))
        self.sites = self.atoms.get_positions()
        freedom = self.atoms.get_number_of_degrees_of_freedom()
        target = self.system.temperature_K
        self.highest_allowed = target * (1.0 + HOTTEST * (2.0 / freedom) ** 0.5)

    @property
    def is_solid(self) -> bool:
        """Sites rather than bonds are to be kept."""
        return self.system.kind in ("crystal", "surface")

    def _is_mobile(self, first: Floats, second: Floats) -> NDArray[np.bool_]:
        """Pairs of hydrogen with N or O, where protons may move."""
        numbers = self.atoms.numbers
        pairs = np.sort(np.stack([numbers[first], numbers[second]]), axis=0)
        is_one = (pairs[0] == 1) & np.isin(pairs[1], (7, 8))
        return is_one & self.system.mobile_protons

    def look(self, conserved: bool = False) -> None:
        """Check now.

        Raises:
            UnstableError: a criterion is broken.
        """
        self._check_distances()
        temperature = float(self.atoms.get_temperature())
        self.temperatures.append(temperature)
        if self.time_ps > 1.0 and not temperature < self.highest_allowed:
            raise UnstableError(f"{temperature:.0f} K, above {self.highest_allowed:.0f} K")
        if conserved:
            self.energies.append(float(self.atoms.get_total_energy()))
            moved = self.atoms.get_positions() - self.sites
            self.squares.append(float((moved**2).sum(axis=1).mean()))

    def _check_distances(self) -> None:
        first, second, _, distances = _pairs(self.atoms, REACH)
        shares = distances / _radii(self.atoms, first, second)
        if len(shares):
            least = int(np.argmin(shares))
            self.shortest = min(self.shortest, float(shares[least]))
            if shares[least] < SHORTEST:
                name = _name(self.atoms, first[least], second[least])
                raise UnstableError(f"{name} at {distances[least]:.2f} Å")
        if self.is_solid:
            return
        self._check_bonds()
        close = np.flatnonzero((shares < FORMED) & ~self._is_mobile(first, second))
        for place in close:
            if (first[place], second[place]) not in self.bonded_pairs:
                name = _name(self.atoms, first[place], second[place])
                raise UnstableError(f"new bond {name}, {distances[place]:.2f} Å")

    def _check_bonds(self) -> None:
        first, second, shifts = self.bonds
        if not len(first):
            return
        positions = self.atoms.positions
        vectors = positions[second] - positions[first] + shifts @ self.atoms.cell.array
        lengths = np.linalg.norm(vectors, axis=1)
        shares = lengths / _radii(self.atoms, first, second)
        longest = int(np.argmax(shares))
        if not shares[longest] < BROKEN:
            name = _name(self.atoms, first[longest], second[longest])
            raise UnstableError(f"bond {name} broken, {lengths[longest]:.2f} Å")

    def conclude(self) -> None:
        """Figures of the part at constant energy.

        Raises:
            UnstableError: molten, or too much drift.
        """
        times = np.arange(len(self.energies)) * INTERVAL * self.system.timestep_fs / 1000
        slope = float(np.polyfit(times, self.energies, 1)[0]) / len(self.atoms) * 1000
        moved = float(np.mean(self.squares)) ** 0.5 / self.nearest
        self.figures = {
            "nve_drift_meV_per_atom_per_ps": slope,
            "displacement_share": moved if self.is_solid else None,
        }
        if self.is_solid and not moved < MELTED:
            raise UnstableError(f"displaced by {moved:.2f} of the nearest distance: molten")
        if not abs(slope) < DRIFT:
            raise UnstableError(f"energy drifts by {slope:.2f} meV/atom/ps")


def _pairs(atoms: Atoms, cutoff: float) -> tuple[Any, Any, Floats, Floats]:
    """First and second atom, whole cells between them, and distance of pairs within `cutoff` Å."""
    positions, cell = atoms.get_positions(), atoms.cell.array
    (first, second), shifts = find_edges(positions, cell, atoms.pbc, cutoff)
    vectors = positions[second] - positions[first] + shifts @ cell
    return first, second, shifts, np.linalg.norm(vectors, axis=1)


def _radii(atoms: Atoms, first: Any, second: Any) -> Floats:
    """Sums of covalent radii of pairs (Cordero et al., 2008), Å."""
    return np.asarray(covalent_radii[atoms.numbers[first]] + covalent_radii[atoms.numbers[second]])


def _name(atoms: Atoms, first: int, second: int) -> str:
    return "-".join(sorted((atoms.symbols[first], atoms.symbols[second])))


def relax(atoms: Atoms, system: System, lockstep: Lockstep) -> bool:
    """Forces below 0.05 eV/Å within 300 steps; of crystals also the pressure; True if it is."""
    is_crystal = system.kind == "crystal"
    atoms.calc = LockstepCalc(lockstep, system.head, with_stress=is_crystal)
    moved = FrechetCellFilter(atoms, hydrostatic_strain=True) if is_crystal else atoms
    done = FIRE(moved, logfile=None).run(fmax=0.05, steps=300)
    atoms.calc = LockstepCalc(lockstep, system.head)
    return bool(done)


def move(watch: Watch, ensemble: str, picoseconds: float, rng: np.random.Generator) -> None:
    """NVT or NVE for a while, looking every `INTERVAL` steps; UnstableError as in `Watch.look`."""
    atoms, system = watch.atoms, watch.system
    step = system.timestep_fs * units.fs
    dynamics = (
        Bussi(atoms, step, temperature_K=system.temperature_K, taut=100 * units.fs, rng=rng)
        if ensemble == "nvt"
        else VelocityVerlet(atoms, step)
    )
    began_ps = watch.time_ps

    def look() -> None:
        watch.time_ps = began_ps + dynamics.nsteps * system.timestep_fs / 1000
        watch.look(conserved=ensemble == "nve")

    dynamics.attach(look, interval=INTERVAL)
    dynamics.run(round(1000 * picoseconds / system.timestep_fs))


def simulate(system: System, lockstep: Lockstep, nvt_ps: float, nve_ps: float) -> dict[str, Any]:
    """Relax and move one system; says whether it survived, and if not, why."""
    atoms = system.build()
    facts: dict[str, Any] = {
        "kind": system.kind,
        "head": system.head,
        "n_atoms": len(atoms),
        "formula": atoms.get_chemical_formula(),
        "temperature_K": system.temperature_K,
        "timestep_fs": system.timestep_fs,
    }
    reason, watch = None, None
    try:
        facts["relaxed"] = relax(atoms, system, lockstep)
        atoms.set_constraint(FixCom())
        rng = np.random.default_rng(1)
        # half of it goes into the springs
        MaxwellBoltzmannDistribution(atoms, temperature_K=2 * system.temperature_K, rng=rng)
        Stationary(atoms)
        watch = Watch(atoms, system)
        move(watch, "nvt", nvt_ps, rng)
        n_nvt = len(watch.temperatures)
        facts["mean_temperature_K"] = float(np.mean(watch.temperatures[n_nvt // 2 :]))
        move(watch, "nve", nve_ps, rng)
        watch.conclude()
    except (UnstableError, AtomFMError) as error:
        reason = (
            str(error) if isinstance(error, UnstableError) else f"{type(error).__name__}: {error}"
        )
    facts |= {"survived": reason is None, "reason": reason, "time_ps": 0.0}
    if watch is not None:
        facts["time_ps"] = watch.time_ps
        facts["shortest_share"] = watch.shortest
        late = watch.temperatures[int(1000 / system.timestep_fs / INTERVAL) :]
        facts["highest_temperature_K"] = max(late, default=None)
        facts |= watch.figures
    return facts


def load(path: Path, facts: dict[str, Any]) -> dict[str, Any]:
    """What was kept of the same model; nothing of another."""
    found = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    if found.get("weights_sha256") != facts["weights_sha256"]:
        found = {"systems": {}}
    return facts | {"systems": found["systems"]}


def ordered(systems: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """As in `SYSTEMS`, whatever the order in which they ended."""
    return ((name, systems[name]) for name in SYSTEMS if name in systems)


def cost(name: str, picoseconds: float) -> float:
    """Atoms times steps; what a run takes goes with it."""
    system = SYSTEMS[name]
    return len(system.build()) * picoseconds / system.timestep_fs


def main(arguments: list[str] | None = None) -> None:
    """Run what is asked for and missing; write each result."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="painn-lead", help="name or folder")
    parser.add_argument("--systems", nargs="+", metavar="NAME", help="all if not given")
    parser.add_argument("--nvt-ps", type=float, default=15.0)
    parser.add_argument("--nve-ps", type=float, default=5.0)
    parser.add_argument("--half-step", action="store_true", help="of what is in the table")
    parser.add_argument("--together", type=int, default=16, help="systems at a time")
    parser.add_argument("--out", type=Path, help="default: in results")
    given = parser.parse_args(arguments)
    lockstep = Lockstep(given.model)
    facts = {
        "model": lockstep.card.label,
        "weights_sha256": lockstep.card.weights_sha256,
        "dtype": "float32",
        "nvt_ps": given.nvt_ps,
        "nve_ps": given.nve_ps,
        "machine": machine_facts(),
    }
    out = given.out or (HALF_STEP if given.half_step else RESULTS)
    content = load(out, facts)
    wanted = given.systems or list(SYSTEMS)
    writing = Lock()

    def work(name: str) -> None:
        step = SYSTEMS[name].timestep_fs / (2 if given.half_step else 1)
        system = replace(SYSTEMS[name], timestep_fs=step)
        result = simulate(system, lockstep, given.nvt_ps, given.nve_ps)
        with writing:
            print(name, json.dumps(result), flush=True)
            content["systems"] = dict(ordered(content["systems"] | {name: result}))
            out.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")

    missing = [name for name in wanted if name not in content["systems"]]
    for name in missing:
        lookup(SYSTEMS, name, "system")
    missing.sort(key=lambda name: cost(name, given.nvt_ps + given.nve_ps))
    for error in lockstep.run(missing, work, min(given.together, len(missing))):
        raise error


if __name__ == "__main__":
    main()
