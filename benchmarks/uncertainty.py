"""Are a model's uncertainties as large as its errors, and larger where it knows nothing?

    python benchmarks/uncertainty.py MODEL_FOLDER --data work/runs/RUN

For every head with an uncertainty (`python -m training uncertainty` makes them), on the structures
of its test split, which neither weights nor uncertainties were fitted to:

- reliability: rms error against rms uncertainty in bins of equal numbers, miscalibration area;
- three kinds of shift, each as the chance (ROC AUC) that a shifted structure is more uncertain than
  an unshifted one, and the parts of both above the usual limit:
  elements, one atom replaced by an element that this head, or that no head, has seen, or an
  element that is left out of the covariance; geometry, lengths times 0.8 and 1.2, or every atom
  displaced by 0.4 Å; charges, two beyond the largest that the head knows, or charged structures
  left out of the covariance.

"Left out" is about the last layer alone: the network below was trained on these structures. What is
shifted has no labels here: whether it is wrong as well as uncertain is not asked.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from ase.data import atomic_numbers, chemical_symbols
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter
from numpy.typing import NDArray
from torch import Tensor
from tqdm import tqdm

from atomfm_calc.models.foundation import FoundationModel
from atomfm_calc.models.uncertainty import HeadUncertainty, last_features
from atomfm_calc.registry.card import HeadInfo
from atomfm_calc.sample import Sample
from downstream.scores import roc_auc
from training.assemble import assemble
from training.config import BatchLimits
from training.data.batching import fixed_batches
from training.data.loader import FixedLoader
from training.data.packed import PackedGraphs, pack
from training.trained_model import TrainedModel, load_trained
from training.training_data import TrainingData
from training.uncertainty import calibration_of, measure, measure_split

Floats = NDArray[np.float64]
MOST = 200
"""Test structures of a head that are shifted, spread evenly over the split."""
BINS = 10
FEWEST_IN_A_BIN = 4
FEWEST_IN_A_GROUP = 5
"""Test structures with and without an element that is left out; fewer say nothing."""
MOST_ELEMENTS = 12
"""That are left out, one at a time: those in the fewest training structures."""
SCORES = ("structure", "atom")
"""Uncertainty per atom of the structure, and the largest of its atoms."""


class Scored(NamedTuple):
    """Uncertainties of S structures, eV/atom."""

    structure: Floats
    """[S]"""
    atom: Floats
    """[S]"""


@dataclass(frozen=True, kw_only=True)
class Place:
    """What the scores of one head need."""

    model: FoundationModel
    known: HeadUncertainty
    head: str
    limits: BatchLimits

    def scores(self, samples: list[Sample]) -> Scored:
        """Of structures with any elements and charges, asked or not."""
        graphs = pack(samples, self.model.cutoff)
        every = np.arange(len(graphs))
        parts = []
        for index in fixed_batches(every, (graphs.n_atoms, graphs.n_edges), self.limits):
            graph, _ = graphs.take(index)
            with torch.no_grad():
                descriptors = self.model.descriptors(graph)
            features = last_features(self.model, descriptors, graph, self.head)
            of_atoms = self.known.sigma(_present(features.atoms)).split(graph.n_atoms.tolist())
            parts.append(
                (
                    (self.known.sigma(features.structures) / graph.n_atoms).numpy(),
                    np.array([float(part.max()) for part in of_atoms]),
                )
            )
        columns = [np.concatenate(column) for column in zip(*parts, strict=True)]
        return Scored(*columns)


def _present(atoms: Tensor | None) -> Tensor:
    if atoms is None:
        raise SystemExit("the model pools its features; this benchmark looks at atoms")
    return atoms


def samples_of(graphs: PackedGraphs) -> list[Sample]:
    """The structures of packed graphs, without labels."""
    columns = graphs.columns
    return [
        Sample(
            atomic_numbers=graphs.numbers_of(row),
            positions=columns["positions"][first:last].numpy().astype(float),
            cell=columns["cell"][row].numpy().astype(float),
            pbc=columns["pbc"][row].numpy(),
            charge=int(columns["charge"][row]),
            multiplicity=int(columns["multiplicity"][row]),
        )
        for row, (first, last) in enumerate(
            zip(graphs.first_atom[:-1], graphs.first_atom[1:], strict=True)
        )
    ]


def scaled(sample: Sample, factor: float) -> Sample:
    """All lengths times `factor`."""
    return replace(sample, positions=factor * sample.positions, cell=factor * sample.cell)


def displaced(sample: Sample, length: float) -> Sample:
    """Every atom by `length` Å in a random direction, the same in every run."""
    directions = np.random.default_rng(sample.n_atoms).normal(size=sample.positions.shape)
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    return replace(sample, positions=sample.positions + length * directions)


def with_foreign_atom(sample: Sample, elements: list[int], row: int) -> Sample:
    """One atom replaced by an element of a list."""
    numbers = sample.atomic_numbers.copy()
    numbers[row % len(numbers)] = elements[row % len(elements)]
    return replace(sample, atomic_numbers=numbers)


def shifts(info: HeadInfo, foreign: Mapping[str, list[int]]) -> Iterator[tuple[str, str, Callable]]:
    """Kind, name, and what makes a shifted structure of a structure and its number."""
    for name, elements in foreign.items():
        if elements:
            yield "elements", name, lambda one, row, z=elements: with_foreign_atom(one, z, row)
    for factor in (0.8, 1.2):
        yield "geometry", f"lengths x {factor}", lambda one, _, f=factor: scaled(one, f)
    yield "geometry", "displaced by 0.4 Å", lambda one, _: displaced(one, 0.4)
    if info.uses_charge:
        beyond = max(info.charges) + 2
        yield "charges", f"charge {beyond:+d}", lambda one, _: replace(one, charge=beyond)


def row_of(usual: Scored, shifted: Scored, limit: float) -> dict[str, Any]:
    """How well shifted structures are told from usual ones."""
    row: dict[str, Any] = {"usual": len(usual.structure), "shifted": len(shifted.structure)}
    member = np.repeat([False, True], [len(usual.structure), len(shifted.structure)])
    for name in SCORES:
        both = np.concatenate([getattr(usual, name), getattr(shifted, name)])
        row[f"auc_{name}"] = roc_auc(member, both)
    row["usual_above_limit"] = float((usual.structure > limit).mean())
    row["shifted_above_limit"] = float((shifted.structure > limit).mean())
    return row


def left_out(
    place: Place, info: HeadInfo, data: TrainingData, samples: list[Sample]
) -> dict[str, dict[str, Any]]:
    """Elements, and charges, that the covariance does not know: name -> row."""
    groups = _groups(info, samples)
    if not groups:
        return {}
    width = place.known.covariance.shape
    sums = {name: torch.zeros(width).double() for name in groups}
    counts = dict.fromkeys(groups, 0)
    index = data.splits[place.head]["train"]
    loader = FixedLoader(data.assembler, index, place.limits)
    for batch in tqdm(loader, desc=f"{place.head}, left out", disable=None):
        (measured,) = measure(place.model, place.head, [batch])
        labeled = batch.targets["energy"].isfinite()
        for name, belongs in groups.items():
            member = belongs(batch.graph)[labeled]
            features = measured.features[~member]
            sums[name] += features.T @ features
            counts[name] += len(features)
    rows = {}
    for name, belongs in groups.items():
        if not counts[name]:
            continue
        graph, _ = pack(samples, place.model.cutoff).join()
        member = belongs(graph).tolist()
        inside = [one for one, is_member in zip(samples, member, strict=True) if is_member]
        others = [one for one, is_member in zip(samples, member, strict=True) if not is_member]
        blind = replace(place, known=replace(place.known, covariance=sums[name] / counts[name]))
        limit = place.known.usual
        rows[name] = row_of(blind.scores(others), blind.scores(inside), limit)
        seen = row_of(place.scores(others), place.scores(inside), limit)
        rows[name] |= {f"auc_{score}_if_seen": seen[f"auc_{score}"] for score in SCORES}
    return rows


def _groups(info: HeadInfo, samples: list[Sample]) -> dict[str, Callable[[Any], Tensor]]:
    """Name -> which structures of a graph are left out: [S] bool."""
    groups: dict[str, Callable[[Any], Tensor]] = {}
    for symbol in sorted(info.elements, key=lambda name: info.elements[name]):
        number = atomic_numbers[symbol]
        n_inside = sum(number in one.atomic_numbers for one in samples)
        enough = FEWEST_IN_A_GROUP <= n_inside <= len(samples) - FEWEST_IN_A_GROUP
        if enough and len(groups) < MOST_ELEMENTS:
            groups[f"without {symbol}"] = lambda graph, z=number: _holds(graph, z)
    n_charged = sum(one.charge != 0 for one in samples)
    if FEWEST_IN_A_GROUP <= n_charged <= len(samples) - FEWEST_IN_A_GROUP:
        groups["without charges"] = lambda graph: graph.charge != 0
    return groups


def _holds(graph: Any, number: int) -> Tensor:
    found = torch.zeros(graph.n_structures, dtype=torch.bool)
    found[graph.batch[graph.atomic_numbers == number]] = True
    return found


def reliability(sigma: Tensor, errors: Tensor) -> list[tuple[float, float, int]]:
    """rms uncertainty and rms error, meV/atom, and number, in bins of equal numbers."""
    n_bins = min(BINS, max(1, len(sigma) // FEWEST_IN_A_BIN))
    order = sigma.argsort().tensor_split(n_bins)
    return [
        (
            1e3 * float(sigma[rows].square().mean().sqrt()),
            1e3 * float(errors[rows].square().mean().sqrt()),
            len(rows),
        )
        for rows in order
    ]


def examine(trained: TrainedModel, data: TrainingData, head: str) -> dict[str, Any]:
    """Everything about one head."""
    model, card = trained.loaded.model, trained.loaded.card
    known, info, limits = trained.loaded.uncertainties[head], card.heads[head], trained.run.batch
    place = Place(model=model, known=known, head=head, limits=limits)
    tested = measure_split(model, head, data, "test", limits)
    calibration = calibration_of(known, tested, "test")
    index = data.splits[head]["test"]
    if len(index) > MOST:
        index = index[np.linspace(0, len(index) - 1, MOST).round().astype(np.int64)]
    source = data.assembler.source
    samples = samples_of(source.decode(source.fetch(index)))
    by_others = {symbol for other in card.heads.values() for symbol in other.elements}
    foreign = {
        "one atom of an element of other heads": [
            atomic_numbers[symbol] for symbol in sorted(by_others - set(info.elements))
        ],
        "one atom of an element of no head": [
            number
            for number, symbol in enumerate(chemical_symbols[:104])
            if number and symbol not in by_others
        ],
    }
    usual = place.scores(samples)
    rows: dict[str, dict[str, Any]] = {"elements": {}, "geometry": {}, "charges": {}}
    for kind, name, shift in shifts(info, foreign):
        shifted = place.scores([shift(one, row) for row, one in enumerate(samples)])
        rows[kind][name] = row_of(usual, shifted, known.usual)
    for name, row in left_out(place, info, data, samples).items():
        rows["charges" if name == "without charges" else "elements"][name] = row
    return {
        "calibration": None if calibration is None else vars(calibration),
        "scale_eV": known.scale,
        "regularization": known.regularization,
        "usual_meV_per_atom": 1e3 * known.usual,
        "fitted_to": known.n_calibration,
        "reliability": reliability(known.sigma(tested.features), tested.errors),
        "shifts": rows,
    }


def draw(found: Mapping[str, dict[str, Any]], title: str) -> Figure:
    """Reliability of every head; below, the AUC of every shift."""
    columns = 4
    n_rows = -(-len(found) // columns)
    figure = Figure(figsize=(3.0 * columns, 2.6 * n_rows + 4.0), layout="constrained")
    upper, lower = figure.subfigures(2, 1, height_ratios=[2.6 * n_rows, 4.0])
    figure.suptitle(title)
    panels = upper.subplots(n_rows, columns, squeeze=False).flatten()
    for axes, (head, row) in zip(panels, found.items(), strict=False):
        sigma, error, _ = zip(*row["reliability"], strict=True)
        reach = [0.5 * min(*sigma, *error), 2.0 * max(*sigma, *error)]
        axes.plot(reach, reach, color="black", linewidth=0.8)
        axes.plot(sigma, error, "o", markersize=4)
        axes.set(xscale="log", yscale="log", xlim=reach, ylim=reach)
        area = (row["calibration"] or {}).get("miscalibration_area", float("nan"))
        axes.set_title(f"{head}\narea {area:.2f}", fontsize=9)
        axes.tick_params(labelsize=7)
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_minor_formatter(NullFormatter())
    for axes in panels[len(found) :]:
        axes.set_axis_off()
    upper.supxlabel("rms uncertainty, meV/atom", fontsize=9)
    upper.supylabel("rms error, meV/atom", fontsize=9)
    _draw_shifts(lower.subplots(), found)
    return figure


def _draw_shifts(axes: Any, found: Mapping[str, dict[str, Any]]) -> None:
    colors = {"elements": "tab:blue", "geometry": "tab:orange", "charges": "tab:green"}
    for place, row in enumerate(found.values()):
        for kind, color in colors.items():
            values = [one["auc_structure"] for one in row["shifts"][kind].values()]
            offset = 0.2 * (list(colors).index(kind) - 1)
            axes.plot([place + offset] * len(values), values, "o", color=color, alpha=0.7)
    for kind, color in colors.items():
        axes.plot([], [], "o", color=color, label=kind)
    axes.axhline(0.5, color="black", linewidth=0.8)
    axes.set_xticks(range(len(found)), list(found), rotation=20, ha="right", fontsize=8)
    axes.set_ylabel("ROC AUC of shifts")
    axes.set_ylim(0.0, 1.02)
    axes.legend(fontsize=8, loc="lower left")


def summary(found: Mapping[str, dict[str, Any]]) -> dict[str, dict[str, float]]:
    """Kind of shift -> mean over heads and shifts of what a flag would do."""
    result = {}
    for kind in ("elements", "geometry", "charges"):
        rows = [one for row in found.values() for one in row["shifts"][kind].values()]
        keys = ("auc_structure", "auc_atom", "usual_above_limit", "shifted_above_limit")
        if rows:
            result[kind] = {key: float(np.mean([one[key] for one in rows])) for key in keys}
    return result


def main(given: Sequence[str] | None = None) -> None:
    """Examine, print a table, write JSON and PNG."""
    parser = argparse.ArgumentParser(description="Uncertainties against errors and shifts.")
    parser.add_argument("model", help="shipped name or model folder")
    parser.add_argument("--data", type=Path, required=True, help="run folder or configuration")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/uncertainty"))
    arguments = parser.parse_args(given)
    trained = load_trained(arguments.model, arguments.data)
    if not trained.loaded.uncertainties:
        raise SystemExit(f"{arguments.model} has no uncertainties; python -m training uncertainty")
    heads = tuple(trained.loaded.uncertainties)
    data = assemble(heads, trained.data, trained.loaded.model.cutoff)
    found = {}
    for head in heads:
        found[head] = examine(trained, data, head)
        for kind, rows in found[head]["shifts"].items():
            for name, row in rows.items():
                print(
                    f"{head:16s} {kind:9s} {name:40s} AUC {row['auc_structure']:.2f} "
                    f"(atoms {row['auc_atom']:.2f})  above the limit: usual "
                    f"{row['usual_above_limit']:.2f}, shifted {row['shifted_above_limit']:.2f}",
                    flush=True,
                )
    content = {
        "measured_by": f"python benchmarks/uncertainty.py {arguments.model} "
        f"--data {arguments.data}",
        "model": trained.loaded.card.label,
        "weights_sha256": trained.loaded.card.weights_sha256,
        "torch": torch.__version__,
        "summary": summary(found),
        "heads": found,
    }
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    path = arguments.out.with_suffix(".json")
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    draw(found, trained.loaded.card.label).savefig(arguments.out.with_suffix(".png"), dpi=110)
    print(json.dumps(content["summary"], indent=1))


if __name__ == "__main__":
    main()
