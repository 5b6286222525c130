"""One trial, in a process of its own: `python -m training.hpo.trial CAMPAIGN CONFIG RESULT`.

Trains, evaluates on the validation structures, measures what an evaluation costs, and leaves one
JSON file, written at once, for the campaign.
"""

from __future__ import annotations

import json
import logging
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from atomfm_calc.config import load_config
from atomfm_calc.errors import NonFiniteLossError
from atomfm_calc.files import write_at_once
from atomfm_calc.models.derivatives import predict
from training.assemble import assemble
from training.config import PretrainConfig
from training.data.loader import FixedLoader
from training.engine.checkpoint import CHECKPOINT_FILE
from training.engine.interruption import RESUME_ME
from training.evaluate import evaluate, load_average
from training.hpo.campaign import CampaignConfig
from training.parallel.process import launcher_place
from training.pretrain import pretrain, validation_index

COST_REPEATS = 3
FAILURES: dict[type[Exception], str] = {
    NonFiniteLossError: "not_finite",
    torch.OutOfMemoryError: "memory",
    MemoryError: "memory",
}
"""Failures that the search has a word for."""


def run_trial(campaign: CampaignConfig, config: PretrainConfig, result: Path) -> bool:
    """Train and evaluate; False if training was interrupted and can be resumed.

    Args:
        campaign: for what is evaluated.
        config: of the run.
        result: JSON file to write, by the first of several processes.
    """
    began = time.monotonic()
    resume = (config.output / CHECKPOINT_FILE).exists()
    fit = pretrain(config, resume=resume)
    if not fit.finished:
        return False
    if launcher_place().rank == 0:
        content = measure(campaign, config)
        content |= {"steps": fit.steps, "seconds": time.monotonic() - began}
        _write(result, content)
    return True


def measure(campaign: CampaignConfig, config: PretrainConfig) -> dict[str, Any]:
    """Validation errors, size and inference cost of a finished run.

    Returns:
        errors: head -> the fields of `SplitErrors`; n_parameters; microseconds_per_atom of energy
        and forces, the shortest of some repeats over the validation batches; peak_memory_MiB of
        this process or of its device.
    """
    device = torch.device(config.device)
    model = load_average(config.output, config.kernel).to(device)
    data = assemble(config.heads, config.data, model.cutoff)
    limit = campaign.objective.validation_structures_per_head
    batches = FixedLoader(data.assembler, validation_index(data, limit), config.batch)
    errors = evaluate(model, batches, "validation").model
    graphs = [batch.graph for batch in batches]
    energy_of = model.energy_of(config.heads[0])
    shortest = float("inf")
    for _ in range(COST_REPEATS):
        began = time.perf_counter()
        for graph in graphs:
            predict(energy_of, graph, ("energy", "forces"))
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        shortest = min(shortest, time.perf_counter() - began)
    n_atoms = sum(len(graph.atomic_numbers) for graph in graphs)
    return {
        "errors": {head: asdict(row) for head, row in errors.items()},
        "n_parameters": sum(parameter.numel() for parameter in model.backbone.parameters()),
        "microseconds_per_atom": 1e6 * shortest / n_atoms,
        "peak_memory_MiB": _peak_memory_mib(device),
    }


def _peak_memory_mib(device: torch.device) -> float:
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**20
    import resource  # of Unix

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10


def main() -> None:
    """The command line of a trial."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", stream=sys.stderr)
    campaign_file, config_file, result = (Path(argument) for argument in sys.argv[1:])
    campaign = load_config(CampaignConfig, campaign_file)
    try:
        finished = run_trial(campaign, load_config(PretrainConfig, config_file), result)
    except tuple(FAILURES) as error:
        kind = next(name for known, name in FAILURES.items() if isinstance(error, known))
        _write(result, {"failure": kind, "reason": str(error)})
        raise
    raise SystemExit(0 if finished else RESUME_ME)


def _write(path: Path, content: dict[str, Any]) -> None:
    write_at_once(f"{json.dumps(content, indent=1)}\n".encode(), path)


if __name__ == "__main__":
    main()
