"""How long one optimizer step takes, beside HydraGNN's own at the same size of PaiNN.

    python benchmarks/training_step.py [--features 128] [--layers 3] [--out FILE.json]
    python benchmarks/training_step.py --hydragnn CHECKOUT --hydragnn-python ENVIRONMENT/bin/python

A step is forward, forces, loss, backward through the forces, and AdamW, on batches that lie ready:
what the loader costs is in `data_pipeline.py`. Structures are random crystals of 12 to 27 atoms
with all edges within the cutoff, cut into batches within the limits. Both programs get the same
ones, with the same edges.

Each variant first goes through all batches once, unmeasured. Then the variants take turns, one pass
in each repeat; the figures are the median and the least over the repeats, of wall and of processor
time. Other processes on the machine show in the former far more than in the latter. Peak memory is
that of a fresh process for each variant: on the CPU by how much its resident memory rises above
that before the first step, on CUDA the most that its tensors take.

HydraGNN's first layer has one channel only, the atomic number as a float. So it is measured with as
many layers, and with one more: as many layers of full width. A checkout that cannot be imported is
reported with the reason. Where its autocast knows no bf16, it computes in fp32, which is said.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from hydragnn_process import start_hydragnn, write_batches
from machine import load_average, machine_facts, peak_memory, seconds
from made_batches import ReadyBatches, made_batches
from rich.console import Console
from rich.table import Table
from worker_process import ProgramAbsentError, WorkerProcess

from atomfm_calc.kernels import KERNELS, best_kernel
from atomfm_calc.models.architecture import Architecture, PainnConfig
from atomfm_calc.models.foundation import FoundationModel
from training.config import BatchLimits, DurationConfig, FitConfig
from training.data.loader import Batch
from training.engine.logs import RunLog
from training.engine.precision import PRECISIONS, set_precision
from training.engine.trainer import Trainer

HEAD = "made"
NEVER = 10**9
OWN, PEER = "atomfm", "HydraGNN"
FALLEN_BACK = " (fp32 in fact)"


@dataclass(frozen=True)
class Variant:
    """What is measured."""

    program: str
    kernel: str
    layers: int
    precision: str
    recompute: bool


class OwnSteps:
    """Model and trainer of one variant."""

    def __init__(
        self, variant: Variant, painn: PainnConfig, batches: list[Batch], device: str
    ) -> None:
        torch.manual_seed(0)
        model = FoundationModel(Architecture(painn=painn), (HEAD,), variant.kernel)
        set_precision(model.to(device), PRECISIONS[variant.precision])
        model.set_recompute(variant.recompute)
        model.train()
        config = FitConfig(
            duration=DurationConfig(max_steps=NEVER),
            precision=variant.precision,
            recompute=variant.recompute,
            log_every_steps=NEVER,
        )
        with tempfile.TemporaryDirectory() as name:
            self.trainer = Trainer(model, ReadyBatches(batches), [], config, Path(name))
            self.log = RunLog(Path(name), writes=False)
        self.n_batches, self.device = len(batches), device
        self.n_parameters = sum(p.numel() for p in model.parameters() if p.requires_grad)

    def run(self) -> tuple[float, float]:
        """Seconds per step of a pass over the batches: wall, processor."""
        started = seconds(self.device)
        for _ in range(self.n_batches):
            self.trainer.step(self.log)
        spent = seconds(self.device).since(started)
        return spent.wall / self.n_batches, spent.cpu / self.n_batches


class Comparison:
    """All variants of both programs on the same batches."""

    def __init__(self, given: argparse.Namespace) -> None:
        self.given = given
        self.limits = BatchLimits(
            max_atoms=given.max_atoms,
            max_edges=given.max_edges,
            max_structures=given.max_structures,
        )
        self.batches = made_batches(self.limits, given.batches, given.cutoff)
        self.painn = PainnConfig(
            n_features=given.features,
            n_layers=given.layers,
            n_radial=given.radial,
            cutoff=given.cutoff,
        )
        self.own = [
            Variant(OWN, kernel, given.layers, precision, recompute)
            for kernel in given.kernels
            for precision in given.precisions
            for recompute in (False, True)
        ]
        self.peer = [
            Variant(PEER, "own", layers, precision, recompute)
            for layers in (given.layers, given.layers + 1)
            for precision in given.precisions
            for recompute in (False, True)
        ]
        self.seconds: dict[Variant, list[tuple[float, float]]] = {}
        self.facts: dict[Variant, dict[str, Any]] = {}

    def own_memory(self, number: int) -> float:
        """MB at the peak of the variant `self.own[number]`; in a fresh process only."""
        steps = OwnSteps(self.own[number], self.painn, self.batches, self.given.device)
        before = peak_memory(self.given.device) if self.given.device == "cpu" else 0.0
        steps.run()
        return peak_memory(self.given.device) - before

    def measure_times(self, process: WorkerProcess | None) -> None:
        """Fill `seconds` and `facts`; warm up, then take turns."""
        given = self.given
        own = {v: OwnSteps(v, self.painn, self.batches, given.device) for v in self.own}
        for variant, steps in own.items():
            steps.run()
            self.facts[variant] = {"parameters": steps.n_parameters}
        if process is not None:
            for variant in self.peer:
                answer = process.ask(self.request(variant))
                facts = ("parameters", "autocast")
                self.facts[variant] = {name: answer[name] for name in facts}
        self.seconds = {variant: [] for variant in self.facts}
        for _ in range(given.repeats):
            for variant, found in self.seconds.items():
                if variant in own:
                    found.append(own[variant].run())
                else:
                    found.append(process.ask(self.request(variant))["seconds"])

    def measure_memory(self, start: Sequence[str], batches: Path) -> None:
        """Add the peak memory to `facts`; `start` is the command that starts this program."""
        for variant, facts in self.facts.items():
            if variant.program == OWN:
                command = [*start, "--memory-of", str(self.own.index(variant))]
                done = subprocess.run(command, check=True, capture_output=True, text=True)
                facts["peak_memory_MB"] = round(float(done.stdout), 1)
            else:
                with self.start_peer(batches) as process:
                    answer = process.ask(self.request(variant))
                facts["peak_memory_MB"] = round(answer["peak"], 1)

    def start_peer(self, batches: Path) -> WorkerProcess:
        """HydraGNN in a fresh process."""
        given = self.given
        return start_hydragnn(
            given.hydragnn_python,
            given.hydragnn,
            batches,
            device=given.device,
            threads=given.threads,
        )

    def request(self, variant: Variant) -> dict[str, Any]:
        """A variant as `hydragnn_step.py` reads it."""
        return {
            "features": self.given.features,
            "layers": variant.layers,
            "radial": self.given.radial,
            "cutoff": self.given.cutoff,
            "precision": variant.precision,
            "recompute": variant.recompute,
        }

    def sizes(self) -> dict[str, float]:
        """Structures, atoms and edges of a batch, on average."""
        graphs = [batch.graph for batch in self.batches]
        return {
            "structures": float(np.mean([graph.n_structures for graph in graphs])),
            "atoms": float(np.mean([len(graph.positions) for graph in graphs])),
            "edges": float(np.mean([graph.edge_index.shape[1] for graph in graphs])),
        }

    def rows(self) -> list[dict[str, Any]]:
        """One for each variant; rates are those of the median wall time."""
        rows = []
        for variant, found in self.seconds.items():
            times = np.array(found)  # [repeats, 2]
            middle, least = np.median(times, axis=0), times.min(axis=0)
            seconds_per_step = {
                "wall_median": middle[0],
                "wall_least": least[0],
                "cpu_median": middle[1],
                "cpu_least": least[1],
            }
            row: dict[str, Any] = vars(variant).copy()
            row["seconds_per_step"] = {k: round(float(v), 4) for k, v in seconds_per_step.items()}
            for name, size in self.sizes().items():
                row[f"{name}_per_second"] = round(size / float(middle[0]), 1)
            rows.append({**row, **self.facts[variant]})
        return rows


def commit(checkout: Path) -> str:
    """Of a checkout, if it is one of git."""
    command = ["git", "-C", str(checkout), "rev-parse", "HEAD"]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    return done.stdout.strip() or "not known"


def compare(given: argparse.Namespace, start: Sequence[str]) -> dict[str, Any]:
    """Measure everything; what is to be saved."""
    comparison, before = Comparison(given), load_average()
    peer: dict[str, Any] = {"status": "not asked for; give --hydragnn"}
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        batches = Path(name) / "batches.pt"
        write_batches(comparison.batches, batches)
        process = None
        if given.hydragnn is not None:
            try:
                process = stack.enter_context(comparison.start_peer(batches))
                peer = {"status": "measured", **process.hello, "commit": commit(given.hydragnn)}
            except ProgramAbsentError as error:
                peer = {"status": f"absent: {error}"}
        comparison.measure_times(process)
        if given.memory:
            comparison.measure_memory(start, batches)
    options = ("features", "layers", "radial", "cutoff", "batches", "repeats", "threads", "device")
    return {
        "settings": {name: getattr(given, name) for name in options},
        "limits_of_a_batch": vars(comparison.limits),
        "mean_of_a_batch": comparison.sizes(),
        "machine": machine_facts(given.device),
        "other_load_on_the_machine": {
            "load_average_before": before,
            "load_average_after, this benchmark included": load_average(),
        },
        "remark": given.remark,
        "hydragnn": peer,
        "rows": comparison.rows(),
    }


def is_fallen_back(row: Mapping[str, Any]) -> bool:
    """Whether HydraGNN computed in fp32 what was asked for in bf16."""
    return row["precision"] == "bf16" and not row.get("autocast", True)


def as_text(result: Mapping[str, Any]) -> str:
    """JSON with a line for each row."""
    head = json.dumps({name: value for name, value in result.items() if name != "rows"}, indent=1)
    rows = ",\n  ".join(json.dumps(row) for row in result["rows"])
    return head.removesuffix("\n}") + f',\n "rows": [\n  {rows}\n ]\n}}\n'


def show(result: Mapping[str, Any]) -> None:
    """One table."""
    sizes = ", ".join(f"{n:.0f} {name}" for name, n in result["mean_of_a_batch"].items())
    table = Table("program", "layers", title=f"one optimizer step on {sizes}")
    for name in ("wall s", "least", "cpu s", "least", "/s", "edges/s", "MB"):
        table.add_column(name, justify="right")
    for row in result["rows"]:
        table.add_row(
            f"{row['program']} {row['kernel']}",
            f"{row['layers']} {row['precision']}{' recompute' if row['recompute'] else ''}"
            f"{FALLEN_BACK if is_fallen_back(row) else ''}",
            *[f"{value:.3f}" for value in row["seconds_per_step"].values()],
            f"{row['structures_per_second']:.1f}",
            f"{row['edges_per_second']:.0f}",
            f"{row['peak_memory_MB']:.0f}" if "peak_memory_MB" in row else "-",
        )
    console = Console()
    console.print(table)
    console.print(f"HydraGNN: {result['hydragnn']['status']}")


def read_arguments(arguments: Sequence[str]) -> argparse.Namespace:
    """The command line."""
    limits, painn = BatchLimits(), PainnConfig()
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--hydragnn", type=Path, help="folder of a checkout of HydraGNN")
    parser.add_argument(
        "--hydragnn-python", type=Path, default=sys.executable, help="of its environment"
    )
    parser.add_argument("--features", type=int, default=painn.n_features)
    parser.add_argument("--layers", type=int, default=painn.n_layers)
    parser.add_argument("--radial", type=int, default=painn.n_radial)
    parser.add_argument("--cutoff", type=float, default=painn.cutoff, help="Å")
    parser.add_argument("--max-atoms", type=int, default=limits.max_atoms)
    parser.add_argument("--max-edges", type=int, default=limits.max_edges)
    parser.add_argument("--max-structures", type=int, default=limits.max_structures)
    parser.add_argument("--batches", type=int, default=2, help="of a pass")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--precisions", nargs="+", choices=PRECISIONS, default=list(PRECISIONS))
    parser.add_argument("--kernels", nargs="+", choices=KERNELS)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--memory", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("--out", type=Path, help="JSON file for the figures")
    parser.add_argument("--remark", default="", help="kept with the figures")
    parser.add_argument("--memory-of", type=int, help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    if given.kernels is None:
        given.kernels = list(dict.fromkeys(("reference", best_kernel(given.device))))
    return given


def main(arguments: Sequence[str]) -> None:
    """Measure, print, save."""
    given = read_arguments(arguments)
    torch.set_num_threads(given.threads)
    if given.memory_of is not None:
        print(Comparison(given).own_memory(given.memory_of))
        return
    result = compare(given, [sys.executable, __file__, *arguments])
    show(result)
    if given.out is not None:
        given.out.write_text(as_text(result), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
