"""A gate for the heads of a model, from their errors on held-out structures.

The target. For a structure s with labeled forces, e_h(s) [N, 3] is what head h gives minus the
label. A mixture of weights w has the error sum_h w_h e_h, and so the mean square per atom

    sum_hg w_h w_g G_hg(s),   G_hg(s) = sum_atoms e_h · e_g / N   [eV²/Å²],

whatever the weights: the model runs once per structure, and the gate is fitted to the matrices G.
It makes small the mean of

    rms error of the mixture / rms error of the head that was trained on data like s,

over structures, where a data set counts as the root of its number of structures. Hot crystals and
soft molecules count alike, and a data set that others outnumber is not given up.

Every head that may compute a structure is measured on it, also on structures of other data sets: a
head that is exact for ethanol learns here what it is worth for other alcohols. The labels are those
of the structure's own data set, so the difference of two theories counts as an error. Energies of
different theories have no common zero and play no role.

A gate is fitted to the validation split, which no weight of the model was fitted to, and to a part
of the training split: without it, the gate would know nothing of what is never held out, such as
water, and give it to whichever head is near. On these structures the head of the data set looks
somewhat better than it is, and it is the one to have the say there. The test split is for the
report.

Known limit: a head of a single substance (one molecule, thousands of geometries) draws weight from
compositions in its neighborhood that its data set never saw and few structures of the others speak
for; painn-lead's acetylacetone head gets most of benzene. The report does not show it, because
held-out structures of such a data set are the same substance. Look at `calc.head_weights` of what
you compute before you publish a gate.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from atomfm_calc.errors import DataError
from atomfm_calc.models.derivatives import predict_heads
from atomfm_calc.models.gate import CompositionGate, count_elements
from atomfm_calc.registry.card import ModelCard
from atomfm_calc.registry.catalog import LoadedModel, add_gate, copy_model
from atomfm_calc.registry.coverage import objections
from atomfm_calc.sample import Sample
from training.assemble import assemble
from training.config import BatchLimits
from training.data.loader import Batch, FixedLoader
from training.trained_model import load_trained
from training.training_data import TrainingData

logger = logging.getLogger(__name__)

SMALLEST_ERROR = 0.02
"""eV/Å; a head that is better than this by luck sets no standard."""
USUAL = 0.95
"""Part of the training compositions whose nearest other one counts as near."""


@dataclass(frozen=True, kw_only=True)
class GateConfig:
    """How a gate is fitted."""

    hidden: tuple[int, ...] = (32,)
    """Widths of its hidden layers."""
    steps: int = 600
    """Of AdamW, each over all structures."""
    learning_rate: float = 0.01
    """At the beginning; goes to zero along a cosine."""
    weight_decay: float = 0.01
    """Of AdamW."""
    training_structures_per_head: int = 1000
    """At most, beside those of the validation split."""


class MeasuredErrors(NamedTuple):
    """Force errors of H heads on S structures."""

    counts: Tensor
    """[S, 118] atoms per element"""
    allowed: Tensor
    """[S, H] bool, heads that may compute the structure"""
    products: Tensor
    """[S, H, H] eV²/Å², G above; zero for heads that may not"""
    data_set: Tensor
    """[S] int64, position of the structure's data set among the heads"""

    def select(self, rows: Tensor) -> MeasuredErrors:
        """The structures `rows` [R], a mask or places."""
        return MeasuredErrors(*(column[rows] for column in self))

    def rms(self, weights: Tensor) -> Tensor:
        """Root of the mean square force error of mixtures: weights [S, H] -> [S] eV/Å."""
        squares = torch.einsum("sh,shg,sg->s", weights, self.products, weights)
        return squares.clamp(min=1e-12).sqrt()  # the root has no slope at zero

    def rms_of_heads(self) -> Tensor:
        """Error of each head alone: [S, H] eV/Å; infinite for heads that may not."""
        rms = self.products.diagonal(dim1=1, dim2=2).clamp(min=1e-12).sqrt()
        return rms.masked_fill(~self.allowed, torch.inf)

    def rms_of_own_head(self) -> Tensor:
        """Error of the head that was trained on the structure's data set: [S] eV/Å."""
        return self.rms_of_heads().gather(1, self.data_set[:, None])[:, 0]

    def shares(self) -> Tensor:
        """What each structure counts: [S], adding up to 1."""
        shares = torch.bincount(self.data_set)[self.data_set].to(torch.float64).rsqrt()
        return shares / shares.sum()

    def relative_error(self, weights: Tensor) -> Tensor:
        """The module's target, for weights [S, H]: a scalar."""
        standard = self.rms_of_own_head().clamp(min=SMALLEST_ERROR)
        return (self.shares() * self.rms(weights) / standard).sum()


