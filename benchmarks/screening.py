"""A screening of random structures against what computes them: rate, and memory over its course.

    python benchmarks/screening.py [--count 30000] [--threads 2] [--out FOLDER]

Random weights of PaiNN (F = 128, 4 layers, 5 Å) with 16 heads, energies of every head; 2 to 20
atoms in a 10 Å box, elements 1 to 94, as in the paper's smaller run. Compared in turns: the
screening from seed to Parquet, `predict_many` for ready `Atoms`, and the model alone on ready
batches. With --out the screening alone runs, or goes on, and the folder gets a line of memory for
every block.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import torch
from batches import make_evaluator
from machine import Seconds, load_average, machine_facts, seconds

from atomfm_calc.calculators.batch import iterate_results
from atomfm_calc.calculators.budget import budget_of
from atomfm_calc.calculators.evaluator import Evaluator
from atomfm_calc.models.derivatives import predict_heads
from atomfm_calc.screening.campaign import RandomCandidates, Stage
from atomfm_calc.screening.evaluation import StageEvaluator
from atomfm_calc.screening.graphs import list_block
from atomfm_calc.screening.manifest import Journals, StageFolder
from atomfm_calc.screening.random_structures import RandomStructures
from atomfm_calc.screening.runner import StageWork, run_stage
from atomfm_calc.screening.sinks import SINKS
from atomfm_calc.screening.team import Team

RESULTS = Path(__file__).parent / "results" / "screening.json"
N_HEADS, HIDDEN = 16, (128,)
BLOCK, N_COMPARED, ROUNDS = 1000, 2000, 3
STATUS = Path("/proc/self/status")


def evaluator_for_all_elements() -> Evaluator:
    """The model of `benchmarks/batches.py`, allowed to compute every element."""
    made = make_evaluator("cpu", N_HEADS, HIDDEN)
    return Evaluator(made.loaded, replace(made.settings, allow_unseen_elements=True))


def work_in(folder: Path, evaluator: Evaluator, count: int) -> StageWork:
    """The screening."""
    stage = Stage(heads=("all",))
    source = RandomStructures(RandomCandidates(kind="random", count=count, max_atoms=20))
    sink = SINKS["parquet"]()
    return StageWork(
        source=source,
        block_size=BLOCK,
        evaluator=StageEvaluator(evaluator, stage, budget_of("cpu", None, None)),
        shortest_distance=0.0,
        folder=StageFolder(folder, sink.suffix),
        sink=sink,
    )


def compare(evaluator: Evaluator) -> dict[str, dict[str, float]]:
    """Structures per second of wall and of processor time, medians of rounds in turns."""
    taken: dict[str, list[Seconds]] = {}
    for number in range(ROUNDS + 1):
        with tempfile.TemporaryDirectory() as folder:
            work = work_in(Path(folder), evaluator, N_COMPARED)
            block = work.source.read(0, N_COMPARED)
            structures = [block.atoms(row) for row in range(len(block))]
            listed = list_block(block, evaluator.model.cutoff, 0.0)
            heads = list(evaluator.model.head_names)
            batches = [
                listed.graph(start, stop, evaluator.dtype)
                for start, stop in listed.batches(work.evaluator.budget)
            ]
            tasks = {
                "screening": lambda work=work: run_stage(work, Team()),
                "predict_many": lambda structures=structures: [
                    None
                    for _ in iterate_results(evaluator, structures, want=("energy",), heads="all")
                ],
                "model_alone": lambda batches=batches, heads=heads: [
                    predict_heads(evaluator.model, batch, heads, ("energy",)) for batch in batches
                ],
            }
            for name, task in tasks.items():
                start = seconds("cpu")
                task()
                if number:  # the first round warms up
                    taken.setdefault(name, []).append(seconds("cpu").since(start))
    return {
        kind: {
            name: N_COMPARED / statistics.median(getattr(one, kind) for one in every)
            for name, every in taken.items()
        }
        for kind in Seconds._fields
    }


def watch_memory(evaluator: Evaluator, folder: Path, count: int) -> None:
    """Screen, and write resident memory and time behind every block."""
    folder.mkdir(parents=True, exist_ok=True)
    begin = time.perf_counter()

    def note(journals: Journals) -> None:
        journals.refresh()
        status = dict(line.split(":", 1) for line in STATUS.read_text().splitlines() if ":" in line)
        line = {
            "structures": sum(one.n_rows + one.n_quarantined for one in journals.finished()),
            "resident_MB": int(status["VmRSS"].split()[0]) / 1024,
            "seconds": time.perf_counter() - begin,
        }
        with (folder / "memory.jsonl").open("a") as file:
            file.write(json.dumps(line) + "\n")

    run_stage(work_in(folder, evaluator, count), Team(), note)


def main() -> None:
    """Measure and write down, or only run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=30_000)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    evaluator = evaluator_for_all_elements()
    if options.out is not None:
        watch_memory(evaluator, options.out, options.count)
        return
    before = load_average()
    rates = compare(evaluator)
    result = {
        "machine": machine_facts("cpu"),
        "load_average": [before, load_average()],
        "threads": options.threads,
        "structures_per_s_of_wall_time": rates["wall"],
        "structures_per_s_of_processor_time": rates["cpu"],
        "screening_over_predict_many": rates["wall"]["screening"] / rates["wall"]["predict_many"],
        "screening_over_model_alone": rates["wall"]["screening"] / rates["wall"]["model_alone"],
    }
    RESULTS.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
