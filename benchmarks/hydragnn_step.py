"""HydraGNN's own training step on given batches; started by `training_step.py`, not by people.

Runs in the environment of HydraGNN, which need not have this project. Everything that is timed is
HydraGNN's: its completion of the configuration of its own multi-dataset example, its model, its
DDP wrapper, its optimizer, and its function `train`, which moves the batch, computes energies and
forces, the loss and its gradient, and makes the step.

Each line of the standard input asks for a pass over all batches by a variant, each line of the
standard output answers; what HydraGNN prints goes to the standard error.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch
from machine import Seconds, peak_memory, seconds

EXAMPLE = "examples/multidataset_hpo_sc26/gfm_mlip.json"
N_TASKS = 3
"""Losses that `train` adds up for a potential: energy, energy per atom, forces."""


class TimedLoader:
    """Batches with the time that each took until the next was asked for."""

    def __init__(self, batches: list[Any], device: str) -> None:
        self.dataset = self.batches = batches
        self.device = device
        self.spent: list[Seconds] = []

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Iterator[Any]:
        for batch in self.batches:
            ready = batch.clone()  # `train` changes what it is given
            started = seconds(self.device)
            yield ready
            self.spent.append(seconds(self.device).since(started))


def joined(tensors: Mapping[str, torch.Tensor]) -> Any:
    """A batch with the fields that HydraGNN's datasets have."""
    from torch_geometric.data import Batch

    n_atoms = tensors["n_atoms"]
    electrons = torch.stack([tensors["charge"], tensors["multiplicity"]], dim=1)  # [S, 2]
    return Batch(
        x=tensors["atomic_numbers"][:, None].float(),
        pos=tensors["positions"],
        edge_index=tensors["edge_index"],
        edge_shifts=tensors["edge_shifts"],
        graph_attr=electrons.flatten(),
        dataset_name=torch.zeros(len(n_atoms), 1, dtype=torch.long),
        energy=tensors["energy"].float(),
        forces=tensors["forces"],
        batch=torch.repeat_interleave(n_atoms),
        ptr=torch.cat([n_atoms.new_zeros(1), n_atoms.cumsum(0)]),
    )


def configuration(checkout: Path, variant: Mapping[str, Any], loader: TimedLoader) -> Any:
    """That of the example, with PaiNN in the size that is asked for."""
    from hydragnn.utils.input_config_parsing import update_config

    config = json.loads((checkout / EXAMPLE).read_text(encoding="utf-8"))
    config["NeuralNetwork"]["Architecture"] |= {
        "mpnn_type": "PAINN",
        "hidden_dim": variant["features"],
        "num_conv_layers": variant["layers"],
        "num_radial": variant["radial"],
        "radius": float(variant["cutoff"]),
    }
    config["NeuralNetwork"]["Training"] |= {
        "precision": variant["precision"],
        "conv_checkpointing": variant["recompute"],
    }
    return update_config(config, loader, loader, loader)["NeuralNetwork"]


class Steps:
    """Model and optimizer of one variant."""

    def __init__(self, checkout: Path, variant: Mapping[str, Any], loader: TimedLoader) -> None:
        from hydragnn.models import create_model_config
        from hydragnn.train.train_validate_test import get_autocast_and_scaler
        from hydragnn.utils.distributed import get_distributed_model
        from hydragnn.utils.optimizer import select_optimizer

        self.loader, self.precision = loader, variant["precision"]
        config = configuration(checkout, variant, self.loader)
        model = create_model_config(config=config)
        self.model = get_distributed_model(model, find_unused_parameters=True)
        self.optimizer = select_optimizer(self.model, config["Training"]["Optimizer"])
        autocast = not isinstance(get_autocast_and_scaler(self.precision)[0], nullcontext)
        self.facts = {
            "parameters": sum(p.numel() for p in model.parameters() if p.requires_grad),
            "autocast": autocast,
        }

    def run(self) -> tuple[float, float]:
        """Seconds per step of a pass over the batches: wall, processor."""
        from hydragnn.train.train_validate_test import train

        self.loader.spent.clear()
        # the default dtype is that of the model that was made last
        torch.set_default_dtype(next(self.model.parameters()).dtype)
        train(
            self.loader,
            self.model,
            self.optimizer,
            0,
            num_tasks=N_TASKS,
            compute_grad_energy=True,
            precision=self.precision,
        )
        n_steps, spent = len(self.loader), self.loader.spent
        return sum(step.wall for step in spent) / n_steps, sum(step.cpu for step in spent) / n_steps


def versions() -> dict[str, str]:
    """Of what the step depends on."""
    import hydragnn
    import torch_geometric

    return {
        "hydragnn": getattr(hydragnn, "__version__", "not stated"),
        "torch": torch.__version__,
        "torch_geometric": torch_geometric.__version__,
    }


def main() -> None:
    """Answer requests until the input ends."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("checkout", type=Path)
    parser.add_argument("batches", type=Path, help="a list of tables of tensors, by torch.save")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    given = parser.parse_args()
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w", buffering=1)
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    sys.path.insert(0, str(given.checkout))
    from hydragnn.utils.distributed import setup_ddp

    answers.write(json.dumps(versions()) + "\n")
    setup_ddp()
    tables = torch.load(given.batches, weights_only=True)
    loader = TimedLoader([joined(table) for table in tables], given.device)
    known: dict[str, Steps] = {}
    for line in sys.stdin:
        if line not in known:
            known[line] = Steps(given.checkout, json.loads(line), loader)
        before = peak_memory(given.device) if given.device == "cpu" else 0.0
        spent = known[line].run()
        peak = peak_memory(given.device) - before
        answers.write(json.dumps({"seconds": spent, "peak": peak, **known[line].facts}) + "\n")


if __name__ == "__main__":
    main()