def measure_errors(
    loaded: LoadedModel,
    data: TrainingData,
    split: str,
    limits: BatchLimits,
    most_per_head: int | None = None,
) -> MeasuredErrors:
    """Run all heads on the structures of a split.

    Args:
        loaded: the model; has the heads of `data`.
        data: of the run that made the model, so that no structure was trained on.
        split: "train", "validation" or "test".
        limits: of a batch.
        most_per_head: structures of one data set, spread evenly over it; None: all.

    Raises:
        DataError: no structure of the split has forces.
        UnknownNameError: data of a head that the model does not have.
    """
    heads = loaded.model.head_names
    parts = []
    for head, splits in data.splits.items():
        loaded.card.head(head)
        index = splits[split]
        if most_per_head is not None and len(index) > most_per_head:
            index = index[np.linspace(0, len(index) - 1, most_per_head).round().astype(np.int64)]
        batches = FixedLoader(data.assembler, index, limits)
        for batch in tqdm(batches, desc=f"{head} ({split})", disable=None):
            parts.append(_errors_of_batch(loaded, heads, batch, heads.index(head)))
    if not sum(len(part.counts) for part in parts):
        raise DataError(f"no structure of the {split} split has forces; a gate is fitted to forces")
    return joined(parts)


def _errors_of_batch(
    loaded: LoadedModel, heads: Sequence[str], batch: Batch, own: int
) -> MeasuredErrors:
    """`own` is the place of the head that was trained on data like these."""
    graph = batch.graph
    labels = batch.targets["forces"].to(torch.float64)
    counts = count_elements(graph.atomic_numbers, graph.batch, graph.n_structures)
    allowed = torch.tensor(list(_allowed(loaded.card, heads, batch)))  # [S, H]
    used = [index for index in range(len(heads)) if bool(allowed[:, index].any())]
    predictions = predict_heads(loaded.model, graph, [heads[index] for index in used], ["forces"])
    errors = torch.zeros(len(heads), *labels.shape, dtype=torch.float64)  # [H, N, 3]
    for index in used:
        errors[index] = _present(predictions[heads[index]].forces) - labels
    errors = torch.where(allowed.T[:, graph.batch, None], errors, 0.0)
    of_atom = torch.einsum("hnd,gnd->nhg", errors, errors)
    products = torch.zeros(graph.n_structures, len(heads), len(heads), dtype=torch.float64)
    products.index_add_(0, graph.batch, of_atom)
    products /= graph.n_atoms[:, None, None]
    labeled = products.isfinite().all(dim=2).all(dim=1) & allowed[:, own]
    data_set = torch.full((graph.n_structures,), own)
    return MeasuredErrors(counts, allowed, products, data_set).select(labeled)


def _allowed(card: ModelCard, heads: Sequence[str], batch: Batch) -> Iterator[list[bool]]:
    graph = batch.graph
    numbers = torch.split(graph.atomic_numbers, graph.n_atoms.tolist())
    for index, atomic_numbers in enumerate(numbers):
        sample = Sample(
            atomic_numbers=atomic_numbers.numpy(),
            positions=np.zeros((len(atomic_numbers), 3)),
            pbc=graph.pbc[index].numpy(),
            charge=int(graph.charge[index]),
            multiplicity=int(graph.multiplicity[index]),
        )
        yield [not objections(card.heads[head], sample) for head in heads]


def _present(forces: Tensor | None) -> Tensor:
    if forces is None:
        raise DataError("the model gave no forces; they were asked for")
    return forces


def joined(parts: Sequence[MeasuredErrors]) -> MeasuredErrors:
    """All structures of `parts`, in order."""
    return MeasuredErrors(*(torch.cat(columns) for columns in zip(*parts, strict=True)))


def fit_gate(
    measured: MeasuredErrors, heads: Sequence[str], config: GateConfig | None = None
) -> CompositionGate:
    """The gate whose mixture has the smallest relative error; the same for the same input.

    Args:
        measured: errors of the heads.
        heads: H names, in the order of the columns.
        config: sizes and steps.

    Raises:
        ConfigError: fewer than two heads.
    """
    config = config or GateConfig()
    fractions = measured.counts / measured.counts.sum(dim=1, keepdim=True)
    known = torch.unique(fractions.to(torch.float32), dim=0)
    gate = CompositionGate(
        heads, config.hidden, training_fractions=known, reach=_usual_distance(known)
    )
    layers = list(gate.layers.parameters())
    optimizer = torch.optim.AdamW(layers, lr=config.learning_rate, weight_decay=config.weight_decay)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, config.steps)
    progress = tqdm(range(config.steps), desc="fit", disable=None)
    for _ in progress:
        optimizer.zero_grad()
        loss = measured.relative_error(gate(measured.counts, measured.allowed))
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        schedule.step()
        progress.set_postfix(relative_error=f"{loss.item():.3f}")
    return gate.eval().requires_grad_(False)


