"""What the package does, in two minutes: `make demo`, or `make demo FILE=my.xyz`.

Relaxes a crystal with its cell and a molecule, runs molecular dynamics, and compares all heads on a
file of structures. Everything is left in one folder: trajectories, a plot, summary.md.
"""

from __future__ import annotations

import argparse
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import ase.io
import matplotlib as mpl
import numpy as np
from ase import Atoms
from ase.build import bulk, molecule
from matplotlib.figure import Figure
from tqdm import tqdm

from atomfm_calc import FoundationCalc
from atomfm_calc.calculators.comparison import HeadComparison
from atomfm_calc.errors import StructureError
from atomfm_calc.workflows.course import DynamicsStep
from atomfm_calc.workflows.dynamics import DynamicsSettings, run_dynamics
from atomfm_calc.workflows.relax import RelaxSettings, RelaxStep, relax
from atomfm_calc.workflows.result import DynamicsResult, RelaxResult

MAX_COMPARED = 20
"""Structures of the user's file that are compared."""
CRYSTALS = {
    "MgO": bulk("MgO", "rocksalt", a=4.21, cubic=True),
    "NaCl": bulk("NaCl", "rocksalt", a=5.64, cubic=True),
    "Si": bulk("Si", cubic=True),
    "Cu": bulk("Cu", cubic=True),
}


@dataclass
class Story:
    """What has been done so far, for the plot and the summary."""

    folder: Path
    lines: list[str] = field(default_factory=list)
    relaxations: dict[str, list[RelaxStep]] = field(default_factory=dict)
    dynamics: list[DynamicsStep] = field(default_factory=list)
    comparisons: dict[str, HeadComparison] = field(default_factory=dict)

    def tell(self, line: str = "") -> None:
        """Print a line and keep it for the summary."""
        print(line)
        self.lines.append(line)


def knows(calc: FoundationCalc, atoms: Atoms) -> bool:
    """Whether the calculator's head has seen all elements and this kind of periodicity."""
    info = calc.heads[calc.head]
    kind = "3d" if atoms.pbc.all() else "molecule"
    return kind in info.periodicity and set(atoms.get_chemical_symbols()) <= set(info.elements)


def calculator_for(model: str, atoms: Atoms) -> FoundationCalc:
    """The default head if it was trained on such structures, else the first head that was."""
    calc = FoundationCalc(model)
    if knows(calc, atoms):
        return calc
    for head in calc.heads:
        other = FoundationCalc(model, head=head)
        if knows(other, atoms):
            return other
    return calc


def relax_one(
    story: Story, name: str, atoms: Atoms, calc: FoundationCalc, cell: str
) -> RelaxResult:
    """Relax and record; writes NAME.traj and NAME.extxyz."""
    steps: list[RelaxStep] = []
    with tqdm(desc=f"relax {name}", unit=" steps", disable=None) as progress:

        def show(step: RelaxStep) -> None:
            steps.append(step)
            progress.update()
            progress.set_postfix_str(f"{step.energy:.3f} eV, {step.max_force:.3f} eV/Å")

        result = relax(
            atoms,
            calc,
            RelaxSettings(cell=cell, max_steps=200),
            trajectory=story.folder / f"{name}.traj",
            on_step=show,
        )
    ase.io.write(story.folder / f"{name}.extxyz", result.atoms)
    story.relaxations[name] = steps
    story.tell(
        f"- **{name}**, head `{calc.head}`: {result.reason} after {result.n_steps} steps, "
        f"{result.initial_energy:.3f} -> {result.energy:.3f} eV, "
        f"largest force {result.max_force:.3f} eV/Å"
    )
    return result


def relax_both(story: Story, model: str) -> RelaxResult:
    """A crystal, stretched and rattled, with its cell; and a distorted molecule."""
    story.tell("## Relaxation\n")
    name, crystal = next(
        (
            (name, atoms)
            for name, atoms in CRYSTALS.items()
            if knows(calculator_for(model, atoms), atoms)
        ),
        next(iter(CRYSTALS.items())),
    )
    stretched = crystal.copy()
    stretched.set_cell(1.04 * stretched.cell, scale_atoms=True)
    stretched.rattle(0.05, seed=0)
    result = relax_one(story, name, stretched, calculator_for(model, crystal), cell="full")
    lengths = [atoms.cell.lengths().mean() for atoms in (stretched, result.atoms)]
    story.tell(f"  lattice constant {lengths[0]:.3f} -> {lengths[1]:.3f} Å")
    ethanol = molecule("CH3CH2OH")
    ethanol.rattle(0.08, seed=0)
    relax_one(story, "ethanol", ethanol, calculator_for(model, ethanol), cell="fixed")
    return result


def run_crystal_dynamics(story: Story, model: str, crystal: Atoms, n_steps: int) -> DynamicsResult:
    """NVT dynamics of a 64-atom supercell at 300 K."""
    story.tell("\n## Molecular dynamics\n")
    supercell = crystal * (2, 2, 2)
    calc = calculator_for(model, supercell)
    settings = DynamicsSettings(n_steps=n_steps, timestep_fs=2.0, temperature_K=300.0)
    start = time.perf_counter()
    with tqdm(desc="dynamics", total=n_steps, unit=" steps", disable=None) as progress:

        def show(record: DynamicsStep) -> None:
            story.dynamics.append(record)
            progress.update(record.step - progress.n)
            progress.set_postfix_str(f"{record.temperature_K:.0f} K")

        result = run_dynamics(
            supercell, calc, settings, trajectory=story.folder / "dynamics.traj", on_record=show
        )
    seconds = time.perf_counter() - start
    story.tell(
        f"- {len(supercell)} atoms, head `{calc.head}`, {result.time_fs / 1000:.1f} ps at "
        f"{settings.temperature_K:.0f} K (Langevin): {result.reason}, mean temperature "
        f"{result.mean_temperature_K:.0f} K, "
        f"{1e3 * seconds / max(result.n_steps, 1):.1f} ms per step"
    )
    return result


