"""How many of the most stable crystals a funnel finds: held-out structures of Alexandria.

    python benchmarks/funnel.py alexandria_pbe_p000_train.extxyz.gz ...

Crystals with DFT energies (`REF_energy`), of which only compositions are taken that painn-lead was
not trained on: those that `training.datasets.splits` held out for validation and test. Stability is
the energy per atom above the element references of the head alexandria-pbe, a linear fit to its
training data: a formation energy but for the zero of each element. Wanted are the lowest 5 % by
DFT; found is what the best 10 % by a head, or the end of a funnel, have of them.
"""

from __future__ import annotations

import argparse
import json
import math
import tempfile
from collections.abc import Sequence
from pathlib import Path

import ase.io
import numpy as np
import yaml
from numpy.typing import NDArray

from atomfm_calc.config import parse_config
from atomfm_calc.convert import sample_from_atoms
from atomfm_calc.registry.catalog import load_model
from atomfm_calc.screening.campaign import Campaign
from atomfm_calc.screening.drive import run_campaign
from atomfm_calc.screening.readers.files import FileSource
from atomfm_calc.screening.sinks.parquet import ParquetSink, iterate_rows
from training.datasets.splits import split_by_group

RESULTS = Path(__file__).parent / "results" / "funnel.json"
CONFIG = Path(__file__).parents[1] / "training" / "configs" / "pretrain" / "painn-lead-refine.yaml"
FRACTIONS = {"train": 0.9, "validation": 0.05, "test": 0.05}
SPLIT_SEED = 0
WANTED, LOOKED_AT = 0.05, 0.10
DFT, CHEAP = "alexandria-pbe", "gfn1-xtb"


def held_out(paths: Sequence[str], folder: Path) -> tuple[Path, dict[str, int]]:
    """A file of structures that the model has not seen, and how many there are of each split."""
    found = [atoms for _, atoms in FileSource(paths).structures()]
    never = yaml.safe_load(CONFIG.read_text(encoding="utf-8"))["data"]["never_held_out"]
    samples = [sample_from_atoms(atoms) for atoms in found]
    members = split_by_group(samples, FRACTIONS, SPLIT_SEED, never)
    chosen = sorted([*members["validation"], *members["test"]])
    path = folder / "held_out.extxyz"
    ase.io.write(path, [found[place] for place in chosen])
    return path, {name: len(places) for name, places in members.items()}


def true_stability(path: Path) -> NDArray[np.float64]:
    """DFT energy above the element references [S], eV/atom."""
    references = load_model("painn-lead").model.head(DFT).references.numpy()
    return np.array(
        [
            (float(atoms.info["REF_energy"]) - references[atoms.numbers].sum()) / len(atoms)
            for _, atoms in FileSource([str(path)]).structures()
        ]
    )


def screen(path: Path, out: Path, stages: list[dict[str, object]]) -> None:
    """Run a campaign on the file."""
    content = {"candidates": {"kind": "files", "paths": [str(path)]}, "stages": stages}
    run_campaign(parse_config(Campaign, content, "the benchmark"), out)


def ranked(out: Path) -> dict[str, NDArray[np.int64]]:
    """Indices of all structures in the order of each head, of stages named after them."""
    order = {}
    for head in (DFT, CHEAP):
        rows = list(iterate_rows(out / head / "rows", ["index", "above_references_per_atom"]))
        index = np.concatenate([np.asarray(part["index"]) for part in rows])
        value = np.concatenate([np.asarray(part["above_references_per_atom"]) for part in rows])
        order[head] = index[np.argsort(value, kind="stable")]
    return order


def kept(folder: Path) -> set[int]:
    """Indices of what a stage kept."""
    columns = ParquetSink().read(folder / "selected.parquet", ["index"])
    return set(np.asarray(columns["index"]).tolist())


def main() -> None:
    """Screen, compare with DFT, write down."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", nargs="+")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        path, members = held_out(options.files, folder)
        truth = true_stability(path)
        n_wanted, n_looked = math.ceil(WANTED * len(truth)), math.ceil(LOOKED_AT * len(truth))
        wanted = set(np.argsort(truth, kind="stable")[:n_wanted].tolist())
        screen(path, folder / "heads", [{"name": head, "heads": [head]} for head in (DFT, CHEAP)])
        order = ranked(folder / "heads")
        recall = {
            head: len(wanted & set(places[:n_looked].tolist())) / n_wanted
            for head, places in order.items()
        }
        by = "above_references_per_atom"
        stages: list[dict[str, object]] = [
            {"name": "cheap", "heads": [CHEAP], "top": {"by": by, "fraction": 0.5}},
            {"name": "dear", "heads": [DFT], "top": {"by": by, "count": n_looked}},
        ]
        screen(path, folder / "funnel", stages)
        recall["funnel"] = len(wanted & kept(folder / "funnel" / "dear")) / n_wanted
    result = {
        "files": [Path(file).name for file in options.files],
        "structures_by_split": members,
        "screened": len(truth),
        "wanted_lowest_by_dft": n_wanted,
        "looked_at": n_looked,
        "computed_by_head": {head: len(places) for head, places in order.items()},
        "recall": recall,
        "by_chance": n_looked / len(truth),
    }
    RESULTS.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
