"""How fast batches come from memory, shards and the distributed store, beside what training eats.

    python benchmarks/data_pipeline.py [--structures 3000] [--repeats 5] [--output FILE.json]

Periodic structures of 20 atoms with about 600 edges, the sizes of batches as in training by
default. Three questions:

1. structures/s of the loader, by source, with edges kept or built when a structure is read; on one
   rank and, for the store, on two (`mpiexec` of this environment; both ranks together);
2. structures/s of the trainer at F = 128 and 3 layers on the CPU, in the same run on batches from
   memory; the loader must be five times as fast;
3. processor time to read one structure at random, edges included: store, shards, one `torch.save`
   file per structure (pickled, read with `weights_only=True`), one HDF5 file. All files are in the
   cache, so nothing is waited for, and on a quiet machine this is the time.

Variants take turns in every repeat; the figures are medians over the repeats. Other processes on
the machine show in the first two; the load is saved beside them.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

import h5py
import numpy as np
import torch
from ase import Atoms
from ase.io import write
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from atomfm_calc.models.architecture import Architecture
from atomfm_calc.models.foundation import FoundationModel
from training.config import BatchLimits, DurationConfig, FitConfig
from training.data.batching import MixedSampler
from training.data.loader import Assembler, FixedLoader, TrainingLoader
from training.data.packed import ATOM_COLUMNS, COLUMNS, STRUCTURE_COLUMNS, PackedGraphs
from training.data.source import MemorySource, SampleSource
from training.data.store import StoreSource
from training.engine.trainer import Trainer
from training.shards.convert import ConvertSettings, Order, convert
from training.shards.reader import ShardSource

N_ATOMS = 20
SIDE = 7.0
"""Å, of the cubic cell: 17 Å³ for each atom."""
CUTOFF = 5.0
LIMITS = BatchLimits()
HEADS = ("made",)
PREFETCH = 2
BATCHES, STEPS, READS = 100, 4, 200
"""In one repeat: of a loader, of the trainer, and structures read at random."""
ACCEPTED_RATIO = 5.0
EDGES = {"kept": True, "built": False}

Rates = dict[str, float]
Measurements = Mapping[str, Callable[[], float]]


def write_structures(count: int, path: Path) -> None:
    """An extended XYZ file of random crystals with energy and forces."""
    generator = np.random.default_rng(0)
    frames = []
    for _ in range(count):
        numbers = generator.choice([1, 6, 8, 14, 29], N_ATOMS)
        positions = generator.uniform(0.0, SIDE, (N_ATOMS, 3))
        atoms = Atoms(numbers, positions, cell=[SIDE] * 3, pbc=True)
        atoms.info["REF_energy"] = -5.0 * N_ATOMS + generator.normal()
        atoms.arrays["REF_forces"] = generator.normal(0.0, 1.0, (N_ATOMS, 3))
        frames.append(atoms)
    write(path, frames, format="extxyz")


def write_shards(folder: Path, count: int) -> None:
    """Shards with and without edges: FOLDER/kept and FOLDER/built."""
    write_structures(count, folder / "made.extxyz")
    for name, edges in EDGES.items():
        settings = ConvertSettings(cutoff=CUTOFF, edges=edges, structures_per_shard=1000)
        order = Order(
            dataset="extxyz", root=folder / "made.extxyz", out=folder, head=name, settings=settings
        )
        convert(order)


def make_loader(source: SampleSource, prefetch: int = PREFETCH, seed: int = 0) -> TrainingLoader:
    """Batches of all structures in random order."""
    structures = {HEADS[0]: np.arange(len(source))}
    sizes = (np.asarray(source.n_atoms), np.asarray(source.n_edges))
    sampler = MixedSampler(structures, {HEADS[0]: 1.0}, sizes, LIMITS, seed)
    return TrainingLoader(Assembler(source, np.zeros(len(source), dtype=int)), sampler, prefetch)


def structures_per_second(loader: TrainingLoader) -> float:
    """Of a loader from which nothing but batches is asked."""
    for _ in range(1 + PREFETCH):
        loader.next_batch()
    started = time.perf_counter()
    count = sum(len(loader.next_batch().sources) for _ in range(BATCHES))
    return count / (time.perf_counter() - started)


def make_trainer(source: SampleSource, folder: Path) -> Trainer:
    """Of the size that the acceptance names."""
    torch.manual_seed(0)
    loader = make_loader(source)
    validation = FixedLoader(loader.assembler, np.arange(8), LIMITS)
    config = FitConfig(duration=DurationConfig(max_steps=10**6), validate_every_steps=10**6)
    model = FoundationModel(Architecture(), HEADS, "cpu")
    trainer = Trainer(model, loader, validation, config, folder)
    trainer.fit(stop_after_steps=1)  # compiles the kernel
    return trainer


def trained_per_second(trainer: Trainer) -> float:
    """Structures; the checkpoint that ends each part is not counted."""
    started = time.perf_counter()
    trainer.fit(stop_after_steps=0)
    saving = time.perf_counter() - started
    before = trainer.progress.samples
    started = time.perf_counter()
    trainer.fit(stop_after_steps=STEPS)
    return (trainer.progress.samples - before) / (time.perf_counter() - started - saving)


def medians(measurements: Measurements, repeats: int) -> Rates:
    """The median of each over the repeats, in which all take turns."""
    found: dict[str, list[float]] = {name: [] for name in measurements}
    for _ in range(repeats):
        for name, measure in measurements.items():
            found[name].append(measure())
    return {name: float(np.median(values)) for name, values in found.items()}


def microseconds_per_read(read: Callable[[int], object], count: int) -> float:
    """Processor time of this process, mean over structures at random."""
    index = np.random.default_rng(1).integers(0, count, READS).tolist()
    started = time.process_time()
    for number in index:
        read(number)
    return 1e6 * (time.process_time() - started) / READS


def read_source(source: SampleSource) -> Callable[[int], PackedGraphs]:
    """One structure of a source."""
    return lambda number: source.decode(source.fetch(np.array([number])))


def read_files(graphs: PackedGraphs, folder: Path) -> Callable[[int], object]:
    """One structure of as many files of `torch.save`."""
    folder.mkdir()
    for number in range(len(graphs)):
        one = graphs.select(np.array([number])).columns
        torch.save(one, folder / f"{number}.pt")
    return lambda number: torch.load(folder / f"{number}.pt", weights_only=True)


def read_hdf5(graphs: PackedGraphs, path: Path, stack: ExitStack) -> Callable[[int], object]:
    """One structure of an HDF5 file that has one array for each column."""
    with h5py.File(path, "w") as file:
        for name, column in graphs.columns.items():
            file[name] = column.numpy()
    opened = stack.enter_context(h5py.File(path, "r"))
    arrays = {name: opened[name] for name in COLUMNS}
    atoms, edges = graphs.first_atom.tolist(), graphs.first_edge.tolist()

    def read(number: int) -> dict[str, NDArray[np.generic]]:
        ranges = {
            name: (number, number + 1)
            if name in STRUCTURE_COLUMNS
            else tuple((atoms if name in ATOM_COLUMNS else edges)[number : number + 2])
            for name in COLUMNS
        }
        return {name: arrays[name][start:end] for name, (start, end) in ranges.items()}

    return read


def measure_here(folder: Path, repeats: int) -> dict[str, Rates]:
    """Everything that one process can do."""
    with ExitStack() as stack:
        shards = {name: ShardSource(folder / name, CUTOFF) for name in EDGES}
        whole = shards["kept"].decode(shards["kept"].fetch(np.arange(len(shards["kept"]))))
        memory = MemorySource(whole, ["made.extxyz"])
        stores = {
            name: stack.enter_context(StoreSource(memory, cutoff=CUTOFF, keep_edges=keep))
            for name, keep in EDGES.items()
        }
        sources: dict[str, SampleSource] = {"memory, edges kept": memory}
        for name in EDGES:
            sources[f"shards, edges {name}"] = shards[name]
            sources[f"store on 1 rank, edges {name}"] = stores[name]
        loaders = {name: make_loader(source) for name, source in sources.items()}
        rates: dict[str, Callable[[], float]] = {
            name: lambda loader=loader: structures_per_second(loader)  # type: ignore[misc]
            for name, loader in loaders.items()
        }
        trainer = make_trainer(memory, folder / "run")
        rates["trainer"] = lambda: trained_per_second(trainer)
        reads = {
            "store, own record": read_source(stores["kept"]),
            "shards": read_source(shards["kept"]),
            "torch.save files": read_files(whole, folder / "files"),
            "HDF5": read_hdf5(whole, folder / "made.h5", stack),
        }
        times: Measurements = {
            name: lambda read=read: microseconds_per_read(read, len(whole))  # type: ignore[misc]
            for name, read in reads.items()
        }
        found = {
            "structures_per_second": medians(rates, repeats),
            "microseconds_per_random_read": medians(times, repeats),
        }
        for loader in [*loaders.values(), trainer.loader]:
            loader.close()
        return found


def measure_as_rank(folder: Path, repeats: int) -> dict[str, Rates]:
    """What each of several ranks finds; they take their time together."""
    with ExitStack() as stack:
        shards = ShardSource(folder / "kept", CUTOFF)
        stores = {
            name: stack.enter_context(StoreSource(shards, cutoff=CUTOFF, keep_edges=keep))
            for name, keep in EDGES.items()
        }
        loaders = {
            f"store on 2 ranks, edges {name}": make_loader(store, seed=store.group.rank)
            for name, store in stores.items()
        }
        rates = medians(
            {
                name: lambda loader=loader: structures_per_second(loader)  # type: ignore[misc]
                for name, loader in loaders.items()
            },
            repeats,
        )
        store = stores["kept"]
        other = (store.group.rank + 1) % store.group.size
        first, last = int(store.first[other]), int(store.first[other + 1])
        read = read_source(store)
        times = medians(
            {
                "store, record of a rank on the node": lambda: microseconds_per_read(
                    lambda number: read(first + number), last - first
                )
            },
            repeats,
        )
        for loader in loaders.values():
            loader.close()
        return {"structures_per_second": rates, "microseconds_per_random_read": times}


def measure_on_two_ranks(folder: Path, repeats: int) -> dict[str, Rates]:
    """Both ranks together: rates are added, times averaged."""
    here = [sys.executable, "-m", "mpi4py.run", __file__]
    arguments = ["--rank-in", str(folder), "--repeats", str(repeats)]
    launcher = str(Path(sys.executable).parent / "mpiexec")
    done = subprocess.run(
        [launcher, "-n", "2", *here, *arguments], check=True, capture_output=True, text=True
    )
    ranks = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    rates, times = ("structures_per_second", "microseconds_per_random_read")
    return {
        rates: {name: sum(rank[rates][name] for rank in ranks) for name in ranks[0][rates]},
        times: {
            name: sum(rank[times][name] for rank in ranks) / len(ranks) for name in ranks[0][times]
        },
    }


def show(result: Mapping[str, Rates], appetite: float) -> None:
    """Two tables."""
    console = Console()
    rates = Table("source", "structures/s", "of the trainer's appetite")
    for name, rate in result["structures_per_second"].items():
        rates.add_row(name, f"{rate:.0f}", f"{rate / appetite:.1f} x")
    reads = Table("random read of one structure", "µs of processor time")
    for name, duration in result["microseconds_per_random_read"].items():
        reads.add_row(name, f"{duration:.0f}")
    console.print(rates, reads)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print, save."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--structures", type=int, default=3000)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--output", type=Path, help="JSON file for the figures")
    parser.add_argument("--rank-in", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    if given.rank_in is not None:
        torch.set_num_threads(1)
        sys.stdout.write(json.dumps(measure_as_rank(given.rank_in, given.repeats)) + "\n")
        return
    torch.set_num_threads(given.threads)
    before = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_shards(folder, given.structures)
        result = measure_here(folder, given.repeats)
        for what, figures in measure_on_two_ranks(folder, given.repeats).items():
            result[what] |= figures
    appetite = result["structures_per_second"]["trainer"]
    show(result, appetite)
    loaders = dict(result["structures_per_second"])
    del loaders["trainer"]
    slowest = min(loaders, key=loaders.__getitem__)
    ratio = loaders[slowest] / appetite
    verdict = "met" if ratio >= ACCEPTED_RATIO else "NOT met"
    print(
        f"slowest loader: {slowest}, {ratio:.1f} x the appetite; {ACCEPTED_RATIO:g} x is {verdict}"
    )
    if given.output is not None:
        facts = {
            "structures": given.structures,
            "atoms": N_ATOMS,
            "repeats": given.repeats,
            "threads": given.threads,
            "torch": torch.__version__,
            "load_average_before_and_after": [round(before, 1), round(os.getloadavg()[0], 1)],
        }
        given.output.write_text(json.dumps({**facts, **result}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