def _usual_distance(known: Tensor) -> float:
    """How near the next composition is for `USUAL` of the compositions [K, 118]."""
    if len(known) < 2:
        return 0.0
    apart = 0.5 * torch.cdist(known.double(), known.double(), p=1.0)
    nearest = apart.fill_diagonal_(torch.inf).min(dim=1).values
    return float(nearest.quantile(USUAL))


def report(
    gate: CompositionGate, measured: MeasuredErrors, default_head: str
) -> dict[str, dict[str, float]]:
    """Errors of the mixture and of what it is to be compared with.

    Args:
        gate: has the heads of the columns.
        measured: of structures that it was not fitted to.
        default_head: of the model.

    Returns:
        data set -> "structures", and geometric means over structures of the rms force error in
        eV/Å: "mixture", "own head" (of the data set), "equal weights" (of the heads that may),
        "default head" (NaN where it may not compute all).
    """
    with torch.no_grad():
        mixture = measured.rms(gate(measured.counts, measured.allowed))
    equal = measured.allowed.to(torch.float64)
    columns = {
        "mixture": mixture,
        "own head": measured.rms_of_own_head(),
        "equal weights": measured.rms(equal / equal.sum(dim=1, keepdim=True)),
        "default head": measured.rms_of_heads()[:, gate.heads.index(default_head)],
    }
    rows = {}
    for place, head in enumerate(gate.heads):
        chosen = measured.data_set == place
        if bool(chosen.any()):
            means = {name: _geometric_mean(values[chosen]) for name, values in columns.items()}
            rows[head] = {"structures": float(chosen.sum()), **means}
    return rows


def _geometric_mean(values: Tensor) -> float:
    return float(values.log().mean().exp()) if bool(values.isfinite().all()) else float("nan")


def table_of_report(rows: dict[str, dict[str, float]]) -> str:
    """One line per data set, for people."""
    width = max(len(name) for name in rows)
    names = [name for name in next(iter(rows.values())) if name != "structures"]
    lines = [f"{'data set':<{width}}  structures  " + "  ".join(f"{name:>13}" for name in names)]
    for data_set, row in rows.items():
        cells = "  ".join(f"{row[name]:>13.3f}" for name in names)
        lines.append(f"{data_set:<{width}}  {row['structures']:>10.0f}  {cells}")
    return "\n".join(lines)


def make_gate(model: str, data: Path, folder: Path, config: GateConfig | None = None) -> str:
    """Measure, fit, report, and write the model with its gate.

    Args:
        model: name or folder.
        data: folder of the run that made the model, or a configuration with the same data: what
            was held out there is held out here.
        folder: model folder to write; may be that of the model itself.
        config: sizes and steps of the gate.

    Returns:
        the report on the test split, as a table.

    Raises:
        ConfigError, DataError, WeightsError, UnknownNameError: as in what it is made of.
    """
    trained = load_trained(model, data)
    loaded, run = trained.loaded, trained.run
    structures = assemble(run.heads, trained.data, loaded.model.cutoff)
    config = config or GateConfig()
    seen, chosen_by, held_out = (
        measure_errors(loaded, structures, split, run.batch, limit)
        for split, limit in (
            ("train", config.training_structures_per_head),
            ("validation", None),
            ("test", None),
        )
    )
    fitted_to = joined([seen, chosen_by])
    gate = fit_gate(fitted_to, loaded.model.head_names, config)
    rows = report(gate, held_out, loaded.card.default_head)
    with torch.no_grad():
        factor = float(held_out.relative_error(gate(held_out.counts, held_out.allowed)))
    copy_model(loaded.folder, folder)
    figures = {
        "mixture, fitted to": f"forces of {len(chosen_by.counts)} validation and "
        f"{len(seen.counts)} training structures, {len(gate.training_fractions)} compositions",
        "mixture, forces": f"{len(held_out.counts)} test structures: rms error {factor:.2f} times "
        "that of the head of the structure's own data, which the composition alone does not tell",
    }
    add_gate(folder, gate, figures)
    logger.info("wrote a gate of %d heads into %s", len(gate.heads), folder)
    return table_of_report(rows)
