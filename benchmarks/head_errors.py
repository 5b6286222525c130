r"""Where a model errs: by head and class of elements; and how its heads learned.

    python benchmarks/head_errors.py painn-lead-0.1.0 painn-lead-1.0.0 \
        --data work/runs/painn-lead-1 --out benchmarks/results/painn-lead-1

All models are judged on the test split of the run. Errors of forces are means over the atoms of a
class, those of energies per atom over the structures that contain one. Learning curves are the
validations in the run's log, of its averaged weights on a few structures of each head. Writes
`-errors.json`, `-errors.md` and `-learning-curves.png`.
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ase.data import atomic_numbers
from matplotlib.figure import Figure
from numpy.typing import NDArray

from atomfm_calc.models.foundation import FoundationModel
from training.assemble import assemble
from training.data.loader import FixedLoader
from training.engine.logs import METRICS_FILE
from training.engine.metrics import MovedBatch, move, predict_batch
from training.trained_model import load_trained

CLASSES = {
    "H": "H",
    "C, N, O": "C N O",
    "P, S, Se": "P S Se",
    "halogens": "F Cl Br I At",
    "noble gases": "He Ne Ar Kr Xe Rn",
    "metalloids": "B Si Ge As Sb Te",
    "s-block metals": "Li Na K Rb Cs Fr Be Mg Ca Sr Ba Ra",
    "p-block metals": "Al Ga In Sn Tl Pb Bi Po",
    "transition metals": "Sc Ti V Cr Mn Fe Co Ni Cu Zn Y Zr Nb Mo Tc Ru Rh Pd Ag Cd "
    "Hf Ta W Re Os Ir Pt Au Hg",
    "lanthanides, actinides": "La Ce Pr Nd Pm Sm Eu Gd Tb Dy Ho Er Tm Yb Lu "
    "Ac Th Pa U Np Pu Am Cm Bk Cf Es Fm Md No Lr",
}
"""Every element up to 103 is in one of them."""
CURVES = {
    "energy_mae_meV_per_atom": ("energy, meV/atom", "tab:blue"),
    "forces_mae_meV_per_angstrom": ("forces, meV/Å", "tab:orange"),
}
Rows = dict[str, dict[str, dict[str, float]]]
"""Head -> class -> atoms, forces, structures, energy."""


def class_of_element() -> NDArray[np.int64]:
    """Place in `CLASSES` by atomic number [119]; -1: in none."""
    places = np.full(119, -1)
    for place, symbols in enumerate(CLASSES.values()):
        places[[atomic_numbers[symbol] for symbol in symbols.split()]] = place
    return places


def errors_by_class(model: FoundationModel, batches: FixedLoader) -> Rows:
    """Mean absolute errors of every head and class that has structures, in meV and meV/Å."""
    sums: dict[tuple[int, int, str], float] = defaultdict(float)
    for batch in batches:
        for name, head, place, error in _errors(model, move(batch, torch.device("cpu"))):
            for one_head, one_place in {*zip(head.tolist(), place.tolist(), strict=True)}:
                chosen = error[(head == one_head) & (place == one_place)]
                sums[one_head, one_place, name] += float(chosen.sum())
                sums[one_head, one_place, f"n_{name}"] += len(chosen)
    rows: Rows = {}
    for number, head in enumerate(model.head_names):
        for place, symbols in enumerate(CLASSES):
            found = {name: sums.get((number, place, name), 0.0) for name in ("energy", "forces")}
            counts = {name: sums.get((number, place, f"n_{name}"), 0.0) for name in found}
            if counts["energy"]:
                rows.setdefault(head, {})[symbols] = {
                    "atoms": counts["forces"],
                    "forces_mae_meV_per_angstrom": 1e3 * _ratio(found, counts, "forces"),
                    "structures": counts["energy"],
                    "energy_mae_meV_per_atom": 1e3 * _ratio(found, counts, "energy"),
                }
    return rows


def _ratio(sums: Mapping[str, float], counts: Mapping[str, float], name: str) -> float:
    return sums[name] / counts[name] if counts[name] else float("nan")


Errors = tuple[str, NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]
"""Energy or forces; head, class and |error| of each structure and class in it, or of each atom."""


def _errors(model: FoundationModel, batch: MovedBatch) -> list[Errors]:
    graph, head = batch.graph, batch.head.numpy()
    prediction = predict_batch(model, batch, ("energy", "forces"), differentiable=False)
    assert prediction.forces is not None
    place = class_of_element()[graph.atomic_numbers.numpy()]
    structure = graph.batch.numpy()
    energy = ((prediction.energy - batch.targets["energy"]) / graph.n_atoms).abs().numpy()
    labels = batch.targets.get("forces", torch.full_like(prediction.forces, torch.nan))
    forces = (prediction.forces - labels).abs().mean(dim=1).numpy()  # [N]
    pairs = np.unique(np.stack([structure, place], axis=1), axis=0)  # each class in a structure
    pairs = pairs[np.isfinite(energy[pairs[:, 0]])]
    known = np.isfinite(forces)
    return [
        ("energy", head[pairs[:, 0]], pairs[:, 1], energy[pairs[:, 0]]),
        ("forces", head[structure][known], place[known], forces[known]),
    ]


def table(found: Mapping[str, Rows]) -> str:
    """Markdown: a line per head and class, a column per model and quantity."""
    models = list(found)
    columns = ["head", "elements", "atoms", *(f"forces, meV/Å, {name}" for name in models)]
    columns += ["structures", *(f"energy, meV/atom, {name}" for name in models)]
    lines = [f"| {' | '.join(columns)} |", "|" + "---|" * len(columns)]
    for head, classes in found[models[-1]].items():
        for symbols, last in classes.items():
            rows = [found[name].get(head, {}).get(symbols) for name in models]
            forces = [_number(row, "forces_mae_meV_per_angstrom") for row in rows]
            energies = [_number(row, "energy_mae_meV_per_atom") for row in rows]
            cells = [head, symbols, f"{last['atoms']:.0f}", *forces]
            cells += [f"{last['structures']:.0f}", *energies]
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _number(row: Mapping[str, float] | None, name: str) -> str:
    return "–" if row is None or np.isnan(row[name]) else f"{row[name]:.3g}"


def learning_curves(path: Path) -> dict[str, list[dict[str, Any]]]:
    """Head -> its validations in a log: structures of all heads drawn so far, and errors."""
    curves: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for line in map(json.loads, path.read_text(encoding="utf-8").splitlines()):
        if line["kind"] == "validation":
            drawn = sum(line["samples_seen"].values())
            for head, errors in line["errors"].items():
                curves[head].append({"drawn": drawn, **errors})
    return dict(curves)


def draw(curves: Mapping[str, Sequence[Mapping[str, Any]]], title: str) -> Figure:
    """A panel per head: energies on the left axis, forces on the right one."""
    columns = 4
    n_rows = -(-len(curves) // columns)
    figure = Figure(figsize=(3.4 * columns, 2.4 * n_rows), layout="constrained")
    panels = figure.subplots(n_rows, columns, squeeze=False, sharex=True).flatten()
    for left, (head, points) in zip(panels, curves.items(), strict=False):
        drawn = [1e-3 * point["drawn"] for point in points]
        for axes, (name, (label, color)) in zip((left, left.twinx()), CURVES.items(), strict=True):
            axes.plot(drawn, [point[name] for point in points], "o-", color=color, markersize=3)
            axes.set_ylabel(label, color=color, fontsize=8)
            axes.set_ylim(0.0, 1.1 * max(point[name] for point in points))
            axes.tick_params(labelsize=7)
        left.set_title(head, fontsize=9)
    for axes in panels[len(curves) :]:
        axes.set_axis_off()
    figure.supxlabel("structures of all heads drawn, thousands", fontsize=9)
    figure.suptitle(title)
    return figure


def main(given: Sequence[str] | None = None) -> None:
    """Judge the models, draw the curves of the run."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", nargs="+", help="shipped names or model folders")
    parser.add_argument("--data", type=Path, required=True, help="folder of a run")
    parser.add_argument("--out", type=Path, required=True, help="beginning of the files' names")
    arguments = parser.parse_args(given)
    found: dict[str, Rows] = {}
    for name in arguments.models:
        trained = load_trained(name, arguments.data)
        model = trained.loaded.model
        data = assemble(model.head_names, trained.data, model.cutoff)
        index = np.concatenate([data.splits[head]["test"] for head in model.head_names])
        batches = FixedLoader(data.assembler, index, trained.run.batch)
        found[trained.loaded.card.label] = errors_by_class(model, batches)
    out: Path = arguments.out
    out.parent.mkdir(parents=True, exist_ok=True)
    command = f"python benchmarks/head_errors.py {' '.join(arguments.models)}"
    content = {"measured_by": f"{command} --data {arguments.data} --out {out}", "models": found}
    path = out.with_name(f"{out.name}-errors.json")
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    text = table(found)
    out.with_name(f"{out.name}-errors.md").write_text(text, encoding="utf-8")
    print(text)
    curves = learning_curves(arguments.data / METRICS_FILE)
    figure = draw(curves, f"{arguments.data.name}: validation errors")
    figure.savefig(out.with_name(f"{out.name}-learning-curves.png"), dpi=110)


if __name__ == "__main__":
    main()
