"""A listed block through the model: columns of results, and what was lost on the way."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import torch
from ase.data import chemical_symbols
from numpy.typing import NDArray

from atomfm_calc.calculators.budget import BatchBudget
from atomfm_calc.calculators.evaluator import Evaluator
from atomfm_calc.calculators.setup import resolve_head
from atomfm_calc.errors import ConfigError, InsufficientMemoryError
from atomfm_calc.graph import AtomicGraph
from atomfm_calc.models.derivatives import Prediction, predict, predict_heads
from atomfm_calc.registry.coverage import unseen_elements
from atomfm_calc.screening.campaign import Stage
from atomfm_calc.screening.graphs import ListedBlock
from atomfm_calc.screening.structures import StructureBlock

logger = logging.getLogger(__name__)

Array = NDArray[np.float64]


class Ragged(NamedTuple):
    """A column with an array per structure."""

    values: NDArray[np.generic]
    """[sum of counts, ...] of all structures, one behind the other"""
    counts: NDArray[np.int64]
    """[S]"""


Column = NDArray[np.generic] | Sequence[str] | Ragged
Columns = dict[str, Column]
"""Name -> values of S structures."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Results:
    """What the heads say about S structures; NaN where a head may not compute one."""

    energies: Array
    """[H, S] eV"""
    above_references: Array
    """[H, S] eV, without the head's reference energies of the elements"""
    forces: Array | None
    """[N, 3] eV/Å of the first head; None if not asked for"""
    stress: Array | None
    """[S, 3, 3] eV/Å³ of the first head; NaN if not periodic in three directions"""
    uncertainty: Array | None
    """[S] eV, of the first head's energy; None if it does not know how far it may be off"""


