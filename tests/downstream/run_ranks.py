"""One process of several: fine-tunes the model FOLDER on a property and a potential in OUTPUT."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from downstream.run import RunSettings, run
from tests.made.fine_tuning import found, recipe

POTENTIAL = {"head": "dimers", "labels": ["energy", "forces"]}


def fine_tune(model: Path, output: Path, **sections: object) -> None:
    """One cell each of LoRA and of all weights, without noise of the number of processes."""
    schedule = {"max_steps": 6, "validate_every_steps": 3, "structures_per_step": 6}
    made = recipe(model, schedule=schedule, **sections)
    run(found(made), RunSettings(output=output, modes=("lora", "full"), forgetting=False))


def main() -> None:
    model, output = (Path(name) for name in sys.argv[1:])
    port = int(os.environ["MASTER_PORT"])
    fine_tune(model, output / "property")
    # a rank that is quick would meet the others at the address that they are leaving
    os.environ["MASTER_PORT"] = str(port + 1)
    fine_tune(model, output / "potential", potential=POTENTIAL)


if __name__ == "__main__":
    main()