def example_structures() -> list[Atoms]:
    """Structures of several kinds, for those who bring no file."""
    ammonium = molecule("NH3")
    ammonium.append("H")
    ammonium.positions[-1] = ammonium.positions[0] + (0.0, 0.0, 1.03)
    ammonium.info["charge"] = 1
    structures = [molecule("H2O"), molecule("CH3CH2OH"), ammonium, *CRYSTALS.values()]
    for atoms in structures:
        atoms.rattle(0.05, seed=1)
    return structures


def compare(story: Story, model: str, file: Path | None) -> None:
    """All heads on every structure of the file, each from one backbone pass."""
    if file is None:
        file = story.folder / "structures.extxyz"
        ase.io.write(file, example_structures())
    structures = ase.io.read(file, ":")
    story.tell(f"\n## All heads on {file}\n")
    if len(structures) > MAX_COMPARED:
        story.tell(f"The first {MAX_COMPARED} of {len(structures)} structures.\n")
    calc = FoundationCalc(model)
    story.tell("| structure | head | eV/atom above references | largest force (eV/Å) |")
    story.tell("|---|---|---|---|")
    left_out = []
    for index, atoms in enumerate(structures[:MAX_COMPARED]):
        name = f"{index} {atoms.get_chemical_formula()}"
        try:
            comparison = calc.evaluate_heads(atoms)
        except StructureError as error:
            left_out.append(f"{name}: {str(error).split(';')[0]}")
            continue
        story.comparisons[name] = comparison
        for head in comparison.heads:
            energy = comparison.energies_above_references[head] / len(atoms)
            force = np.linalg.norm((comparison.forces or {})[head], axis=1).max()
            story.tell(f"| {name} | {head} | {energy:.3f} | {force:.3f} |")
    for line in left_out:
        story.tell(f"\nLeft out: {line}")
    story.tell("\nHeads that have not seen an element or a charge are not asked.")


def plot(story: Story) -> Path:
    """Relaxations, dynamics and the heads' disagreement in one picture."""
    mpl.rcParams["font.size"] = 9
    figure = Figure(figsize=(10, 7), layout="constrained")
    left, right, lower_left, lower_right = figure.subplots(2, 2).flat
    for name, steps in story.relaxations.items():
        left.semilogy([max(step.max_force, 1e-6) for step in steps], label=name)
    left.set(xlabel="step", ylabel="largest force (eV/Å)", title="relaxation")
    left.legend()
    times = [record.time_fs / 1000 for record in story.dynamics]
    right.plot(times, [record.temperature_K for record in story.dynamics])
    right.set(xlabel="time (ps)", ylabel="temperature (K)", title="dynamics")
    lower_left.plot(times, [record.potential_energy_eV for record in story.dynamics])
    lower_left.set(xlabel="time (ps)", ylabel="potential energy (eV)", title="dynamics")
    names = [name for name, found in story.comparisons.items() if len(found.heads) > 1]
    spreads = [story.comparisons[name].force_spread for name in names]
    means = [0.0 if spread is None else float(spread.mean()) for spread in spreads]
    lower_right.barh(range(len(names)), means)
    lower_right.set_yticks(range(len(names)), names)
    lower_right.invert_yaxis()
    lower_right.set(xlabel="mean spread of the forces over heads (eV/Å)", title="heads disagree")
    path = story.folder / "plot.png"
    figure.savefig(path, dpi=150)
    return path


def main(arguments: Sequence[str] | None = None) -> None:
    """Do all of it."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("file", nargs="?", type=Path, help="structures to compare the heads on")
    parser.add_argument("--out", type=Path, default=Path("demo"), help="folder for the results")
    parser.add_argument("--model", default="painn-lead", help="shipped name or model folder")
    parser.add_argument("--md-steps", type=int, default=300, help="steps of dynamics, 2 fs each")
    given = parser.parse_args(arguments)
    logging.basicConfig(level=logging.WARNING)
    given.out.mkdir(parents=True, exist_ok=True)
    start = time.perf_counter()
    story = Story(folder=given.out)
    card = FoundationCalc(given.model).card
    story.tell(f"# Demo of {card.label}\n\n{card.title}; {len(card.heads)} heads.\n")
    crystal = relax_both(story, given.model).atoms
    run_crystal_dynamics(story, given.model, crystal, given.md_steps)
    compare(story, given.model, given.file)
    picture = plot(story)
    story.tell(f"\nDone in {time.perf_counter() - start:.0f} s.")
    text = "\n".join([*story.lines, "", f"![Plot]({picture.name})", ""])
    (given.out / "summary.md").write_text(text, encoding="utf-8")
    print(f"\nLook at {given.out / 'summary.md'} and {picture}; trajectories: ase gui *.traj")


if __name__ == "__main__":
    main()
