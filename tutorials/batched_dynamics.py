"""Many crystals at once with torch-sim: relaxed, then heated, according to several heads.

    pip install "atomfm[torchsim]"
    python -m tutorials.batched_dynamics --heads gfn1-xtb alexandria-pbe

Every system of the batch is computed in the same pass; what differs between heads is all that their
levels of theory differ in. Energies of different heads have different zeros: compare volumes,
distances and energies above the start, as the table does. A model with a gate has "mixture" too.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

import torch_sim as ts
from ase import Atoms
from ase.build import bulk

from atomfm_calc.calculators.setup import CalculatorSettings
from atomfm_calc.calculators.torchsim import TorchSimModel

TIMESTEP_PS = 0.001


def crystals() -> list[Atoms]:
    """Rattled crystals of different sizes."""
    batch = [
        bulk("Si", cubic=True),
        bulk("NaCl", "rocksalt", a=5.6),
        bulk("Al", cubic=True),
    ]
    for atoms in batch:
        atoms.rattle(0.1, seed=1)
    return batch


def relax_and_heat(
    batch: Sequence[Atoms], model: TorchSimModel, n_steps: int, temperature_K: float
) -> tuple[Any, Any]:
    """The states of torch-sim after a relaxation of positions and after NVT dynamics from there."""
    relaxed = ts.optimize(
        list(batch), model, optimizer=_named("Optimizer", "fire"), max_steps=n_steps
    )
    heated = ts.integrate(
        relaxed,
        model,
        integrator=_named("Integrator", "nvt_langevin"),
        n_steps=n_steps,
        timestep=TIMESTEP_PS,
        temperature=temperature_K,
    )
    return relaxed, heated


def _named(table: str, name: str) -> Any:
    """An entry of one of torch-sim's enumerations; in 0.3 a function of the module so called."""
    return getattr(getattr(ts, table if hasattr(ts, table) else f"{table.lower()}s"), name)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line above."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="painn-lead")
    parser.add_argument("--heads", nargs="+", default=["gfn1-xtb", "alexandria-pbe"])
    parser.add_argument("--device", default="auto")
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--temperature-K", type=float, default=300.0, dest="temperature_K")
    options = parser.parse_args(arguments)
    batch = crystals()
    for head in options.heads:
        settings = CalculatorSettings(head=head, device=options.device, default_dtype="float64")
        model = TorchSimModel(options.model, settings)
        start = model(ts.io.atoms_to_state(batch, model.device, model.dtype))["energy"]
        relaxed, heated = relax_and_heat(batch, model, options.steps, options.temperature_K)
        for index, atoms in enumerate(batch):
            gained = float(relaxed.energy[index] - start[index])
            above = float(heated.energy[index] - relaxed.energy[index])
            print(
                f"{head:12} {atoms.get_chemical_formula():8} relaxed by {gained:+.3f} eV, "
                f"then {above:+.3f} eV of potential energy at {options.temperature_K:.0f} K"
            )


if __name__ == "__main__":
    main()