class StageEvaluator:
    """A model, the heads of a stage, and batches no larger than memory allows."""

    def __init__(self, evaluator: Evaluator, stage: Stage, budget: BatchBudget) -> None:
        """Resolve the heads.

        Raises:
            UnknownNameError: no such head.
            ConfigError: "all" beside others, or a head named twice.
        """
        self.evaluator, self.stage, self.budget = evaluator, stage, budget
        self.heads = heads_of(evaluator, stage)
        self.cutoff = evaluator.model.cutoff
        cards = [evaluator.card.heads[name] for name in self.heads]
        self._references = np.stack(
            [evaluator.model.head(name).references.cpu().numpy() for name in self.heads]
        )  # [H, Z]
        self._covers = np.array(
            [[not unseen_elements(card, [symbol]) for symbol in chemical_symbols] for card in cards]
        )  # [H, Z]
        self._uses_charge = np.array([card.uses_charge for card in cards])
        self._cards = cards
        self._is_aware = self.heads[0] in evaluator.uncertainties.heads

    @property
    def want(self) -> tuple[str, ...]:
        """What is asked of the first head."""
        extra = {"forces": self.stage.forces, "stress": self.stage.stress}
        return ("energy", *(name for name, wanted in extra.items() if wanted))

    def admit(self, block: StructureBlock) -> NDArray[np.bool_]:
        """Which head may compute which structure: [H, S], as `checks` decides for a calculator."""
        admitted = np.ones((len(self.heads), len(block)), dtype=bool)
        for row, card in enumerate(self._cards):
            if not self.evaluator.settings.allow_unseen_elements:
                foreign = ~self._covers[row][block.atomic_numbers]
                admitted[row] &= (
                    np.bincount(block.structure_of_atom[foreign], minlength=len(block)) == 0
                )
            admitted[row] &= np.isin(block.charge, card.charges)
            admitted[row] &= np.isin(block.multiplicity, card.multiplicities)
            if card.uses_charge:
                n_electrons = _sum_to_structures(block.atomic_numbers, block) - block.charge
                unpaired = block.multiplicity - 1
                admitted[row] &= (unpaired <= n_electrons) & ((n_electrons - unpaired) % 2 == 0)
        return admitted

    def evaluate(self, listed: ListedBlock) -> tuple[StructureBlock, Columns]:
        """Rows of all structures that could be computed, and the block of these structures."""
        admitted = self.admit(listed.block)
        refused = np.logical_not(admitted.any(axis=0))
        details = [f"none of {', '.join(self.heads)} covers it"] * int(refused.sum())
        block = listed.block.reject(refused, "not-covered", details)
        listed = replace(listed.select(~refused), block=block)
        admitted = admitted[:, ~refused]
        results, failed = self._in_batches(listed)
        energies = np.where(admitted, results.energies, np.nan)
        wrong = (admitted & ~np.isfinite(results.energies)).any(axis=0)
        wrong |= admitted[0] & _any_not_finite(results.forces, block)
        failed[wrong & (failed == "")] = "not-finite-result"
        _blank(results, block, ~admitted[0])
        for reason in sorted(set(failed[failed != ""].tolist())):
            bad = failed == reason
            block = block.reject(bad, reason, _sizes(listed, bad))
            kept = ~bad
            results, energies = _select(results, listed.block, kept), energies[:, kept]
            listed = replace(listed.select(kept), block=block)
            failed, admitted = failed[kept], admitted[:, kept]
        offsets = np.stack(
            [_sum_to_structures(row[block.atomic_numbers], block) for row in self._references]
        )
        results = replace(results, energies=energies, above_references=energies - offsets)
        return block, self._columns(results, block)

    def _in_batches(self, listed: ListedBlock) -> tuple[Results, NDArray[np.str_]]:
        """Results of all batches, and for each structure why it has none ("" if it has)."""
        n_structures, n_atoms = len(listed.block), len(listed.block.atomic_numbers)
        results = Results(
            energies=np.full((len(self.heads), n_structures), np.nan),
            above_references=np.zeros(0),
            forces=np.full((n_atoms, 3), np.nan) if self.stage.forces else None,
            stress=np.full((n_structures, 3, 3), np.nan) if self.stage.stress else None,
            uncertainty=np.full(n_structures, np.nan) if self._is_aware else None,
        )
        failed = np.full(n_structures, "", dtype="U20")
        waiting = listed.batches(self.budget)[::-1]
        while waiting:
            start, stop = waiting.pop()
            try:
                self._one_batch(listed, start, stop, results)
            except InsufficientMemoryError:
                if stop - start == 1:
                    failed[start] = "out-of-memory"
                    continue
                self._shrink(listed, start, stop)
                middle = (start + stop) // 2
                waiting += [(middle, stop), (start, middle)]
        return results, failed

    def _shrink(self, listed: ListedBlock, start: int, stop: int) -> None:
        """Half of a batch that was too large is the budget from now on."""
        rows = slice(start, stop)
        self.budget = BatchBudget(
            max_atoms=max(1, int(listed.block.n_atoms[rows].sum()) // 2),
            max_edges=max(1, int(listed.n_edges[rows].sum()) // 2),
        )
        logger.warning(
            "a batch of %d structures does not fit into memory; going on with batches of up to "
            "%d atoms and %d edges",
            stop - start,
            self.budget.max_atoms,
            self.budget.max_edges,
        )

    def _one_batch(self, listed: ListedBlock, start: int, stop: int, results: Results) -> None:
        """Write the results of some structures into their rows."""
        evaluator, rows = self.evaluator, slice(start, stop)
        graph = listed.graph(start, stop, evaluator.dtype)
        stated = _with_charges(graph, listed.block, rows)
        plain = bool(
            (graph.charge == stated.charge).all()
            and (graph.multiplicity == stated.multiplicity).all()
        )
        first = stated if self._uses_charge[0] else graph
        derivatives = self.want if len(self.want) > 1 else ()
        with evaluator.computing(graph, self.want, self.heads):
            groups = (
                {False: np.arange(len(self.heads))}
                if plain
                else {
                    charged: np.flatnonzero(self._uses_charge == charged)
                    for charged in (False, True)
                }
            )
            for charged, members in groups.items():
                # the first head's energy comes with its derivatives
                members = members[members > 0] if derivatives else members
                names = [self.heads[member] for member in members]
                if names:
                    moved = (stated if charged else graph).to(evaluator.device)
                    predictions = predict_heads(evaluator.model, moved, names, ("energy",))
                    stacked = torch.stack([predictions[name].energy for name in names])
                    results.energies[members, rows] = stacked.cpu().numpy()
                    if self.heads[0] in predictions:
                        self._note_uncertainty(predictions[self.heads[0]], graph, rows, results)
            if derivatives:
                self._derivatives(first, listed.block, rows, results)

    def _derivatives(
        self, graph: AtomicGraph, block: StructureBlock, rows: slice, results: Results
    ) -> None:
        periodic = bool(graph.pbc.all(dim=1).any())
        want = [name for name in self.want if name != "stress" or periodic]
        energy_of = self.evaluator.model.energy_of(self.heads[0])
        prediction = predict(energy_of, graph.to(self.evaluator.device), want)
        results.energies[0, rows] = prediction.energy.detach().cpu().numpy()
        self._note_uncertainty(prediction, graph, rows, results)
        if results.forces is not None and prediction.forces is not None:
            atoms = slice(block.first_atom[rows.start], block.first_atom[rows.stop])
            results.forces[atoms] = prediction.forces.cpu().numpy()
        if results.stress is not None and prediction.stress is not None:
            results.stress[rows] = prediction.stress.cpu().numpy()

    def _note_uncertainty(
        self, prediction: Prediction, graph: AtomicGraph, rows: slice, results: Results
    ) -> None:
        known = self.evaluator.uncertainties.of(self.heads[0], prediction, graph)
        if results.uncertainty is not None and known is not None:
            results.uncertainty[rows] = [one.energy for one in known]

    def _columns(self, results: Results, block: StructureBlock) -> Columns:
        columns: Columns = {
            "energy": results.energies[0],
            "energy_per_atom": results.energies[0] / block.n_atoms,
            "above_references_per_atom": results.above_references[0] / block.n_atoms,
        }
        if len(self.heads) > 1:
            for name, energies in zip(self.heads, results.energies, strict=True):
                columns[f"energy_{column_name(name)}"] = energies
        for name, estimate in ESTIMATES.items():
            values = estimate(results, block)
            if values is not None:
                columns[name] = values
        if results.forces is not None:
            squares = (results.forces**2).sum(axis=1)
            starts = block.first_atom[:-1]
            largest = np.maximum.reduceat(squares, starts) if len(block) else np.zeros(0)
            columns["max_force"] = np.sqrt(largest)
            columns["rms_force"] = np.sqrt(_sum_to_structures(squares, block) / block.n_atoms)
            if "forces" in self.stage.store:
                columns["forces"] = Ragged(results.forces, block.n_atoms)
        if results.stress is not None:
            columns["pressure"] = -np.trace(results.stress, axis1=1, axis2=2) / 3.0
            columns["max_stress"] = np.abs(results.stress).max(axis=(1, 2), initial=0.0)
        return columns


def heads_of(evaluator: Evaluator, stage: Stage) -> tuple[str, ...]:
    """Names of a stage's heads; with "all", the card's default comes first.

    Raises:
        UnknownNameError: no such head.
        ConfigError: "all" beside other names, or a head named twice.
    """
    card = evaluator.card
    if stage.heads == ("all",):
        others = (name for name in card.heads if name != card.default_head)
        return (card.default_head, *others)
    if "all" in stage.heads or len(set(stage.heads)) < len(stage.heads):
        raise ConfigError(f"heads are {list(stage.heads)}; name each once, or only 'all'")
    if not stage.heads:
        return (resolve_head(card, None),)
    return tuple(resolve_head(card, name) for name in stage.heads)


def column_name(head: str) -> str:
    """A head's name in a column: SQL takes "-" for a minus."""
    return head.replace("-", "_")


def _head_spread(results: Results, block: StructureBlock) -> Array | None:
    """Standard deviation over heads of the energy above references, eV/atom; NaN for one head.

    None where one head is asked. It tells of theories and fits that differ, not of uncertainty.
    """
    if len(results.energies) < 2:
        return None
    known = np.isfinite(results.above_references)
    count = known.sum(axis=0)
    values = np.where(known, results.above_references / block.n_atoms, 0.0)
    mean = values.sum(axis=0) / np.maximum(count, 1)
    squares = np.where(known, (values - mean) ** 2, 0.0).sum(axis=0)
    return np.where(count > 1, np.sqrt(squares / np.maximum(count, 1)), np.nan)


def _uncertainty(results: Results, block: StructureBlock) -> Array | None:
    """One standard deviation of the first head's error, eV/atom; None if it does not know it."""
    return None if results.uncertainty is None else results.uncertainty / block.n_atoms


def _with_charges(graph: AtomicGraph, block: StructureBlock, rows: slice) -> AtomicGraph:
    dtype = graph.positions.dtype
    return graph._replace(
        charge=torch.from_numpy(block.charge[rows]).to(dtype),
        multiplicity=torch.from_numpy(block.multiplicity[rows]).to(dtype),
    )


def _any_not_finite(forces: Array | None, block: StructureBlock) -> NDArray[np.bool_]:
    """Structures [S] with a force that is NaN or infinite."""
    if forces is None:
        return np.zeros(len(block), dtype=bool)
    strange = ~np.isfinite(forces).all(axis=1)
    return np.bincount(block.structure_of_atom[strange], minlength=len(block)) > 0


def _blank(results: Results, block: StructureBlock, refused: NDArray[np.bool_]) -> None:
    """Leave no forces or stress of structures [S] that the first head may not compute."""
    if results.forces is not None:
        results.forces[refused[block.structure_of_atom]] = np.nan
    if results.stress is not None:
        results.stress[refused] = np.nan
    if results.uncertainty is not None:
        results.uncertainty[refused] = np.nan


def _select(results: Results, block: StructureBlock, kept: NDArray[np.bool_]) -> Results:
    atoms = kept[block.structure_of_atom]
    return Results(
        energies=results.energies[:, kept],
        above_references=results.above_references,
        forces=None if results.forces is None else results.forces[atoms],
        stress=None if results.stress is None else results.stress[kept],
        uncertainty=None if results.uncertainty is None else results.uncertainty[kept],
    )


def _sum_to_structures(values: NDArray[np.generic], block: StructureBlock) -> Array:
    sums = np.bincount(block.structure_of_atom, weights=values, minlength=len(block))
    return np.asarray(sums, dtype=np.float64)


def _sizes(listed: ListedBlock, bad: NDArray[np.bool_]) -> list[str]:
    sizes = zip(listed.block.n_atoms[bad], listed.n_edges[bad], strict=True)
    return [f"{n_atoms} atoms, {n_edges} edges" for n_atoms, n_edges in sizes]


ESTIMATES: dict[str, Callable[[Results, StructureBlock], Array | None]] = {
    "head_spread": _head_spread,
    "uncertainty_per_atom": _uncertainty,
}
"""Columns that say how far to trust a row: [S]; None where a stage does not have one."""
